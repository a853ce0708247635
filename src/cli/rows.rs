//! Rows in every format of `--format`, batch by batch.

use std::io::{self, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::error::CliError;
use super::format_value::{Values, write_json_text};
use super::table::{Column, Table};
use crate::export::quoted;

/// How a command prints rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RowFormat {
    /// Columns for people
    Table,
    /// Comma-separated values with a header line
    Csv,
    /// JSON
    Json,
    /// Parquet
    Parquet,
    /// Arrow IPC stream
    Arrow,
}

impl RowFormat {
    /// The format that the ending of a file means; a table without a file. A table would be a surprise in
    /// a file with the ending of another format, so an unknown ending is refused.
    pub fn of_file(path: Option<&Path>) -> Result<Self, CliError> {
        let ending = path.and_then(Path::extension);
        let ending = ending.map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Json),
            Some("parquet" | "pq") => Ok(Self::Parquet),
            Some("arrow" | "arrows") => Ok(Self::Arrow),
            None | Some("txt") => Ok(Self::Table),
            Some(ending) => Err(CliError::usage(format!(
                "--to: .{ending} isn't .csv, .json, .parquet, .arrow or .txt"
            ))
            .hint("--format FORMAT sets the format of a file with any ending")),
        }
    }
}

/// The option of commands that print a list.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct FormatArg {
    /// Output format
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Output"
    )]
    pub format: RowFormat,
}

/// Where the rows go.
pub type Out = Box<dyn Write + Send>;

/// Writes rows as they come.
pub enum RowWriter {
    Table(Table<Out>),
    Csv(Out),
    Json {
        out: Out,
        /// Each column's name as JSON, with its colon.
        names: Vec<Vec<u8>>,
        is_empty: bool,
    },
    Parquet(Box<ArrowWriter<Out>>),
    Arrow(StreamWriter<Out>),
}

impl RowWriter {
    /// Starts with the heading, if the format has one.
    pub fn new(format: RowFormat, schema: &SchemaRef, mut out: Out) -> io::Result<Self> {
        let fields = schema.fields().iter();
        Ok(match format {
            RowFormat::Table => {
                let columns = fields.map(|field| Column {
                    name: field.name().clone(),
                    is_number: field.data_type().is_numeric(),
                });
                Self::Table(Table::new(out, columns.collect()))
            }
            RowFormat::Csv => {
                let names: Vec<String> = fields.map(|field| quoted(field.name())).collect();
                writeln!(out, "{}", names.join(","))?;
                Self::Csv(out)
            }
            RowFormat::Json => {
                out.write_all(b"[")?;
                let names = fields.map(|field| {
                    let mut name = Vec::new();
                    write_json_text(&mut name, field.name());
                    name.push(b':');
                    name
                });
                Self::Json {
                    names: names.collect(),
                    out,
                    is_empty: true,
                }
            }
            RowFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties));
                Self::Parquet(Box::new(writer.map_err(parquet_error)?))
            }
            RowFormat::Arrow => {
                Self::Arrow(StreamWriter::try_new(out, schema).map_err(arrow_error)?)
            }
        })
    }

    /// Writes a batch.
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns: Vec<Values> = batch.columns().iter().map(Values::new).collect();
        match self {
            Self::Table(table) => {
                for row in 0..batch.num_rows() {
                    let texts = columns.iter().map(|column| {
                        let mut text = Vec::new();
                        column.write_text(&mut text, row);
                        String::from_utf8_lossy(&text).into_owned()
                    });
                    table.row(texts.collect())?;
                }
                Ok(())
            }
            Self::Csv(out) => {
                let mut lines = Vec::with_capacity(batch.num_rows() * batch.num_columns() * 12);
                for row in 0..batch.num_rows() {
                    for (index, column) in columns.iter().enumerate() {
                        if index > 0 {
                            lines.push(b',');
                        }
                        write_field(&mut lines, column, row);
                    }
                    lines.push(b'\n');
                }
                out.write_all(&lines)
            }
            Self::Json {
                out,
                names,
                is_empty,
            } => {
                let mut objects = Vec::with_capacity(batch.num_rows() * batch.num_columns() * 24);
                for row in 0..batch.num_rows() {
                    objects.extend_from_slice(if *is_empty { b"\n{" } else { b",\n{" });
                    *is_empty = false;
                    for (index, (name, column)) in names.iter().zip(&columns).enumerate() {
                        if index > 0 {
                            objects.push(b',');
                        }
                        objects.extend_from_slice(name);
                        column.write_json(&mut objects, row);
                    }
                    objects.push(b'}');
                }
                out.write_all(&objects)
            }
            Self::Parquet(writer) => writer.write(batch).map_err(parquet_error),
            Self::Arrow(writer) => writer.write(batch).map_err(arrow_error),
        }
    }

    /// Writes the rest.
    pub fn finish(self) -> io::Result<()> {
        let mut out = match self {
            Self::Table(table) => return table.finish(),
            Self::Csv(out) => out,
            Self::Json {
                mut out, is_empty, ..
            } => {
                out.write_all(if is_empty { b"]\n" } else { b"\n]\n" })?;
                out
            }
            Self::Parquet(writer) => writer.into_inner().map_err(parquet_error)?,
            Self::Arrow(writer) => writer.into_inner().map_err(arrow_error)?,
        };
        out.flush()
    }
}

/// Writes a CSV field: nothing for a null, quotes if needed and around an empty text.
fn write_field(line: &mut Vec<u8>, column: &Values, row: usize) {
    if column.is_null(row) {
        return;
    }
    let start = line.len();
    column.write_text(line, row);
    let field = &line[start..];
    let needs_quotes = |byte: &u8| matches!(byte, b'"' | b',' | b'\n' | b'\r');
    if field.is_empty() {
        line.extend_from_slice(b"\"\"");
    } else if field.iter().any(needs_quotes) {
        let field = quoted(&String::from_utf8_lossy(field));
        line.truncate(start);
        line.extend_from_slice(field.as_bytes());
    }
}

fn parquet_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => *io,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

fn arrow_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, io) => io,
        other => io::Error::other(other),
    }
}
