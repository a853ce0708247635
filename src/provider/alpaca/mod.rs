//! Alpaca's market data: bars of stocks over REST.
//!
//! Many tickers per request. One list of pages has the bars of all of them, ticker by ticker, oldest
//! first, with the instant of their open in UTC, always with extended hours; hours start at the full
//! hour. A page ends anywhere, also inside a ticker: **a ticker that isn't on a page can be on a later
//! one**.
//!
//! Plans differ in the newest quarter of an hour of the feed `sip` only. Requests end before it, because
//! one that doesn't is refused as a whole.

mod classify;
mod client;
mod decode;
mod symbol;

use std::sync::Arc;

use super::credentials::Access;
use super::entry::ProviderEntry;
use super::error::Error;
use super::info::ProviderInfo;
use super::request::Provider;

pub use client::{Alpaca, BASE_URL, Feed};

/// The service with its usual feed.
pub const ENTRY: ProviderEntry = ProviderEntry {
    feeds: &[("sip", &SIP), ("iex", &IEX)],
    ..SIP
};

const SIP: ProviderEntry = entry(
    || client::info(Feed::Sip),
    |access| Ok(Arc::new(Alpaca::new(&access, Feed::Sip)?)),
);

const IEX: ProviderEntry = entry(
    || client::info(Feed::Iex),
    |access| Ok(Arc::new(Alpaca::new(&access, Feed::Iex)?)),
);

const fn entry(
    info: fn() -> ProviderInfo,
    open: fn(Access) -> Result<Arc<dyn Provider>, Error>,
) -> ProviderEntry {
    ProviderEntry {
        name: "alpaca",
        help: "Alpaca; needs APCA_API_KEY_ID and APCA_API_SECRET_KEY",
        hidden: false,
        keys: &[&[classify::KEY_VARIABLES[0]], &[classify::KEY_VARIABLES[1]]],
        base_url_env: Some("ALPACA_BASE_URL"),
        feeds: &[],
        info,
        open,
    }
}

#[cfg(test)]
mod tests;
