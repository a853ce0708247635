//! The settings of a push.

use super::error::{Error, ErrorKind};
use crate::model::{Interval, OnConflict, SeriesKey, Ticker, Timestamp};

/// Uploads at the same time.
pub const THREADS_DEFAULT: usize = 4;

/// The settings of a push.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Only these tickers; all if empty.
    pub tickers: Vec<Ticker>,
    /// Only this interval.
    pub interval: Option<Interval>,
    /// What to do if another store has written a partition.
    pub on_conflict: OnConflict,
    /// Uploads at the same time.
    pub threads: usize,
    /// Don't trust the tags: read the files of the table and compare every row.
    pub full: bool,
    /// Compare, and write nothing.
    pub dry_run: bool,
    /// Also push the simulator's bars.
    pub allow_demo: bool,
    /// The time of day. It must count the time that the machine sleeps.
    pub clock: fn() -> Timestamp,
    /// Approximately how many partitions one commit has.
    pub commit_files: usize,
    /// Files of this size and larger are uploaded in parts.
    pub part_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tickers: Vec::new(),
            interval: None,
            on_conflict: OnConflict::Fail,
            threads: THREADS_DEFAULT,
            full: false,
            dry_run: false,
            allow_demo: false,
            clock: || Timestamp::from_micros(0),
            commit_files: 256,
            part_bytes: 8 << 20,
        }
    }
}

impl Settings {
    /// Whether the run is about this series.
    #[must_use]
    pub fn includes(&self, key: &SeriesKey) -> bool {
        (self.tickers.is_empty() || self.tickers.contains(&key.ticker))
            && self
                .interval
                .is_none_or(|interval| interval == key.interval)
    }
}

/// What runs the requests of a command.
pub fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Target, error.to_string()))
}
