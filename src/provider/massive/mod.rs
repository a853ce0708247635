//! Massive, formerly Polygon.io: aggregates over REST.
//!
//! One ticker per request; bars come oldest first, with the instant of their open in UTC, always with
//! extended hours, and hours start at the full hour. A response can be short for three reasons:
//!
//! - It has no more than 50,000 minutes, from which longer bars are made. It announces the next page.
//! - The plan has less history: older bars are left out silently, and dates wholly before it are
//!   refused.
//! - The plan withholds the newest bars: a quarter of an hour, or the day.

mod classify;
mod client;
mod decode;
mod symbol;

use std::sync::Arc;

use super::entry::ProviderEntry;

pub use client::{BASE_URL, Massive};

/// The service.
pub const ENTRY: ProviderEntry = ProviderEntry {
    name: "massive",
    help: "Massive (Polygon.io); needs MASSIVE_API_KEY or POLYGON_API_KEY",
    hidden: false,
    keys: &[&["MASSIVE_API_KEY", "POLYGON_API_KEY"]],
    base_url_env: Some("MASSIVE_BASE_URL"),
    feeds: &[],
    info: client::info,
    open: |access| Ok(Arc::new(Massive::new(&access)?)),
};

#[cfg(test)]
mod tests;
