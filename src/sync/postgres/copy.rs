//! Rows of a chunk in the binary format of COPY.
//!
//! The client library's writer isn't used: it needs a `dyn ToSql` for every value, and it doesn't
//! support `numeric`.

use super::column::put_time;
use super::job::Job;
use crate::model::columns::Value;
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
}

impl<'a> Writer<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        let fields = 2 + job.table.bars.numbers.len();
        let ticker = job.ticker().as_bytes();
        let mut prefix = (fields as i16).to_be_bytes().to_vec();
        prefix.extend_from_slice(&(ticker.len() as i32).to_be_bytes());
        prefix.extend_from_slice(ticker);
        Self { job, prefix }
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
        for column in &self.job.table.bars.numbers {
            let value = self.job.chunk().column(column.index).get(row);
            let put = match value {
                value if value.is_missing() => {
                    put_null(out);
                    Ok(())
                }
                Value::Double(value) => column.number_type.put(value, column.round, out),
                Value::Integer(value) => column.number_type.put_whole(value, out),
            };
            put.map_err(|misfit| {
                let value = value.to_double().unwrap_or_default();
                self.job.misfit(column, row, value, misfit)
            })?;
        }
        Ok(())
    }
}

fn put_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i32).to_be_bytes());
}
