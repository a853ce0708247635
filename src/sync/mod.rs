//! Use case: staged bars into a Postgres table, exactly once, whatever breaks in between.
//!
//! ```text
//! Source ─> run ─> prepare: connect, target, progress, probe (one query)
//!            └──> workers ─> series: plan a pass ─> chunk ─> transfer (one transaction) ─┐
//!                              ^                                                        │
//!                              └── progress, as the target has it <─────────────────────┘
//! ```
//!
//! The target keeps its own progress in `backfill_sync`, in the same transaction as the rows. **Nothing on this side
//! remembers how far a sync came**: after a lost connection, a crash of either side, or another sync's work, what is to
//! be done is read from the target again.

mod chunk;
mod column;
mod connect;
mod copy;
mod errors;
mod link;
mod plan;
mod prepare;
mod progress;
mod read_back;
mod receipt;
mod run;
mod series;
mod settings;
mod source;
mod store_source;
mod target;
mod transfer;
mod write;
mod zone;

pub use connect::{Address, AddressError, ConnectError, SslMode};
pub use errors::Error;
pub use receipt::Receipt;
pub use run::{Outcome, Seen, run};
pub use settings::{CHUNK_ROWS_DEFAULT, Patience, STATEMENT_TIMEOUT_SECONDS_DEFAULT, Settings};
pub use source::{Batches, SeriesInfo, Source, SourceError};
pub use store_source::StoreSource;
pub use target::TargetError;
