//! A request for bars, read.

use axum::http::{HeaderMap, Uri};
use chrono::NaiveDate;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::Interval;

use super::query::Query;

/// The header with which a test requests a fault for this one request.
pub const FAULT_HEADER: &str = "x-simulator-fault";

/// A request for bars, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct BarRequest {
    pub key: Option<String>,
    pub symbol: String,
    pub interval: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub extended: bool,
    pub nonadjusted: bool,
    pub fault: Option<String>,
}

impl BarRequest {
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Self {
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let mut request = Self {
            key: header("apikey"),
            interval: uri.path().rsplit('/').next().unwrap_or_default().to_owned(),
            fault: header(FAULT_HEADER),
            ..Self::default()
        };
        for (name, value) in pairs(uri) {
            match name.as_str() {
                "apikey" => {
                    request.key.get_or_insert(value);
                }
                "symbol" => request.symbol = value.trim().to_uppercase(),
                "from" => request.from = Some(value),
                "to" => request.to = Some(value),
                "extended" => request.extended = value == "true",
                "nonadjusted" => request.nonadjusted = value == "true",
                _ => {}
            }
        }
        request
    }

    /// Equal for equal requests.
    pub(super) fn fingerprint(&self) -> u64 {
        let Self {
            symbol,
            interval,
            from,
            to,
            extended,
            nonadjusted,
            ..
        } = self;
        let text = format!("{symbol}|{interval}|{from:?}|{to:?}|{extended}|{nonadjusted}");
        xxh3_64(text.as_bytes())
    }

    /// The query, or the name of the parameter that can't be read.
    pub(super) fn query(&self, interval: Interval) -> Result<Query, &'static str> {
        let date = |text: &Option<String>, name| match text.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .map(Some)
                .map_err(|_| name),
        };
        if self.symbol.is_empty() {
            return Err("symbol");
        }
        Ok(Query {
            symbol: self.symbol.clone(),
            interval,
            from: date(&self.from, "from")?,
            to: date(&self.to, "to")?,
            extended: self.extended,
            adjusted: !self.nonadjusted,
        })
    }
}

/// The pairs of a query string, decoded.
fn pairs(uri: &Uri) -> Vec<(String, String)> {
    axum::extract::Query::try_from_uri(uri)
        .map(|query| query.0)
        .unwrap_or_default()
}

/// The interval by the service's name for it, and no other.
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
