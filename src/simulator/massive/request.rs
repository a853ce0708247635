//! The vendor's addresses and parameters.

use axum::http::{HeaderMap, Uri};
use chrono::NaiveDate;

use crate::model::{DAY_MICROS, Interval, Zone, date_micros};
use crate::simulator::vendor::{BarRequest, header, pairs};

/// Minutes that a response uses by default, and at most.
const LIMIT_DEFAULT: usize = 5_000;
const LIMIT_MAX: usize = 50_000;

/// Reads `/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}`; `None` for any other
/// address.
pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Option<BarRequest> {
    let parts: Vec<&str> = uri.path().split('/').collect();
    let [
        "",
        "v2",
        "aggs",
        "ticker",
        ticker,
        "range",
        multiplier,
        timespan,
        from,
        to,
    ] = parts[..]
    else {
        return None;
    };
    let ticker = percent_encoding::percent_decode_str(ticker)
        .decode_utf8()
        .ok()?;
    let bearer = header(headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    let mut request = BarRequest {
        key: bearer.map(str::to_owned),
        symbols: vec![ticker.into_owned()],
        interval: format!("{multiplier}/{timespan}"),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        extended: true,
        ..BarRequest::of(headers)
    };
    for (name, value) in pairs(uri) {
        match name.as_str() {
            "apiKey" => {
                request.key.get_or_insert(value);
            }
            "adjusted" => request.nonadjusted = value == "false",
            "cursor" => {
                // Its `from` is in the path already.
                let pairs = decoded(&value).unwrap_or_default();
                request.nonadjusted = pairs.contains("adjusted=false");
                let limit = pairs
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("limit="));
                (request.more).push(("limit".to_owned(), limit.unwrap_or_default().to_owned()));
            }
            _ => request.more.push((name, value)),
        }
    }
    Some(request)
}

/// The cursor of a page: the parameters of its request.
pub(super) fn cursor(aggregates: &Aggregates) -> String {
    let Aggregates {
        adjusted, limit, ..
    } = aggregates;
    let text = format!("adjusted={adjusted}&limit={limit}&sort=asc");
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decoded(cursor: &str) -> Option<String> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = cursor.as_bytes().chunks(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

/// The parameters, read. Instants are in microseconds UTC, both ends included.
pub(super) struct Aggregates {
    pub interval: Interval,
    /// Moved down to the start of its bar.
    pub from: i64,
    /// Moved up to the end of its bar.
    pub to: i64,
    pub adjusted: bool,
    pub limit: usize,
}

impl Aggregates {
    /// The parameters, or the name of the one that can't be read.
    pub(super) fn of(request: &BarRequest) -> Result<Self, &'static str> {
        let interval = match request.interval.as_str() {
            "1/minute" => Interval::M1,
            "5/minute" => Interval::M5,
            "15/minute" => Interval::M15,
            "30/minute" => Interval::M30,
            "60/minute" | "1/hour" => Interval::M60,
            _ => return Err("timespan"),
        };
        let from = instant(request.from.as_deref(), 0).ok_or("from")?;
        let to = instant(request.to.as_deref(), 1).ok_or("to")?;
        if to < from {
            return Err("order");
        }
        let length = interval.micros();
        let limit = request.more.iter().find(|(name, _)| name == "limit");
        let limit = match limit {
            Some((_, limit)) => limit.parse().map_err(|_| "limit")?,
            None => LIMIT_DEFAULT,
        };
        Ok(Self {
            interval,
            from: from - from.rem_euclid(length),
            to: to - to.rem_euclid(length) + length - 1,
            adjusted: !request.nonadjusted,
            limit: limit.clamp(1, LIMIT_MAX),
        })
    }
}

/// A date as the first or the last microsecond of that day in New York, or milliseconds.
fn instant(text: Option<&str>, end: i64) -> Option<i64> {
    let text = text?;
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let local = date_micros(date) + end * DAY_MICROS;
        let at = Zone::of(chrono_tz::America::New_York).from_local(local);
        return Some(at.earliest() - end);
    }
    text.parse::<i64>().ok()?.checked_mul(1_000)
}

/// The market's name of a symbol; `None` if the vendor spells no symbol like that.
pub(super) fn market_symbol(symbol: &str) -> Option<String> {
    if let Some((_, name)) = symbol.split_once(':') {
        return Some(name.to_owned());
    }
    if symbol.contains('-') || symbol.contains('/') {
        return None;
    }
    // Preferred shares have the only lower-case letter, the last but one.
    let bytes = symbol.as_bytes();
    let lower = bytes.iter().position(u8::is_ascii_lowercase);
    match lower {
        None => Some(symbol.replace('.', "-")),
        Some(at) if at + 2 == bytes.len() && bytes[at] == b'p' => {
            Some(format!("{}-P{}", &symbol[..at], &symbol[at + 1..]))
        }
        Some(_) => None,
    }
}
