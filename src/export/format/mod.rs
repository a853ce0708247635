//! The formats of exported files. To add one: a variant here, and a file next to this one with its
//! [`FileFormat`] and its [`FileWriter`].
//!
//! Rows are encoded on many threads and appended in order on one.

mod arrow;
pub(super) mod csv;
mod parquet;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use ::arrow::array::RecordBatch;
use ::parquet::arrow::arrow_writer::ArrowColumnChunk;

use super::Error;
use crate::model::words::words;

/// Rows of a row group, and of a chunk in every other format.
pub(super) const CHUNK_ROWS: usize = 1 << 17;

/// Key of the mark that exported files carry, except CSV files. Its value is the minutes of a bar.
const EXPORT_KEY: &str = "backfill.export.interval_minutes";

/// The format of a file of bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet with zstd.
    Parquet,
    /// The program's own CSV layout.
    Csv,
    /// Arrow IPC: the file format, or the stream format into a pipe.
    Arrow,
}

words!(Format, "format", {
    Parquet => "parquet",
    Csv => "csv",
    Arrow => "arrow",
});

/// What a format has to know of the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FileOptions {
    /// Minutes of a bar, for the mark of an export; `None` writes no mark.
    pub minutes: Option<u16>,
    /// Whether the file is in a `ticker=` folder.
    pub in_ticker_folder: bool,
    /// Whether any bar has a value in an optional column.
    pub has_optional_values: bool,
    /// Whether the file is a pipe or a device, where nothing can be rewritten.
    pub is_stream: bool,
}

/// The destination of a file's bytes.
pub(super) type Out = Box<dyn Write + Send>;

/// Encoded rows.
pub(super) enum Encoded {
    Bytes(Vec<u8>),
    Batch(RecordBatch),
    ColumnChunks(Vec<ArrowColumnChunk>),
}

/// How rows become the bytes of one format.
pub(super) trait FileFormat: Send + Sync {
    /// Encodes a batch of [`ROW_SCHEMA`](super::columns::ROW_SCHEMA). `path` is for errors only.
    fn encode(&self, rows: &RecordBatch, path: &Path) -> Result<Encoded, Error>;

    /// Begins a file.
    fn begin(&self, path: &Path, out: Out) -> Result<Box<dyn FileWriter>, Error>;
}

/// A file being written.
pub(super) trait FileWriter {
    /// Adds rows that the same format encoded.
    fn append(&mut self, rows: Encoded) -> Result<(), Error>;

    /// Writes the end of the file and flushes it to the operating system.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

impl Format {
    /// The extensions that mean this format.
    const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Parquet => &["parquet", "pq"],
            Self::Csv => &["csv"],
            Self::Arrow => &["arrow", "arrows", "ipc", "feather"],
        }
    }

    /// The format that the extension of `path` means.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let means = |format: &Self| {
            let extension = extension.unwrap_or_default();
            let mut known = format.extensions().iter();
            known.any(|known| known.eq_ignore_ascii_case(extension))
        };
        Self::ALL
            .iter()
            .copied()
            .find(means)
            .ok_or_else(|| Error::UnknownFormat {
                path: path.to_owned(),
            })
    }

    /// Whether files leave out optional columns that have no value, so that all bars must be looked
    /// at before the first is written.
    pub(super) const fn omits_empty_columns(self) -> bool {
        matches!(self, Self::Csv)
    }

    /// The writer of files with these options.
    pub(super) fn with(self, options: FileOptions) -> Box<dyn FileFormat> {
        match self {
            Self::Parquet => Box::new(parquet::Parquet::new(options)),
            Self::Csv => Box::new(csv::Csv::new(options)),
            Self::Arrow => Box::new(arrow::Arrow::new(options)),
        }
    }

    /// Whether an export wrote the file: it carries the mark, or the header line of the CSV layout.
    pub(super) fn is_exported(self, file: File) -> bool {
        match self {
            Self::Parquet => parquet::is_exported(file),
            Self::Csv => csv::is_exported(file),
            Self::Arrow => arrow::is_exported(file),
        }
    }
}
