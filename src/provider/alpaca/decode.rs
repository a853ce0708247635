//! Parses a page directly into the columns of each ticker.
//!
//! Each row is borrowed from the body and parsed without an allocation (`bar_object.rs`). Numbers are
//! read to the nearest double.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use chrono::DateTime;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::symbol;
use crate::model::{Bar, Bars, Reason, Ticker, Timestamp};
use crate::provider::bar_object::BarObject;
use crate::provider::plain_time::read_time;
use crate::provider::{NotBar, Page, PageToken, Request, Rows};

/// A page without bars, and the last.
pub(super) const EMPTY: &[u8] = br#"{"bars":{},"next_page_token":null}"#;

/// Why a body has no rows.
#[derive(Debug)]
pub(super) enum NotRows {
    /// Not JSON: a torn body, or a page of HTML.
    NotJson(serde_json::Error),
    /// JSON, but not an object with bars.
    OtherJson,
    /// Bars of a ticker that wasn't requested.
    OtherTicker,
}

/// The body. Without bars, `bars` is empty, null or missing.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    bars: Option<Option<BTreeMap<Cow<'a, str>, Vec<&'a RawValue>>>>,
    #[serde(default, borrow, deserialize_with = "present")]
    next_page_token: Option<Option<Cow<'a, str>>>,
}

/// Makes a difference between a value that is null and one that is missing.
fn present<'de, D, T>(value: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(value).map(Some)
}

/// Reads the rows of `body`, oldest first, and the token of the next page.
pub(super) fn page(body: &[u8], request: &Request, origin: &str) -> Result<Page, NotRows> {
    let body: Body<'_> =
        serde_json::from_slice(body).map_err(|error| {
            match serde_json::from_slice::<IgnoredAny>(body) {
                Ok(_) => NotRows::OtherJson,
                Err(_) => NotRows::NotJson(error),
            }
        })?;
    if body.bars.is_none() && body.next_page_token.is_none() {
        return Err(NotRows::OtherJson);
    }
    let limits = Limits {
        instants: request.instants(),
        latest: request.latest.micros(),
    };
    let symbols: Vec<(String, &Ticker)> = (request.tickers.iter())
        .map(|ticker| (symbol::spelled(ticker), ticker))
        .collect();
    let mut series = Vec::new();
    for (name, raw) in body.bars.flatten().unwrap_or_default() {
        let rows = limits.rows(&raw, origin);
        let named = symbols.iter().filter(|(symbol, _)| *symbol == name);
        // Tickers that are typed in different ways can have one symbol.
        let mut tickers: Vec<Ticker> = named.map(|(_, ticker)| (*ticker).clone()).collect();
        let last = tickers.pop().ok_or(NotRows::OtherTicker)?;
        series.extend(tickers.into_iter().map(|ticker| (ticker, rows.clone())));
        series.push((last, rows));
    }
    let next = body.next_page_token.flatten();
    Ok(Page {
        series,
        next: next.map(|token| PageToken(token.into_owned())),
    })
}

/// Which instants bars of a request can have.
struct Limits {
    instants: Range<i64>,
    latest: i64,
}

impl Limits {
    /// The rows of one ticker.
    fn rows(&self, raw: &[&RawValue], origin: &str) -> Rows {
        let mut rows = Rows {
            bars: Bars::with_capacity(raw.len()),
            rejects: Vec::new(),
        };
        for (line, raw) in (1..).zip(raw) {
            rows.add(self.bar(raw), line, raw.get(), origin);
        }
        rows.sort();
        rows
    }

    fn bar(&self, raw: &RawValue) -> Result<Bar, NotBar> {
        let undated = |reason| (reason, None);
        let object = BarObject::read(raw).ok_or(undated(Reason::BadTimestamp))?;
        let micros = (object.t)
            .and_then(instant)
            .ok_or(undated(Reason::BadTimestamp))?;
        if micros > self.latest {
            return Err(undated(Reason::InTheFuture));
        }
        if !self.instants.contains(&micros) {
            return Err(undated(Reason::OutsideRange));
        }
        let dated = |reason| (reason, Some(micros));
        let mut bar = (object.bar(Timestamp::from_micros(micros), None)).map_err(dated)?;
        // Some bars have no trades, and then this isn't a price.
        bar.vwap = bar.vwap.filter(|price| *price != 0.0 || bar.volume != 0.0);
        bar.check().map_err(dated)?;
        Ok(bar)
    }
}

/// The instant of `"2025-02-04T14:30:00Z"`, in microseconds UTC. Any other form of RFC 3339 is read more
/// slowly.
fn instant(raw: &str) -> Option<i64> {
    let text = raw.strip_prefix('"')?.strip_suffix('"')?;
    let plain = text.strip_suffix('Z');
    if let Some(at) = plain.and_then(|text| read_time(text.as_bytes(), b'T')) {
        return Some(at);
    }
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_form_of_rfc_3339() {
        let at = instant("\"2025-02-04T14:30:00Z\"");
        assert_eq!(at, Some(1_738_679_400_000_000));
        for same in [
            "2025-02-04T14:30:00.000Z",
            "2025-02-04T14:30:00.000000000Z",
            "2025-02-04T09:30:00-05:00",
            "2025-02-04t14:30:00z",
        ] {
            assert_eq!(instant(&format!("\"{same}\"")), at, "{same}");
        }
        for other in [
            "2025-02-04T24:30:00Z",
            "2025-02-30T14:30:00Z",
            "2025-02-04T14:30:00",
            "2025-02-04",
            "",
        ] {
            assert_eq!(instant(&format!("\"{other}\"")), None, "{other}");
        }
    }
}
