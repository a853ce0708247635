//! A chunk: the bars of a series that one transaction writes.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;

use super::error::Error;
use super::source::{Batches, SourceError};
use crate::model::columns::Missing;
use crate::model::{SeriesKey, Timestamp};

const NO_TRADES: i64 = i64::MISSING;

/// The columns of [`Chunk::numbers`], in their order.
pub(super) const NUMBER_NAMES: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// Bars of one series, sorted by timestamp, column by column.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Timestamps in microseconds UTC, strictly increasing.
    pub instants: Vec<i64>,
    /// Open, high, low, close, volume.
    pub numbers: [Vec<f64>; 5],
    /// Empty if no bar has a vwap, else NaN for those that have none.
    pub vwap: Vec<f64>,
    /// Empty if no bar has a number of trades, else [`i64::MISSING`] for those that have none.
    pub trades: Vec<i64>,
}

impl Chunk {
    /// How many bars it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.instants.len()
    }

    /// Whether it has no bars.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instants.is_empty()
    }

    /// The instant of the last bar.
    #[must_use]
    pub fn last_instant(&self) -> Option<i64> {
        self.instants.last().copied()
    }

    /// The vwap of a bar.
    #[must_use]
    pub fn vwap(&self, row: usize) -> Option<f64> {
        self.vwap.get(row).copied().filter(|v| !v.is_nan())
    }

    /// The number of trades of a bar.
    #[must_use]
    pub fn trades(&self, row: usize) -> Option<i64> {
        self.trades.get(row).copied().filter(|n| *n != NO_TRADES)
    }

    /// The timestamp of a bar.
    #[must_use]
    pub fn at(&self, row: usize) -> Timestamp {
        Timestamp::from_micros(self.instants[row])
    }

    /// Appends all rows of `batch`.
    fn append(&mut self, batch: &RecordBatch) -> Result<(), SourceError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| SourceError::from(format!("a batch has no column {name}")))
        };
        let wrong = |name: &str| SourceError::from(format!("column {name} has another type"));
        let before = self.len();
        let times = column("timestamp")?;
        let times = times
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| wrong("timestamp"))?;
        self.instants.extend_from_slice(times.values());
        for (index, name) in NUMBER_NAMES.into_iter().enumerate() {
            let values = column(name)?;
            let values = values
                .as_primitive_opt::<Float64Type>()
                .ok_or_else(|| wrong(name))?;
            self.numbers[index].extend_from_slice(values.values());
        }
        let vwap = column("vwap")?;
        if vwap.null_count() < vwap.len() {
            let vwap = vwap
                .as_primitive_opt::<Float64Type>()
                .ok_or_else(|| wrong("vwap"))?;
            self.vwap.resize(before, f64::NAN);
            self.vwap.extend(vwap.iter().map(|v| v.unwrap_or(f64::NAN)));
        }
        let trades = column("trades")?;
        if trades.null_count() < trades.len() {
            let trades = trades
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| wrong("trades"))?;
            self.trades.resize(before, NO_TRADES);
            self.trades
                .extend(trades.iter().map(|n| n.unwrap_or(NO_TRADES)));
        }
        Ok(())
    }

    /// Checks the order that everything after relies on.
    fn check_order(&self, series: &SeriesKey) -> Result<(), Error> {
        if self.instants.windows(2).all(|pair| pair[0] < pair[1]) {
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
