//! The vendor's address and parameters.

use axum::http::{HeaderMap, Uri};
use chrono::{DateTime, NaiveDate, NaiveTime};

use crate::model::Interval;
use crate::simulator::vendor::{BarRequest, header, pairs};

/// Bars of a page by default, and at most.
const LIMIT_DEFAULT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

/// Reads `/v2/stocks/bars`; `None` for any other address.
pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Option<BarRequest> {
    if uri.path() != "/v2/stocks/bars" {
        return None;
    }
    let secret = header(headers, "apca-api-secret-key").filter(|part| !part.is_empty());
    let id = header(headers, "apca-api-key-id").filter(|_| secret.is_some());
    let mut request = BarRequest {
        key: id.map(str::to_owned),
        extended: true,
        nonadjusted: true,
        ..BarRequest::of(headers)
    };
    for (name, value) in pairs(uri) {
        match name.as_str() {
            "symbols" => request.symbols = value.split(',').map(str::to_owned).collect(),
            "timeframe" => request.interval = value,
            "start" => request.from = Some(value),
            "end" => request.to = Some(value),
            "adjustment" => {
                request.nonadjusted = !matches!(value.as_str(), "split" | "all");
                request.more.push((name, value));
            }
            _ => request.more.push((name, value)),
        }
    }
    Some(request)
}

/// The parameters, read. Instants are in microseconds UTC, both included.
pub(super) struct Parameters {
    pub interval: Interval,
    pub start: i64,
    pub end: i64,
    pub limit: usize,
    pub is_adjusted: bool,
    pub is_iex: bool,
    pub token: Option<Token>,
}

impl Parameters {
    /// The parameters, or the text of the refusal.
    pub(super) fn of(request: &BarRequest) -> Result<Self, String> {
        let bad = |name: &str, why: &str| format!("Invalid format for parameter {name}: {why}");
        if request.symbols.iter().all(String::is_empty) {
            return Err(bad("symbols", "query parameter 'symbols' is required"));
        }
        let interval = match request.interval.as_str() {
            "1Min" | "1T" => Interval::M1,
            "5Min" | "5T" => Interval::M5,
            "15Min" | "15T" => Interval::M15,
            "30Min" | "30T" => Interval::M30,
            "60Min" | "1Hour" | "1H" => Interval::M60,
            other => return Err(format!("invalid timeframe: {other}")),
        };
        let of = |name: &'static str, value: &Option<String>| {
            let text = value.as_deref().unwrap_or_default();
            instant(text).ok_or_else(|| {
                let why = format!("error parsing '{text}' as RFC3339 or 2006-01-02 time");
                bad(name, &why)
            })
        };
        let (start, end) = (of("start", &request.from)?, of("end", &request.to)?);
        if end < start {
            return Err("end should not be before start".to_owned());
        }
        let mut parameters = Self {
            interval,
            start,
            end,
            limit: LIMIT_DEFAULT,
            is_adjusted: !request.nonadjusted,
            is_iex: false,
            token: None,
        };
        for (name, value) in &request.more {
            match (name.as_str(), value.as_str()) {
                ("limit", limit) => {
                    let limit = limit.parse().ok();
                    parameters.limit = limit
                        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                        .ok_or("limit must be from 1 to 10000")?;
                }
                ("adjustment", "raw" | "split" | "dividend" | "spin-off" | "all") => {}
                ("feed", "sip") => {}
                ("feed", "iex") => parameters.is_iex = true,
                ("asof", "-") => {}
                ("asof", date) if NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() => {}
                ("sort", "asc") | ("currency", "USD") => {}
                ("page_token", token) => {
                    let token = Token::read(token, request);
                    parameters.token = Some(token.ok_or("invalid page token")?);
                }
                _ => return Err(format!("invalid {name}: {value}")),
            }
        }
        Ok(parameters)
    }

    /// The token with which this page is requested again.
    pub(super) fn token_text(&self, request: &BarRequest) -> String {
        let first = || Token::new("", i64::MIN);
        self.token.clone().unwrap_or_else(first).text(request)
    }
}

fn instant(text: &str) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    }
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.timestamp_micros())
}

/// The last bar of a page.
#[derive(Clone)]
pub(super) struct Token {
    pub symbol: String,
    pub at: i64,
}

impl Token {
    pub(super) fn new(symbol: &str, at: i64) -> Self {
        Self {
            symbol: symbol.to_owned(),
            at,
        }
    }

    /// As it is sent. It is valid only with the other parameters of `request`.
    pub(super) fn text(&self, request: &BarRequest) -> String {
        let Self { symbol, at } = self;
        let text = format!("{symbol}|M|{at}|{:x}", without_token(request));
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(text: &str, request: &BarRequest) -> Option<Self> {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let parts: Vec<&str> = text.split('|').collect();
        let [symbol, "M", at, parameters] = parts[..] else {
            return None;
        };
        (parameters == format!("{:x}", without_token(request))).then_some(())?;
        Some(Self::new(symbol, at.parse().ok()?))
    }
}

/// The fingerprint of a request's parameters other than the token.
fn without_token(request: &BarRequest) -> u64 {
    let is_other = |(name, _): &&(String, String)| name != "page_token";
    let first = BarRequest {
        symbols: request.symbols.clone(),
        interval: request.interval.clone(),
        from: request.from.clone(),
        to: request.to.clone(),
        more: request.more.iter().filter(is_other).cloned().collect(),
        ..BarRequest::default()
    };
    first.fingerprint()
}

/// Whether the vendor accepts it as a symbol, known or not.
pub(super) fn is_symbol(symbol: &str) -> bool {
    symbol.starts_with(|first: char| first.is_ascii_uppercase())
        && (symbol.bytes())
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'.')
}

/// The market's name of a symbol.
pub(super) fn market_symbol(symbol: &str) -> String {
    symbol.replace('.', "-")
}
