//! One file of bars in any format: rows are encoded on many threads, and appended in order on one.

use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;

use super::columns::{FILE_SCHEMA, Piece, ROW_SCHEMA, join};
use super::csv::Layout;
use super::{Error, row_group};

/// Key in the footers of exported files; its value is the minutes of a bar.
pub(super) const EXPORT_KEY: &str = "backfill.export.interval_minutes";

/// Where the bytes go.
pub(super) type Out = Box<dyn Write + Send>;

/// How the files of one export are written.
#[derive(Clone, Debug)]
pub(super) enum Recipe {
    /// Parquet; `ticker_folders` where files stand in `ticker=` folders.
    Parquet {
        /// Whether the ticker must read as a dictionary, as readers make one of the folder's name.
        ticker_folders: bool,
        /// The mark of an export: the minutes of a bar.
        mark: Option<u16>,
    },
    /// CSV lines.
    Csv(Layout),
    /// Arrow IPC, file format.
    ArrowFile {
        /// The mark of an export: the minutes of a bar.
        mark: Option<u16>,
    },
    /// Arrow IPC, stream format.
    ArrowStream,
}

/// Rows as they stand in the file.
pub(super) enum Encoded {
    Parquet(Vec<ArrowColumnChunk>),
    Csv(Vec<u8>),
    Arrow(RecordBatch),
}

impl Recipe {
    /// Encodes rows; the file's name is for the error alone.
    pub fn encode(&self, pieces: &[Piece], path: &Path) -> Result<Encoded, Error> {
        let rows = join(pieces).map_err(Error::arrow(path))?;
        Ok(match self {
            Self::Parquet { .. } => {
                Encoded::Parquet(row_group::encode(&rows).map_err(Error::parquet(path))?)
            }
            Self::Csv(layout) => Encoded::Csv(layout.lines(&rows)),
            Self::ArrowFile { .. } | Self::ArrowStream => {
                Encoded::Arrow(with_plain_ticker(&rows).map_err(Error::arrow(path))?)
            }
        })
    }
}

/// Undoes the dictionary: Arrow's file format allows one dictionary a file, and tickers come as they come.
fn with_plain_ticker(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns[0] = cast(&columns[0], &DataType::Utf8)?;
    RecordBatch::try_new(FILE_SCHEMA.clone(), columns)
}

/// A file being written.
pub(super) struct Sink {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Parquet(SerializedFileWriter<Out>),
    Csv(Out),
    ArrowFile(FileWriter<Out>),
    ArrowStream(StreamWriter<Out>),
}

impl Sink {
    /// Begins the file.
    pub fn begin(recipe: &Recipe, path: &Path, mut out: Out) -> Result<Self, Error> {
        let kind = match recipe {
            Recipe::Parquet {
                ticker_folders,
                mark,
            } => {
                let metadata = mark
                    .iter()
                    .map(|minutes| KeyValue::new(EXPORT_KEY.to_owned(), minutes.to_string()))
                    .collect();
                Kind::Parquet(
                    row_group::begin(out, ticker_folders.then_some(&ROW_SCHEMA), metadata)
                        .map_err(Error::parquet(path))?,
                )
            }
            Recipe::Csv(layout) => {
                out.write_all(layout.header().as_bytes())
                    .map_err(Error::io(path))?;
                Kind::Csv(out)
            }
            Recipe::ArrowFile { mark } => {
                let mut writer =
                    FileWriter::try_new(out, &FILE_SCHEMA).map_err(Error::arrow(path))?;
                if let Some(minutes) = mark {
                    writer.write_metadata(EXPORT_KEY, minutes.to_string());
                }
                Kind::ArrowFile(writer)
            }
            Recipe::ArrowStream => Kind::ArrowStream(
                StreamWriter::try_new(out, &FILE_SCHEMA).map_err(Error::arrow(path))?,
            ),
        };
        Ok(Self {
            path: path.to_owned(),
            kind,
        })
    }

    /// Adds rows.
    pub fn append(&mut self, rows: Encoded) -> Result<(), Error> {
        let path = &self.path;
        match (&mut self.kind, rows) {
            (Kind::Parquet(writer), Encoded::Parquet(chunks)) => {
                row_group::append(writer, chunks).map_err(Error::parquet(path))
            }
            (Kind::Csv(out), Encoded::Csv(lines)) => out.write_all(&lines).map_err(Error::io(path)),
            (Kind::ArrowFile(writer), Encoded::Arrow(rows)) => {
                writer.write(&rows).map_err(Error::arrow(path))
            }
            (Kind::ArrowStream(writer), Encoded::Arrow(rows)) => {
                writer.write(&rows).map_err(Error::arrow(path))
            }
            _ => unreachable!("rows are encoded by the recipe that began the file"),
        }
    }

    /// Ends the file, to its last byte.
    pub fn finish(self) -> Result<(), Error> {
        let path = self.path;
        match self.kind {
            Kind::Parquet(writer) => writer.close().map(|_| ()).map_err(Error::parquet(&path)),
            Kind::Csv(mut out) => out.flush().map_err(Error::io(&path)),
            Kind::ArrowFile(mut writer) => writer
                .finish()
                .and_then(|()| writer.flush())
                .map_err(Error::arrow(&path)),
            Kind::ArrowStream(mut writer) => writer
                .finish()
                .and_then(|()| writer.flush())
                .map_err(Error::arrow(&path)),
        }
    }
}
