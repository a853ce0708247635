//! Every form of input file as CSV text.
//!
//! ```text
//! file ─> unpack ─┬─> text (UTF-8, UTF-16) ────────────────────┐
//!                 ├─> rows of Parquet, Arrow or JSON ─> as CSV ├─> text of lines
//!                 └─> anything else: named for what it is      ┘
//! ```
//!
//! **All forms become CSV text**, so that one set of rules decides columns, zone, interval and
//! rejects. A table's rows become lines of the same number, below a header in line 0.

mod arrow_ipc;
mod columnar;
mod json;
pub(super) mod lean;
mod parquet;
mod unpack;
mod written;
pub(super) mod zip;

use std::io::{self, Cursor, Read};

use super::error::FileError;
use super::file_reader::FileReader;
use super::foreign;
use super::source::Source;
use written::{WriteText, Written};

/// The bytes from which the form of a file is detected.
const HEAD_BYTES: u64 = 512;

/// The text of a file.
pub(super) struct Text {
    pub(super) input: Box<dyn Read + Send>,
    /// What the rows were before they were written as CSV.
    pub(super) form: Option<&'static str>,
    /// The number of the first line. It is 0 for the header of a table, so that the number of a line
    /// is that of its row.
    pub(super) first_line: u64,
}

impl Text {
    fn plain(input: impl Read + Send + 'static) -> Self {
        Self {
            input: Box::new(input),
            form: None,
            first_line: 1,
        }
    }

    fn table(name: &'static str, rows: impl WriteText + Send + 'static) -> Self {
        Self {
            input: Box::new(Written::new(rows)),
            form: Some(name),
            first_line: 0,
        }
    }
}

/// Opens a file as text.
pub(super) fn open(source: &Source) -> Result<Text, FileError> {
    let file = source.open()?;
    let content: Box<dyn Read + Send> = match &source.member {
        Some(member) => zip::open(&file, member)?,
        None => Box::new(file),
    };
    let (mut input, is_packed) = unpack::unpack(content, source.packing)?;
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    let failure = input.by_ref().take(HEAD_BYTES).read_to_end(&mut head).err();
    if head.is_empty()
        && let Some(error) = failure
    {
        return Err(error.into());
    }
    let is_arrow_file = head.starts_with(arrow_ipc::FILE_MAGIC);
    if head.starts_with(parquet::MAGIC) || is_arrow_file {
        let file = match is_packed || source.member.is_some() {
            true => copy(Cursor::new(head).chain(input))?,
            false => source.open()?,
        };
        return if is_arrow_file {
            let rows = arrow_ipc::open_file(&file, &source.folders);
            Ok(Text::table("Arrow", rows.map_err(FileError::Table)?))
        } else {
            let rows = parquet::open(&file, &source.folders);
            Ok(Text::table("Parquet", rows.map_err(FileError::Table)?))
        };
    }
    let is_stream = arrow_ipc::is_stream(&head);
    let utf16 = utf16_of(&head);
    let is_json = json::is_json(&head);
    if !is_stream
        && utf16.is_none()
        && let Some(foreign) = foreign::named(&head)
    {
        return Err(FileError::Foreign(foreign));
    }
    let whole = Cursor::new(head).chain(Failing(failure)).chain(input);
    if is_stream {
        let rows = arrow_ipc::open_stream(whole, &source.folders);
        return Ok(Text::table("Arrow", rows.map_err(FileError::Table)?));
    }
    if let Some(encoding) = utf16 {
        let mut decoder = encoding_rs_io::DecodeReaderBytesBuilder::new();
        return Ok(Text::plain(decoder.encoding(Some(encoding)).build(whole)));
    }
    if is_json {
        return Ok(Text::table("JSON", json::open(whole)?));
    }
    if let Some(file) = &source.lean {
        let rows = Written::new(lean::Rows::new(whole, file.clone()));
        return Ok(Text {
            form: Some("LEAN"),
            ..Text::plain(rows)
        });
    }
    Ok(Text::plain(whole))
}

/// The encoding of a text in UTF-16: by its byte order mark, or because every second byte is zero.
fn utf16_of(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let zeros = |first: usize| {
        let start = &head[..head.len().min(32)];
        let (zero, other): (Vec<_>, Vec<_>) = start
            .iter()
            .enumerate()
            .partition(|(at, _)| at % 2 == first);
        start.len() == 32
            && zero.iter().all(|(_, byte)| **byte == 0)
            && other.iter().all(|(_, byte)| **byte != 0)
    };
    if head.starts_with(b"\xff\xfe") || zeros(1) {
        Some(encoding_rs::UTF_16LE)
    } else if head.starts_with(b"\xfe\xff") || zeros(0) {
        Some(encoding_rs::UTF_16BE)
    } else {
        None
    }
}

/// A temporary file with all of `input`, for a reader that needs any part at any time.
fn copy(mut input: impl Read) -> io::Result<FileReader> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    FileReader::new(file.into())
}

/// Fails once, or has no bytes.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
