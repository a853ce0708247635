//! A chunk: the bars of a series that one transaction writes.

use arrow::record_batch::RecordBatch;

use super::error::Error;
use super::source::{Batches, SourceError};
use crate::model::columns::Value;
use crate::model::{Bar, Bars, SeriesKey, Timestamp};
use crate::store::bars_from_batch;

/// Bars of one series, sorted by timestamp.
#[derive(Debug, Default)]
pub struct Chunk {
    bars: Bars,
}

impl Chunk {
    /// How many bars it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bars.len()
    }

    /// Whether it has no bars.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }

    /// The instant of the last bar.
    #[must_use]
    pub fn last_instant(&self) -> Option<i64> {
        self.instants().last().copied()
    }

    /// A value of a bar, by the index of its column in [`COLUMNS`](crate::model::columns::COLUMNS).
    #[inline]
    #[must_use]
    pub fn value(&self, row: usize, column: usize) -> Value {
        self.bars.column(column).get(row)
    }

    /// One bar.
    #[must_use]
    pub fn bar(&self, row: usize) -> Bar {
        self.bars.get(row)
    }

    /// Timestamps in microseconds UTC, strictly increasing.
    #[must_use]
    pub fn instants(&self) -> &[i64] {
        self.bars.timestamps()
    }

    /// The timestamp of a bar.
    #[must_use]
    pub fn at(&self, row: usize) -> Timestamp {
        Timestamp::from_micros(self.instants()[row])
    }

    /// Appends all rows of `batch`.
    fn append(&mut self, batch: &RecordBatch) -> Result<(), SourceError> {
        let bars = bars_from_batch(batch);
        let bars = bars.ok_or_else(|| SourceError::from("a batch has no columns of bars"))?;
        self.bars.append(bars);
        Ok(())
    }

    /// Checks the order that everything after relies on.
    fn check_order(&self, series: &SeriesKey) -> Result<(), Error> {
        if self.bars.is_sorted_unique() {
            return Ok(());
        }
        Err(Error::bars(
            series,
            &"they are not sorted by timestamp".into(),
        ))
    }
}

/// Cuts a scan into chunks.
pub(super) struct Chunks<'a> {
    batches: Batches<'a>,
    /// The rows of a batch that didn't fit into the chunk before.
    rest: Option<RecordBatch>,
    rows: usize,
    series: &'a SeriesKey,
}

impl<'a> Chunks<'a> {
    /// Chunks of `rows` bars; the last one may be smaller.
    pub(super) fn new(batches: Batches<'a>, rows: usize, series: &'a SeriesKey) -> Self {
        Self {
            batches,
            rest: None,
            rows: rows.max(1),
            series,
        }
    }

    /// The next chunk, and whether it is the last; `None` if there are no more bars.
    pub(super) fn next(&mut self) -> Result<Option<(Chunk, bool)>, Error> {
        let series = self.series;
        let failed = |error| Error::bars(series, &error);
        let mut chunk = Chunk::default();
        while chunk.len() < self.rows {
            let Some(batch) = self.pull().map_err(failed)? else {
                break;
            };
            let room = self.rows - chunk.len();
            if batch.num_rows() > room {
                self.rest = Some(batch.slice(room, batch.num_rows() - room));
                chunk.append(&batch.slice(0, room)).map_err(failed)?;
            } else {
                chunk.append(&batch).map_err(failed)?;
            }
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        chunk.check_order(series)?;
        if self.rest.is_none() {
            self.rest = self.pull().map_err(failed)?;
        }
        Ok(Some((chunk, self.rest.is_none())))
    }

    /// The next batch that has rows.
    fn pull(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        for batch in self.batches.by_ref() {
            let batch = batch?;
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
