//! What a sync is told to do.

use std::time::Duration;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::connect::Address;
use super::receipt::Receipt;
use super::source::SeriesInfo;
use crate::calendar::Overrides;
use crate::model::{Interval, OnConflict, Ticker};

/// Bars in a chunk: one transaction.
pub const CHUNK_ROWS_DEFAULT: usize = 131_072;
/// How long one answer of the server is waited for.
pub const STATEMENT_TIMEOUT_SECONDS_DEFAULT: u64 = 3_600;
/// The table for 1-minute bars; those of other intervals have theirs behind it.
const TABLE_DEFAULT: &str = "market_data";

/// What a sync is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to.
    pub address: Address,
    /// Into which table; by interval where there is none.
    pub table: Option<String>,
    /// Create the table where it is missing.
    pub create_table: bool,
    /// Only these tickers; all where empty.
    pub tickers: Vec<Ticker>,
    /// Only this interval.
    pub interval: Option<Interval>,
    /// First trading date, inclusive.
    pub start: Option<NaiveDate>,
    /// Last trading date, inclusive.
    pub end: Option<NaiveDate>,
    /// The user's calendars, by which dates are instants.
    pub calendars: Overrides,
    /// What to do with rows that the target holds with other values.
    pub on_conflict: OnConflict,
    /// Connections at once.
    pub threads: usize,
    /// Ignore the recorded progress and compare all.
    pub full: bool,
    /// Compare, write nothing.
    pub dry_run: bool,
    /// How arrival is checked.
    pub receipt: Receipt,
    /// Let integer columns take rounded volumes.
    pub round_volume: bool,
    /// The zone of a `timestamp` column.
    pub target_zone: Option<Tz>,
    /// Sync the simulator's bars too.
    pub allow_demo: bool,
    /// How long one answer of the server is waited for; no limit where there is none.
    pub statement_timeout: Option<Duration>,
    /// Bars in a chunk.
    pub chunk_rows: usize,
    /// What a failure costs, and how many are borne.
    pub patience: Patience,
}

/// How failures that may pass are borne: lost connections, deadlocks, a server that restarts.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Failures in a row, without a chunk between them, that one series may cost.
    pub failures_max: u32,
    /// The first wait; each further one is twice as long.
    pub wait_ms_min: u64,
    /// The longest wait.
    pub wait_ms_max: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            failures_max: 8,
            wait_ms_min: 200,
            wait_ms_max: 8_000,
        }
    }
}

impl Settings {
    /// Settings as they are without any option.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
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
            receipt: Receipt::default(),
            round_volume: false,
            target_zone: None,
            allow_demo: false,
            statement_timeout: Some(Duration::from_secs(STATEMENT_TIMEOUT_SECONDS_DEFAULT)),
            chunk_rows: CHUNK_ROWS_DEFAULT,
            patience: Patience::default(),
        }
    }

    /// Whether dates narrow the run: its progress does not move then.
    pub(super) fn is_narrowed(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    pub(super) fn table_for(&self, interval: Interval) -> String {
        match (&self.table, interval) {
            (Some(table), _) => table.clone(),
            (None, Interval::M1) => TABLE_DEFAULT.to_owned(),
            (None, other) => format!("{TABLE_DEFAULT}_{other}"),
        }
    }

    pub(super) fn wants(&self, info: &SeriesInfo) -> bool {
        (self.tickers.is_empty() || self.tickers.contains(&info.key.ticker))
            && self
                .interval
                .is_none_or(|interval| interval == info.key.interval)
    }
}
