//! Cuts the bars of a series into chunks. One transaction writes one chunk.

use super::error::Error;
use super::source::{Batches, SourceError};
use crate::model::{Bars, SeriesKey};

/// Bars that one transaction writes.
pub(super) struct Chunk {
    /// Sorted by timestamp.
    pub bars: Bars,
    /// Whether it is the last one of its pass.
    pub is_last: bool,
}

impl Default for Chunk {
    /// The only chunk of a pass without bars.
    fn default() -> Self {
        Self {
            bars: Bars::default(),
            is_last: true,
        }
    }
}

/// Cuts a scan into chunks.
pub(super) struct Chunks<'a> {
    batches: Batches<'a>,
    /// The bars of a batch that didn't fit into the previous chunk.
    rest: Bars,
    rows: usize,
    series: &'a SeriesKey,
}

impl<'a> Chunks<'a> {
    /// Chunks of `rows` bars; the last one may be smaller.
    pub(super) fn new(batches: Batches<'a>, rows: usize, series: &'a SeriesKey) -> Self {
        Self {
            batches,
            rest: Bars::default(),
            rows: rows.max(1),
            series,
        }
    }

    /// The next chunk; `None` if there are no more bars.
    pub(super) fn next(&mut self) -> Result<Option<Chunk>, Error> {
        let series = self.series;
        let failed = |error| Error::bars(series, &error);
        let mut bars = Bars::default();
        while bars.len() < self.rows {
            let batch = self.pull().map_err(failed)?;
            if batch.is_empty() {
                break;
            }
            let room = self.rows - bars.len();
            if batch.len() > room {
                bars.extend_from(&batch, 0..room);
                self.rest = batch.slice(room..batch.len());
            } else {
                bars.append(batch);
            }
        }
        if bars.is_empty() {
            return Ok(None);
        }
        // The comparison with the target relies on this order.
        if !bars.is_sorted_unique() {
            return Err(failed("they are not sorted by timestamp".into()));
        }
        if self.rest.is_empty() {
            self.rest = self.pull().map_err(failed)?;
        }
        Ok(Some(Chunk {
            bars,
            is_last: self.rest.is_empty(),
        }))
    }

    /// The rest of a batch, or the next batch that has bars; no bars at the end.
    fn pull(&mut self) -> Result<Bars, SourceError> {
        if !self.rest.is_empty() {
            return Ok(std::mem::take(&mut self.rest));
        }
        let has_bars = |batch: &Result<Bars, _>| !matches!(batch, Ok(bars) if bars.is_empty());
        self.batches.find(has_bars).unwrap_or(Ok(Bars::default()))
    }
}
