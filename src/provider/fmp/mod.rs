//! Financial Modeling Prep, and whatever speaks as it does (the built-in simulator).
//!
//! On the wire: one symbol a call, dates both inside, bars newest first and labelled by the exchange's wall time at
//! their open, and silence about whatever a request that spans too much loses.

mod classify;
mod client;
mod decode;
mod local_time;

pub use client::{Fmp, FmpOptions};

/// Where the service stands unless the user says otherwise.
pub const BASE_URL: &str = "https://financialmodelingprep.com/stable";

#[cfg(test)]
mod tests;
