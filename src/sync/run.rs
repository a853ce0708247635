//! A run: the preparation, the workers, the report.

use std::iter;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ahead::ReadAhead;
use super::context::{RunContext, Unit, lock};
use super::error::{Error, ErrorKind};
use super::prepare::{Prepared, prepare, wanted};
use super::queue::Queue;
use super::series::Worker;
use super::settings::Settings;
use super::source::Source;
use super::target::{Signals, Table, Target};
use crate::advice::{Advice, Hint, SyncAdvice};
use crate::model::{OnConflict, SeriesKey};
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport, UnitStatus};

/// The result of a sync.
#[derive(Clone, Debug, Default)]
pub struct Synced {
    /// Tickers and counts, and why the run ended early if it did.
    pub report: RunReport,
    /// How far the target was when it was last seen.
    pub seen: Vec<Seen>,
}

/// How far a series was in the target when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The full name of the table.
    pub table: String,
    pub series: SeriesKey,
    /// The table had all commits of the series up to this one.
    pub base_seq: u64,
    /// Rows that syncs under `ignore` left with other values since the last full comparison.
    pub kept: u64,
}

/// Sends stored bars to the target.
///
/// Blocks, so it must not be called from an async task. The report has what was done, also if the
/// run ended early. An error means that nothing was written.
pub fn run<T: Target>(
    source: &dyn Source,
    target: &T,
    settings: &Settings,
    stop: &Stop,
    observer: &dyn Observer,
) -> Result<Synced, Error> {
    let wanted = wanted(source, settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::store(&error.into()))?;
    let context = RunContext::new(source, settings, Signals { stop, observer });
    let prepared = runtime.block_on(prepare(&context, target, wanted));
    let result = match prepared {
        Ok(prepared) => Ok(work(&context, target, prepared, &runtime)),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Synced::default()),
        Err(error) => Err(error),
    };
    runtime.shutdown_background();
    let mut synced = result?;
    let report = &mut synced.report;
    report.tickers.sort_by(|a, b| a.name.cmp(&b.name));
    report.interrupted = stop.is_set();
    let kept = report.totals.skipped_restated;
    if kept > 0 {
        let advice = SyncAdvice::ReplaceKept { rows: kept };
        report.hints.push(advice.into());
    }
    if settings.on_conflict == OnConflict::Update {
        let advice = kept_before(&synced.seen);
        report.hints.extend(advice.map(Advice::from));
    }
    Ok(synced)
}

/// Syncs all units, over as many connections as the settings allow.
fn work<'a, T: Target>(
    context: &'a RunContext<'a>,
    target: &'a T,
    prepared: Prepared<'a, T>,
    runtime: &tokio::runtime::Runtime,
) -> Synced {
    let observer = context.signals.observer;
    let Prepared {
        connection,
        tables,
        units,
        missing,
    } = prepared;
    let mut report = RunReport::default();
    for ticker in &missing {
        let unit = UnitReport::done(ticker.as_str(), Counts::default(), Duration::ZERO);
        observer.event(&Event::TickerDone(&unit));
        report.tickers.push(unit);
    }
    let threads = context.settings.threads.min(units.len());
    if threads > 0 {
        observer.event(&Event::Planned {
            unit: "tickers",
            total: units.len() as u64,
        });
    }
    let queue = Queue::new(units);
    let done = Mutex::new(Synced {
        report,
        seen: Vec::new(),
    });
    std::thread::scope(|scope| {
        let rows = context.settings.chunk_rows;
        let read = move |bars| ReadAhead::start(scope, context.source, rows, bars);
        let connections = iter::once(Some(connection)).chain(iter::repeat_with(|| None));
        let (queue, tables, done) = (&queue, &tables, &done);
        let workers: Vec<_> = connections
            .take(threads)
            .map(|connection| {
                scope.spawn(move || {
                    let mut worker = Worker {
                        context,
                        target,
                        read: &read,
                        connection,
                    };
                    while let Some((unit, ahead)) = queue.take(context, tables, &read) {
                        let end = runtime.block_on(run_unit(&mut worker, tables, &unit, ahead));
                        finish(context, end, done);
                    }
                })
            })
            .collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                // Else the scope would wait for a thread that no worker reads from.
                queue.close();
                std::panic::resume_unwind(panic);
            }
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a ticker to the result, and reports it.
fn finish(context: &RunContext<'_>, end: UnitEnd, done: &Mutex<Synced>) {
    let observer = context.signals.observer;
    if end.fatal.is_some() {
        context.abort();
    }
    if let Some(unit) = &end.report {
        observer.event(&Event::TickerDone(unit));
        observer.event(&Event::Progress { done: 1, bars: 0 });
    }
    let mut done = lock(done);
    done.seen.extend(end.seen);
    if let Some(fatal) = end.fatal {
        done.report.fatal.get_or_insert(fatal);
    }
    if let Some(unit) = end.report {
        done.report.totals += unit.counts;
        done.report.tickers.push(unit);
    }
}

/// How the sync of a ticker ended.
struct UnitEnd {
    /// `None` if it was interrupted before it did anything.
    report: Option<UnitReport>,
    /// Why the whole run can't continue.
    fatal: Option<Fatal>,
    seen: Vec<Seen>,
}

/// Syncs the series of a ticker, until one fails.
async fn run_unit<T: Target>(
    worker: &mut Worker<'_, '_, T>,
    tables: &[T::Table],
    unit: &Unit,
    mut ahead: Option<ReadAhead>,
) -> UnitEnd {
    let began = Instant::now();
    let mut counts = Counts::default();
    let mut seen = Vec::new();
    let mut error = None;
    for task in &unit.series {
        let table = &tables[task.table];
        let synced = worker.sync(table, task, ahead.take()).await;
        counts += synced.counts;
        seen.push(Seen {
            table: table.name().to_owned(),
            series: task.info.key.clone(),
            base_seq: synced.progress.base.seq,
            kept: synced.progress.kept,
        });
        error = synced.result.err();
        if error.is_some() {
            break;
        }
    }
    let kind = error.as_ref().map(Error::kind);
    let hint = error.as_ref().and_then(Error::hint);
    let fatal = error.as_ref().filter(|error| error.is_fatal());
    let fatal = fatal.map(|error| Fatal {
        error: error.to_string(),
        hint: hint.clone(),
    });
    let report = UnitReport {
        status: match kind {
            None => UnitStatus::Ok,
            Some(ErrorKind::Restated { .. }) => UnitStatus::Conflict,
            Some(_) => UnitStatus::Failed,
        },
        error: error.as_ref().map(ToString::to_string),
        hint,
        ..UnitReport::done(unit.ticker.as_str(), counts, began.elapsed())
    };
    let untouched = kind == Some(ErrorKind::Interrupted) && counts == Counts::default();
    UnitEnd {
        report: Some(report).filter(|_| !untouched),
        fatal,
        seen,
    }
}

/// Advice if the progress is past rows that earlier syncs left with other values: only a full
/// comparison finds them again.
fn kept_before(seen: &[Seen]) -> Option<SyncAdvice> {
    let kept: Vec<_> = seen.iter().filter(|seen| seen.kept > 0).collect();
    Some(SyncAdvice::ReplaceKeptBefore {
        rows: kept.iter().map(|seen| seen.kept).sum(),
        series: kept.first()?.series.clone(),
        more_series: kept.len() - 1,
    })
}
