//! A stream of batches, cut into trading days.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::array::RecordBatch;
use chrono::NaiveDate;

use super::Error;
use super::bars::Rows;
use crate::calendar::Calendar;
use crate::model::SeriesKey;
use crate::store;
use crate::store::columns::timestamps;

/// The trading days of one series in one store.
pub(super) struct Days<'a, I> {
    batches: I,
    calendar: &'a Calendar,
    series: &'a SeriesKey,
    batch: Option<RecordBatch>,
    /// The dates in `batch` that weren't read yet, with their rows.
    runs: VecDeque<(NaiveDate, Range<usize>)>,
}

impl<'a, I: Iterator<Item = Result<RecordBatch, store::Error>>> Days<'a, I> {
    /// Cuts `batches` at the trading dates of `calendar`.
    pub fn new(batches: I, calendar: &'a Calendar, series: &'a SeriesKey) -> Result<Self, Error> {
        let mut days = Self {
            batches,
            calendar,
            series,
            batch: None,
            runs: VecDeque::new(),
        };
        days.fill()?;
        Ok(days)
    }

    /// The next date; `None` at the end.
    pub fn date(&self) -> Option<NaiveDate> {
        self.runs.front().map(|(date, _)| *date)
    }

    /// Adds the bars of the next date to `rows`.
    pub fn read(&mut self, rows: &mut Rows) -> Result<(), Error> {
        let Some(date) = self.date() else {
            return Ok(());
        };
        // The bars of a date can be in several batches.
        while let Some((_, run)) = self.runs.pop_front_if(|(next, _)| *next == date) {
            let batch = self.batch.as_ref();
            batch
                .and_then(|batch| rows.extend_from_batch(batch, run))
                .ok_or_else(|| self.other_columns())?;
            if self.runs.is_empty() {
                self.fill()?;
            }
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), Error> {
        while self.runs.is_empty() {
            let Some(batch) = self.batches.next() else {
                return Ok(());
            };
            let batch = batch.map_err(|source| Error::Read {
                series: self.series.clone(),
                source: Box::new(source),
            })?;
            let times = timestamps(&batch).ok_or_else(|| self.other_columns())?;
            self.runs.extend(self.calendar.session_runs(times));
            self.batch = Some(batch);
        }
        Ok(())
    }

    fn other_columns(&self) -> Error {
        Error::Columns {
            series: self.series.clone(),
        }
    }
}
