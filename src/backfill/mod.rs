//! Use case: bars from a provider into the store.
//!
//! ```text
//! tickers, dates, calendar, coverage ─> Plan ─> windows ─> WindowFetcher::fetch ─> Batch ─> store thread ─> commit
//!                                                 │ (permits, rate, retries: provider)      │
//!                                                 └──────────── bounded on either side ─────┘
//! ```
//!
//! A plan is made before anything is asked. Each ticker asks for its windows in order, a few ahead; each window is one
//! batch, and the store takes many batches in one commit. One ticker that fails stops no other.

mod advice;
mod comparison;
mod days;
mod error;
mod evidence;
mod fetcher;
mod plan;
mod position;
mod quota;
mod rejects;
mod restatement;
mod run;
mod ticker;
mod windows;
mod writer;

pub use days::{Day, local_date};
pub use error::Error;
pub use fetcher::{Clock, WindowFetcher};
pub use plan::{History, Plan, Planner, Since, TickerPlan, partial_dates, shard};
pub use quota::Spending;
pub use run::Job;
pub use windows::Window;

#[cfg(test)]
mod tests;
