//! Use case: bars to files.
//!
//! ```text
//! source ─> (longer bars) ─> chunks of 131,072 rows ─> encode (all cores) ─> append in order ─> part file ─> rename
//! ```
//!
//! [`export()`] writes stored bars into a file, a pipe or a folder of files. [`BarsWriter`] writes
//! bars that arrive in any order, from many threads, into one sorted file: the `--output-filename`.
//!
//! **A reader never sees half a file**, and after an error everything is as it was before. Files
//! have the ticker, the timestamp and the columns of a bar, sorted by ticker and timestamp.

mod atomic_file;
mod bars_writer;
mod chunks;
mod columns;
mod error;
mod folder;
mod format;
mod links;
mod lock;
mod output;
mod pipeline;
mod plan;
mod resample;
mod run;
mod spill;
mod store_source;

pub(crate) use atomic_file::AtomicFile;
pub use bars_writer::BarsWriter;
pub use error::{BadOutput, Error};
pub use format::Format;
pub(crate) use format::csv::{quoted, write_number};
pub(crate) use lock::Turn;
pub use output::{Guard, OutputFile, OutputFolder};
pub(crate) use pipeline::{in_order, worker_count};
pub use plan::{NoPartition, PartitionBy, ResampleGrid, SeriesPlan};
pub use resample::Resampler;
pub use run::{BarSource, Batches, Exported, Plan, Target, export};
pub use store_source::StoreBars;

#[cfg(test)]
mod tests;
