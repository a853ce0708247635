//! The rows of a table in columns, Parquet or Arrow, as lines of CSV.
//!
//! Columns of numbers, texts, dates and times become fields; others (lists, structs) are left out.
//! An instant ends in `Z`, a time without a zone doesn't.

use std::io;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::written::{WriteText, write_field, write_plain};

/// The rows that are written at once.
const PART_ROWS: usize = 2048;
/// The offset that all instants are written with.
const UTC: &str = "+00:00";
/// What pandas calls an index without a name.
const UNNAMED_INDEX: &str = "__index_level_0__";

/// Why a table can't be read.
pub(super) type Invalid = String;

/// The batches of a table, in order.
pub(super) trait Batches: Send {
    fn next(&mut self) -> Result<Option<RecordBatch>, Invalid>;
}

/// A table that is written as text.
pub(super) struct Rows<B> {
    batches: B,
    /// The indices of the columns that are written, in their order.
    columns: Vec<usize>,
    /// The header, until it is written.
    header: Option<Vec<u8>>,
    /// The fields that each row ends with.
    ending: Vec<u8>,
    batch: Option<RecordBatch>,
    /// The rows of `batch` that were written.
    at: usize,
}

impl<B: Batches> Rows<B> {
    /// Each row gets `constants`, by name, after its own columns.
    pub(super) fn new(batches: B, schema: &Schema, constants: &[(String, String)]) -> Self {
        let columns = columns_of(schema);
        let mut header = Vec::new();
        let names = columns.iter().map(|at| schema.field(*at).name().as_str());
        let names = names.map(|name| if name == UNNAMED_INDEX { "" } else { name });
        let has = |name: &str| {
            let mut fields = schema.fields().iter();
            fields.any(|field| field.name().eq_ignore_ascii_case(name))
        };
        let constants: Vec<_> = constants.iter().filter(|(name, _)| !has(name)).collect();
        for (at, name) in names
            .chain(constants.iter().map(|(name, _)| name.as_str()))
            .enumerate()
        {
            if at > 0 {
                header.push(b',');
            }
            write_field(&mut header, name.trim_start_matches('\u{feff}'));
        }
        header.push(b'\n');
        let mut ending = Vec::new();
        for (_, value) in constants {
            ending.push(b',');
            write_field(&mut ending, value);
        }
        ending.push(b'\n');
        Self {
            batches,
            columns,
            header: Some(header),
            ending,
            batch: None,
            at: 0,
        }
    }
}

/// The columns that can be written. An index without a name is the first, as in a CSV file.
pub(super) fn columns_of(schema: &Schema) -> Vec<usize> {
    let fields = schema.fields();
    let is_index = |at: &usize| fields[*at].name() == UNNAMED_INDEX;
    let mut columns: Vec<usize> = (0..fields.len())
        .filter(|at| is_written(fields[*at].data_type()))
        .collect();
    columns.sort_by_key(|at| !is_index(at));
    columns
}

fn is_written(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Dictionary(_, value) => is_written(value) && !matches!(**value, T::Dictionary(_, _)),
        T::Duration(_) | T::Interval(_) | T::Null => false,
        other => !other.is_nested(),
    }
}

impl<B: Batches> WriteText for Rows<B> {
    fn write(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if let Some(header) = self.header.take() {
            out.extend(header);
            return Ok(true);
        }
        let left = |batch: &RecordBatch, at: usize| batch.num_rows() - at;
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| left(batch, self.at) == 0)
        {
            self.at = 0;
            self.batch = self.batches.next().map_err(invalid)?;
            if self.batch.is_none() {
                return Ok(false);
            }
        }
        if let Some(batch) = &self.batch {
            let rows = left(batch, self.at).min(PART_ROWS);
            self.write_rows(&batch.slice(self.at, rows), out)
                .map_err(invalid)?;
            self.at += rows;
        }
        Ok(true)
    }
}

impl<B> Rows<B> {
    fn write_rows(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Invalid> {
        let options = FormatOptions::new();
        let columns: Vec<(bool, ArrayRef)> = self
            .columns
            .iter()
            .map(|at| written_as(batch.column(*at)))
            .collect::<Result<_, _>>()?;
        let formatters: Vec<(bool, &ArrayRef, ArrayFormatter<'_>)> = columns
            .iter()
            .map(|(is_text, column)| {
                let formatter = ArrayFormatter::try_new(column, &options);
                Ok((
                    *is_text,
                    column,
                    formatter.map_err(|error| error.to_string())?,
                ))
            })
            .collect::<Result<_, Invalid>>()?;
        for row in 0..batch.num_rows() {
            for (at, (is_text, column, formatter)) in formatters.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                if column.is_null(row) {
                    continue;
                }
                if *is_text {
                    write_field(out, &formatter.value(row).to_string());
                } else {
                    write_plain(out, formatter.value(row));
                }
            }
            out.extend_from_slice(&self.ending);
        }
        Ok(())
    }
}

/// A column in a type that is written as it is, and whether its values are texts.
fn written_as(column: &ArrayRef) -> Result<(bool, ArrayRef), Invalid> {
    use DataType as T;
    let value = match column.data_type() {
        T::Dictionary(_, value) => value,
        other => other,
    };
    let wanted = match value {
        T::Timestamp(unit, Some(_)) => T::Timestamp(*unit, Some(UTC.into())),
        T::Binary | T::LargeBinary | T::FixedSizeBinary(_) | T::BinaryView => T::Utf8,
        // It is a date and a time of day.
        T::Date64 => T::Timestamp(TimeUnit::Millisecond, None),
        other => other.clone(),
    };
    let is_text = matches!(wanted, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    if *column.data_type() == wanted {
        return Ok((is_text, column.clone()));
    }
    let cast = cast(column, &wanted).map_err(|error| error.to_string())?;
    Ok((is_text, cast))
}

fn invalid(why: Invalid) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
