//! Use case: stored bars into a database, exactly once, even if connections and programs fail in
//! between.
//!
//! ```text
//! Source ─> run ─> prepare: tables, progress of every series
//!            └──> workers ─> series: decide a pass ─> chunk ─> Connection::write ─┐
//!                              ^                                              │
//!                              └──── progress, as the target has it <─────────┘
//! ```
//!
//! The files here are the algorithm. They use a database only as a [`Target`], which writes rows and
//! progress in one atomic step. `postgres/` is the one target so far.
//!
//! **The target keeps the progress, this program doesn't.** After a lost connection, a crash of
//! either side, or the work of another sync, what to do next is read from the target again.

mod after_run;
mod ahead;
mod chunk;
mod context;
mod error;
mod plan;
pub mod postgres;
mod prepare;
mod queue;
mod run;
mod series;
mod settings;
mod source;
mod store_source;
mod target;

pub use after_run::{after_run, record, unrecorded};
pub use error::{Error, ErrorKind, Retry};
pub use run::{Seen, Synced, run};
pub use settings::{CHUNK_ROWS_DEFAULT, DeliveryCheck, RetryPolicy, Settings};
pub use source::{Batches, SeriesInfo, Source, SourceError};
pub use store_source::StoreSource;
pub use target::{
    Connection, Epoch, Mark, Outcome, Probe, Progress, Signals, Table, Tally, Target,
    TransactionId, Write, Written,
};
