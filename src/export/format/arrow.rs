//! Arrow IPC: the file format, and the stream format for pipes.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::{FileWriter as IpcFile, StreamWriter as IpcStream};

use super::file::{EXPORT_KEY, Encoded, FileFormat, FileOptions, FileWriter, Out};
use crate::export::Error;
use crate::export::columns::FILE_SCHEMA;

pub(super) struct Arrow {
    options: FileOptions,
}

struct Writer<W> {
    path: PathBuf,
    writer: W,
}

impl Arrow {
    pub fn new(options: FileOptions) -> Self {
        Self { options }
    }
}

impl FileFormat for Arrow {
    fn encode(&self, rows: &RecordBatch, path: &Path) -> Result<Encoded, Error> {
        with_plain_ticker(rows)
            .map(Encoded::Batch)
            .map_err(Error::arrow(path))
    }

    fn begin(&self, path: &Path, out: Out) -> Result<Box<dyn FileWriter>, Error> {
        let (own, schema) = (path.to_owned(), &FILE_SCHEMA);
        if self.options.is_stream {
            let writer = IpcStream::try_new(out, schema).map_err(Error::arrow(path))?;
            return Ok(Box::new(Writer { path: own, writer }));
        }
        let mut writer = IpcFile::try_new(out, schema).map_err(Error::arrow(path))?;
        if let Some(minutes) = self.options.minutes {
            writer.write_metadata(EXPORT_KEY, minutes.to_string());
        }
        Ok(Box::new(Writer { path: own, writer }))
    }
}

/// Undoes the dictionary: the file format allows one dictionary in a file, and each batch has its
/// own.
fn with_plain_ticker(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns[0] = cast(&columns[0], &DataType::Utf8)?;
    RecordBatch::try_new(FILE_SCHEMA.clone(), columns)
}

/// What both IPC writers have.
trait Ipc {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError>;
    fn end(&mut self) -> Result<(), ArrowError>;
}

impl Ipc for IpcFile<Out> {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.write(batch)
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        self.finish()?;
        self.flush()
    }
}

impl Ipc for IpcStream<Out> {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.write(batch)
    }

    fn end(&mut self) -> Result<(), ArrowError> {
        self.finish()?;
        self.flush()
    }
}

impl<W: Ipc> FileWriter for Writer<W> {
    fn append(&mut self, rows: Encoded) -> Result<(), Error> {
        let Encoded::Batch(batch) = rows else {
            unreachable!("rows are encoded by the format of the file");
        };
        self.writer.add(&batch).map_err(Error::arrow(&self.path))
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.writer.end().map_err(Error::arrow(&self.path))
    }
}

/// Whether the file carries the mark of an export.
pub(super) fn is_exported(file: File) -> bool {
    FileReader::try_new(file, None)
        .is_ok_and(|reader| reader.custom_metadata().contains_key(EXPORT_KEY))
}
