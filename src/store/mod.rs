//! The store: bars on your own disk, keyed by (ticker, timestamp).
//!
//! ```text
//! Offer ─> commit ─┬─> hot tier (DuckDB, segments) ──seal──┐
//!                  └───────────────publish─────────────────┴─> lake (Parquet, one file per partition)
//! Reader <── both tiers, each key once
//! ```
//!
//! DuckDB has the catalog and small commits, because its transactions are complete or absent. Parquet
//! files have the bulk of the bars, because they are small and any program reads them. The key has no
//! index: sorted timestamps are merged. [`Store`] writes, [`Reader`] reads.

mod bundles;
mod catalog;
pub mod columns;
mod commit;
mod conflicts;
mod coverage;
mod drop_bars;
mod durable;
mod error;
mod folder;
mod handle;
mod held_dir;
pub mod lake;
mod lake_files;
mod layout;
mod lock;
mod merge;
mod options;
mod progress;
mod publish;
mod quarantine;
mod reader;
mod recover;
mod refills;
mod rejected;
mod rejects_file;
mod repair;
mod restated;
mod rows;
mod run;
mod scan;
mod seal;
mod segment;
mod series_locks;
mod sessions;
mod snapshot;
mod spill;
mod stamp;
mod state;
mod table_merge;
#[cfg(test)]
mod tests;
mod timestamps;
mod verify;
mod views;

pub use bundles::{AppliedBundle, CommitMark, PartitionFile};
pub use columns::{bars_from_batch, scan_schema};
pub use commit::{Committed, Offer, Tally};
pub use coverage::{CoverageEntry, CoverageStatus};
pub use drop_bars::Dropped;
pub use durable::{HashedFile, create_dirs, remove_file, rename, sync_dir, write_file};
pub use error::{Damage, Error, Refusal};
pub use folder::{bytes_below, check_folder, is_there};
pub use handle::Store;
pub use lake::{BATCH_ROWS, PARTITION_FORMAT};
pub use layout::{Layout, PartitionKey, is_store};
pub use options::{OpenOptions, SealRule};
pub use progress::{ProgressFile, RunProgress, RunningWriter, running_writer};
pub use reader::{ConflictDay, ConflictRow, Reader, RunRow, SeriesRow, SessionCount, TargetRow};
pub use refills::RefillAttempts;
pub use rejected::{MissingRows, RejectedRows};
pub use rejects_file::{RejectLine, RejectsFile};
pub use repair::{Repaired, repair};
pub use restated::Comparison;
pub use run::RunId;
pub use scan::Scan;
pub use seal::{SealAtEnd, Sealed};
pub use snapshot::{SnapshotRule, WriterSnapshot};
pub use spill::{Spill, remove_busy_dir};
pub use stamp::{Stamp, stamp};
pub use table_merge::{BadTableFile, MergedFile, TableMerge, TableTally};
pub use timestamps::Wanted;
pub use verify::{Verified, verify};
