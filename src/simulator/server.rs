//! The service over HTTP: who may ask, what is answered, what is noted down.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::{any, get};
use chrono::NaiveDate;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::{DAY_MICROS, Timestamp, Zone};

use super::asking::{Asking, interval_named};
use super::fault::{Asked, BadFault, CAPPED_ROWS, FaultKind, FaultRule, When};
use super::market::{Market, Row};
use super::query::{Manner, Query, answer};
use super::quota::{Quota, Tier};
use super::reply::Reply;
use super::wire::Wire;
use super::world::World;
use super::{Clock, json};

/// The header by which a test asks for a fault of this one request.
pub const FAULT_HEADER: &str = "x-simulator-fault";
/// Log entries kept; the oldest go first.
const LOG_ENTRIES_MAX: usize = 200_000;
/// Distinct requests whose repeats are counted.
const FINGERPRINTS_MAX: usize = 4_000_000;
/// A key that is never valid, and one whose account is suspended.
const INVALID_KEY: &str = "invalid";
const SUSPENDED_KEY: &str = "suspended";

/// One request as it was met and answered. Keys are never noted.
#[derive(Clone, Debug, Serialize)]
pub struct LogEntry {
    /// Counted from 0.
    pub number: u64,
    /// Milliseconds since the simulator started, by its own counters' time.
    pub at_ms: u64,
    /// The symbol asked for.
    pub symbol: String,
    /// The interval as it stood in the address.
    pub interval: String,
    /// `from`, as it was asked.
    pub from: Option<String>,
    /// `to`, as it was asked.
    pub to: Option<String>,
    /// Extended hours were asked for.
    pub extended: bool,
    /// Unadjusted prices were asked for.
    pub nonadjusted: bool,
    /// Status of the answer.
    pub status: u16,
    /// Bars in the answer.
    pub rows: usize,
    /// Length of the whole body.
    pub bytes: usize,
    /// How often the same was asked before.
    pub repeats: u64,
    /// The fault that struck.
    pub fault: Option<String>,
}

/// What was counted since the start or the last reset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counters {
    /// Requests for bars.
    pub requests: u64,
    /// Requests by the status of their answer.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that a fault struck.
    pub faults: u64,
    /// Bars sent.
    pub rows: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// The most that were answered at once.
    pub in_flight_peak: u64,
    /// The most that one key was let in within 60 seconds.
    pub per_minute_peak: u64,
}

/// Everything behind the address.
pub(super) struct App {
    pub seed: u64,
    pub clock: Clock,
    pub started: Instant,
    pub keys: Option<Vec<String>>,
    pub market: Market,
    pub world: RwLock<World>,
    pub book: Mutex<Book>,
}

/// What is noted down.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub counters: Counters,
    pub log: VecDeque<LogEntry>,
    quota: Quota,
    repeats: HashMap<u64, u64>,
    next: u64,
}

impl Book {
    /// Starts anew; what is in flight stays in flight.
    pub(super) fn reset(&mut self) {
        let in_flight = self.counters.in_flight;
        *self = Self::default();
        self.counters.in_flight = in_flight;
    }
}

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/stable/historical-chart/{interval}", get(chart))
        .route("/historical-chart/{interval}", get(chart))
        .route("/api/{*rest}", any(legacy))
        .route(
            "/simulator",
            get(super::control::state).post(super::control::change),
        )
        .route("/simulator/log", get(super::control::log))
        .route("/simulator/bars/{interval}", get(super::control::truth))
        .fallback(unknown)
        .with_state(app)
}

async fn legacy(ConnectInfo(wire): ConnectInfo<Wire>) -> Response<Body> {
    Reply::legacy().send(&wire).await
}

async fn unknown(ConnectInfo(wire): ConnectInfo<Wire>) -> Response<Body> {
    Reply::not_found().send(&wire).await
}

/// Counts a request as in flight until it is answered or given up.
struct InFlight(Arc<App>);

impl InFlight {
    fn enter(app: Arc<App>) -> Self {
        let mut book = app.book();
        book.counters.in_flight += 1;
        book.counters.in_flight_peak = book.counters.in_flight_peak.max(book.counters.in_flight);
        drop(book);
        Self(app)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.book().counters.in_flight -= 1;
    }
}

