//! CSV files into the store.
//!
//! ```text
//! folder ─> find_files ─> [ read ─> detect ─> parse ─> group by ticker ─> trim ] ─> commit order ─> store
//! ```
//!
//! Several files are read at once, a large one on all cores. The result doesn't depend on that,
//! because files that may have the same series commit in path order. A file's first rows and its
//! name show its layout; if they don't show how dates and numbers are written, all of its rows do.
//! Each row becomes a bar or a reject. A file's bars of one series are one batch. A large file is
//! committed in pieces, and small files many at once. A file that ends early counts as failed, and
//! its whole rows are stored.

mod block;
mod clock;
mod columns;
mod commit;
mod commit_order;
mod context;
mod contradict;
mod date;
mod decide;
mod error;
mod evidence;
mod file;
mod file_reader;
mod file_ticker;
mod filename;
mod find_files;
mod folders;
mod foreign;
mod grid;
mod header;
mod header_zone;
mod input;
mod interval;
mod layouts;
mod likely_zone;
mod missing;
mod number;
mod open;
mod parse;
mod piece;
mod pieces;
mod plan;
mod planner;
mod plausible;
mod preamble;
mod read;
mod reading;
mod record;
mod rejects;
mod run;
mod sample;
mod settings;
mod source;
mod stored;
#[cfg(test)]
mod tests;
mod timestamp;
mod trim;
mod turns;
mod wide;

pub use columns::{BadColumns, ChosenColumns, ColumnAt, ColumnName, parse_columns};
pub use context::Sink;
pub use date::DateOrder;
pub use error::{Contradiction, Error, FileError, Form, NoInterval};
pub use filename::{Packing, is_csv_name};
pub use find_files::{Input, InputFiles, collect};
pub use number::Decimal;
pub use run::run;
pub use settings::{Label, Limits, Settings};
pub use stored::StoredExchanges;
