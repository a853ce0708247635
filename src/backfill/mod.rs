//! Use case: bars from a provider into the store.
//!
//! ```text
//! tickers, dates, calendar, coverage ─> Plan ─> windows ─> WindowFetcher ─> Batch ─> writer ─> commit
//!                                                 │ (permits, rate, retries: provider) │
//!                                                 └──────── bounded on both sides ─────┘
//! ```
//!
//! A plan is made before any request. Each ticker requests its windows in order, a few ahead; each
//! window is one batch, and the store commits many batches at once. A ticker that fails doesn't stop
//! the others.

mod batch;
mod combine;
mod comparison;
mod context;
mod coverage;
mod days;
mod error;
mod evidence;
mod fetch_window;
mod fetched;
mod fetcher;
mod group;
mod limits;
mod plan;
mod position;
mod queue;
mod quota;
mod restatement;
mod run;
mod store_writer;
mod ticker;
mod ticker_result;
mod windows;
mod writer_thread;

pub use days::{Day, local_date};
pub use error::Error;
pub use fetch_window::RequestedRanges;
pub use fetcher::{Clock, WindowFetcher};
pub use limits::RequestLimits;
pub use plan::{History, Plan, Planner, Since, TickerPlan, partial_dates, shard};
pub use quota::Spending;
pub use run::Job;
pub use windows::Window;

#[cfg(test)]
mod tests;
