//! The table that takes the bars: found in the catalog, its columns matched by name, its key checked.
//!
//! An existing table is used as it is. What it lacks is said with the DDL that would mend it, before anything is
//! written.

mod catalog;
pub(super) mod create;

use chrono_tz::Tz;

use super::column::{ColumnClock, NumberType};
pub(super) use catalog::resolve;
pub(super) use create::create;

/// The names that a role's column may have, the preferred first.
pub(super) const TICKER_NAMES: [&str; 2] = ["ticker", "symbol"];
pub(super) const TIME_NAMES: [&str; 4] = ["timestamp", "ts", "time", "datetime"];
/// Open, high, low, close, volume.
pub(super) const NUMBER_NAMES: [&str; 5] = ["open", "high", "low", "close", "volume"];
/// Where the volume stands among them.
pub(super) const VOLUME: usize = 4;

/// A table as it was named, and what its time column means where it has no time zone.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// As typed: `market_data`, `prices.bars`, `"Bars"`.
    pub name: String,
    /// The zone of a `timestamp` column; UTC where there is none.
    pub zone: Option<Tz>,
    /// Whether integer columns take rounded volumes.
    pub round_volume: bool,
}

/// What can be done where row-level security hides rows.
pub(super) const SEES_ALL_ROWS: &str =
    "sync as the owner of the table, or as a role that has BYPASSRLS";

/// The target table cannot take the bars.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is no such table.
    #[error("table {table} does not exist")]
    Missing {
        /// As it was named.
        table: String,
        /// What would create it.
        ddl: String,
    },
    /// It is a view or something else that takes no COPY.
    #[error("{table} is not a table")]
    NotATable {
        /// Its qualified name.
        table: String,
    },
    /// Row-level security hides rows: they would look as if they were missing.
    #[error("row-level security of {table} hides rows from the user")]
    HiddenRows {
        /// Its qualified name.
        table: String,
    },
    /// A column is missing.
    #[error("table {table} has no column for the {role}: {names}")]
    NoColumn {
        /// Its qualified name.
        table: String,
        /// What the column is for.
        role: &'static str,
        /// The names it may have.
        names: String,
        /// What would add it.
        ddl: String,
    },
    /// A column's type cannot take the values.
    #[error("column {column} of {table} is {column_type}; it has to be {wanted}")]
    ColumnType {
        /// The table's qualified name.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        column_type: String,
        /// The types that can.
        wanted: &'static str,
    },
    /// A column would get no value.
    #[error(
        "column {column} of {table} is not null, has no default, and no bar has a value for it"
    )]
    NoValue {
        /// The table's qualified name.
        table: String,
        /// The column.
        column: String,
    },
    /// Nothing keeps a bar from standing there twice.
    #[error("table {table} has no unique key on exactly ({ticker}, {time})")]
    NoKey {
        /// Its qualified name.
        table: String,
        /// The ticker column.
        ticker: String,
        /// The time column.
        time: String,
        /// What would make it.
        ddl: String,
    },
}

impl TargetError {
    /// What would mend it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { ddl, .. } => Some(format!("--create-table creates it, or: {ddl}")),
            Self::NoColumn { ddl, .. } | Self::NoKey { ddl, .. } => Some(ddl.clone()),
            Self::NoValue { table, column } => Some(format!(
                "ALTER TABLE {table} ALTER COLUMN {} DROP NOT NULL; or give it a default",
                quote(column)
            )),
            Self::HiddenRows { .. } => Some(SEES_ALL_ROWS.into()),
            Self::NotATable { .. } | Self::ColumnType { .. } => None,
        }
    }
}

/// A column of numbers.
#[derive(Clone, Debug)]
pub struct NumberColumn {
    /// Its name, bare.
    pub name: String,
    /// How it takes values.
    pub number_type: NumberType,
    /// Its type in SQL, for messages and casts.
    pub sql_type: String,
    /// Whether fractions are rounded for it.
    pub round: bool,
}

/// A table that can take bars.
#[derive(Clone, Debug)]
pub struct Target {
    /// `schema.table`, quoted where needed.
    pub table: String,
    /// The schema, quoted where needed.
    pub schema: String,
    /// Its object id: another one is another table.
    pub oid: i64,
    /// Its file: another one after TRUNCATE.
    pub filenode: i64,
    /// The ticker column's name.
    pub ticker: String,
    /// The most characters it takes.
    pub ticker_chars_max: Option<usize>,
    /// The time column's name.
    pub time: String,
    /// How it holds an instant.
    pub clock: ColumnClock,
    /// Open, high, low, close, volume.
    pub numbers: [NumberColumn; 5],
    /// The vwap column, if there is one.
    pub vwap: Option<NumberColumn>,
    /// The column for the number of trades, if there is one.
    pub trades: Option<NumberColumn>,
}

impl Target {
    /// All columns of numbers in their fixed order: open, high, low, close, volume, then vwap and trades where they are.
    pub fn number_columns(&self) -> impl Iterator<Item = &NumberColumn> {
        self.numbers
            .iter()
            .chain(self.vwap.iter())
            .chain(self.trades.iter())
    }

    /// The columns that are written, comma-separated and quoted: ticker, time, then the numbers.
    #[must_use]
    pub fn written_columns(&self) -> String {
        let mut list = format!("{}, {}", quote(&self.ticker), quote(&self.time));
        for column in self.number_columns() {
            list.push_str(", ");
            list.push_str(&quote(&column.name));
        }
        list
    }

    /// The columns that are read back: time, then the numbers.
    #[must_use]
    pub fn read_columns(&self) -> String {
        let mut list = quote(&self.time);
        for column in self.number_columns() {
            list.push_str(", ");
            list.push_str(&quote(&column.name));
        }
        list
    }

    /// SQL that is true for the rows of `ticker` from `first` to `last`, both inside, in the column's own values.
    #[must_use]
    pub fn range_sql(&self, ticker: &str, first: i64, last: i64) -> String {
        let time = quote(&self.time);
        format!(
            "{} AND {time} >= {} AND {time} <= {}",
            self.ticker_sql(ticker),
            super::column::time_literal(first, self.clock),
            super::column::time_literal(last, self.clock),
        )
    }

    /// SQL that is true for the rows of `ticker`.
    #[must_use]
    pub fn ticker_sql(&self, ticker: &str) -> String {
        format!("{} = {}", quote(&self.ticker), literal(ticker))
    }

    /// SQL of the time column as an instant, for change detection; a `timestamp` counts as UTC there.
    #[must_use]
    pub fn instant_sql(&self, expression: &str) -> String {
        match self.clock {
            ColumnClock::Instant => expression.to_owned(),
            ColumnClock::Utc | ColumnClock::Wall(_) => {
                format!("({expression} AT TIME ZONE 'UTC')")
            }
        }
    }
}

/// An identifier in quotes.
#[must_use]
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A text in quotes, whatever the server's settings.
#[must_use]
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", escaped.replace('\\', "\\\\"))
    } else {
        format!("'{escaped}'")
    }
}
