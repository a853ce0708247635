//! What the checks find.

use std::collections::BTreeMap;

use super::check::Check;
use crate::model::words::words;
use crate::model::{SeriesKey, Timestamp};

/// The most findings of one check and severity that are kept of a series. The others are only
/// counted, so that a series that is wrong throughout doesn't fill the memory.
pub(super) const KEPT_MAX: usize = 1000;

/// How sure it is that values are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The values can't be right.
    Error,
    /// The values are unusual, and can be right.
    Warning,
}

words!(Severity, "severity", {
    Error => "error",
    Warning => "warning",
});

/// Values with their names.
pub type Values = Vec<(&'static str, f64)>;

/// Bars that a check reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub check: Check,
    pub severity: Severity,
    pub series: SeriesKey,
    /// The first bar, or the first that is missing.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// How many bars, or how many are missing.
    pub bars: u64,
    /// Example values: of the bar that differs most, and what they are compared with.
    pub values: Values,
}

/// A finding in the series that a check looks at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub severity: Severity,
    /// Microseconds since 1970, UTC.
    pub first: i64,
    pub last: i64,
    pub bars: u64,
    pub values: Values,
}

/// How many findings of a severity a check has in a series.
#[derive(Default)]
struct Count {
    findings: usize,
    /// The number of the session of the last one.
    last: Option<u64>,
}

/// The findings of one series.
pub(super) struct Findings {
    series: SeriesKey,
    kept: Vec<Finding>,
    counts: BTreeMap<(Check, Severity), Count>,
    /// Findings that aren't kept.
    pub dropped: u64,
}

impl Findings {
    pub fn new(series: SeriesKey) -> Self {
        Self {
            series,
            kept: Vec::new(),
            counts: BTreeMap::new(),
            dropped: 0,
        }
    }

    /// Adds what a check found in session number `session`. What a check finds in consecutive
    /// sessions becomes one finding if it is about whole sessions.
    pub fn add(&mut self, check: Check, session: u64, found: Found) {
        let kind = (check, found.severity);
        let count = self.counts.entry(kind).or_default();
        let continues =
            check.joins_sessions() && count.last.is_some_and(|known| session - known <= 1);
        count.last = Some(session);
        if continues {
            let mut kept = self.kept.iter_mut().rev();
            let last = kept.find(|kept| (kept.check, kept.severity) == kind);
            if let Some(last) = last.filter(|_| count.findings <= KEPT_MAX) {
                last.last = Timestamp::from_micros(found.last);
                last.bars += found.bars;
            }
            return;
        }
        count.findings += 1;
        if count.findings > KEPT_MAX {
            self.dropped += 1;
            return;
        }
        self.kept.push(Finding {
            check,
            severity: found.severity,
            series: self.series.clone(),
            first: Timestamp::from_micros(found.first),
            last: Timestamp::from_micros(found.last),
            bars: found.bars,
            values: found.values,
        });
    }

    /// The findings in order of time, then of the checks.
    pub fn into_sorted(mut self) -> Vec<Finding> {
        self.kept.sort_by_key(|found| (found.first, found.check));
        self.kept
    }
}
