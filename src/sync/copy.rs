//! Rows of a chunk in COPY's binary form, and how they compare with rows of the table.

use super::chunk::{Chunk, misfit};
use super::column::{get_time, put_time};
use super::errors::Error;
use super::target::{NumberColumn, Target};
use crate::model::SeriesKey;

/// What a stream begins with: signature, flags, no extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
const TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// Writes rows of a chunk for a target.
pub(super) struct Writer<'a> {
    target: &'a Target,
    series: &'a SeriesKey,
    chunk: &'a Chunk,
    /// Field count and ticker, the same for every row.
    prefix: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(target: &'a Target, series: &'a SeriesKey, chunk: &'a Chunk) -> Self {
        let fields = 2 + target.number_columns().count();
        let ticker = series.ticker.as_str().as_bytes();
        let mut prefix = (fields as i16).to_be_bytes().to_vec();
        prefix.extend_from_slice(&(ticker.len() as i32).to_be_bytes());
        prefix.extend_from_slice(ticker);
        Self {
            target,
            series,
            chunk,
            prefix,
        }
    }

    pub(super) fn header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(HEADER);
    }

    pub(super) fn trailer(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&TRAILER);
    }

    /// One row.
    pub(super) fn row(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        let (target, chunk) = (self.target, self.chunk);
        out.extend_from_slice(&self.prefix);
        put_time(chunk.times[row], out);
        for (column, values) in target.numbers.iter().zip(&chunk.numbers) {
            let value = values[row];
            column
                .number_type
                .put(value, column.round, out)
                .map_err(|why| misfit(why, self.series, target, column, chunk.at(row), value))?;
        }
        if let Some(column) = &target.vwap {
            match chunk.vwap(row) {
                Some(value) => column
                    .number_type
                    .put(value, column.round, out)
                    .map_err(|why| {
                        misfit(why, self.series, target, column, chunk.at(row), value)
                    })?,
                None => put_null(out),
            }
        }
        if let Some(column) = &target.trades {
            match chunk.trades(row) {
                Some(value) => column.number_type.put_whole(value, out).map_err(|why| {
                    misfit(
                        why,
                        self.series,
                        target,
                        column,
                        chunk.at(row),
                        value as f64,
                    )
                })?,
                None => put_null(out),
            }
        }
        Ok(())
    }
}

fn put_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i32).to_be_bytes());
}

/// What a row of a chunk is to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not there.
    New,
    /// There with the same values.
    Identical,
    /// There with other values.
    Restated,
}

/// Merges rows read back from the target, in the order of time, with the rows of a chunk.
pub(super) struct Merger<'a> {
    target: &'a Target,
    series: &'a SeriesKey,
    chunk: &'a Chunk,
    next: usize,
    /// One for each row of the chunk.
    pub standing: Vec<Standing>,
}

impl<'a> Merger<'a> {
    pub(super) fn new(target: &'a Target, series: &'a SeriesKey, chunk: &'a Chunk) -> Self {
        Self {
            target,
            series,
            chunk,
            next: 0,
            standing: vec![Standing::New; chunk.len()],
        }
    }

    /// Takes one row of the target: its time, then its numbers, as they stand on the wire.
    pub(super) fn held(&mut self, fields: &[Option<&[u8]>]) -> Result<(), Error> {
        let unreadable = |what| Error::Unreadable {
            table: self.target.table.clone(),
            what,
        };
        let time = fields
            .first()
            .copied()
            .flatten()
            .and_then(get_time)
            .ok_or_else(|| unreadable("a time that is not eight bytes"))?;
        while self.next < self.chunk.len() && self.chunk.times[self.next] < time {
            self.next += 1;
        }
        if self.next == self.chunk.len() || self.chunk.times[self.next] != time {
            return Ok(());
        }
        let row = self.next;
        self.next += 1;
        self.standing[row] = if self.agrees(row, &fields[1..])? {
            Standing::Identical
        } else {
            Standing::Restated
        };
        Ok(())
    }

    fn agrees(&self, row: usize, held: &[Option<&[u8]>]) -> Result<bool, Error> {
        let chunk = self.chunk;
        let wrong = |why, column: &NumberColumn, value| {
            misfit(why, self.series, self.target, column, chunk.at(row), value)
        };
        let mut held = held.iter().copied();
        let mut all = true;
        // Every value is looked at, also behind a difference: one that does not fit is told first.
        for (column, values) in self.target.numbers.iter().zip(&chunk.numbers) {
            let value = values[row];
            let bytes = held.next().flatten().unwrap_or(&[]);
            all &= column
                .number_type
                .agrees(bytes, value, column.round)
                .map_err(|why| wrong(why, column, value))?;
        }
        // A missing vwap or number of trades agrees with any.
        if let Some(column) = &self.target.vwap
            && let (Some(bytes), Some(value)) = (held.next().flatten(), chunk.vwap(row))
        {
            all &= column
                .number_type
                .agrees(bytes, value, column.round)
                .map_err(|why| wrong(why, column, value))?;
        }
        if let Some(column) = &self.target.trades
            && let (Some(bytes), Some(value)) = (held.next().flatten(), chunk.trades(row))
        {
            let value = value as f64;
            all &= column
                .number_type
                .agrees(bytes, value, column.round)
                .map_err(|why| wrong(why, column, value))?;
        }
        Ok(all)
    }
}
