//! The table for the bars: found in the server's catalog, its columns matched by name, its
//! key checked.
//!
//! An existing table is used as it is. If something is missing, the error has the DDL that adds it,
//! before anything is written.

mod catalog;
mod create;

use chrono_tz::Tz;

use super::column::{ColumnClock, NumberType, time_literal};
use super::sql::{literal, quote};
use crate::sync::target::Epoch;

pub(super) use self::catalog::find;
pub(super) use self::create::create;

/// A table as the user named it.
#[derive(Clone, Debug)]
pub(super) struct TableSpec<'a> {
    /// As typed: `market_data`, `prices.bars`, `"Bars"`.
    pub name: &'a str,
    /// The zone of a `timestamp` column; UTC by default.
    pub zone: Option<Tz>,
    /// Whether volumes are rounded for integer columns.
    pub round_volume: bool,
}

/// A column of numbers.
#[derive(Clone, Debug)]
pub(super) struct NumberColumn {
    /// Its index in [`COLUMNS`](crate::model::columns::COLUMNS).
    pub index: usize,
    /// Its name, not quoted.
    pub name: String,
    pub number_type: NumberType,
    /// Its type in SQL, for messages and casts.
    pub sql_type: String,
    /// Whether fractions are rounded.
    pub round: bool,
}

/// A table that can store bars.
#[derive(Clone, Debug)]
pub(super) struct BarTable {
    /// `schema.table`, quoted if needed.
    pub name: String,
    /// The schema, quoted if needed.
    pub schema: String,
    /// Another object id means another table.
    pub oid: i64,
    /// The table's file. TRUNCATE creates a new one.
    pub filenode: i64,
    /// The ticker column's name.
    pub ticker: String,
    /// The maximum length of the ticker column, in characters.
    pub ticker_chars_max: Option<usize>,
    /// The time column's name.
    pub time: String,
    pub clock: ColumnClock,
    /// The columns of a bar that the table has, in the order in which rows are written and read.
    pub numbers: Vec<NumberColumn>,
}

impl BarTable {
    /// The columns that are written, quoted, with commas: ticker, time, then the numbers.
    pub(super) fn written_columns(&self) -> String {
        format!("{}, {}", quote(&self.ticker), self.read_columns())
    }

    /// The columns that are read back: time, then the numbers.
    pub(super) fn read_columns(&self) -> String {
        let numbers = self.numbers.iter().map(|column| quote(&column.name));
        let all: Vec<_> = std::iter::once(quote(&self.time)).chain(numbers).collect();
        all.join(", ")
    }

    /// SQL that is true for the rows of `ticker` from `first` to `last`, both inclusive. They are
    /// values of the time column.
    pub(super) fn range_sql(&self, ticker: &str, first: i64, last: i64) -> String {
        let time = quote(&self.time);
        format!(
            "{} AND {time} >= {} AND {time} <= {}",
            self.ticker_sql(ticker),
            time_literal(first, self.clock),
            time_literal(last, self.clock),
        )
    }

    /// SQL that is true for the rows of `ticker`.
    pub(super) fn ticker_sql(&self, ticker: &str) -> String {
        format!("{} = {}", quote(&self.ticker), literal(ticker))
    }

    /// SQL for the first (`min`) or last (`max`) time of a ticker as an instant. A `timestamp`
    /// counts as UTC: the value only shows whether something changed.
    pub(super) fn edge_sql(&self, which: &str, ticker_is: &str) -> String {
        let time = format!("{which}(t.{})", quote(&self.time));
        let instant = match self.clock {
            ColumnClock::Instant => time,
            ColumnClock::Utc | ColumnClock::Wall(_) => format!("({time} AT TIME ZONE 'UTC')"),
        };
        format!(
            "(SELECT {instant} FROM {} t WHERE t.{} = {ticker_is})",
            self.name,
            quote(&self.ticker)
        )
    }

    /// What the table's content was when it was found.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch([self.oid, self.filenode])
    }
}
