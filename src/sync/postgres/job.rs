//! A chunk on its way into a table: its bars with the values of the time column.

use std::borrow::Cow;

use super::column::{Misfit, Repeated};
use super::progress::PgTable;
use super::table::NumberColumn;
use crate::advice::SyncAdvice;
use crate::model::columns::VOLUME;
use crate::model::{Bars, Timestamp};
use crate::sync::error::{Error, ErrorKind};
use crate::sync::target::Write;

/// What to do with a chunk.
pub(super) struct Job<'a> {
    pub table: &'a PgTable,
    pub write: &'a Write<'a>,
    /// The time column's values, strictly increasing.
    pub times: Cow<'a, [i64]>,
}

impl<'a> Job<'a> {
    /// Converts the timestamps, and checks that ticker and timestamps fit their columns.
    pub(super) fn new(table: &'a PgTable, write: &'a Write<'a>) -> Result<Self, Error> {
        let (bars, series) = (&table.bars, write.series);
        let unfit = |message| Error::new(ErrorKind::Value, message);
        if let Some(max) = bars.ticker_chars_max
            && series.ticker.as_str().chars().count() > max
        {
            return Err(unfit(format!(
                "{series}: the ticker is longer than column {}, which has room for {max} characters",
                bars.ticker
            )));
        }
        let times = bars.clock.convert(write.chunk.timestamps());
        let times = times.map_err(|Repeated(timestamp)| {
            unfit(format!(
                "{series} {timestamp} is in the hour that occurs twice in {}, and a timestamp \
                 column without time zone can't distinguish the two",
                bars.clock.zone_name().unwrap_or_default()
            ))
            .with_hint("a timestamp with time zone column stores both hours")
        })?;
        Ok(Self {
            table,
            write,
            times,
        })
    }

    pub(super) fn chunk(&self) -> &'a Bars {
        self.write.chunk
    }

    pub(super) fn ticker(&self) -> &'a str {
        self.write.series.ticker.as_str()
    }

    /// The timestamp of a row of the chunk.
    pub(super) fn at(&self, row: usize) -> Timestamp {
        Timestamp::from_micros(self.chunk().timestamps()[row])
    }

    /// The error of a value that doesn't fit its column.
    pub(super) fn misfit(
        &self,
        column: &NumberColumn,
        row: usize,
        value: f64,
        misfit: Misfit,
    ) -> Error {
        let (name, sql_type) = (&column.name, &column.sql_type);
        let (why, hint) = match misfit {
            Misfit::Overflow => (format!("does not fit the column's type {sql_type}"), None),
            Misfit::Fraction => (
                format!("has a fraction, and the column is {sql_type}"),
                (column.index == VOLUME).then_some(SyncAdvice::RoundVolume),
            ),
        };
        Error::new(
            ErrorKind::Value,
            format!(
                "{} {}: {name} {value} {why}; nothing of its chunk was written",
                self.write.series,
                self.at(row)
            ),
        )
        .maybe_hint(hint)
    }

    /// The error of rows that have other values in the table; under `fail`, a chunk with such rows
    /// is refused as a whole.
    pub(super) fn restated(&self, restated: &[usize]) -> Error {
        let (write, table) = (self.write, &self.table.bars.name);
        let (restated_rows, rows) = (restated.len() as u64, write.chunk.len() as u64);
        let first = self.at(restated.first().copied().unwrap_or_default());
        Error::new(
            ErrorKind::Restated {
                restated: restated_rows,
                rows,
            },
            format!(
                "{restated_rows} of {rows} rows have other values in {table}, the first {} {first}",
                write.series
            ),
        )
        .with_hint(SyncAdvice::TargetConflict)
    }

    /// The error of a server that took another number of rows than were sent.
    pub(super) fn undelivered(&self, first: usize, sent: usize, took: u64) -> Error {
        let message = format!(
            "{}: {sent} rows were sent to {} from {} on, and the server took {took}",
            self.write.series,
            self.table.bars.name,
            self.at(first)
        );
        Error::new(ErrorKind::Delivery, message)
            .with_hint("does a trigger or a rule of the table drop rows?")
    }
}
