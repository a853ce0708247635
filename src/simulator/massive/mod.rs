//! Massive: UTC instants, always with extended hours, minutes counted against a limit, and pages.

mod json;
mod refusals;
mod request;

use axum::http::{HeaderMap, Uri};
use chrono::Months;

use self::request::Aggregates;
use super::fault_kind::{CAPPED_ROWS, FaultKind};
use super::instrument::Instrument;
use super::quota::{Limits, Tier};
use super::reply::Reply;
use super::row::Row;
use super::service::{Query, Service, combine, local_date};
use super::vendor::{BarRequest, Refusal, Vendor};
use crate::model::{MINUTE_MICROS, date_micros};

/// The vendor.
pub(super) struct Massive;

/// How late the bars of a delayed plan are.
const DELAY_MICROS: i64 = 15 * MINUTE_MICROS;

impl Vendor for Massive {
    fn name(&self) -> &'static str {
        "massive"
    }

    fn limits(&self, tier: Tier) -> Limits {
        Limits {
            per_minute: (tier == Tier::Free).then_some(5),
            ..Limits::default()
        }
    }

    fn read(&self, uri: &Uri, headers: &HeaderMap) -> Result<BarRequest, Reply> {
        request::read(uri, headers).ok_or_else(refusals::not_found)
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        refusals::refusal(refusal)
    }

    fn empty(&self, request: &BarRequest) -> Reply {
        json::empty(request)
    }

    fn respond(
        &self,
        service: &Service<'_>,
        request: &BarRequest,
        fault: Option<FaultKind>,
    ) -> (Reply, usize) {
        let aggregates = match Aggregates::of(request) {
            Ok(aggregates) => aggregates,
            Err(parameter) => return (self.refuse(Refusal::BadQuery(parameter)), 0),
        };
        let symbol = request::market_symbol(&request.symbols[0]);
        if service
            .world
            .is_premium(symbol.as_deref().unwrap_or_default())
        {
            return (self.refuse(Refusal::PlanLacksSymbol), 0);
        }
        let Some(symbol) = symbol else {
            return (json::empty(request), 0);
        };
        let instrument = match service.market.instrument(&symbol) {
            Ok(instrument) => instrument,
            Err(error) => return (Reply::misuse(error.to_string()), 0),
        };
        let Some(available) = Available::of(service, &instrument, &aggregates) else {
            return (self.refuse(Refusal::PlanLacksInterval), 0);
        };
        let minutes = minutes(service, &instrument, &symbol, &aggregates, &available);
        let limit = match fault {
            Some(FaultKind::Capped) => aggregates.limit.min(CAPPED_ROWS),
            _ => aggregates.limit,
        };
        let (used, rest) = minutes.split_at(limit.min(minutes.len()));
        let mut rows = Vec::new();
        combine(used, &[(0, i64::MAX)], aggregates.interval, &mut rows);
        let mut next = None;
        if let Some(first) = rest.first() {
            // A bar whose minutes the limit cuts is left to the next page.
            let slot = first.at - first.at.rem_euclid(aggregates.interval.micros());
            rows.retain(|row| row.at < slot);
            next = Some(slot);
        }
        service.spoil(&symbol, &mut rows);
        let page = json::Page {
            rows: &rows,
            minutes: used.len(),
            next: match fault {
                Some(FaultKind::RepeatedPage | FaultKind::ForeignPage) => Some(aggregates.from),
                _ => next,
            },
            is_delayed: available.is_delayed,
            fault,
        };
        (json::page(request, &aggregates, &page), rows.len())
    }
}

/// What a plan has of a request.
struct Available {
    /// The first instant.
    start: i64,
    /// After the last one.
    end: i64,
    is_delayed: bool,
}

impl Available {
    /// `None` if the plan has nothing of the requested dates.
    fn of(service: &Service<'_>, instrument: &Instrument, aggregates: &Aggregates) -> Option<Self> {
        let (years, delay) = match service.world.tier {
            None | Some(Tier::Ultimate) => (None, 0),
            Some(Tier::Free) => (Some(2), 0),
            Some(Tier::Starter) => (Some(5), DELAY_MICROS),
            Some(Tier::Premium) => (Some(10), DELAY_MICROS),
        };
        let today = service.today(instrument);
        let midnight = |date| (instrument.calendar.zone().from_local(date_micros(date))).earliest();
        let is_free = service.world.tier == Some(Tier::Free);
        if is_free && local_date(instrument, aggregates.to) >= today {
            return None;
        }
        let start = years
            .and_then(|years| today.checked_sub_months(Months::new(12 * years)))
            .map_or(i64::MIN, midnight);
        (aggregates.to >= start).then_some(Self {
            start,
            end: service.now.micros() - delay,
            is_delayed: delay > 0,
        })
    }
}

/// The minutes of a request, ascending.
fn minutes(
    service: &Service<'_>,
    instrument: &Instrument,
    symbol: &str,
    aggregates: &Aggregates,
    available: &Available,
) -> Vec<Row> {
    let query = Query {
        symbol: symbol.to_owned(),
        interval: aggregates.interval,
        from: Some(local_date(instrument, aggregates.from)),
        to: Some(local_date(instrument, aggregates.to)),
        extended: true,
        adjusted: aggregates.adjusted,
    };
    let from = aggregates.from.max(available.start);
    let mut all = Vec::new();
    service.each_session(instrument, &query, |_, minutes| {
        let wanted =
            |row: &&Row| from <= row.at && row.at <= aggregates.to && row.at < available.end;
        all.extend(minutes.iter().filter(wanted));
    });
    all
}
