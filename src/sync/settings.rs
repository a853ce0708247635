//! The settings of a sync that every target needs.

use chrono::NaiveDate;

use super::source::SeriesInfo;
use crate::calendar::Overrides;
use crate::model::{Interval, OnConflict, Ticker};

/// Bars in a chunk, which is one transaction.
pub const CHUNK_ROWS_DEFAULT: usize = 131_072;
/// The table for 1-minute bars. For other intervals their name is appended.
const TABLE_DEFAULT: &str = "market_data";

/// How the target checks that the rows of a chunk arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeliveryCheck {
    /// Compares the server's row counts with what was sent.
    #[default]
    Counts,
    /// Also compares a hash over timestamp, open, high, low, close and volume.
    Checksum,
    /// Doesn't check.
    None,
}

/// How often and how fast failed attempts are repeated: after a lost connection, a deadlock, a
/// restart of the server.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Failures of one series in a row, without a committed chunk between them.
    pub failures_max: u32,
    /// The first wait. Each further one is twice as long.
    pub wait_ms_min: u64,
    /// The longest wait.
    pub wait_ms_max: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            failures_max: 8,
            wait_ms_min: 200,
            wait_ms_max: 8_000,
        }
    }
}

/// The settings of a sync.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The target table; by default one per interval.
    pub table: Option<String>,
    /// Create the table if it is missing.
    pub create_table: bool,
    /// Only these tickers; all if empty.
    pub tickers: Vec<Ticker>,
    /// Only this interval.
    pub interval: Option<Interval>,
    /// First trading date, inclusive.
    pub start: Option<NaiveDate>,
    /// Last trading date, inclusive.
    pub end: Option<NaiveDate>,
    /// The user's calendars, which turn the dates into instants.
    pub calendars: Overrides,
    /// What to do with rows that have other values in the target.
    pub on_conflict: OnConflict,
    /// Connections at the same time.
    pub threads: usize,
    /// Ignore the recorded progress and compare every row.
    pub full: bool,
    /// Compare, and write nothing.
    pub dry_run: bool,
    /// How delivery is checked.
    pub check: DeliveryCheck,
    /// Also sync the simulator's bars.
    pub allow_demo: bool,
    pub chunk_rows: usize,
    /// How failures are retried.
    pub retry: RetryPolicy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: None,
            create_table: false,
            tickers: Vec::new(),
            interval: None,
            start: None,
            end: None,
            calendars: Overrides::default(),
            on_conflict: OnConflict::Fail,
            threads: 4,
            full: false,
            dry_run: false,
            check: DeliveryCheck::default(),
            allow_demo: false,
            chunk_rows: CHUNK_ROWS_DEFAULT,
            retry: RetryPolicy::default(),
        }
    }
}

impl Settings {
    /// Whether the run is limited to some dates. Such a run doesn't move the progress.
    pub(super) fn is_date_filtered(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    /// The name of the table for bars of `interval`.
    pub(super) fn table_for(&self, interval: Interval) -> String {
        match (&self.table, interval) {
            (Some(table), _) => table.clone(),
            (None, Interval::M1) => TABLE_DEFAULT.to_owned(),
            (None, other) => format!("{TABLE_DEFAULT}_{other}"),
        }
    }

    /// Whether the run is about this series.
    pub(super) fn includes(&self, info: &SeriesInfo) -> bool {
        info.key.is_among(&self.tickers, self.interval)
    }
}
