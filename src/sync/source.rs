//! Where the bars come from: the store, or memory in tests.

use std::collections::HashMap;
use std::error::Error as StdError;

use uuid::Uuid;

use crate::model::{Bars, SeriesKey, TimeRange, Timestamp};

/// Why a source failed.
pub type SourceError = Box<dyn StdError + Send + Sync>;

/// Batches of one series in timestamp order.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Bars, SourceError>> + 'a>;

/// A stored series.
#[derive(Clone, Debug)]
pub struct SeriesInfo {
    /// Interval and ticker.
    pub key: SeriesKey,
    /// The exchange that it is recorded with.
    pub exchange: String,
    /// The timestamp of its first bar.
    pub first: Timestamp,
    /// The highest commit sequence of its bars.
    pub max_commit_seq: u64,
    /// Whether its bars are the simulator's.
    pub demo: bool,
}

/// A consistent view of stored bars that many threads read.
pub trait Source: Sync {
    /// The id that the store got when it was created.
    fn store_id(&self) -> Uuid;

    /// All series.
    fn series(&self) -> Result<Vec<SeriesInfo>, SourceError>;

    /// The ids of commits. A sequence that the store doesn't know is missing from the result.
    fn commit_ids(&self, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, SourceError>;

    /// The bars of a series inside `range` with `after_seq < commit_seq <= through_seq`, read in
    /// batches.
    fn scan_since(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        after_seq: u64,
        through_seq: u64,
    ) -> Result<Batches<'_>, SourceError>;
}
