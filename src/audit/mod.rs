//! Checks of stored values: which bars can't be right, and which are unusual.
//!
//! ```text
//! scan of a series ─> Days ─> Window ─> checks ─> findings
//!       1 minute ──┐   │ (a date at a time)
//!       5 minutes ─┴───┴─> resolution ─────────────^
//! ```
//!
//! All series of a ticker are read once, in step, a trading date at a time; tickers are audited in
//! parallel. What is usual for a ticker is a median over the sessions around a date (`window.rs`), so
//! no more than those sessions are in memory. **Nothing in the store is changed.**

mod check;
mod checks;
mod day;
mod finding;
mod limits;
mod run;
mod ticker;
mod usual;
mod view;
mod window;

#[cfg(test)]
mod tests;

pub use check::Check;
pub use finding::{Finding, Severity};
pub use limits::Limits;
pub use run::{Audit, Error, Scope, audit};
