//! Use case: bars to files.
//!
//! [`BarsWriter`] writes bars that arrive in any order, from many threads, into one sorted file: what
//! `--output-filename` asks for.
//!
//! ```text
//! bars ─> chunks of 131,072 rows ─> encode (all cores) ─> append in order ─> file beside the target ─> rename
//! ```

mod bars_writer;
mod chunks;
mod columns;
mod csv;
mod draft;
mod encoding;
mod error;
mod format;
mod pipeline;
mod resample;
mod row_group;
mod sink;
mod spill;

pub use bars_writer::BarsWriter;
pub use error::Error;
pub use format::{Format, NotAFormat};
