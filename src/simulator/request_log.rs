//! The log of the simulator's requests.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

use super::quota::Quota;

/// Log entries kept; the oldest are removed first.
const LOG_ENTRIES_MAX: usize = 200_000;
/// Distinct requests whose repeats are counted.
const FINGERPRINTS_MAX: usize = 4_000_000;

/// One request and its response. It contains no key.
#[derive(Clone, Debug, Serialize)]
pub struct LogEntry {
    /// Counted from 0.
    pub number: u64,
    /// Milliseconds since the start, with those that a test skipped.
    pub at_ms: u64,
    /// The requested symbol.
    pub symbol: String,
    /// The interval as it is in the URL.
    pub interval: String,
    /// `from` as it is in the URL.
    pub from: Option<String>,
    /// `to` as it is in the URL.
    pub to: Option<String>,
    /// Whether extended hours were requested.
    pub extended: bool,
    /// Whether unadjusted prices were requested.
    pub nonadjusted: bool,
    /// Status of the response.
    pub status: u16,
    /// Bars in the response.
    pub rows: usize,
    /// Length of the whole body.
    pub bytes: usize,
    /// How many equal requests came before.
    pub repeats: u64,
    /// The fault that was applied.
    pub fault: Option<String>,
}

/// The counts since the start or the last reset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counters {
    /// Requests for bars.
    pub requests: u64,
    /// Requests by the status of their response.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests to which a fault was applied.
    pub faults: u64,
    /// Bars sent.
    pub rows: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Maximum of `in_flight`.
    pub in_flight_peak: u64,
    /// Maximum of requests that one key was allowed within 60 seconds.
    pub per_minute_peak: u64,
}

/// The log, the counters and the quota of each key.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    pub counters: Counters,
    pub entries: VecDeque<LogEntry>,
    pub quota: Quota,
    repeats: HashMap<u64, u64>,
    next: u64,
}

impl RequestLog {
    /// Empties the log; requests in flight stay in flight.
    pub(super) fn reset(&mut self) {
        let in_flight = self.counters.in_flight;
        *self = Self::default();
        self.counters.in_flight = in_flight;
    }

    /// Counts a request as in flight.
    pub(super) fn enter(&mut self) {
        self.counters.in_flight += 1;
        self.counters.in_flight_peak = self.counters.in_flight_peak.max(self.counters.in_flight);
    }

    /// Counts a request as done.
    pub(super) fn leave(&mut self) {
        self.counters.in_flight -= 1;
    }

    /// Counts a request, and returns its number and how many equal ones came before.
    pub(super) fn count(&mut self, fingerprint: u64) -> (u64, u64) {
        let number = self.next;
        self.next += 1;
        if self.repeats.len() >= FINGERPRINTS_MAX {
            self.repeats.clear();
        }
        let count = self.repeats.entry(fingerprint).or_default();
        *count += 1;
        (number, *count - 1)
    }

    /// Adds a response.
    pub(super) fn add(&mut self, entry: LogEntry) {
        let counters = &mut self.counters;
        counters.requests += 1;
        *counters.by_status.entry(entry.status).or_default() += 1;
        counters.faults += u64::from(entry.fault.is_some());
        counters.rows += entry.rows as u64;
        counters.bytes += entry.bytes as u64;
        counters.per_minute_peak = self.quota.peak_per_minute as u64;
        if self.entries.len() >= LOG_ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}
