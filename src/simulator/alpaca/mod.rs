//! Alpaca: many symbols per request, UTC instants, always with extended hours, and pages that end
//! anywhere.

mod json;
mod refusals;
mod request;

use axum::http::{HeaderMap, Uri};

use self::request::{Parameters, Token};
use super::fault_kind::{CAPPED_ROWS, FaultKind};
use super::instrument::{Instrument, mix};
use super::quota::{Limits, Tier};
use super::reply::Reply;
use super::row::Row;
use super::service::{Query, Service, combine, local_date};
use super::vendor::{BarRequest, Refusal, Vendor};
use crate::model::MINUTE_MICROS;

/// The vendor.
pub(super) struct Alpaca;

/// What plans without real-time data withhold of the feed `sip`.
const DELAY_MICROS: i64 = 15 * MINUTE_MICROS;

impl Vendor for Alpaca {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn limits(&self, tier: Tier) -> Limits {
        Limits {
            per_minute: Some(if tier == Tier::Free { 200 } else { 10_000 }),
            is_bucket: true,
            ..Limits::default()
        }
    }

    fn read(&self, uri: &Uri, headers: &HeaderMap) -> Result<BarRequest, Reply> {
        request::read(uri, headers).ok_or_else(refusals::not_found)
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        refusals::refusal(refusal)
    }

    fn empty(&self, _: &BarRequest) -> Reply {
        Reply::json(r#"{"bars":null,"next_page_token":null}"#)
    }

    fn respond(
        &self,
        service: &Service<'_>,
        request: &BarRequest,
        fault: Option<FaultKind>,
    ) -> (Reply, usize) {
        let parameters = match Parameters::of(request) {
            Ok(parameters) => parameters,
            Err(message) => return (refusals::bad(&message), 0),
        };
        let is_refused = |symbol: &&String| {
            !request::is_symbol(symbol) || service.world.is_premium(&request::market_symbol(symbol))
        };
        if let Some(symbol) = request.symbols.iter().find(is_refused) {
            return (refusals::bad(&format!("invalid symbol: {symbol}")), 0);
        }
        let is_delayed = service.world.tier == Some(Tier::Free) && !parameters.is_iex;
        if is_delayed && parameters.end > service.now.micros() - DELAY_MICROS {
            return (self.refuse(Refusal::PlanLacksInterval), 0);
        }
        let limit = match fault {
            Some(FaultKind::Capped) => parameters.limit.min(CAPPED_ROWS),
            _ => parameters.limit,
        };
        match page(service, request, &parameters, limit) {
            Ok(page) => {
                let token = match fault {
                    Some(FaultKind::RepeatedPage) => Some(parameters.token_text(request)),
                    _ => page.next.map(|token| token.text(request)),
                };
                let rows = page.series.iter().map(|(_, rows)| rows.len()).sum();
                (json::page(&page.series, token.as_deref(), fault), rows)
            }
            Err(error) => (Reply::misuse(error.to_string()), 0),
        }
    }
}

/// The bars of a page.
struct Page {
    series: Vec<(String, Vec<Row>)>,
    next: Option<Token>,
}

/// Fills a page with `limit` bars: symbol by symbol in alphabetical order, from the token's bar on.
fn page(
    service: &Service<'_>,
    request: &BarRequest,
    parameters: &Parameters,
    limit: usize,
) -> Result<Page, crate::calendar::Error> {
    let mut symbols = request.symbols.clone();
    symbols.sort_unstable();
    symbols.dedup();
    let mut page = Page {
        series: Vec::new(),
        next: None,
    };
    let mut left = limit;
    for symbol in symbols {
        let after = match &parameters.token {
            Some(token) if symbol < token.symbol => continue,
            Some(token) if symbol == token.symbol => token.at,
            _ => i64::MIN,
        };
        let market_symbol = request::market_symbol(&symbol);
        let instrument = service.market.instrument(&market_symbol)?;
        let mut rows = bars(service, &instrument, &market_symbol, parameters);
        rows.retain(|row| row.at > after);
        if rows.len() > left {
            rows.truncate(left);
            // The symbol has more bars, or none on this page.
            page.next = Some(match (rows.last(), page.series.last()) {
                (Some(row), _) => Token::new(&symbol, row.at),
                (None, Some((symbol, rows))) => {
                    Token::new(symbol, rows.last().map_or(0, |row| row.at))
                }
                (None, None) => Token::new(&symbol, after),
            });
        }
        left -= rows.len();
        if !rows.is_empty() {
            service.spoil(&market_symbol, &mut rows);
            page.series.push((symbol, rows));
        }
        if page.next.is_some() {
            break;
        }
    }
    Ok(page)
}

/// The bars of one symbol, ascending.
fn bars(
    service: &Service<'_>,
    instrument: &Instrument,
    symbol: &str,
    parameters: &Parameters,
) -> Vec<Row> {
    let last = parameters.end.saturating_add(parameters.interval.micros());
    let query = Query {
        symbol: symbol.to_owned(),
        interval: parameters.interval,
        from: Some(local_date(instrument, parameters.start)),
        to: Some(local_date(instrument, last)),
        extended: true,
        adjusted: parameters.is_adjusted,
    };
    let mut minutes = Vec::new();
    service.each_session(instrument, &query, |_, session| {
        minutes.extend_from_slice(session);
    });
    if parameters.is_iex {
        // One exchange has trades in some of the minutes.
        minutes.retain(|row| mix(instrument.key ^ row.at as u64) & 3 != 0);
    }
    let mut rows = Vec::new();
    combine(&minutes, &[(0, i64::MAX)], parameters.interval, &mut rows);
    rows.retain(|row| (parameters.start..=parameters.end).contains(&row.at));
    rows
}