async fn chart(
    State(app): State<Arc<App>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response<Body> {
    let _in_flight = InFlight::enter(app.clone());
    let asked_at = tokio::time::Instant::now();
    let asking = Asking::read(request.uri(), request.headers());
    let latency = app
        .world
        .read()
        .map_or(Duration::ZERO, |world| world.latency);
    let reply = app.answer(&asking);
    if !latency.is_zero() {
        // Making the answer is part of the time that it takes.
        tokio::time::sleep_until(asked_at + latency).await;
    }
    reply.send(&wire).await
}

impl App {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Answers a request, and notes it down.
    fn answer(&self, asking: &Asking) -> Reply {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let fingerprint = asking.fingerprint();
        let (number, repeats) = {
            let mut book = self.book();
            let number = book.next;
            book.next += 1;
            if book.repeats.len() >= FINGERPRINTS_MAX {
                book.repeats.clear();
            }
            let count = book.repeats.entry(fingerprint).or_default();
            *count += 1;
            (number, *count - 1)
        };
        let asked = Asked {
            symbol: &asking.symbol,
            fingerprint,
            repeats,
            before: number,
        };
        let (reply, rows, fault) = self.decide(&world, asking, &asked);
        let bytes = reply.body.len();
        let elapsed = self.elapsed(&world);
        let mut book = self.book();
        if let Some(key) = &asking.key {
            let today = self.today(&world);
            book.quota
                .sent(xxh3_64(key.as_bytes()), today, bytes as u64);
        }
        let peak = book.quota.peak_per_minute as u64;
        let counters = &mut book.counters;
        counters.requests += 1;
        *counters.by_status.entry(reply.status).or_default() += 1;
        counters.faults += u64::from(fault.is_some());
        counters.rows += rows as u64;
        counters.bytes += bytes as u64;
        counters.per_minute_peak = peak;
        if book.log.len() >= LOG_ENTRIES_MAX {
            book.log.pop_front();
        }
        book.log.push_back(LogEntry {
            number,
            at_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            symbol: asking.symbol.clone(),
            interval: asking.interval.clone(),
            from: asking.from.clone(),
            to: asking.to.clone(),
            extended: asking.extended,
            nonadjusted: asking.nonadjusted,
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

    /// The answer, how many bars are in it, and the fault that struck.
    fn decide(
        &self,
        world: &World,
        asking: &Asking,
        asked: &Asked<'_>,
    ) -> (Reply, usize, Option<String>) {
        let Some(key) = asking.key.as_deref().filter(|key| self.is_valid(key)) else {
            return (Reply::invalid_key(), 0, None);
        };
        if key == SUSPENDED_KEY {
            return (Reply::suspended(), 0, None);
        }
        let admitted = self.book().quota.admit(
            xxh3_64(key.as_bytes()),
            &world.limits,
            self.elapsed(world),
            self.today(world),
        );
        if let Err(spent) = admitted {
            return (Reply::spent(spent), 0, None);
        }
        let fault = match self.fault(world, asking, asked) {
            Ok(fault) => fault,
            Err(misuse) => return (misuse, 0, None),
        };
        let kind = fault.as_ref().map(|rule| rule.kind);
        let (reply, rows) = self.bars(world, asking, kind);
        match fault {
            Some(rule) if rule.kind.is_truncation() => (reply, rows, Some(rule.to_string())),
            Some(rule) => (reply.spoiled(rule.kind), 0, Some(rule.to_string())),
            None => (reply, rows, None),
        }
    }

    /// The fault that strikes: the request's own, else the first of the plan.
    fn fault(
        &self,
        world: &World,
        asking: &Asking,
        asked: &Asked<'_>,
    ) -> Result<Option<FaultRule>, Reply> {
        let own: Option<FaultRule> = asking
            .fault
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error: BadFault| Reply::misuse(format!("{FAULT_HEADER}: {error}")))?
            .map(|rule: FaultRule| match rule.when {
                // A header speaks of its own request, so its count is that request's.
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
            .find(|rule| rule.strikes(self.seed, asked))
            .cloned())
    }

    fn bars(&self, world: &World, asking: &Asking, fault: Option<FaultKind>) -> (Reply, usize) {
        let Some(interval) = interval_named(&asking.interval) else {
            return (Reply::not_found(), 0);
        };
        if world.tier == Some(Tier::Free) {
            return (Reply::restricted(), 0);
        }
        let query = match asking.query(interval) {
            Ok(query) => query,
            Err(parameter) => return (Reply::bad_query(parameter), 0),
        };
        if world.is_premium(&query.symbol) {
            return (Reply::premium_symbol(), 0);
        }
        let now = world.now((self.clock)());
        match answer(&self.market, world, self.seed, &query, now, Manner::Service) {
            Ok((rows, instrument)) => {
                let zone = instrument.calendar.zone();
                let rows = newest(&rows, zone, fault);
                (Reply::json(json::body(rows, zone)), rows.len())
            }
            Err(error) => (Reply::misuse(error.to_string()), 0),
        }
    }

    /// All bars that the service has for a question, whatever it would answer.
    pub(super) fn truth(&self, query: &Query) -> Result<Vec<Row>, crate::calendar::Error> {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let now: Timestamp = world.now((self.clock)());
        answer(&self.market, &world, self.seed, query, now, Manner::Truth).map(|(rows, _)| rows)
    }

    /// The truth as the service would write it, for a request without a key.
    pub(super) fn truth_reply(&self, uri: &Uri, headers: &HeaderMap) -> Reply {
        let asking = Asking::read(uri, headers);
        let Some(interval) = interval_named(&asking.interval) else {
            return Reply::not_found();
        };
        let query = match asking.query(interval) {
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

/// What a truncated answer keeps of bars in ascending order.
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
