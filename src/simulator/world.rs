//! What a test can change in a running simulator.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

use crate::model::{MINUTE_MICROS, Timestamp};

use super::fault::{BadFault, FaultRule};
use super::instrument::Split;
use super::quota::{Limits, Tier};

/// One change of the world. Over HTTP: `POST /simulator` with one change or a list of them, as
/// `{"holes": {"symbol": "AAPL", "dates": ["2025-01-03"]}}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// Stop the clock at this instant; with null it runs again.
    Clock(Option<DateTime<Utc>>),
    /// Skip this many seconds, for the clock and the rate counters.
    AdvanceSeconds(u64),
    /// Replace the fault plan.
    Faults(Vec<String>),
    /// Remove the bars of dates or minutes of a symbol.
    Holes {
        symbol: String,
        /// Whole exchange-local dates.
        #[serde(default)]
        dates: Vec<NaiveDate>,
        /// Single minutes.
        #[serde(default)]
        minutes: Vec<DateTime<Utc>>,
    },
    /// Restore all bars of a symbol.
    FillHoles { symbol: String },
    /// Leave the first minutes out of requests for that day alone.
    LateOpening {
        symbol: String,
        /// The exchange-local date.
        date: NaiveDate,
        /// How many minutes are missing.
        minutes: u32,
    },
    /// Revise history: each epoch changes about one bar in a hundred.
    Revision(u32),
    /// Add a split at the opening of `date`.
    Split {
        symbol: String,
        /// The exchange-local date.
        date: NaiveDate,
        /// New shares for an old one: 4 is 4:1, 0.1 a reverse split of 1:10.
        ratio: f64,
    },
    /// Replace the list of unknown symbols.
    Unknown(Vec<String>),
    /// Replace the list of symbols that the plan lacks.
    Premium(Vec<String>),
    /// Change the plan; null removes all limits.
    Tier(Option<Tier>),
    /// Change the limits; those left out are removed.
    Limits {
        /// Calls in any 60 seconds.
        per_minute: Option<u32>,
        /// Calls per day.
        per_day: Option<u32>,
        /// Bytes in 30 days.
        bandwidth_bytes: Option<u64>,
    },
    /// Change the delay of every response.
    LatencyMs(u64),
    /// Clear the request log and all counters.
    Reset,
}

/// The missing bars of a symbol.
#[derive(Clone, Debug, Default)]
pub(super) struct Holes {
    dates: HashSet<NaiveDate>,
    minutes: HashSet<i64>,
}

impl Holes {
    pub(super) fn has_date(&self, date: NaiveDate) -> bool {
        self.dates.contains(&date)
    }

    pub(super) fn has_minute(&self, at: i64) -> bool {
        self.minutes.contains(&at)
    }
}

/// The state that changes act on.
#[derive(Debug, Default)]
pub(super) struct World {
    fixed: Option<Timestamp>,
    /// What was skipped by [`Change::AdvanceSeconds`].
    pub skipped: Duration,
    pub faults: Vec<FaultRule>,
    holes: HashMap<String, Holes>,
    late: HashMap<(String, NaiveDate), u32>,
    pub late_opening: f64,
    pub revision: u32,
    splits: HashMap<String, Vec<Split>>,
    unknown: HashSet<String>,
    premium: HashSet<String>,
    pub tier: Option<Tier>,
    pub limits: Limits,
    pub latency: Duration,
}

impl World {
    /// The state at the start.
    pub(super) fn new(
        faults: Vec<FaultRule>,
        late_opening: f64,
        (tier, limits): (Option<Tier>, Limits),
        latency: Duration,
    ) -> Self {
        Self {
            faults,
            late_opening,
            tier,
            limits,
            latency,
            ..Self::default()
        }
    }

    /// Makes a change. [`Change::Reset`] concerns the counters and changes nothing here, and the
    /// limits of [`Change::Tier`] are the caller's to set.
    pub(super) fn apply(&mut self, change: Change) -> Result<(), BadFault> {
        let upper =
            |symbols: Vec<String>| symbols.iter().map(|symbol| symbol.to_uppercase()).collect();
        match change {
            Change::Clock(now) => self.fixed = now.map(Timestamp::from),
            Change::AdvanceSeconds(seconds) => {
                let more = Duration::from_secs(seconds);
                self.skipped += more;
                if let Some(now) = &mut self.fixed {
                    *now = later(*now, more);
                }
            }
            Change::Faults(rules) => {
                self.faults = rules
                    .iter()
                    .map(|rule| rule.parse())
                    .collect::<Result<_, _>>()?;
            }
            Change::Holes {
                symbol,
                dates,
                minutes,
            } => {
                let holes = self.holes.entry(symbol.to_uppercase()).or_default();
                holes.dates.extend(dates);
                let whole = |at: DateTime<Utc>| {
                    let micros = at.timestamp_micros();
                    micros - micros.rem_euclid(MINUTE_MICROS)
                };
                holes.minutes.extend(minutes.into_iter().map(whole));
            }
            Change::FillHoles { symbol } => {
                self.holes.remove(&symbol.to_uppercase());
            }
            Change::LateOpening {
                symbol,
                date,
                minutes,
            } => {
                self.late.insert((symbol.to_uppercase(), date), minutes);
            }
            Change::Revision(epoch) => self.revision = epoch,
            Change::Split {
                symbol,
                date,
                ratio,
            } => {
                self.splits
                    .entry(symbol.to_uppercase())
                    .or_default()
                    .push(Split { date, ratio });
            }
            Change::Unknown(symbols) => self.unknown = upper(symbols),
            Change::Premium(symbols) => self.premium = upper(symbols),
            Change::Tier(tier) => self.tier = tier,
            Change::Limits {
                per_minute,
                per_day,
                bandwidth_bytes,
            } => {
                self.limits = Limits {
                    per_minute,
                    per_day,
                    bandwidth_bytes,
                    is_bucket: false,
                };
            }
            Change::LatencyMs(millis) => self.latency = Duration::from_millis(millis),
            Change::Reset => {}
        }
        Ok(())
    }

    /// The simulated time when the real time is `outside`.
    pub(super) fn now(&self, outside: Timestamp) -> Timestamp {
        self.fixed.unwrap_or_else(|| later(outside, self.skipped))
    }

    pub(super) fn holes(&self, symbol: &str) -> Option<&Holes> {
        self.holes.get(symbol)
    }

    pub(super) fn late(&self, symbol: &str, date: NaiveDate) -> Option<u32> {
        self.late.get(&(symbol.to_owned(), date)).copied()
    }

    pub(super) fn splits(&self, symbol: &str) -> &[Split] {
        self.splits.get(symbol).map_or(&[], Vec::as_slice)
    }

    /// Symbols starting with `NOSUCH` are always unknown, so that external tests need no set-up.
    pub(super) fn is_unknown(&self, symbol: &str) -> bool {
        symbol.starts_with("NOSUCH") || self.unknown.contains(symbol)
    }

    /// Symbols starting with `PREMIUM` are never in the plan.
    pub(super) fn is_premium(&self, symbol: &str) -> bool {
        symbol.starts_with("PREMIUM") || self.premium.contains(symbol)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_micros(at.micros() + i64::try_from(by.as_micros()).unwrap_or(0))
}
