//! Financial Modeling Prep, and the built-in simulator, which responds in the same way.
//!
//! One ticker per request; both dates are included; bars come newest first, with the exchange's
//! local time of their open. If not all bars fit into a response, it lacks the oldest ones, and nothing
//! in it shows that.

mod classify;
mod client;
mod decode;
pub mod demo;

use std::sync::Arc;

use super::entry::ProviderEntry;
use crate::model::Source;

pub use client::{BASE_URL, Fmp};

/// The service.
pub const ENTRY: ProviderEntry = ProviderEntry {
    name: "fmp",
    help: "Financial Modeling Prep; needs FMP_API_KEY",
    hidden: false,
    keys: &[&[classify::KEY_VARIABLE]],
    base_url_env: Some("FMP_BASE_URL"),
    feeds: &[],
    info: || client::info(Source::new("fmp")),
    open: |access| Ok(Arc::new(Fmp::new(&access, Source::new("fmp"))?)),
};

#[cfg(test)]
mod tests;
