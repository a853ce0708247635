//! The toy provider of the tests (`src/provider/toy.rs`), as an example of a small vendor: several tickers
//! per request, pages, UTC instants, unadjusted prices, always with extended hours. Releases don't have
//! it.

use axum::http::{HeaderMap, Uri};

use super::fault_kind::{CAPPED_ROWS, FaultKind};
use super::quota::{Limits, Tier};
use super::reply::{Reply, TEXT};
use super::row::Row;
use super::service::{Query, Service, combine, local_date};
use super::vendor::{BarRequest, Refusal, Vendor, header, pairs};
use crate::model::Interval;

/// Bars of a page at most.
const PAGE_BARS: usize = 500;

/// The vendor.
pub(super) struct Toy;

impl Vendor for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn limits(&self, _: Tier) -> Limits {
        Limits::default()
    }

    fn read(&self, uri: &Uri, headers: &HeaderMap) -> Result<BarRequest, Reply> {
        let Some(minutes) = uri.path().strip_prefix("/bars/") else {
            return Err(Reply::new(404, TEXT, "there is nothing here"));
        };
        let secret = header(headers, "x-key-secret").filter(|secret| !secret.is_empty());
        let mut request = BarRequest {
            key: secret.and(header(headers, "x-key-id")).map(str::to_owned),
            interval: minutes.to_owned(),
            extended: true,
            nonadjusted: true,
            ..BarRequest::of(headers)
        };
        for (name, value) in pairs(uri) {
            match name.as_str() {
                "tickers" => request.symbols = value.split(',').map(str::to_owned).collect(),
                "from" => request.from = Some(value),
                "before" => request.to = Some(value),
                _ => request.more.push((name, value)),
            }
        }
        Ok(request)
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        match refusal {
            Refusal::InvalidKey | Refusal::Suspended => Reply::new(401, TEXT, "bad key"),
            Refusal::Spent(_) => Reply::new(429, TEXT, "too many requests"),
            Refusal::PlanLacksSymbol => Reply::new(422, TEXT, "it is not a ticker"),
            Refusal::InsideOk => Reply::json(r#"{"error":"odd"}"#),
            Refusal::PlanLacksInterval | Refusal::Legacy => Reply::new(403, TEXT, "no"),
            Refusal::BadQuery(name) => Reply::new(400, TEXT, format!("{name} can't be read")),
        }
    }

    fn empty(&self, _: &BarRequest) -> Reply {
        Reply::json(r#"{"bars":[],"next":null}"#)
    }

    fn respond(
        &self,
        service: &Service<'_>,
        request: &BarRequest,
        fault: Option<FaultKind>,
    ) -> (Reply, usize) {
        let is_malformed =
            |symbol: &&String| symbol.starts_with(|first: char| first.is_ascii_digit());
        if let Some(symbol) = request.symbols.iter().find(is_malformed) {
            return (
                Reply::new(422, TEXT, format!("{symbol} is not a ticker")),
                0,
            );
        }
        let Some(parameters) = Parameters::of(request) else {
            return (self.refuse(Refusal::BadQuery("a parameter")), 0);
        };
        let mut rows: Vec<(&str, Row)> = Vec::new();
        for symbol in &request.symbols {
            match bars(service, symbol, &parameters) {
                Ok(bars) => rows.extend(bars.into_iter().map(|row| (symbol.as_str(), row))),
                Err(error) => return (Reply::misuse(error.to_string()), 0),
            }
        }
        let limit = match fault {
            Some(FaultKind::Capped) => PAGE_BARS.min(CAPPED_ROWS / 2),
            _ => PAGE_BARS,
        };
        let end = (parameters.first + limit).min(rows.len());
        let next = match fault {
            Some(FaultKind::RepeatedPage) => Some(parameters.first),
            _ => (end < rows.len()).then_some(end),
        };
        let page = rows.get(parameters.first..end).unwrap_or_default();
        (Reply::json(body(page, next)), page.len())
    }
}

/// The parameters, read. Instants are in microseconds.
struct Parameters {
    interval: Interval,
    from: i64,
    /// After the last one.
    before: i64,
    /// The first row of the page.
    first: usize,
}

impl Parameters {
    fn of(request: &BarRequest) -> Option<Self> {
        let page = request.more.iter().find(|(name, _)| name == "page");
        Some(Self {
            interval: Interval::from_minutes(request.interval.parse().ok()?)?,
            from: request.from.as_deref()?.parse().ok()?,
            before: request.to.as_deref()?.parse().ok()?,
            first: page.map_or(Some(0), |(_, page)| page.parse().ok())?,
        })
    }
}

/// The bars of one symbol, ascending.
fn bars(
    service: &Service<'_>,
    symbol: &str,
    parameters: &Parameters,
) -> Result<Vec<Row>, crate::calendar::Error> {
    let instrument = service.market.instrument(symbol)?;
    let query = Query {
        symbol: symbol.to_owned(),
        interval: parameters.interval,
        from: Some(local_date(&instrument, parameters.from)),
        to: Some(local_date(&instrument, parameters.before)),
        extended: true,
        adjusted: false,
    };
    let mut minutes = Vec::new();
    service.each_session(&instrument, &query, |_, session| {
        minutes.extend_from_slice(session);
    });
    let mut rows = Vec::new();
    combine(&minutes, &[(0, i64::MAX)], parameters.interval, &mut rows);
    rows.retain(|row| (parameters.from..parameters.before).contains(&row.at));
    service.spoil(symbol, &mut rows);
    Ok(rows)
}

fn body(rows: &[(&str, Row)], next: Option<usize>) -> String {
    let rows: Vec<String> = (rows.iter())
        .map(|(symbol, row)| {
            let Row {
                at,
                open,
                high,
                low,
                close,
                volume,
                ..
            } = row;
            format!(r#"["{symbol}",{at},{open},{high},{low},{close},{volume}]"#)
        })
        .collect();
    let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
    format!(r#"{{"bars":[{}],"next":{next}}}"#, rows.join(","))
}
