//! Use case: the lake as one Delta table, on S3-speaking storage or in a folder, for programs that run on
//! many machines.
//!
//! ```text
//! partitions ─┐
//!             ├─> plan ─┬─> unchanged                                        (by the tags in the log)
//! log ────────┘         ├─> upload the partition as it is ──┐
//!                       └─> read the table's file, merge ───┴─> commit ─> checkpoint
//! ```
//!
//! A partition (interval, ticker, year) is one file of the table. Files are uploaded first, and no reader sees
//! them until a commit lists them. A commit is made on the state that was planned with, or not at all: if
//! another program's commit came first, the run reads it and plans again.
//!
//! **The table keeps the progress, this program doesn't.** The log's entry of a file has the stores whose rows it
//! has, with the hash of each store's rows (`identity.rs`).

mod address;
mod bytes;
mod chunk;
mod compare;
mod context;
mod credentials;
mod delta;
mod error;
mod fresh;
mod identity;
mod list;
mod part;
mod plan;
mod probe;
mod run;
mod settings;
mod source;
mod storage;
mod table;
mod target;
mod unfinished;
mod unit_end;
mod upload;
mod vacuum;

pub use address::Address;
pub use bytes::read_bytes;
pub use credentials::{S3Settings, S3Typed};
pub use error::{Error, ErrorKind};
pub use list::list;
pub use probe::{Probed, probe};
pub use run::{Pushed, run};
pub use settings::{Settings, THREADS_DEFAULT};
pub use storage::Storage;
pub use target::{open, open_folder};
pub use unit_end::Seen;
pub use vacuum::{Vacuumed, vacuum};
