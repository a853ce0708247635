//! The JSON documents of what a store holds: those of `--format json`, and those that the page reads.
//!
//! Field and schema names are a contract: they are only added to.

mod audit;
mod comparison;
mod conflicts;
mod gaps;
mod runs;
mod status;

pub use audit::audit;
pub use comparison::{compared_sessions, comparison};
pub use conflicts::conflicts;
pub use gaps::gaps;
pub use runs::{run_summary, runs};
pub use status::{progress, status};
