//! The findings of `audit`: of a report at once, of a server in the background.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;

use serde_json::{Value, json};

use super::background::Background;
use super::{Error, Filter, PageData};
use crate::audit::{self, Audit, Check, Finding, Limits, Scope, Severity};
use crate::calendar::Overrides;
use crate::documents;
use crate::model::{Interval, Ticker, Timestamp};
use crate::report::Stop;
use crate::store::Reader;

/// The most findings in a document: errors first, then the newest.
const FINDINGS_MAX: usize = 20_000;
/// Tickers that are audited before their findings are added and `stop` is checked. It bounds the
/// findings in memory, because a series has at most some thousands.
const TICKERS_AT_ONCE: usize = 16;

/// Audits the series of `filter` with the limits of `audit`, some tickers at a time. It reads all
/// their bars.
fn audit_parts(
    reader: &Reader,
    calendars: &Overrides,
    filter: &Filter,
    (now, threads): (Timestamp, usize),
    stop: &Stop,
    mut on_part: impl FnMut(Audit),
) -> Result<(), Error> {
    let series = reader.series()?;
    let tickers: BTreeSet<Ticker> = (series.into_iter())
        .filter(|row| filter.has(&row.key))
        .map(|row| row.key.ticker)
        .collect();
    let mut scope = Scope {
        tickers: Vec::new(),
        interval: filter.interval,
        start: filter.start,
        end: filter.end,
        checks: Check::ALL.to_vec(),
        limits: Limits::default(),
        threads,
        now,
    };
    let tickers: Vec<Ticker> = tickers.into_iter().collect();
    for part in tickers.chunks(TICKERS_AT_ONCE) {
        if stop.is_set() {
            break;
        }
        scope.tickers = part.to_vec();
        on_part(audit::audit(reader, &scope, calendars)?);
    }
    Ok(())
}

/// Adds the findings of later tickers. If there are very many, some are left out and counted.
fn add(all: &mut Audit, part: Audit, max: usize) {
    all.series += part.series;
    all.bars += part.bars;
    all.dropped += part.dropped;
    all.notices.extend(part.notices);
    all.findings.extend(part.findings);
    if all.findings.len() <= max {
        return;
    }
    all.dropped += (all.findings.len() - max) as u64;
    let importance = |found: &Finding| (found.severity != Severity::Error, Reverse(found.first));
    all.findings.sort_by_key(importance);
    all.findings.truncate(max);
    // As `audit` lists them.
    all.findings.sort_by(|a, b| {
        let key = |found: &Finding| (found.series.interval, found.first, found.check);
        (a.series.ticker.cmp(&b.series.ticker)).then_with(|| key(a).cmp(&key(b)))
    });
}

/// `backfill.audit/1` with its notices.
fn document(audit: &Audit) -> Value {
    let mut document = documents::audit(audit);
    document["notices"] = json!(audit.notices);
    document
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

impl PageData<'_> {
    /// `backfill.audit/1` of the shown series. It reads all their bars.
    pub(super) fn findings(&self) -> Result<Value, Error> {
        let mut all = Audit::default();
        audit_parts(
            self.reader,
            self.calendars.overrides(),
            self.filter,
            (self.now, cores()),
            &Stop::new(),
            |part| add(&mut all, part, FINDINGS_MAX),
        )?;
        Ok(document(&all))
    }
}

/// An audit that another thread makes. It ends when this is dropped.
pub struct RunningAudit {
    running: Background<Audit>,
    now: Timestamp,
}

impl RunningAudit {
    /// Starts to audit all series, on half of the cores.
    #[must_use]
    pub fn start(reader: Arc<Reader>, calendars: Overrides, now: Timestamp) -> Self {
        let running = Background::start(move |stop, results| {
            let threads = (cores() / 2).max(1);
            let filter = Filter::default();
            audit_parts(&reader, &calendars, &filter, (now, threads), stop, |part| {
                results.add(|all| add(all, part, FINDINGS_MAX));
            })
        });
        Self { running, now }
    }

    /// Whether all series were audited, or an error ended it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.running.is_done()
    }

    /// `backfill.audit/1` of the tickers that were audited so far. `done` is whether these are all,
    /// `error` what ended the audit, and `as_of` when it began.
    #[must_use]
    pub fn document(&self) -> Value {
        self.finished(document)
    }

    /// The same, with the findings of one ticker only, and of one interval if it is given.
    #[must_use]
    pub fn document_of(&self, ticker: &Ticker, interval: Option<Interval>) -> Value {
        let is_wanted = |found: &&Finding| {
            found.series.ticker == *ticker
                && interval.is_none_or(|wanted| wanted == found.series.interval)
        };
        self.finished(|audit| {
            let findings = audit.findings.iter().filter(is_wanted).cloned().collect();
            document(&Audit {
                findings,
                notices: Vec::new(),
                ..*audit
            })
        })
    }

    /// The document of an audit that wasn't started.
    #[must_use]
    pub fn not_started() -> Value {
        let mut document = document(&Audit::default());
        document["done"] = json!(false);
        document["error"] = Value::Null;
        document["as_of"] = Value::Null;
        document
    }

    fn finished(&self, of: impl FnOnce(&Audit) -> Value) -> Value {
        let mut document = self.running.document(of);
        document["as_of"] = json!(self.now.to_string());
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SeriesKey;

    fn finding(ticker: &str, severity: Severity, first: i64) -> Finding {
        Finding {
            check: Check::Spike,
            severity,
            series: SeriesKey {
                interval: Interval::M1,
                ticker: Ticker::new(ticker).unwrap(),
            },
            first: Timestamp::from_micros(first),
            last: Timestamp::from_micros(first),
            bars: 1,
            values: Vec::new(),
        }
    }

    fn part(findings: Vec<Finding>) -> Audit {
        Audit {
            findings,
            dropped: 1,
            series: 1,
            bars: 10,
            notices: Vec::new(),
        }
    }

    #[test]
    fn errors_and_the_newest_findings_are_kept_in_order_and_the_others_are_counted() {
        use Severity::{Error, Warning};
        let mut all = Audit::default();
        let first = vec![finding("A", Warning, 5), finding("A", Error, 6)];
        add(&mut all, part(first.clone()), 3);
        assert_eq!((&all.findings, all.dropped), (&first, 1));
        let second = vec![
            finding("B", Error, 1),
            finding("B", Warning, 2),
            finding("B", Warning, 9),
        ];
        add(&mut all, part(second), 3);
        let kept = [
            finding("A", Error, 6),
            finding("B", Error, 1),
            finding("B", Warning, 9),
        ];
        assert_eq!(all.findings, kept);
        assert_eq!((all.dropped, all.series, all.bars), (4, 2, 20));
    }
}
