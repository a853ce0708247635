//! The service: which keys are valid, what it responds, what is logged.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Uri};
use chrono::NaiveDate;
use xxhash_rust::xxh3::xxh3_64;

use super::config::Clock;
use super::fault::{BadFault, CAPPED_ROWS, FaultKind, FaultRule, RequestFacts, When};
use super::json;
use super::market::Market;
use super::query::{Completeness, Query, bars};
use super::quota::Tier;
use super::reply::Reply;
use super::request::{BarRequest, FAULT_HEADER, interval_named};
use super::request_log::{LogEntry, RequestLog};
use super::row::Row;
use super::world::{Change, World};
use crate::model::{DAY_MICROS, Timestamp, Zone};

/// A key that is never valid, and one whose account is suspended.
const INVALID_KEY: &str = "invalid";
const SUSPENDED_KEY: &str = "suspended";

/// The state of a simulator.
pub(super) struct App {
    pub seed: u64,
    pub clock: Clock,
    pub started: Instant,
    pub keys: Option<Vec<String>>,
    pub market: Market,
    pub world: RwLock<World>,
    pub log: Mutex<RequestLog>,
}

impl App {
    pub(super) fn log(&self) -> MutexGuard<'_, RequestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one change.
    pub(super) fn apply(&self, change: Change) -> Result<(), BadFault> {
        if matches!(change, Change::Reset) {
            self.log().reset();
        }
        self.world
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(change)
    }

    /// The delay of a response.
    pub(super) fn latency(&self) -> Duration {
        self.world
            .read()
            .map_or(Duration::ZERO, |world| world.latency)
    }

    /// Time of the rate counters.
    fn elapsed(&self, world: &World) -> Duration {
        self.started.elapsed() + world.skipped
    }

    fn is_valid(&self, key: &str) -> bool {
        match &self.keys {
            Some(keys) => keys.iter().any(|known| known == key),
            None => !key.is_empty() && key != INVALID_KEY,
        }
    }

    /// Makes the response to a request, and logs it.
    pub(super) fn respond(&self, request: &BarRequest) -> Reply {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let fingerprint = request.fingerprint();
        let (number, repeats) = self.log().count(fingerprint);
        let facts = RequestFacts {
            symbol: &request.symbol,
            fingerprint,
            repeats,
            before: number,
        };
        let (reply, rows, fault) = self.decide(&world, request, &facts);
        let bytes = reply.body.len();
        let elapsed = self.elapsed(&world);
        let mut log = self.log();
        if let Some(key) = &request.key {
            let today = self.today(&world);
            let key = xxh3_64(key.as_bytes());
            log.quota.sent(key, today, bytes as u64);
        }
        log.add(LogEntry {
            number,
            at_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            symbol: request.symbol.clone(),
            interval: request.interval.clone(),
            from: request.from.clone(),
            to: request.to.clone(),
            extended: request.extended,
            nonadjusted: request.nonadjusted,
            status: reply.status,
            rows,
            bytes,
            repeats,
            fault,
        });
        reply
    }

    fn today(&self, world: &World) -> NaiveDate {
        world.now((self.clock)()).to_utc().date_naive()
    }

    /// The response, its number of bars, and the fault that was applied.
    fn decide(
        &self,
        world: &World,
        request: &BarRequest,
        facts: &RequestFacts<'_>,
    ) -> (Reply, usize, Option<String>) {
        let Some(key) = request.key.as_deref().filter(|key| self.is_valid(key)) else {
            return (Reply::invalid_key(), 0, None);
        };
        if key == SUSPENDED_KEY {
            return (Reply::suspended(), 0, None);
        }
        let admitted = self.log().quota.admit(
            xxh3_64(key.as_bytes()),
            &world.limits,
            self.elapsed(world),
            self.today(world),
        );
        if let Err(spent) = admitted {
            return (Reply::spent(spent), 0, None);
        }
        let fault = match self.fault(world, request, facts) {
            Ok(fault) => fault,
            Err(misuse) => return (misuse, 0, None),
        };
        let kind = fault.as_ref().map(|rule| rule.kind);
        let (reply, rows) = self.bars(world, request, kind);
        match fault {
            Some(rule) if rule.kind.is_truncation() => (reply, rows, Some(rule.to_string())),
            Some(rule) => (reply.spoiled(rule.kind), 0, Some(rule.to_string())),
            None => (reply, rows, None),
        }
    }

    /// The fault to apply: the request's own, else the first of the plan.
    fn fault(
        &self,
        world: &World,
        request: &BarRequest,
        facts: &RequestFacts<'_>,
    ) -> Result<Option<FaultRule>, Reply> {
        let own: Option<FaultRule> = request
            .fault
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error: BadFault| Reply::misuse(format!("{FAULT_HEADER}: {error}")))?
            .map(|rule: FaultRule| match rule.when {
                // A header is about its own request, so it counts only that one.
                When::First(count) => FaultRule {
                    when: When::Each(count),
                    ..rule
                },
                _ => rule,
            });
        Ok(own
            .iter()
            .chain(&world.faults)
            .filter(|rule| !rule.kind.is_in_data())
            .find(|rule| rule.applies_to(self.seed, facts))
            .cloned())
    }

    fn bars(
        &self,
        world: &World,
        request: &BarRequest,
        fault: Option<FaultKind>,
    ) -> (Reply, usize) {
        let Some(interval) = interval_named(&request.interval) else {
            return (Reply::not_found(), 0);
        };
        if world.tier == Some(Tier::Free) {
            return (Reply::restricted(), 0);
        }
        let query = match request.query(interval) {
            Ok(query) => query,
            Err(parameter) => return (Reply::bad_query(parameter), 0),
        };
        if world.is_premium(&query.symbol) {
            return (Reply::premium_symbol(), 0);
        }
        let now = world.now((self.clock)());
        match bars(
            &self.market,
            world,
            self.seed,
            &query,
            now,
            Completeness::AsSent,
        ) {
            Ok((rows, instrument)) => {
                let zone = instrument.calendar.zone();
                let rows = newest(&rows, zone, fault);
                (Reply::json(json::body(rows, zone)), rows.len())
            }
            Err(error) => (Reply::misuse(error.to_string()), 0),
        }
    }

    /// All bars that the service has for a query, even what it would leave out.
    pub(super) fn truth(&self, query: &Query) -> Result<Vec<Row>, crate::calendar::Error> {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let now: Timestamp = world.now((self.clock)());
        bars(
            &self.market,
            &world,
            self.seed,
            query,
            now,
            Completeness::All,
        )
        .map(|(rows, _)| rows)
    }

    /// The truth in the service's form, for a request without a key.
    pub(super) fn truth_reply(&self, uri: &Uri, headers: &HeaderMap) -> Reply {
        let request = BarRequest::read(uri, headers);
        let Some(interval) = interval_named(&request.interval) else {
            return Reply::not_found();
        };
        let query = match request.query(interval) {
            Ok(query) => query,
            Err(parameter) => return Reply::bad_query(parameter),
        };
        let zone = self.market.instrument(&query.symbol);
        match zone.and_then(|instrument| self.truth(&query).map(|rows| (rows, instrument))) {
            Ok((rows, instrument)) => Reply::json(json::body(&rows, instrument.calendar.zone())),
            Err(error) => Reply::misuse(error.to_string()),
        }
    }
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
