//! The list that a command prints: a document with a list of rows, in every format of `--format`.
//!
//! JSON is the document itself. CSV, Parquet and Arrow are its rows, with nested values in columns
//! of their own. The table is the command's: it is for people, and shows less.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Date32Type;
use chrono::{DateTime, NaiveDate};
use serde::Serialize;
use serde_json::Value;

use super::rows::{RowFormat, RowWriter};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// An instant, `2025-01-02T14:30:00Z` in JSON.
    Timestamp,
    /// A date, `2025-01-02` in JSON.
    Date,
    /// Any value, as JSON text.
    Json,
}

/// A column of the flat formats.
pub struct Column {
    name: String,
    /// Where the value is in the row's JSON: `/staged/open`.
    pointer: String,
    kind: Kind,
}

impl Column {
    /// A column named `name`, with the value at `pointer` in each row.
    pub fn new(name: impl Into<String>, pointer: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            pointer: pointer.into(),
            kind,
        }
    }

    fn array(&self, rows: &[Value]) -> ArrayRef {
        let values = rows.iter().map(|row| row.pointer(&self.pointer));
        let values = values.map(|value| value.filter(|value| !value.is_null()));
        let text = |value: Option<&'_ Value>| value.and_then(Value::as_str).map(str::to_owned);
        match self.kind {
            Kind::Text => Arc::new(values.map(text).collect::<StringArray>()),
            Kind::Json => {
                let texts = values.map(|value| value.map(ToString::to_string));
                Arc::new(texts.collect::<StringArray>())
            }
            Kind::Integer => {
                let integers = values.map(|value| value.and_then(Value::as_i64));
                Arc::new(integers.collect::<Int64Array>())
            }
            Kind::Float => {
                let floats = values.map(|value| value.and_then(Value::as_f64));
                Arc::new(floats.collect::<Float64Array>())
            }
            Kind::Timestamp => {
                let micros = values.map(|value| {
                    let instant = DateTime::parse_from_rfc3339(&text(value)?).ok()?;
                    Some(instant.timestamp_micros())
                });
                let array: TimestampMicrosecondArray = micros.collect();
                Arc::new(array.with_timezone("UTC"))
            }
            Kind::Date => {
                let dates = values.map(|value| {
                    let date: NaiveDate = text(value)?.parse().ok()?;
                    Some(Date32Type::from_naive_date(date))
                });
                Arc::new(dates.collect::<Date32Array>())
            }
        }
    }
}

/// Columns, each with its name, pointer and type.
pub fn columns<const N: usize>(columns: [(&str, &str, Kind); N]) -> Vec<Column> {
    columns
        .map(|(name, pointer, kind)| Column::new(name, pointer, kind))
        .into()
}

/// Rows of a document as a batch with these columns.
pub fn batch(rows: &[Value], columns: &[Column]) -> io::Result<RecordBatch> {
    let arrays = columns
        .iter()
        .map(|column| (column.name.as_str(), column.array(rows), true));
    RecordBatch::try_from_iter_with_nullable(arrays).map_err(io::Error::other)
}

/// Writes `document`, whose rows are the list `list`.
pub fn write<W: Write + Send + 'static>(
    mut out: W,
    format: RowFormat,
    document: &impl Serialize,
    list: &str,
    columns: &[Column],
    table: impl FnOnce(&mut W) -> io::Result<()>,
) -> io::Result<()> {
    match format {
        RowFormat::Table => {
            table(&mut out)?;
            out.flush()
        }
        RowFormat::Json => {
            serde_json::to_writer_pretty(&mut out, document)?;
            writeln!(out)?;
            out.flush()
        }
        RowFormat::Csv | RowFormat::Parquet | RowFormat::Arrow => {
            let document = serde_json::to_value(document)?;
            let rows = document[list].as_array().map_or(&[][..], Vec::as_slice);
            let batch = batch(rows, columns)?;
            let mut writer = RowWriter::new(format, &batch.schema(), Box::new(out))?;
            writer.write(&batch)?;
            writer.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_is_read_from_its_json() {
        let rows = [
            json!({"a": {"b": 1.5}, "n": 7, "at": "2025-01-02T14:30:00Z", "on": "2025-01-02"}),
            json!({"a": null}),
        ];
        let array = |pointer: &str, kind| Column::new("x", pointer, kind).array(&rows);
        let null = |array: ArrayRef| (array.is_null(0), array.is_null(1));
        assert_eq!(
            &array("/a/b", Kind::Float),
            &(Arc::new(Float64Array::from(vec![Some(1.5), None])) as ArrayRef)
        );
        assert_eq!(
            &array("/a", Kind::Json),
            &(Arc::new(StringArray::from(vec![Some("{\"b\":1.5}"), None])) as ArrayRef)
        );
        for (pointer, kind) in [
            ("/n", Kind::Integer),
            ("/at", Kind::Timestamp),
            ("/on", Kind::Date),
            ("/on", Kind::Text),
        ] {
            assert_eq!(null(array(pointer, kind)), (false, true), "{pointer}");
        }
    }
}
