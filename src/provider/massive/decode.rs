//! Parses a body directly into columns.
//!
//! Each row is borrowed from the body and parsed without an allocation (`bar_object.rs`). Numbers are
//! read to the nearest double.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Bar, Bars, Reason, Timestamp};
use crate::provider::bar_object::BarObject;
use crate::provider::json_number::whole;
use crate::provider::{NotBar, Request, Rows};

/// Why a body has no rows.
#[derive(Debug)]
pub(super) enum NotRows {
    /// Not JSON: a torn body, or a page of HTML.
    NotJson(serde_json::Error),
    /// JSON, but not an object with bars.
    OtherJson,
    /// The service refuses the request, though the response has status 200.
    Refused { status: String, text: String },
    /// The bars aren't those of the request.
    Unfit(Unfit),
}

/// How a response differs from its request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Ticker,
    Basis,
}

/// What a response must be about.
pub(super) struct Expected<'a> {
    /// As the service spells it.
    pub(super) symbol: &'a str,
    pub(super) is_adjusted: bool,
}

/// The body. Without bars it has no `results`.
#[derive(Deserialize)]
struct Body<'a> {
    status: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    ticker: Option<Cow<'a, str>>,
    /// An index has none.
    adjusted: Option<bool>,
    next_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    results: Option<Vec<&'a RawValue>>,
}

/// Reads the rows of `body`, oldest first, and the URL of the next page.
pub(super) fn page(
    body: &[u8],
    request: &Request,
    expected: &Expected<'_>,
    origin: &str,
) -> Result<(Rows, Option<String>), NotRows> {
    let body: Body<'_> =
        serde_json::from_slice(body).map_err(|error| {
            match serde_json::from_slice::<&RawValue>(body) {
                Ok(_) => NotRows::OtherJson,
                Err(_) => NotRows::NotJson(error),
            }
        })?;
    match body.status.as_deref() {
        Some("OK" | "DELAYED") => {}
        None if body.ticker.is_some() => {}
        None => return Err(NotRows::OtherJson),
        Some(status) => {
            return Err(NotRows::Refused {
                status: status.to_owned(),
                text: body.error.or(body.message).unwrap_or_default().into_owned(),
            });
        }
    }
    match body.ticker.as_deref() {
        Some(symbol) if symbol != expected.symbol => return Err(NotRows::Unfit(Unfit::Ticker)),
        None if body.results.is_none() => return Err(NotRows::OtherJson),
        _ => {}
    }
    if (body.adjusted).is_some_and(|adjusted| adjusted != expected.is_adjusted) {
        return Err(NotRows::Unfit(Unfit::Basis));
    }
    let results = body.results.unwrap_or_default();
    let limits = Limits::of(request, expected.symbol);
    let mut rows = Rows {
        bars: Bars::with_capacity(results.len()),
        rejects: Vec::new(),
    };
    for (line, raw) in (1..).zip(results) {
        rows.add(limits.bar(raw), line, raw.get(), origin);
    }
    rows.sort();
    let next = body.next_url.filter(|url| !url.is_empty());
    Ok((rows, next.map(Cow::into_owned)))
}

/// Which instants bars of a request can have.
struct Limits {
    instants: Range<i64>,
    latest: i64,
    needs_volume: bool,
}

impl Limits {
    fn of(request: &Request, symbol: &str) -> Self {
        Self {
            instants: request.instants(),
            latest: request.latest.micros(),
            // An index is not traded.
            needs_volume: !symbol.starts_with("I:"),
        }
    }

    fn bar(&self, raw: &RawValue) -> Result<Bar, NotBar> {
        let undated = |reason| (reason, None);
        let object = BarObject::read(raw).ok_or(undated(Reason::BadTimestamp))?;
        let micros = (object.t)
            .and_then(|t| whole(t)?.checked_mul(1_000))
            .ok_or(undated(Reason::BadTimestamp))?;
        if micros > self.latest {
            return Err(undated(Reason::InTheFuture));
        }
        if !self.instants.contains(&micros) {
            return Err(undated(Reason::OutsideRange));
        }
        let volume_otherwise = (!self.needs_volume).then_some(0.0);
        (object.bar(Timestamp::from_micros(micros), volume_otherwise))
            .and_then(|bar| bar.check().map(|()| bar))
            .map_err(|reason| (reason, Some(micros)))
    }
}
