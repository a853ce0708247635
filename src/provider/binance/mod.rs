//! Binance: klines of coin pairs, from public files and over REST. No key.
//!
//! One pair per request, every UTC minute of every day, prices as traded. A window is one calendar
//! month at most, and its bars come in steps ([`steps`]), one request each:
//!
//! ```text
//! month's checksum ─> month's file ─┐
//!    │ not there                    ├─> minutes that no file has: pages of klines over REST
//!    └─> each day's checksum ─> file┘
//! ```
//!
//! A file that differs from its checksum is requested once more, with its checksum, because files
//! are replaced. If it still differs, its bars are requested over REST.

mod archive;
mod classify;
mod client;
mod klines;
mod row;
mod steps;
mod symbol;

use std::sync::Arc;

use super::entry::ProviderEntry;

pub use client::{BASE_URL, Binance, FILES_URL};

/// The service.
pub const ENTRY: ProviderEntry = ProviderEntry {
    name: "binance",
    help: "Binance; needs no key",
    hidden: false,
    keys: &[],
    base_url_env: Some("BINANCE_BASE_URL"),
    feeds: &[],
    info: client::info,
    open: |access| Ok(Arc::new(Binance::new(&access)?)),
};

#[cfg(test)]
mod tests;
