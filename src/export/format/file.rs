//! What all formats share: the options of a file, and the traits that write it.

use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_writer::ArrowColumnChunk;

use crate::export::Error;

/// Key of the mark that exported files carry, except CSV files. Its value is the minutes of a bar.
pub(super) const EXPORT_KEY: &str = "backfill.export.interval_minutes";

/// What a format has to know of the file.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::export) struct FileOptions {
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
pub(in crate::export) type Out = Box<dyn Write + Send>;

/// Encoded rows.
pub(in crate::export) enum Encoded {
    Bytes(Vec<u8>),
    Batch(RecordBatch),
    ColumnChunks(Vec<ArrowColumnChunk>),
}

/// How rows become the bytes of one format.
pub(in crate::export) trait FileFormat: Send + Sync {
    /// Encodes a batch of [`ROW_SCHEMA`](crate::export::columns::ROW_SCHEMA). `path` is for errors
    /// only.
    fn encode(&self, rows: &RecordBatch, path: &Path) -> Result<Encoded, Error>;

    /// Begins a file.
    fn begin(&self, path: &Path, out: Out) -> Result<Box<dyn FileWriter>, Error>;
}

/// A file being written.
pub(in crate::export) trait FileWriter {
    /// Adds rows that the same format encoded.
    fn append(&mut self, rows: Encoded) -> Result<(), Error>;

    /// Writes the end of the file and flushes it to the operating system.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}
