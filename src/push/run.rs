//! A run: what to push, in which commits, and the report.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::chunk::Chunk;
use super::context::RunContext;
use super::delta::read;
use super::error::{Error, ErrorKind};
use super::plan::{Decision, Files};
use super::settings::{Settings, runtime};
use super::source::{self, Unit};
use super::storage::Storage;
use super::table::{Table, accept};
use super::unit_end::{Seen, UnitEnd};
use tokio::sync::Semaphore;

use crate::advice::{Hint, PushAdvice};
use crate::model::Ticker;
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport, UnitStatus};
use crate::store::Reader;

/// The result of a push.
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    /// Tickers and counts, and why the run ended early if it did.
    pub report: RunReport,
    /// The series of which the table has everything.
    pub seen: Vec<Seen>,
}

/// Publishes the sealed partitions that `reader` sees to the table in `target`.
///
/// `None` as a target is a table that doesn't exist, for a dry run. Blocks, so it must not be called from
/// an async task. The report has what was done, also if the run ended early. An error means that nothing
/// was committed.
pub fn run(
    reader: &Reader,
    target: Option<&Storage>,
    settings: &Settings,
    stop: &Stop,
    observer: &dyn Observer,
) -> Result<Pushed, Error> {
    let units = source::units(reader, settings)?;
    let runtime = runtime()?;
    let context = RunContext {
        reader,
        settings,
        stop,
        observer,
        slots: Semaphore::new(settings.threads.max(1)),
    };
    let result = runtime.block_on(push(&context, target, units));
    runtime.shutdown_background();
    let mut pushed = match result {
        Err(error) if error.kind() == ErrorKind::Interrupted => Pushed::default(),
        result => result?,
    };
    let report = &mut pushed.report;
    report.tickers.sort_by(|a, b| a.name.cmp(&b.name));
    report.interrupted = stop.is_set();
    let rows = report.totals.skipped_restated;
    if rows > 0 {
        report.hints.push(PushAdvice::ReplaceKept { rows }.into());
    }
    Ok(pushed)
}

async fn push(
    context: &RunContext<'_>,
    target: Option<&Storage>,
    units: Vec<Unit>,
) -> Result<Pushed, Error> {
    let mut pushed = Pushed::default();
    for ticker in missing(context.settings, &units) {
        let unit = UnitReport::done(ticker.as_str(), Counts::default(), Duration::ZERO);
        finish(context, &mut pushed, UnitEnd::of(unit));
    }
    let snapshot = match target {
        Some(store) => context.unless_stopped(read::load(store)).await?,
        None => None,
    };
    match (&snapshot, target) {
        (Some(snapshot), _) => accept(snapshot)?,
        (None, Some(store)) => super::fresh::check_folder(store).await?,
        (None, None) => {}
    }
    let mut table = Table::new(target.cloned(), snapshot);
    let (same, changed) = split(context, table.files(), units)?;
    for unit in same {
        let end = UnitEnd::unchanged(&unit);
        finish(context, &mut pushed, end);
    }
    if !changed.is_empty() {
        let partitions = changed.iter().flat_map(|unit| &unit.partitions);
        context.observer.event(&Event::Planned {
            unit: "bytes",
            total: partitions.map(|local| local.file.bytes).sum(),
        });
    }
    let mut rest = changed.as_slice();
    let mut next = next_chunk(context, &mut rest);
    while let Some(chunk) = next.take_if(|_| !context.stop.is_set()) {
        next = next_chunk(context, &mut rest);
        let began = Instant::now();
        match chunk.push(&mut table, next.as_mut()).await {
            Ok(ends) => {
                for mut end in ends {
                    end.report.elapsed = began.elapsed();
                    finish(context, &mut pushed, end);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => break,
            Err(error) if pushed.report.tickers.is_empty() && table.version().is_none() => {
                return Err(error);
            }
            Err(error) => {
                pushed.report.fatal = Some(Fatal {
                    error: error.to_string(),
                    hint: error.hint(),
                });
                break;
            }
        }
    }
    pushed.report.version = table.version();
    Ok(pushed)
}

/// Tickers that the table has as they are, and the others.
fn split(
    context: &RunContext<'_>,
    files: &Files,
    units: Vec<Unit>,
) -> Result<(Vec<Unit>, Vec<Unit>), Error> {
    let keys = units.iter().flat_map(|unit| &unit.partitions);
    let known = context.known(files, keys.map(|local| &local.file.key))?;
    let is_same = |unit: &Unit| {
        unit.partitions.iter().all(|local| {
            let decision = context.decide(files, &known, local);
            let same = matches!(decision, Decision::Unchanged);
            same && context.provenance_error(files, local).is_none()
        })
    };
    Ok(units.into_iter().partition(is_same))
}

/// The next tickers that are pushed in one commit.
fn next_chunk<'r, 'a>(context: &'r RunContext<'a>, rest: &mut &'r [Unit]) -> Option<Chunk<'r, 'a>> {
    let (units, later) = rest.split_at(at_once(rest, context.settings.commit_files));
    *rest = later;
    (!units.is_empty()).then(|| Chunk::new(context, units))
}

/// How many of the next tickers go into one commit.
fn at_once(units: &[Unit], files_max: usize) -> usize {
    let mut files = 0;
    let fits = |unit: &&Unit| {
        let before = files;
        files += unit.partitions.len();
        before == 0 || files <= files_max
    };
    units.iter().take_while(fits).count()
}

/// Requested tickers without bars.
fn missing<'a>(settings: &'a Settings, units: &[Unit]) -> Vec<&'a Ticker> {
    let known: HashMap<&Ticker, ()> = units.iter().map(|unit| (&unit.ticker, ())).collect();
    let tickers = settings.tickers.iter();
    tickers
        .filter(|ticker| !known.contains_key(ticker))
        .collect()
}

/// Adds a ticker to the result, and reports it.
fn finish(context: &RunContext<'_>, pushed: &mut Pushed, end: UnitEnd) {
    context.observer.event(&Event::TickerDone(&end.report));
    pushed.report.totals += end.report.counts;
    if matches!(end.report.status, UnitStatus::Ok) && !context.settings.dry_run {
        pushed.seen.extend(end.seen);
    }
    pushed.report.tickers.push(end.report);
}
