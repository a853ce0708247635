//! Reads a file as blocks of whole records.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memrchr};

use super::block::Block;
use super::error::FileError;
use super::input::{self, Text};
use super::record::{End, end_of};
use super::settings::Settings;
use super::source::Source;

/// The size of the head, from which a file's layout is detected.
const HEAD_BYTES: usize = 256 * 1024;
/// The maximum size of a record.
const RECORD_BYTES_MAX: usize = 8 << 20;

/// The blocks of a file.
pub(super) struct Blocks {
    input: Box<dyn Read + Send>,
    block_bytes: usize,
    delimiter: u8,
    /// Text that was read but not returned yet.
    carry: Vec<u8>,
    /// The number of the first line of `carry`.
    line: u64,
    /// What the rows were before they were written as CSV.
    form: Option<&'static str>,
    ended: bool,
    accept_last_line: bool,
    /// Bytes at the end of `carry` that are a last line without a line end.
    unended: usize,
    /// That line, after it was removed from `carry`.
    held: Option<Vec<u8>>,
    /// Why the stream ended early.
    failure: Option<io::Error>,
    spare: Vec<Vec<u8>>,
}

/// The start of a text.
pub(super) struct Head<'b> {
    /// Without a byte order mark. Ends with a line feed if it is the whole text.
    pub(super) text: &'b [u8],
    /// The bytes up to a last line without a line end.
    pub(super) whole: usize,
    /// Whether it is the whole text.
    pub(super) last: bool,
    /// What the rows were before they were written as CSV.
    pub(super) form: Option<&'static str>,
}

/// The rest at the end of a stream.
#[derive(Debug)]
pub(super) struct Rest {
    /// The number of the last whole line.
    pub(super) line: u64,
    /// Why the stream ended early, if it did.
    pub(super) failure: Option<io::Error>,
    /// The incomplete line, or the one without a line end.
    pub(super) tail: Vec<u8>,
}

impl Blocks {
    /// Opens a file.
    pub(super) fn open(source: &Source, settings: &Settings) -> Result<Self, FileError> {
        let Text {
            input,
            form,
            first_line,
        } = input::open(source)?;
        Ok(Self {
            input,
            block_bytes: settings.limits.block_bytes.max(1),
            delimiter: b',',
            carry: Vec::new(),
            line: first_line,
            form,
            ended: false,
            accept_last_line: settings.accept_last_line,
            unended: 0,
            held: None,
            failure: None,
            spare: Vec::new(),
        })
    }

