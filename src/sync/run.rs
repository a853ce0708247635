//! A run: the probe, the workers, the report.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use super::errors::Error;
use super::prepare::{prepare, wanted};
use super::progress::{Probed, ProgressTable};
use super::series::Worker;
use super::settings::Settings;
use super::source::{SeriesInfo, Source};
use super::target::Target;
use crate::advice::Advice;
use crate::model::{Interval, OnConflict, SeriesKey, Ticker, TimeRange};
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport, UnitStatus};

/// The way from one interval's series into one table.
pub(super) struct Stream {
    pub interval: Interval,
    pub target: Target,
    pub progress: ProgressTable,
}

/// What all workers share.
pub(super) struct Shared<'a> {
    pub settings: &'a Settings,
    pub source: &'a dyn Source,
    pub stop: &'a Stop,
    pub observer: &'a dyn Observer,
    aborted: AtomicBool,
    /// When Ctrl-C was first seen.
    pub stopped_at: OnceLock<tokio::time::Instant>,
    /// What was reported of waits: each once.
    pub waits: Mutex<HashSet<String>>,
    /// Ids of commits that were looked up; nil where the store has no such commit.
    commit_ids: Mutex<HashMap<u64, Uuid>>,
}

impl Shared<'_> {
    /// The id of a commit; nil for none, and where the store has no such commit.
    pub(super) fn commit_id(&self, seq: u64) -> Result<Uuid, Error> {
        if seq == 0 {
            return Ok(Uuid::nil());
        }
        if let Some(id) = lock(&self.commit_ids).get(&seq) {
            return Ok(*id);
        }
        self.look_up(&[seq])?;
        Ok(lock(&self.commit_ids)
            .get(&seq)
            .copied()
            .unwrap_or_default())
    }

    /// Looks up many commits at once.
    pub(super) fn look_up(&self, seqs: &[u64]) -> Result<(), Error> {
        let found = self.source.commit_ids(seqs).map_err(Error::Store)?;
        let mut known = lock(&self.commit_ids);
        for seq in seqs {
            known.insert(*seq, found.get(seq).copied().unwrap_or_default());
        }
        Ok(())
    }

    /// Whether another worker found that the run cannot go on.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }
}

/// A ticker's work: each of its series with what the probe found.
pub(super) struct Unit {
    pub ticker: Ticker,
    pub series: Vec<(usize, SeriesInfo, TimeRange, Probed)>,
}

/// What a sync came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Tickers, numbers, and why it could not go on where it could not.
    pub report: RunReport,
    /// How far the target was when it was last seen.
    pub seen: Vec<Seen>,
}

/// How far a series was in the target when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The table, qualified.
    pub table: String,
    /// Which series.
    pub series: SeriesKey,
    /// All its commits up to this one were there.
    pub base_seq: u64,
    /// Rows that syncs under `ignore` left there with other values, since all rows were last compared.
    pub kept: u64,
}

