//! CSV dumps into the store.
//!
//! ```text
//! folder ─> walk ─> [ read ─> sniff ─> parse ─> gather ─> trim   ] ─> gate ─> store::commit
//!                     a block  Plan    Bars     by ticker             path order
//! ```
//!
//! Files are worked on side by side, a large one on all cores; what comes of them never depends on that, for files that
//! may hold the same series commit in path order. A dump's layout is found out from its first lines and its name, the
//! form of its dates and numbers from all of its rows where the first do not show it; its rows become bars or rejects, and one dump's bars of one series are one batch, unless the dump is so large that it
//! comes in pieces, each of which is committed whole. A dump that breaks off gives what is whole of it, and counts as
//! failed.

mod commit;
mod date;
mod error;
mod evidence;
mod file;
mod filename;
mod gate;
mod interval;
mod layout;
mod number;
mod open;
mod parse;
mod parsed;
mod piece;
mod pieces;
mod plan;
mod read;
mod record;
mod rejects;
mod run;
mod sample;
mod settings;
mod shape;
mod source;
mod stamp;
#[cfg(test)]
mod tests;
mod walk;

pub use commit::Sink;
pub use date::DateOrder;
pub use error::{Error, FileError, NoInterval};
pub use evidence::{Contrary, Written};
pub use filename::{Packing, is_dump_name};
pub use number::Decimal;
pub use run::run;
pub use settings::{
    BadColumns, ColumnAt, ColumnName, Input, Label, Limits, Settings, parse_columns,
};
pub use walk::{Dumps, collect};
