//! COPY's binary form: rows written into it, rows read out of it.

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

/// Takes rows out of a stream, however it is cut into messages.
#[derive(Default)]
pub(super) struct Reader {
    /// What the last message began and did not finish.
    carry: Vec<u8>,
    header_seen: bool,
    ended: bool,
}

impl Reader {
    /// Gives every whole row in `message`, and what was kept from before, to `take`.
    pub(super) fn message<E>(
        &mut self,
        message: &[u8],
        mut take: impl FnMut(&[Option<&[u8]>]) -> Result<(), E>,
    ) -> Result<Result<(), &'static str>, E> {
        let joined;
        let mut input = if self.carry.is_empty() {
            message
        } else {
            joined = [std::mem::take(&mut self.carry), message.to_vec()].concat();
            &joined
        };
        if !self.header_seen {
            if input.len() < HEADER.len() {
                self.carry = input.to_vec();
                return Ok(Ok(()));
            }
            if input[..11] != HEADER[..11] {
                return Ok(Err("it is not COPY's binary form"));
            }
            let extension = u32::from_be_bytes([input[15], input[16], input[17], input[18]]);
            let Some(after) = input.get(HEADER.len() + extension as usize..) else {
                self.carry = input.to_vec();
                return Ok(Ok(()));
            };
            input = after;
            self.header_seen = true;
        }
        let mut fields = [None; 8];
        while !input.is_empty() && !self.ended {
            match read_row(input, &mut fields) {
                RowRead::Partial => {
                    self.carry = input.to_vec();
                    break;
                }
                RowRead::End => self.ended = true,
                RowRead::Row(count, used) => {
                    take(&fields[..count])?;
                    input = &input[used..];
                }
                RowRead::Broken => return Ok(Err("a row has more fields than were asked for")),
            }
        }
        Ok(Ok(()))
    }

    /// Whether the stream's end was seen.
    pub(super) fn is_complete(&self) -> bool {
        self.ended
    }
}

enum RowRead {
    Partial,
    End,
    /// So many fields, so many bytes.
    Row(usize, usize),
    Broken,
}

fn read_row<'a>(input: &'a [u8], fields: &mut [Option<&'a [u8]>; 8]) -> RowRead {
    let Some(count) = input.get(..2) else {
        return RowRead::Partial;
    };
    let count = i16::from_be_bytes([count[0], count[1]]);
    if count < 0 {
        return RowRead::End;
    }
    let count = count as usize;
    if count > fields.len() {
        return RowRead::Broken;
    }
    let mut at = 2;
    for field in fields.iter_mut().take(count) {
        let Some(len) = input.get(at..at + 4) else {
            return RowRead::Partial;
        };
        let len = i32::from_be_bytes([len[0], len[1], len[2], len[3]]);
        at += 4;
        *field = None;
        if len >= 0 {
            let Some(bytes) = input.get(at..at + len as usize) else {
                return RowRead::Partial;
            };
            *field = Some(bytes);
            at += len as usize;
        }
    }
    RowRead::Row(count, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_any_cut_of_the_stream() {
        let mut stream = HEADER.to_vec();
        for value in 0u8..3 {
            stream.extend_from_slice(&2i16.to_be_bytes());
            stream.extend_from_slice(&1i32.to_be_bytes());
            stream.push(value);
            stream.extend_from_slice(&(-1i32).to_be_bytes());
        }
        stream.extend_from_slice(&TRAILER);
        for step in 1..=stream.len() {
            let mut reader = Reader::default();
            let mut seen = Vec::new();
            for part in stream.chunks(step) {
                reader
                    .message(part, |fields| {
                        assert_eq!(fields.len(), 2);
                        assert_eq!(fields[1], None);
                        seen.push(fields[0].unwrap()[0]);
                        Ok::<_, ()>(())
                    })
                    .unwrap()
                    .unwrap();
            }
            assert_eq!(seen, [0, 1, 2], "step {step}");
            assert!(reader.is_complete());
        }
    }
}
