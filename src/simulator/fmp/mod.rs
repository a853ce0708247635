//! Financial Modeling Prep: local times, newest first, and silent truncation.

mod json;
mod refusals;
mod request;

use axum::http::{HeaderMap, Uri};
use chrono::{Days, NaiveDate};

use super::fault_kind::{CAPPED_ROWS, FaultKind};
use super::instrument::unit;
use super::quota::{Limits, Tier};
use super::reply::Reply;
use super::row::Row;
use super::service::{Query, Service};
use super::vendor::{BarRequest, Refusal, Vendor};
use crate::calendar;
use crate::model::{DAY_MICROS, Interval, MINUTE_MICROS, Zone};

const GIGABYTE: u64 = 1_000_000_000;

/// The vendor.
pub(super) struct Fmp;

impl Vendor for Fmp {
    fn name(&self) -> &'static str {
        "fmp"
    }

    fn base_path(&self) -> &'static str {
        "/stable"
    }

    fn limits(&self, tier: Tier) -> Limits {
        let (per_minute, per_day, gigabytes) = match tier {
            Tier::Free => (None, Some(250), 1),
            Tier::Starter => (Some(300), None, 20),
            Tier::Premium => (Some(750), None, 50),
            Tier::Ultimate => (Some(3000), None, 150),
        };
        Limits {
            per_minute,
            is_bucket: false,
            per_day,
            bandwidth_bytes: Some(gigabytes * GIGABYTE),
        }
    }

    fn read(&self, uri: &Uri, headers: &HeaderMap) -> Result<BarRequest, Reply> {
        let path = uri.path();
        let path = path.strip_prefix(self.base_path()).unwrap_or(path);
        match path.strip_prefix("/historical-chart/") {
            Some(interval) if !interval.contains('/') => Ok(request::read(uri, headers)),
            _ if path.starts_with("/api/") => Err(self.refuse(Refusal::Legacy)),
            _ => Err(refusals::not_found()),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        refusals::refusal(refusal)
    }

    fn empty(&self, _: &BarRequest) -> Reply {
        Reply::json("[]")
    }

    fn respond(
        &self,
        service: &Service<'_>,
        request: &BarRequest,
        fault: Option<FaultKind>,
    ) -> (Reply, usize) {
        let Some(interval) = request::interval_named(&request.interval) else {
            return (refusals::not_found(), 0);
        };
        if service.world.tier == Some(Tier::Free) {
            return (self.refuse(Refusal::PlanLacksInterval), 0);
        }
        let query = match request::query(request, interval) {
            Ok(query) => query,
            Err(parameter) => return (self.refuse(Refusal::BadQuery(parameter)), 0),
        };
        if service.world.is_premium(&query.symbol) {
            return (self.refuse(Refusal::PlanLacksSymbol), 0);
        }
        match bars(service, query) {
            Ok((rows, zone)) => {
                let rows = newest(&rows, &zone, fault);
                (Reply::json(json::body(rows, &zone)), rows.len())
            }
            Err(error) => (Reply::misuse(error.to_string()), 0),
        }
    }
}

/// All bars of the market in the vendor's form, for a request without a key.
pub(super) fn truth(service: &Service<'_>, uri: &Uri, headers: &HeaderMap) -> Reply {
    let request = request::read(uri, headers);
    let Some(interval) = request::interval_named(&request.interval) else {
        return refusals::not_found();
    };
    let query = match request::query(&request, interval) {
        Ok(query) => query,
        Err(parameter) => return refusals::refusal(Refusal::BadQuery(parameter)),
    };
    match service.bars(&query, |_, _| {}) {
        Ok((rows, instrument)) => Reply::json(json::body(&rows, instrument.calendar.zone())),
        Err(error) => Reply::misuse(error.to_string()),
    }
}

/// Calendar days that a response reaches back.
pub(super) const fn reach_days(interval: Interval) -> u64 {
    match interval {
        Interval::M1 => 3,
        Interval::M5 => 10,
        Interval::M15 => 45,
        Interval::M30 => 30,
        Interval::M60 => 90,
    }
}

/// The bars that the service sends: none before its look-back limit, and with its late openings.
fn bars(service: &Service<'_>, mut query: Query) -> Result<(Vec<Row>, Zone), calendar::Error> {
    let instrument = service.market.instrument(&query.symbol)?;
    let to = query.to.unwrap_or_else(|| service.today(&instrument));
    let earliest = to
        .checked_sub_days(Days::new(reach_days(query.interval) - 1))
        .unwrap_or(to);
    let is_late = query.from.is_some_and(|from| from >= to)
        && query.interval == Interval::M1
        && !query.extended;
    query.from = Some(query.from.map_or(earliest, |from| from.max(earliest)));
    query.to = Some(to);
    let (rows, instrument) = service.bars(&query, |session, minutes| {
        if is_late {
            let late = late_minutes(service, &query.symbol, session.date);
            let opening = session.open.micros() + i64::from(late) * MINUTE_MICROS;
            minutes.retain(|row| row.at >= opening);
        }
    })?;
    Ok((rows, instrument.calendar.zone().clone()))
}

/// How many of the first minutes are missing from a request for that day alone.
fn late_minutes(service: &Service<'_>, symbol: &str, date: NaiveDate) -> u32 {
    let world = service.world;
    if let Some(minutes) = world.late(symbol, date) {
        return minutes;
    }
    let shares = world
        .faults
        .iter()
        .filter(|rule| rule.kind == FaultKind::LateOpening);
    let share = shares
        .map(|rule| rule.share_of_bars(symbol))
        .reduce(f64::max)
        .unwrap_or(world.late_opening);
    let text = format!("{symbol} {date} late");
    let random = xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), service.seed);
    u32::from(unit(random) < share)
}

/// What a truncated response keeps of bars in ascending order.
fn newest<'a>(rows: &'a [Row], zone: &Zone, fault: Option<FaultKind>) -> &'a [Row] {
    let day = |row: &Row| zone.to_local(row.at).div_euclid(DAY_MICROS);
    let start = match (fault, rows.last()) {
        (Some(FaultKind::Truncated), Some(last)) => {
            rows.partition_point(|row| day(row) < day(last))
        }
        (Some(FaultKind::Capped), _) => rows.len().saturating_sub(CAPPED_ROWS),
        _ => 0,
    };
    &rows[start..]
}
