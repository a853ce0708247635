//! How a store is opened.

use std::time::Duration;

use crate::calendar::Overrides;

use super::lock::WAIT_FOR_READERS_MS_MAX;
use super::snapshot::SnapshotRule;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Memory that DuckDB may take, in MiB. Its own default would be 80 % of the machine's.
    pub memory_limit_mib: u64,
    /// Threads that DuckDB may use.
    pub threads: u16,
    /// How long a writer waits for readers to finish.
    pub wait_for_readers: Duration,
    /// When the hot tier seals itself.
    pub seal: SealRule,
    /// What readers in other processes see while a writer runs.
    pub snapshots: SnapshotRule,
    /// A user's calendars, which extend or replace those compiled in: sessions are counted by them.
    pub calendars: Overrides,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            memory_limit_mib: 400,
            threads: std::thread::available_parallelism().map_or(2, |n| n.get().min(16) as u16),
            wait_for_readers: Duration::from_millis(WAIT_FOR_READERS_MS_MAX),
            seal: SealRule::default(),
            snapshots: SnapshotRule::default(),
            calendars: Overrides::default(),
        }
    }
}

/// When hot bars move into the lake by themselves, and which commits go there at once.
#[derive(Clone, Copy, Debug)]
pub struct SealRule {
    /// A transaction that writes at least this many rows of a series publishes them.
    pub publish_rows_min: u64,
    /// A partition with fewer hot rows than this isn't sealed.
    pub partition_rows_min: u64,
    /// A partition with more sealed rows per hot row than this isn't sealed: rewriting it would cost too
    /// much for what was added.
    pub partition_sealed_per_hot: u64,
    /// A store with at least this many hot rows is sealed completely, if
    /// [`Self::store_sealed_per_hot`] allows.
    pub store_rows_min: u64,
    /// A store with more sealed rows per hot row than this isn't sealed completely.
    pub store_sealed_per_hot: u64,
    /// A commit with fewer hot rows than this writes no segment: they go into the table.
    pub segment_rows_min: u64,
    /// A commit with hot rows of fewer series than this writes no segment: each series is sealed soon.
    pub segment_series_min: u64,
    /// The conflicts of a commit go into a file instead of the table if they are at least this many.
    pub conflict_rows_min: u64,
}

impl Default for SealRule {
    fn default() -> Self {
        Self {
            publish_rows_min: 16_384,
            partition_rows_min: 16_384,
            partition_sealed_per_hot: 4,
            store_rows_min: 16_000_000,
            store_sealed_per_hot: 8,
            segment_rows_min: 65_536,
            segment_series_min: 8,
            conflict_rows_min: 65_536,
        }
    }
}
