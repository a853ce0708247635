//! A result's rows in the four formats, batch by batch.

use std::io::{self, Write};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::QueryFormat;
use crate::cli::format_value::{is_number, write_json, write_json_text, write_text};
use crate::cli::table::{Column, Table};
use crate::export::quoted;

/// Where the rows go.
pub(super) type Out = Box<dyn Write + Send>;

/// Writes the rows of one result.
pub(super) enum Rows {
    Table(Table<Out>),
    Csv(Out),
    Json {
        out: Out,
        names: Vec<Vec<u8>>,
        any: bool,
    },
    Parquet(Box<ArrowWriter<Out>>),
}

impl Rows {
    /// Begins, with the heading where the format has one.
    pub fn begin(format: QueryFormat, schema: &SchemaRef, mut out: Out) -> io::Result<Self> {
        Ok(match format {
            QueryFormat::Table => Self::Table(Table::new(
                out,
                schema
                    .fields()
                    .iter()
                    .map(|field| Column {
                        name: field.name().clone(),
                        right: is_number(field.data_type()),
                    })
                    .collect(),
            )),
            QueryFormat::Csv => {
                let names: Vec<String> = schema
                    .fields()
                    .iter()
                    .map(|field| quoted(field.name()))
                    .collect();
                writeln!(out, "{}", names.join(","))?;
                Self::Csv(out)
            }
            QueryFormat::Json => {
                out.write_all(b"[")?;
                let names = schema
                    .fields()
                    .iter()
                    .map(|field| {
                        let mut name = Vec::new();
                        write_json_text(&mut name, field.name());
                        name.push(b':');
                        name
                    })
                    .collect();
                Self::Json {
                    out,
                    names,
                    any: false,
                }
            }
            QueryFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties));
                Self::Parquet(Box::new(writer.map_err(parquet_error)?))
            }
        })
    }

    /// Writes a batch.
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        match self {
            Self::Table(table) => {
                for row in 0..batch.num_rows() {
                    let values = batch
                        .columns()
                        .iter()
                        .map(|column| {
                            let mut text = Vec::new();
                            write_text(&mut text, column.as_ref(), row);
                            String::from_utf8_lossy(&text).into_owned()
                        })
                        .collect();
                    table.row(values)?;
                }
                Ok(())
            }
            Self::Csv(out) => {
                let mut lines = Vec::with_capacity(batch.num_rows() * batch.num_columns() * 12);
                for row in 0..batch.num_rows() {
                    for (place, column) in batch.columns().iter().enumerate() {
                        if place > 0 {
                            lines.push(b',');
                        }
                        write_field(&mut lines, column.as_ref(), row);
                    }
                    lines.push(b'\n');
                }
                out.write_all(&lines)
            }
            Self::Json { out, names, any } => {
                let mut objects = Vec::with_capacity(batch.num_rows() * batch.num_columns() * 24);
                for row in 0..batch.num_rows() {
                    objects.extend_from_slice(if *any { b",\n{" } else { b"\n{" });
                    *any = true;
                    for (place, (name, column)) in names.iter().zip(batch.columns()).enumerate() {
                        if place > 0 {
                            objects.push(b',');
                        }
                        objects.extend_from_slice(name);
                        write_json(&mut objects, column.as_ref(), row);
                    }
                    objects.push(b'}');
                }
                out.write_all(&objects)
            }
            Self::Parquet(writer) => writer.write(batch).map_err(parquet_error),
        }
    }

    /// Writes what is left.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Table(table) => table.finish(),
            Self::Csv(mut out) => out.flush(),
            Self::Json { mut out, any, .. } => {
                out.write_all(if any { b"\n]\n" } else { b"]\n" })?;
                out.flush()
            }
            Self::Parquet(writer) => {
                let mut out = writer.into_inner().map_err(parquet_error)?;
                out.flush()
            }
        }
    }
}

/// A CSV field: nothing for a null, quotes where they are needed and around an empty text.
fn write_field(line: &mut Vec<u8>, column: &dyn Array, row: usize) {
    if column.is_null(row) {
        return;
    }
    let start = line.len();
    write_text(line, column, row);
    let field = &line[start..];
    if field.is_empty() {
        line.extend_from_slice(b"\"\"");
    } else if field
        .iter()
        .any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r'))
    {
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
