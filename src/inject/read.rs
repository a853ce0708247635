//! A file as a stream of blocks of whole records, unpacked on the way.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use memchr::{memchr, memchr_iter, memrchr};

use super::error::FileError;
use super::filename::Packing;
use super::parsed::Block;
use super::record::{End, end_of};
use super::settings::Settings;
use super::source::Source;

/// How much is looked at to find out what a file is.
const HEAD_BYTES: usize = 256 * 1024;
/// No record of a dump is longer.
const RECORD_BYTES_MAX: usize = 8 << 20;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A file, block after block.
pub(super) struct Blocks {
    input: Box<dyn Read + Send>,
    block_bytes: usize,
    delimiter: u8,
    /// Read and not handed out yet.
    carry: Vec<u8>,
    /// The number of the first line in `carry`.
    line: u64,
    ended: bool,
    accept_last_line: bool,
    /// Bytes at the end of `carry` that are a last line without a line end, until they are held back.
    unended: usize,
    /// That line.
    held: Option<Vec<u8>>,
    /// Why the stream broke off.
    failure: Option<io::Error>,
    spare: Vec<Vec<u8>>,
}

/// The beginning of a text.
pub(super) struct Head<'b> {
    /// The text, without a byte order mark; it ends with a line feed where it is all.
    pub(super) text: &'b [u8],
    /// How much of it is whole lines: without a last line that has no line end.
    pub(super) whole: usize,
    /// Whether it is all.
    pub(super) last: bool,
}

/// What is left at the end of a stream.
#[derive(Debug)]
pub(super) struct Rest {
    /// The last whole line.
    pub(super) line: u64,
    /// Why the stream broke off, where it did.
    pub(super) failure: Option<io::Error>,
    /// The line that was cut, or that has no line end.
    pub(super) tail: Vec<u8>,
}

impl Blocks {
    /// Opens a dump.
    pub(super) fn open(source: &Source, settings: &Settings) -> Result<Self, FileError> {
        let mut file = source.open()?;
        let mut magic = Vec::with_capacity(4);
        file.by_ref().take(4).read_to_end(&mut magic)?;
        let packing = if magic.starts_with(&GZIP_MAGIC) {
            Packing::Gzip
        } else if magic.starts_with(&ZSTD_MAGIC) {
            Packing::Zstd
        } else {
            Packing::Plain
        };
        let named = source.packing.unwrap_or(packing);
        if named != packing && !magic.is_empty() {
            return Err(FileError::Packing { named, packing });
        }
        let whole = io::Cursor::new(magic).chain(file);
        let input: Box<dyn Read + Send> = match packing {
            Packing::Gzip => {
                let whole = io::BufReader::with_capacity(64 * 1024, whole);
                Box::new(MultiGzDecoder::new(whole))
            }
            Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
            Packing::Plain => Box::new(whole),
        };
        Ok(Self {
            input,
            block_bytes: settings.limits.block_bytes.max(1),
            delimiter: b',',
            carry: Vec::new(),
            line: 1,
            ended: false,
            accept_last_line: settings.accept_last_line,
            unended: 0,
            held: None,
            failure: None,
            spare: Vec::new(),
        })
    }

    /// The beginning of the text.
    pub(super) fn head(&mut self) -> Result<Head<'_>, FileError> {
        self.fill(HEAD_BYTES);
        if self.carry.starts_with(b"\xef\xbb\xbf") {
            self.carry.drain(..3);
        }
        if self.carry.starts_with(b"\xff\xfe") || self.carry.starts_with(b"\xfe\xff") {
            return Err(FileError::Binary(" in UTF-8 but in UTF-16"));
        }
        if memchr(0, &self.carry).is_some() {
            return Err(FileError::Binary(""));
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
        })
    }

    /// What was read and not handed out: the text, the number of its first line, and whether nothing follows.
    pub(super) fn coming(&self) -> (&[u8], u64, bool) {
        (&self.carry, self.line, self.ended)
    }

    /// Leaves out the first `bytes` of the text, a header, and cuts records by `delimiter` from here on.
    pub(super) fn begin(&mut self, bytes: usize, delimiter: u8) {
        self.line += memchr_iter(b'\n', &self.carry[..bytes]).count() as u64;
        self.carry.drain(..bytes);
        self.unended = self.unended.min(self.carry.len());
        self.delimiter = delimiter;
    }

    /// The next block of whole records; `None` at the end. An error is the end too.
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

    /// Takes a block's memory back, to be used again.
    pub(super) fn give_back(&mut self, block: Block) {
        let mut text = block.text;
        text.clear();
        if self.spare.len() < 16 {
            self.spare.push(text);
        }
    }

    /// Whether everything was handed out, and nothing is to be said of the end.
    pub(super) fn at_end(&self) -> bool {
        self.ended && self.carry.is_empty() && self.held.is_none() && self.failure.is_none()
    }

    /// What is left when there is no further block.
    pub(super) fn rest(&mut self) -> Rest {
        let failure = self.failure.take();
        let carry = std::mem::take(&mut self.carry);
        Rest {
            line: self.line - 1,
            failure,
            tail: self.held.take().unwrap_or(carry),
        }
    }

    /// Reads until `target` bytes are there or the end is reached.
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

    /// The last line may lack its line feed; a stream that broke off has no last line.
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

    /// Keeps a last line without a line end from the blocks: nothing says that it is whole.
    fn hold_last_line(&mut self) {
        if self.unended > 0 {
            let held = self.carry.split_off(self.carry.len() - self.unended);
            self.unended = 0;
            self.held = Some(held);
        }
    }

    /// Where the last whole record within the first `reach` bytes ends.
    fn cut(&self, reach: usize, last: bool) -> usize {
        let text = &self.carry[..reach];
        if last {
            return text.len();
        }
        if memchr(b'"', text).is_none() {
            return memrchr(b'\n', text).map_or(0, |at| at + 1);
        }
        // Quotes are told apart with all that is read in view, so that a block's size changes nothing.
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