/// Brings staged bars to the target.
///
/// Blocks; call it from a thread that may. The report holds whatever was done, also where the run could not go on. An
/// error means that nothing was begun.
pub fn run(
    source: &dyn Source,
    settings: &Settings,
    stop: &Stop,
    observer: &dyn Observer,
) -> Result<Outcome, Error> {
    let wanted = wanted(source, settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::Store(Box::new(error)))?;
    let shared = Shared {
        settings,
        source,
        stop,
        observer,
        aborted: AtomicBool::new(false),
        stopped_at: OnceLock::new(),
        waits: Mutex::default(),
        commit_ids: Mutex::default(),
    };
    let prepared = match runtime.block_on(prepare(&shared, wanted)) {
        Err(Error::Interrupted) => {
            runtime.shutdown_background();
            let mut outcome = Outcome::default();
            outcome.report.interrupted = true;
            return Ok(outcome);
        }
        other => other?,
    };
    let Some((streams, units, missing)) = prepared else {
        let tickers = settings.tickers.iter();
        return Ok(Outcome {
            report: RunReport {
                tickers: tickers.map(|ticker| empty(ticker, observer)).collect(),
                ..RunReport::default()
            },
            ..Outcome::default()
        });
    };
    let mut report = RunReport::default();
    report
        .tickers
        .extend(missing.iter().map(|ticker| empty(ticker, observer)));
    let threads = settings.threads.clamp(1, units.len().max(1));
    observer.event(&Event::Planned {
        unit: "tickers",
        total: units.len() as u64,
    });
    let queue = Mutex::new(VecDeque::from(units));
    let done = Mutex::new(Outcome {
        report,
        ..Outcome::default()
    });
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut worker = Worker {
                    shared: &shared,
                    session: None,
                };
                while !stop.is_set() && !shared.is_aborted() {
                    let Some(unit) = lock(&queue).pop_front() else {
                        break;
                    };
                    let (unit, fatal, seen) =
                        runtime.block_on(run_unit(&mut worker, &streams, &unit));
                    lock(&done).seen.extend(seen);
                    if let Some(fatal) = fatal {
                        shared.aborted.store(true, Ordering::Relaxed);
                        lock(&done).report.fatal.get_or_insert(fatal);
                    }
                    if let Some(unit) = unit {
                        observer.event(&Event::TickerDone(&unit));
                        observer.event(&Event::Progress { done: 1, bars: 0 });
                        let report = &mut lock(&done).report;
                        report.totals += unit.counts;
                        report.tickers.push(unit);
                    }
                }
            });
        }
    });
    runtime.shutdown_background();
    let mut outcome = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.report.tickers.sort_by(|a, b| a.name.cmp(&b.name));
    outcome.report.interrupted = stop.is_set();
    let kept = outcome.report.totals.skipped_restated;
    if kept > 0 {
        outcome.report.hints.push(Advice::from(format!(
            "{kept} rows of the target keep other values than the staged ones; --on-conflict update --full replaces them"
        )));
    }
    if settings.on_conflict == OnConflict::Update {
        outcome
            .report
            .hints
            .extend(kept_before(&outcome.seen).map(Advice::from));
    }
    Ok(outcome)
}

/// Progress is past rows that earlier syncs left with other values: only a full comparison finds them again.
fn kept_before(seen: &[Seen]) -> Option<String> {
    let rows: u64 = seen.iter().map(|seen| seen.kept).sum();
    let first = seen.iter().find(|seen| seen.kept > 0)?;
    let others = seen.iter().filter(|seen| seen.kept > 0).count() - 1;
    let others = match others {
        0 => String::new(),
        more => format!(" and {more} more series"),
    };
    Some(format!(
        "syncs with --on-conflict ignore left {rows} rows of {}{others} with other values in the target; --full replaces them",
        first.series
    ))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn empty(ticker: &Ticker, observer: &dyn Observer) -> UnitReport {
    let unit = UnitReport::done(
        ticker.as_str(),
        Counts::default(),
        std::time::Duration::ZERO,
    );
    observer.event(&Event::TickerDone(&unit));
    unit
}

/// Syncs one ticker, series after series. Says also why the whole run cannot go on, if that is so.
async fn run_unit(
    worker: &mut Worker<'_>,
    streams: &[Stream],
    unit: &Unit,
) -> (Option<UnitReport>, Option<Fatal>, Vec<Seen>) {
    let began = Instant::now();
    let mut counts = Counts::default();
    let mut seen = Vec::new();
    for (index, info, range, probed) in &unit.series {
        let stream = &streams[*index];
        let synced = worker.sync(stream, info, *range, *probed).await;
        counts += synced.counts;
        seen.push(Seen {
            table: stream.target.table.clone(),
            series: info.key.clone(),
            base_seq: synced.base_seq,
            kept: synced.kept,
        });
        let Err(error) = synced.result else { continue };
        if matches!(error, Error::Interrupted) && counts == Counts::default() {
            return (None, None, seen);
        }
        let fatal = error.is_fatal().then(|| Fatal {
            error: error.to_string(),
            hint: error.hint().map(Advice::from),
        });
        let status = match error {
            Error::Restated { .. } => UnitStatus::Conflict,
            _ => UnitStatus::Failed,
        };
        let report = UnitReport {
            name: unit.ticker.to_string(),
            status,
            counts,
            elapsed: began.elapsed(),
            error: Some(error.to_string()),
            hint: error.hint().map(Advice::from),
        };
        return (Some(report), fatal, seen);
    }
    let report = UnitReport {
        name: unit.ticker.to_string(),
        status: UnitStatus::Ok,
        counts,
        elapsed: began.elapsed(),
        error: None,
        hint: None,
    };
    (Some(report), None, seen)
}
