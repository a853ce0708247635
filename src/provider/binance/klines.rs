//! Parses a page of klines over REST.

use serde_json::value::RawValue;

use super::row::{self, Bounds};
use crate::model::{Bars, Reason};
use crate::provider::Rows;

/// Why a body has no klines.
#[derive(Debug)]
pub(super) enum NotKlines {
    /// Not JSON: a torn body, or a page of HTML.
    NotJson(serde_json::Error),
    /// JSON, but not an array.
    OtherJson,
    /// Far more than a page.
    TooMany,
}

/// Klines of one response beyond which it isn't read.
const ROWS_MAX: usize = 100_000;

/// A page.
pub(super) struct KlinesPage {
    /// In order of time.
    pub(super) rows: Rows,
    /// When the newest kline opens, in microseconds.
    pub(super) newest: Option<i64>,
}

/// Reads the klines of `body`.
pub(super) fn page(body: &[u8], bounds: Bounds, origin: &str) -> Result<KlinesPage, NotKlines> {
    let raws: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
        match serde_json::from_slice::<&RawValue>(body) {
            Ok(_) => NotKlines::OtherJson,
            Err(_) => NotKlines::NotJson(error),
        }
    })?;
    if raws.len() > ROWS_MAX {
        return Err(NotKlines::TooMany);
    }
    let mut rows = Rows {
        bars: Bars::with_capacity(raws.len()),
        rejects: Vec::new(),
    };
    let mut newest = None;
    for (line, raw) in (1..).zip(raws) {
        let raw = raw.get();
        let fields = raw.strip_prefix('[').and_then(|raw| raw.strip_suffix(']'));
        let bar = match fields {
            Some(fields) => {
                let at = row::open_time(fields);
                newest = newest.max(at);
                bounds.bar(at, fields)
            }
            None => Err((Reason::BadTimestamp, None)),
        };
        rows.add(bar, line, raw, origin);
    }
    rows.sort();
    Ok(KlinesPage { rows, newest })
}
