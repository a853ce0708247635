//! The audit of a store.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::NaiveDate;

use super::check::Check;
use super::finding::{Finding, Severity};
use super::limits::Limits;
use super::ticker::{self, Checked, Common, Input};
use crate::calendar::{self, Calendar, Overrides};
use crate::model::{Interval, Ticker, Timestamp};
use crate::store::{self, Reader, SeriesRow, bars_from_batch};

/// Which bars are checked, and how.
#[derive(Clone, Debug)]
pub struct Scope {
    /// All if empty.
    pub tickers: Vec<Ticker>,
    pub interval: Option<Interval>,
    pub start: Option<NaiveDate>,
    pub end: Option<NaiveDate>,
    pub checks: Vec<Check>,
    pub limits: Limits,
    /// Threads that read bars.
    pub threads: usize,
    pub now: Timestamp,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    /// By ticker, interval, time and check.
    pub findings: Vec<Finding>,
    /// Findings that aren't in the list, because a series has very many of one check.
    pub dropped: u64,
    pub series: usize,
    /// The bars of these series that were checked.
    pub bars: u64,
    /// What could not be checked, for the user.
    pub notices: Vec<String>,
}

/// Why an audit failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Calendar(#[from] calendar::Error),
    /// A file has other columns than those of bars.
    #[error("the columns of a file of {0} aren't those of bars")]
    Columns(Ticker),
}

impl Audit {
    /// Whether there is a finding of at least this severity.
    #[must_use]
    pub fn has(&self, severity: Severity) -> bool {
        let of = |found: &Finding| severity == Severity::Warning || found.severity == severity;
        self.findings.iter().any(of)
    }
}

/// Checks the bars of `scope`. The result is the same with any number of threads.
pub fn audit(reader: &Reader, scope: &Scope, calendars: &Overrides) -> Result<Audit, Error> {
    let mut tickers: BTreeMap<Ticker, Vec<SeriesRow>> = BTreeMap::new();
    for row in reader.series()? {
        if row.key.is_among(&scope.tickers, None) {
            tickers.entry(row.key.ticker.clone()).or_default().push(row);
        }
    }
    let mut audit = Audit::default();
    let mut jobs = Vec::new();
    for (ticker, rows) in tickers {
        let wanted = |row: &SeriesRow| scope.interval.is_none_or(|of| of == row.key.interval);
        if !rows.iter().any(wanted) {
            continue;
        }
        for row in rows.iter().filter(|row| wanted(row)) {
            audit.series += 1;
            if Calendar::for_exchange_with(&row.provenance.exchange, calendars).is_err() {
                audit.notices.push(format!(
                    "[{ticker}] there is no calendar for {}: sessions aren't checked",
                    row.provenance.exchange
                ));
            }
        }
        jobs.push(rows);
    }
    let next = AtomicUsize::new(0);
    let is_failed = AtomicBool::new(false);
    let results = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|threads| {
        for _ in 0..scope.threads.clamp(1, jobs.len().max(1)) {
            threads.spawn(|| {
                while !is_failed.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(rows) = jobs.get(index) else { break };
                    let result = of_ticker(reader, rows, scope, calendars);
                    is_failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    let mut results = results
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    results.push((index, result));
                }
            });
        }
    });
    let mut results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    for (_, result) in results {
        let checked = result?;
        audit.findings.extend(checked.findings);
        audit.dropped += checked.dropped;
        audit.bars += checked.bars;
    }
    Ok(audit)
}

/// Checks the series of one ticker, which are in the order of their intervals.
fn of_ticker(
    reader: &Reader,
    rows: &[SeriesRow],
    scope: &Scope,
    calendars: &Overrides,
) -> Result<Checked, Error> {
    let minutes = rows.iter().find(|row| row.key.interval == Interval::M1);
    let compares = scope.checks.contains(&Check::Resolution);
    let wanted = |row: &SeriesRow| scope.interval.is_none_or(|of| of == row.key.interval);
    let mut inputs = Vec::new();
    for row in rows {
        let provenance = &row.provenance;
        let is_minutes = row.key.interval == Interval::M1;
        let is_comparable = compares
            && !is_minutes
            && minutes.is_some_and(|minutes| {
                let other = &minutes.provenance;
                other.exchange == provenance.exchange && other.basis == provenance.basis
            });
        // Minutes are also read for the longer bars that are wanted.
        let is_read = wanted(row) || (is_minutes && compares);
        if !is_read {
            continue;
        }
        let known = Calendar::for_exchange_with(&provenance.exchange, calendars);
        let (calendar, is_known) = match known {
            Ok(calendar) => (calendar, true),
            // Without a calendar, dates are those of UTC.
            Err(_) => (Calendar::for_exchange("CRYPTO")?, false),
        };
        let range = calendar.range(scope.start, scope.end);
        let ticker = row.key.ticker.clone();
        let pieces = reader.scan(&row.key, range)?.map(move |batch| {
            bars_from_batch(&batch?).ok_or_else(|| Error::Columns(ticker.clone()))
        });
        inputs.push(Input {
            key: row.key.clone(),
            hours: provenance.hours,
            pieces,
            calendar,
            is_known,
            is_wanted: wanted(row),
            is_comparable,
        });
    }
    let common = Common {
        checks: &scope.checks,
        limits: &scope.limits,
        now: scope.now,
    };
    ticker::audit(inputs, common)
}
