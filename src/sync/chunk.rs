//! A chunk: so many bars of a series, as the target's columns will hold them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;

use super::column::{ColumnClock, Misfit, Repeated};
use super::errors::Error;
use super::source::{Batches, SourceError};
use super::target::{NUMBER_NAMES, NumberColumn, Target, VOLUME};
use crate::model::columns::Missing;
use crate::model::{SeriesKey, Timestamp};

const NO_TRADES: i64 = i64::MISSING;

/// Bars of one series, sorted, column by column.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The instants.
    pub instants: Vec<i64>,
    /// The time column's values: they grow as the instants do.
    pub times: Vec<i64>,
    /// Open, high, low, close, volume.
    pub numbers: [Vec<f64>; 5],
    /// Empty, or NaN where missing.
    pub vwap: Vec<f64>,
    /// Empty, or [`NO_TRADES`] where missing.
    pub trades: Vec<i64>,
}

impl Chunk {
    /// How many bars.
    pub(super) fn len(&self) -> usize {
        self.instants.len()
    }

    /// The vwap of a bar.
    pub(super) fn vwap(&self, row: usize) -> Option<f64> {
        self.vwap.get(row).copied().filter(|v| !v.is_nan())
    }

    /// The number of trades of a bar.
    pub(super) fn trades(&self, row: usize) -> Option<i64> {
        self.trades.get(row).copied().filter(|n| *n != NO_TRADES)
    }

    /// The instant of a bar.
    pub(super) fn at(&self, row: usize) -> Timestamp {
        Timestamp::from_micros(self.instants[row])
    }

    /// Takes all rows of `batch`.
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

    /// Checks the order that everything after relies on, and converts the instants.
    fn settle(&mut self, series: &SeriesKey, clock: ColumnClock) -> Result<(), Error> {
        if !self.instants.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Error::Source {
                series: series.clone(),
                source: "its bars are not sorted by timestamp".into(),
            });
        }
        self.times = clock
            .convert(&self.instants)
            .map_err(|Repeated(timestamp)| Error::RepeatedHour {
                series: series.clone(),
                timestamp,
                zone: clock.zone_name().unwrap_or_default().to_owned(),
            })?;
        Ok(())
    }
}

/// Cuts a scan into chunks, and knows which is the last.
pub(super) struct Chunks<'a> {
    batches: Batches<'a>,
    /// What a batch had too much for the chunk before.
    rest: Option<RecordBatch>,
    rows: usize,
    series: &'a SeriesKey,
    clock: ColumnClock,
}

impl<'a> Chunks<'a> {
    /// Chunks of `rows` bars, but the last.
    pub(super) fn new(
        batches: Batches<'a>,
        rows: usize,
        series: &'a SeriesKey,
        clock: ColumnClock,
    ) -> Self {
        Self {
            batches,
            rest: None,
            rows: rows.max(1),
            series,
            clock,
        }
    }

    /// The next chunk, and whether it is the last; `None` where there are no more bars.
    pub(super) fn next(&mut self) -> Result<Option<(Chunk, bool)>, Error> {
        let series = self.series;
        let failed = |source| Error::Source {
            series: series.clone(),
            source,
        };
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
        if chunk.len() == 0 {
            return Ok(None);
        }
        chunk.settle(self.series, self.clock)?;
        if self.rest.is_none() {
            self.rest = self.pull().map_err(failed)?;
        }
        Ok(Some((chunk, self.rest.is_none())))
    }

    /// The next batch with anything in it.
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

/// The error of a value that does not fit its column.
pub(super) fn misfit(
    misfit: Misfit,
    series: &SeriesKey,
    target: &Target,
    column: &NumberColumn,
    timestamp: Timestamp,
    value: f64,
) -> Error {
    match misfit {
        Misfit::Overflow => Error::Overflow {
            series: series.clone(),
            timestamp,
            column: column.name.clone(),
            value: value.to_string(),
            column_type: column.sql_type.clone(),
        },
        Misfit::Fraction => Error::Fraction {
            series: series.clone(),
            timestamp,
            column: column.name.clone(),
            value,
            column_type: column.sql_type.clone(),
            is_volume: column.name == target.numbers[VOLUME].name,
        },
    }
}