    /// The start of the text.
    pub(super) fn head(&mut self) -> Result<Head<'_>, FileError> {
        self.fill(HEAD_BYTES);
        if self.carry.starts_with(b"\xef\xbb\xbf") {
            self.carry.drain(..3);
        }
        if memchr(0, &self.carry).is_some() {
            return Err(FileError::Binary);
        }
        if self.carry.is_empty()
            && let Some(error) = self.failure.take()
        {
            return Err(error.into());
        }
        self.close_last_line();
        Ok(Head {
            text: &self.carry,
            whole: self.carry.len() - self.unended,
            last: self.ended,
            form: self.form,
        })
    }

    /// The text read but not returned: its bytes, the number of its first line, and whether nothing
    /// follows.
    pub(super) fn unread(&self) -> (&[u8], u64, bool) {
        (&self.carry, self.line, self.ended)
    }

    /// Skips the first `bytes` of the text, a header, and sets the delimiter.
    pub(super) fn start(&mut self, bytes: usize, delimiter: u8) {
        self.line += memchr_iter(b'\n', &self.carry[..bytes]).count() as u64;
        self.carry.drain(..bytes);
        self.unended = self.unended.min(self.carry.len());
        self.delimiter = delimiter;
    }

    /// The next block of whole records; `None` at the end. Nothing follows an error.
    pub(super) fn next(&mut self) -> Result<Option<Block>, FileError> {
        let mut target = self.block_bytes;
        loop {
            self.fill(target);
            self.close_last_line();
            self.hold_last_line();
            if self.carry.is_empty() {
                return Ok(None);
            }
            let reach = target.min(self.carry.len());
            let last = self.ended && self.failure.is_none() && reach == self.carry.len();
            let cut = self.cut(reach, last);
            if cut > 0 {
                let mut text =
                    std::mem::replace(&mut self.carry, self.spare.pop().unwrap_or_default());
                self.carry.extend_from_slice(&text[cut..]);
                text.truncate(cut);
                let first_line = self.line;
                self.line += memchr_iter(b'\n', &text).count() as u64;
                return Ok(Some(Block { text, first_line }));
            }
            if self.ended && reach == self.carry.len() {
                return Ok(None);
            }
            if target >= RECORD_BYTES_MAX {
                return Err(FileError::LongLine {
                    line: self.line,
                    bytes: RECORD_BYTES_MAX,
                });
            }
            target = (target * 2).min(RECORD_BYTES_MAX);
        }
    }

    /// Reuses a block's memory.
    pub(super) fn give_back(&mut self, block: Block) {
        let mut text = block.text;
        text.clear();
        if self.spare.len() < 16 {
            self.spare.push(text);
        }
    }

    /// Whether everything was returned and the end is regular.
    pub(super) fn at_end(&self) -> bool {
        self.ended && self.carry.is_empty() && self.held.is_none() && self.failure.is_none()
    }

    /// The rest after the last block.
    pub(super) fn rest(&mut self) -> Rest {
        let failure = self.failure.take();
        let carry = std::mem::take(&mut self.carry);
        Rest {
            line: self.line.saturating_sub(1),
            failure,
            tail: self.held.take().unwrap_or(carry),
        }
    }

    /// Reads until `carry` has `target` bytes, or to the end.
    fn fill(&mut self, target: usize) {
        let wanted = target.saturating_sub(self.carry.len());
        if self.ended || wanted == 0 {
            return;
        }
        self.carry.reserve(wanted + 1);
        let before = self.carry.len();
        let read = self
            .input
            .by_ref()
            .take(wanted as u64)
            .read_to_end(&mut self.carry);
        match read {
            Ok(_) => self.ended = self.carry.len() - before < wanted,
            Err(error) => {
                self.ended = true;
                self.failure = Some(error);
            }
        }
    }

    /// Adds a line feed to a last line without one. A stream that ended early has no last line.
    fn close_last_line(&mut self) {
        let open = self.carry.last().is_some_and(|last| *last != b'\n');
        if self.ended && self.failure.is_none() && open {
            self.carry.push(b'\n');
            let before = &self.carry[..self.carry.len() - 1];
            let line = &before[memrchr(b'\n', before).map_or(0, |at| at + 1)..];
            if !self.accept_last_line && !line.trim_ascii().is_empty() {
                self.unended = line.len() + 1;
            }
        }
    }

    /// Removes a last line without a line end, which may be incomplete.
    fn hold_last_line(&mut self) {
        if self.unended > 0 {
            let held = self.carry.split_off(self.carry.len() - self.unended);
            self.unended = 0;
            self.held = Some(held);
        }
    }

    /// The end of the last whole record within the first `reach` bytes.
    fn cut(&self, reach: usize, last: bool) -> usize {
        let text = &self.carry[..reach];
        if last {
            return text.len();
        }
        if memchr(b'"', text).is_none() {
            return memrchr(b'\n', text).map_or(0, |at| at + 1);
        }
        // Quotes are matched in all the text read, so that the block size doesn't matter.
        let all_read = self.ended && self.failure.is_none();
        let mut cut = 0;
        while cut < reach {
            match end_of(&self.carry, cut, self.delimiter, all_read) {
                End::At(end) | End::Unclosed(end) if end <= reach => cut = end,
                _ => break,
            }
        }
        cut
    }
}
