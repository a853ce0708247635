//! Where the bars come from: the store, or bars in memory in the tests.

use std::collections::HashMap;
use std::error::Error as StdError;

use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use crate::model::{SeriesKey, TimeRange, Timestamp};

/// What a source says went wrong.
pub type SourceError = Box<dyn StdError + Send + Sync>;

/// Batches of one series in timestamp order.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch, SourceError>> + 'a>;

/// What a sync needs to know of a staged series.
#[derive(Clone, Debug)]
pub struct SeriesInfo {
    /// Which series.
    pub key: SeriesKey,
    /// The exchange that it was recorded with.
    pub exchange: String,
    /// Bars in it.
    pub rows: u64,
    /// The first bar's timestamp.
    pub first: Timestamp,
    /// The highest commit sequence in it.
    pub max_commit_seq: u64,
    /// Whether its bars are the simulator's.
    pub demo: bool,
}

/// A consistent view of staged bars, read from many threads.
pub trait Source: Sync {
    /// The id that the store was made with.
    fn store_id(&self) -> Uuid;

    /// All series.
    fn series(&self) -> Result<Vec<SeriesInfo>, SourceError>;

    /// The ids of commits; those that never happened here are missing.
    fn commit_ids(&self, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, SourceError>;

    /// The bars of a series inside `range` with `after_seq < commit_seq <= through_seq`, never all at once.
    ///
    /// The columns are those of a store's scan: `timestamp` in microseconds UTC, `open`, `high`, `low`, `close`,
    /// `volume`, `vwap`, `trades`.
    fn scan_since(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        after_seq: u64,
        through_seq: u64,
    ) -> Result<Batches<'_>, SourceError>;
}
