//! A run over all files, side by side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::commit::{Sink, verdict};
use super::error::{Error, plain};
use super::file;
use super::gate::Gate;
use super::plan::Sniffer;
use super::rejects::Rejects;
use super::settings::Settings;
use super::walk::{Dump, Found, find};
use crate::export::BarsWriter;
use crate::model::Ticker;
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport, UnitStatus};
use crate::store::Refusal;

/// How many files that are no dumps are named.
const OTHERS_NAMED_MAX: usize = 20;

/// What all files of a run share.
pub(super) struct Shared<'r> {
    pub(super) settings: &'r Settings,
    pub(super) sniffer: Sniffer<'r>,
    pub(super) sink: Sink<'r>,
    pub(super) observer: &'r dyn Observer,
    pub(super) gate: Gate,
    pub(super) pool: ThreadPool,
    pub(super) rejects: Rejects,
    pub(super) output: Option<BarsWriter>,
    stop: &'r Stop,
    broken: AtomicBool,
    fatal: Mutex<Option<Error>>,
    tickers: Mutex<BTreeMap<Ticker, UnitReport>>,
}

impl Shared<'_> {
    /// Whether the run is to end: stopped by the user, or it cannot go on.
    pub(super) fn stopped(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.stop.is_set()
    }

    /// The run cannot go on.
    pub(super) fn fail(&self, error: Error) {
        let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        fatal.get_or_insert(error);
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Adds to a ticker's numbers.
    pub(super) fn add_ticker(&self, ticker: &Ticker, counts: Counts, refusal: Option<&Refusal>) {
        let mut tickers = self.tickers.lock().unwrap_or_else(PoisonError::into_inner);
        let unit = entry(&mut tickers, ticker);
        unit.counts += counts;
        if let Some(refusal) = refusal {
            let (status, hint) = verdict(refusal);
            unit.status = status;
            unit.error = Some(refusal.to_string());
            unit.hint = Some(hint.to_owned());
        }
    }

    /// Adds to a ticker's time.
    pub(super) fn add_time(&self, ticker: &Ticker, elapsed: Duration) {
        let mut tickers = self.tickers.lock().unwrap_or_else(PoisonError::into_inner);
        entry(&mut tickers, ticker).elapsed += elapsed;
    }
}

fn entry<'t>(tickers: &'t mut BTreeMap<Ticker, UnitReport>, ticker: &Ticker) -> &'t mut UnitReport {
    if !tickers.contains_key(ticker) {
        let unit = UnitReport {
            status: UnitStatus::Ok,
            ..UnitReport::done(ticker.as_str(), Counts::default(), Duration::ZERO)
        };
        tickers.insert(ticker.clone(), unit);
    }
    tickers
        .entry(ticker.clone())
        .or_insert_with(|| UnitReport::done(ticker.as_str(), Counts::default(), Duration::ZERO))
}

/// Injects what `settings` says into `sink`, telling `observer` what happens, until `stop` is set.
///
/// `Err` is a run that could not begin; what went wrong later stands in the report.
pub fn run(
    sink: Sink<'_>,
    settings: &Settings,
    observer: &dyn Observer,
    stop: &Stop,
) -> Result<RunReport, Error> {
    let Found {
        dumps,
        others,
        unreadable,
    } = find(&settings.input)?;
    say_others(observer, &others);
    if dumps.is_empty() {
        observer.event(&Event::Warning(
            "there are no dumps (.csv, .txt, .tsv, or these with .gz or .zst)",
        ));
    }
    let threads = settings.threads.max(1);
    let rejects_path = match sink {
        Sink::Store { store, run } => Some(store.rejects_path(run)),
        Sink::Dry => None,
    };
    let shared = Shared {
        settings,
        sniffer: Sniffer::new(settings)?,
        sink,
        observer,
        gate: Gate::new(dumps.len(), settings.limits.waiting_rows),
        pool: ThreadPoolBuilder::new()
            .num_threads(threads.min(settings.cores.max(1)))
            .build()?,
        rejects: Rejects::new(rejects_path),
        output: match &settings.output {
            Some(file) => Some(BarsWriter::create(file, settings.on_conflict)?),
            None => None,
        },
        stop,
        broken: AtomicBool::new(false),
        fatal: Mutex::new(None),
        tickers: Mutex::new(BTreeMap::new()),
    };
    let bytes = dumps.iter().map(|dump| dump.bytes).sum();
    observer.event(&Event::Planned {
        unit: "bytes",
        total: bytes,
    });
    let mut files = Vec::new();
    for (name, error) in unreadable {
        let unit = UnitReport {
            status: UnitStatus::Failed,
            error: Some(format!("the folder cannot be read: {}", plain(&error))),
            ..UnitReport::done(name, Counts::default(), Duration::ZERO)
        };
        observer.event(&Event::FileDone(&unit));
        files.push(unit);
    }
    files.extend(all(&shared, &dumps, threads));
    Ok(conclude(shared, files))
}

/// Works on all dumps, and returns their reports in path order.
fn all(shared: &Shared<'_>, dumps: &[Dump], threads: usize) -> Vec<UnitReport> {
    let done: Mutex<BTreeMap<usize, UnitReport>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(dumps.len()) {
            scope.spawn(|| {
                while let Some(index) = shared.gate.next(|| shared.stopped()) {
                    let began = Instant::now();
                    let mut unit = file::inject(shared, index, &dumps[index]);
                    unit.elapsed = began.elapsed();
                    shared.gate.through(index);
                    shared.observer.event(&Event::FileDone(&unit));
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.insert(index, unit);
                }
            });
        }
    });
    done.into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_values()
        .collect()
}

fn conclude(shared: Shared<'_>, files: Vec<UnitReport>) -> RunReport {
    let interrupted = shared.stop.is_set();
    let totals: Counts = files.iter().map(|file| file.counts).sum();
    if let Err(error) = shared.rejects.put_in_order() {
        shared.fail(error);
    }
    if let Some(path) = shared.rejects.written() {
        shared.observer.event(&Event::Warning(&format!(
            "{} rows are no bars; they stand in {} with their reasons",
            totals.rejected,
            path.display()
        )));
    }
    let mut fatal = shared
        .fatal
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if fatal.is_none()
        && !interrupted
        && let Some(output) = shared.output
        && let Err(error) = output.finish()
    {
        fatal = Some(error.into());
    }
    RunReport {
        tickers: shared
            .tickers
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .into_values()
            .collect(),
        totals,
        interrupted,
        fatal: fatal.map(|error| Fatal {
            error: error.to_string(),
            hint: None,
        }),
        files,
        ..RunReport::default()
    }
}

fn say_others(observer: &dyn Observer, others: &[String]) {
    if others.is_empty() {
        return;
    }
    let mut names = others[..others.len().min(OTHERS_NAMED_MAX)].join(", ");
    if others.len() > OTHERS_NAMED_MAX {
        names += &format!(" and {} more", others.len() - OTHERS_NAMED_MAX);
    }
    observer.event(&Event::Note(&format!(
        "skipped, for they are no dumps: {names}"
    )));
}
