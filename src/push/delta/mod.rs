//! The log of a Delta table: which files it consists of, and how that changes.
//!
//! ```text
//! _delta_log/00000000000000000007.json                one commit: lines of actions
//! _delta_log/00000000000000000010.checkpoint.parquet  the state after commit 10
//! _delta_log/_last_checkpoint                         where a reader can begin
//! ```
//!
//! A version is its commit's number. Commits are made by "create this object unless it exists", so each
//! number is used once. **The log can be written by other programs too, and is checked like any other
//! input.** Tables with features that this module doesn't know are refused ([`snapshot`]).

pub mod action;
pub mod checkpoint;
pub mod commit;
pub mod names;
pub mod read;
pub mod schema;
pub mod snapshot;
