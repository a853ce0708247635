//! Use case: bars to files.
//!
//! ```text
//! shelf ─> (longer bars) ─> chunks of 131,072 rows ─> encode (all cores) ─> append in order ─> file beside ─> rename
//! ```
//!
//! [`export()`] writes staged bars into a file, a pipe or a folder of files. [`BarsWriter`] writes bars that arrive in any
//! order, from many threads, into one sorted file: what `--output-filename` asks for.
//!
//! **A reader never sees half a file**, and what an error leaves is what was there before. Files hold `ticker, timestamp,
//! open, high, low, close, volume, vwap, trades`, sorted by ticker and timestamp.

mod bars_writer;
mod chunks;
mod columns;
mod csv;
mod draft;
mod error;
mod folder;
mod format;
mod lock;
mod output;
mod pipeline;
mod plan;
mod resample;
mod row_group;
mod run;
mod shelf;
mod sink;
mod spill;

pub use bars_writer::BarsWriter;
pub(crate) use csv::{quoted, write_number};
pub(crate) use draft::Draft;
pub use error::Error;
pub use format::{Format, NotAFormat};
pub use output::{BadOutput, Guard, OutputFile, OutputFolder};
pub use plan::{Grid, NoPartition, PartitionBy, SeriesPlan};
pub use run::{Batches, Exported, Plan, Shelf, Target, export};
pub use shelf::Staged;

#[cfg(test)]
mod tests;
