//! Rows of a chunk in the binary format of COPY.
//!
//! The client library's writer isn't used: it needs a `dyn ToSql` for every value, and it doesn't
//! support `numeric`.

use super::column::{Misfit, NumberType, put_eight, put_null, put_time};
use super::job::Job;
use super::table::NumberColumn;
use crate::model::ColumnValues;
use crate::model::columns::Optional;
use crate::sync::error::Error;

/// The start of a stream: signature, flags, no extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The end of a stream.
const TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// Writes rows of a chunk.
pub(super) struct Writer<'a> {
    job: &'a Job<'a>,
    /// Number of fields, and the ticker: the same in every row.
    prefix: Vec<u8>,
    fields: Vec<(&'a NumberColumn, Values<'a>)>,
}

/// The values of a column; none if no bar has one.
enum Values<'a> {
    None,
    Doubles(&'a [f64]),
    Integers(&'a [i64]),
}

impl<'a> Writer<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        let numbers = &job.table.bars.numbers;
        let ticker = job.ticker().as_bytes();
        let mut prefix = ((2 + numbers.len()) as i16).to_be_bytes().to_vec();
        prefix.extend_from_slice(&(ticker.len() as i32).to_be_bytes());
        prefix.extend_from_slice(ticker);
        let values = |column: &NumberColumn| match job.chunk().column(column.index) {
            values if values.is_empty() => Values::None,
            ColumnValues::Double(values) => Values::Doubles(values),
            ColumnValues::Integer(values) => Values::Integers(values),
        };
        Self {
            job,
            prefix,
            fields: numbers
                .iter()
                .map(|column| (column, values(column)))
                .collect(),
        }
    }

    pub(super) fn header(out: &mut Vec<u8>) {
        out.extend_from_slice(HEADER);
    }

    pub(super) fn trailer(out: &mut Vec<u8>) {
        out.extend_from_slice(&TRAILER);
    }

    /// Appends one row.
    pub(super) fn row(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(&self.prefix);
        put_time(self.job.times[row], out);
        for (column, values) in &self.fields {
            let put = match values {
                Values::Doubles(values) => put_double(column, values[row], out),
                Values::Integers(values) => put_integer(column, values[row], out),
                Values::None => {
                    put_null(out);
                    Ok(())
                }
            };
            put.map_err(|misfit| {
                let value = self.job.chunk().column(column.index).get(row);
                let value = value.to_double().unwrap_or_default();
                self.job.misfit(column, row, value, misfit)
            })?;
        }
        Ok(())
    }
}

#[inline]
fn put_double(column: &NumberColumn, value: f64, out: &mut Vec<u8>) -> Result<(), Misfit> {
    if value.is_missing() {
        put_null(out);
    } else if column.number_type == NumberType::Float8 {
        put_eight(value.to_be_bytes(), out);
    } else {
        column.number_type.put(value, column.round, out)?;
    }
    Ok(())
}

#[inline]
fn put_integer(column: &NumberColumn, value: i64, out: &mut Vec<u8>) -> Result<(), Misfit> {
    if value.is_missing() {
        put_null(out);
        return Ok(());
    }
    column.number_type.put_whole(value, out)
}
