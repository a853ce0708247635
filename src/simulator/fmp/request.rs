//! The vendor's addresses and parameters.

use axum::http::{HeaderMap, Uri};
use chrono::NaiveDate;

use crate::model::Interval;
use crate::simulator::service::Query;
use crate::simulator::vendor::{BarRequest, header, pairs};

pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> BarRequest {
    let mut request = BarRequest {
        key: header(headers, "apikey").map(str::to_owned),
        interval: uri.path().rsplit('/').next().unwrap_or_default().to_owned(),
        ..BarRequest::of(headers)
    };
    for (name, value) in pairs(uri) {
        match name.as_str() {
            "apikey" => {
                request.key.get_or_insert(value);
            }
            "symbol" => request.symbols = vec![value.trim().to_uppercase()],
            "from" => request.from = Some(value),
            "to" => request.to = Some(value),
            "extended" => request.extended = value == "true",
            "nonadjusted" => request.nonadjusted = value == "true",
            _ => {}
        }
    }
    request
}

/// The query, or the name of the parameter that can't be read.
pub(super) fn query(request: &BarRequest, interval: Interval) -> Result<Query, &'static str> {
    let date = |text: &Option<String>, name| match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(Some)
            .map_err(|_| name),
    };
    let symbol = request.symbols.first().filter(|symbol| !symbol.is_empty());
    Ok(Query {
        symbol: symbol.ok_or("symbol")?.clone(),
        interval,
        from: date(&request.from, "from")?,
        to: date(&request.to, "to")?,
        extended: request.extended,
        adjusted: !request.nonadjusted,
    })
}

/// The interval by the vendor's name for it, and no other.
pub(super) fn interval_named(name: &str) -> Option<Interval> {
    Some(match name {
        "1min" => Interval::M1,
        "5min" => Interval::M5,
        "15min" => Interval::M15,
        "30min" => Interval::M30,
        "1hour" => Interval::M60,
        _ => return None,
    })
}
