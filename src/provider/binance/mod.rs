//! Binance: klines of coin pairs, from public files and over REST. No key.
//!
//! One pair per request, every UTC minute of every day, prices as traded. A window is one calendar
//! month at most, and its bars come in steps (`steps.rs`), one request each:
//!
//! ```text
//! month's checksum ─> month's file ─┐
//!    │ not there                    ├─> minutes that no file has: pages of klines over REST
//!    └─> each day's checksum ─> file┘
//! ```
//!
//! A file that differs from its checksum is requested once more, with its checksum, because files
//! are replaced. If it still differs, its bars are requested over REST. So are all bars once the server
//! of the files has failed several times in a row (`files.rs`).

mod archive;
mod classify;
mod client;
mod files;
mod klines;
mod row;
mod steps;
mod symbol;

use std::sync::Arc;

use chrono::NaiveDate;

use super::entry::ProviderEntry;
use crate::model::{Bars, Interval};

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

/// Reads the file of 2025-02-04 with the minutes of a pair, or the CSV file inside. For fuzzing and
/// tests.
#[must_use]
pub fn read_file(bytes: &[u8]) -> Option<Bars> {
    let date = NaiveDate::from_ymd_opt(2025, 2, 4)?;
    let file = steps::File::Day(date);
    let (start, end) = file.micros();
    let expected = archive::Expected {
        file,
        interval: Interval::M1,
        bounds: row::Bounds {
            start,
            end,
            latest: i64::MAX,
        },
    };
    let found = match bytes.starts_with(b"PK") {
        true => archive::read(bytes, &expected, ""),
        false => archive::rows(bytes, &expected, ""),
    };
    Some(found.ok()?.rows.bars)
}

#[cfg(test)]
mod tests;
