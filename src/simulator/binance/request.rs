//! The vendor's addresses and parameters.

use axum::http::{HeaderMap, Uri};
use chrono::{Months, NaiveDate};

use super::refusals;
use crate::model::{DAY_MICROS, Interval, date_micros};
use crate::simulator::reply::Reply;
use crate::simulator::vendor::{BarRequest, header, pairs};

/// Klines of a page by default, and at most.
const LIMIT_DEFAULT: usize = 500;
const LIMIT_MAX: usize = 1_000;

/// Times of at least this size are microseconds.
const MICROS_MIN: i64 = 100_000_000_000_000;

/// A request for klines, or for a file of them.
pub(super) struct Wanted {
    pub symbol: String,
    pub interval: Interval,
    pub wants: Wants,
}

pub(super) enum Wants {
    Klines(PageOf),
    File(FileOf),
}

/// A page over REST. Instants are in microseconds, both included.
pub(super) struct PageOf {
    pub start: Option<i64>,
    pub end: Option<i64>,
    pub limit: usize,
    /// Whether the response has microseconds.
    pub micros: bool,
}

/// A file. Instants are in microseconds.
pub(super) struct FileOf {
    pub start: i64,
    pub end: i64,
    pub is_month: bool,
    pub is_checksum: bool,
    /// Without `.CHECKSUM`.
    pub name: String,
}

/// Reads `/api/v3/klines?…` and `/data/spot/{daily|monthly}/klines/{symbol}/{interval}/{file}`; `None`
/// for any other address.
pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Option<BarRequest> {
    let mut request = BarRequest {
        // All requests of an address count together.
        key: Some("address".to_owned()),
        ..BarRequest::of(headers)
    };
    if uri.path() == "/api/v3/klines" {
        for (name, value) in pairs(uri) {
            match name.as_str() {
                "symbol" => request.symbols = vec![value],
                "interval" => request.interval = value,
                "startTime" => request.from = Some(value),
                "endTime" => request.to = Some(value),
                _ => request.more.push((name, value)),
            }
        }
        if header(headers, "x-mbx-time-unit")
            .is_some_and(|unit| unit.eq_ignore_ascii_case("microsecond"))
        {
            request
                .more
                .push(("unit".to_owned(), "microsecond".to_owned()));
        }
        return Some(request);
    }
    let parts: Vec<&str> = uri.path().split('/').collect();
    let ["", "data", "spot", period, "klines", symbol, interval, name] = parts[..] else {
        return None;
    };
    // Files have no weight.
    request.key = Some("files".to_owned());
    request.symbols = vec![symbol.to_owned()];
    request.interval = interval.to_owned();
    request.more = vec![
        ("period".to_owned(), period.to_owned()),
        ("file".to_owned(), name.to_owned()),
    ];
    Some(request)
}

pub(super) fn is_file(request: &BarRequest) -> bool {
    more(request, "file").is_some()
}

fn more<'a>(request: &'a BarRequest, name: &str) -> Option<&'a str> {
    let (_, value) = request.more.iter().find(|(known, _)| known == name)?;
    Some(value)
}

impl Wanted {
    /// The parameters, or the refusal.
    pub(super) fn of(request: &BarRequest) -> Result<Self, Reply> {
        if is_file(request) {
            return Self::file(request).ok_or_else(refusals::no_file);
        }
        let missing = |name: &'static str| refusals::missing(name);
        let symbol = request.symbols.first().ok_or_else(|| missing("symbol"))?;
        if symbol.is_empty()
            || !symbol
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            return Err(refusals::illegal_symbol());
        }
        if request.interval.is_empty() {
            return Err(missing("interval"));
        }
        let interval = interval(&request.interval).ok_or_else(refusals::invalid_interval)?;
        let time = |text: &Option<String>, name| match text {
            None => Ok(None),
            Some(text) => match text.parse::<i64>() {
                Ok(at) if at >= MICROS_MIN => Ok(Some(at)),
                Ok(at) => Ok(at.checked_mul(1_000)),
                Err(_) => Err(missing(name)),
            },
        };
        let limit = match more(request, "limit") {
            Some(limit) => limit.parse().map_err(|_| missing("limit"))?,
            None => LIMIT_DEFAULT,
        };
        Ok(Self {
            symbol: symbol.clone(),
            interval,
            wants: Wants::Klines(PageOf {
                start: time(&request.from, "startTime")?,
                end: time(&request.to, "endTime")?,
                limit: limit.clamp(1, LIMIT_MAX),
                micros: more(request, "unit").is_some(),
            }),
        })
    }

    fn file(request: &BarRequest) -> Option<Self> {
        let symbol = request.symbols.first()?;
        let typed = more(request, "file")?;
        let name = typed.strip_suffix(".CHECKSUM").unwrap_or(typed);
        let date = name
            .strip_suffix(".zip")?
            .strip_prefix(&format!("{symbol}-{}-", request.interval))?;
        let is_month = more(request, "period")? == "monthly";
        let (start, end) = match is_month {
            true => {
                let first: NaiveDate = format!("{date}-01").parse().ok()?;
                let next = first.checked_add_months(Months::new(1))?;
                (date_micros(first), date_micros(next))
            }
            false => {
                let date = date_micros(date.parse().ok()?);
                (date, date + DAY_MICROS)
            }
        };
        Some(Self {
            symbol: symbol.clone(),
            interval: interval(&request.interval)?,
            wants: Wants::File(FileOf {
                start,
                end,
                is_month,
                is_checksum: typed != name,
                name: name.to_owned(),
            }),
        })
    }
}

/// Those intervals of the vendor that a store has.
fn interval(text: &str) -> Option<Interval> {
    Some(match text {
        "1m" => Interval::M1,
        "5m" => Interval::M5,
        "15m" => Interval::M15,
        "30m" => Interval::M30,
        "1h" => Interval::M60,
        _ => return None,
    })
}
