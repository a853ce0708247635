//! The service: which keys are valid, what it responds, what is logged.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Uri};
use chrono::NaiveDate;
use xxhash_rust::xxh3::xxh3_64;

use super::config::Clock;
use super::fault::{BadFault, FaultRule, RequestFacts, When};
use super::fmp;
use super::market::Market;
use super::quota::{Limits, Tier};
use super::reply::Reply;
use super::request_log::{LogEntry, RequestLog};
use super::row::Row;
use super::service::{Query, Service};
use super::spoil::spoiled;
use super::vendor::{BarRequest, FAULT_HEADER, Refusal, Vendor};
use super::world::{Change, World};

/// A key that is never valid, and one whose account is suspended.
const INVALID_KEY: &str = "invalid";
const SUSPENDED_KEY: &str = "suspended";

/// The state of a simulator.
pub(super) struct App {
    pub vendor: &'static dyn Vendor,
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
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        if let Change::Tier(tier) = &change {
            world.limits = limits(self.vendor, *tier);
        }
        world.apply(change)
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
            symbols: &request.symbols,
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
            symbol: request.symbols.join(","),
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
            return (self.vendor.refuse(Refusal::InvalidKey), 0, None);
        };
        if key == SUSPENDED_KEY {
            return (self.vendor.refuse(Refusal::Suspended), 0, None);
        }
        let admitted = self.log().quota.admit(
            xxh3_64(key.as_bytes()),
            &world.limits,
            self.elapsed(world),
            self.today(world),
        );
        if let Err(spent) = admitted {
            return (self.vendor.refuse(Refusal::Spent(spent)), 0, None);
        }
        let fault = match self.fault(world, request, facts) {
            Ok(fault) => fault,
            Err(misuse) => return (misuse, 0, None),
        };
        let kind = fault.as_ref().map(|rule| rule.kind);
        let service = Service {
            calls: self.log().quota.calls(xxh3_64(key.as_bytes())),
            ..self.service(world)
        };
        let (reply, rows) = self.vendor.respond(&service, request, kind);
        let Some(rule) = fault else {
            return (reply, rows, None);
        };
        let (reply, rows) = match rule.kind.is_in_response() {
            true => (reply, rows),
            false => (spoiled(reply, rule.kind, self.vendor, request), 0),
        };
        (reply, rows, Some(rule.to_string()))
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

    fn service<'a>(&'a self, world: &'a World) -> Service<'a> {
        Service {
            market: &self.market,
            world,
            seed: self.seed,
            now: world.now((self.clock)()),
            calls: 0,
        }
    }

    /// All bars that the market has for a query.
    pub(super) fn truth(&self, query: &Query) -> Result<Vec<Row>, crate::calendar::Error> {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let (rows, _) = self.service(&world).bars(query, |_, _| {})?;
        Ok(rows)
    }

    /// The truth in the form of the default provider, for a request without a key.
    pub(super) fn truth_reply(&self, uri: &Uri, headers: &HeaderMap) -> Reply {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        fmp::truth(&self.service(&world), uri, headers)
    }
}

/// What a plan allows; no plan has no limits.
pub(super) fn limits(vendor: &dyn Vendor, tier: Option<Tier>) -> Limits {
    tier.map_or_else(Limits::default, |tier| vendor.limits(tier))
}
