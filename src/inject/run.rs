//! A run over all files, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::commit::Sink;
use super::error::{Error, plain};
use super::file;
use super::gate::Gate;
use super::plan::Sniffer;
use super::rejects::Rejects;
use super::settings::Settings;
use super::walk::{Dump, Dumps, Found};
use crate::advice::Hint;
use crate::export::BarsWriter;
use crate::model::Ticker;
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport, UnitStatus};
use crate::store::Refusal;

/// How many files are named in one line.
const NAMED_MAX: usize = 20;

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
    /// The files whose last line has no line end and is a reject, by their place.
    unended: Mutex<BTreeSet<usize>>,
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
            unit.status = UnitStatus::refused(refusal.conflicts());
            unit.error = Some(refusal.to_string());
            unit.hint = refusal.hint();
        }
    }

    /// A file's last line has no line end and is a reject.
    pub(super) fn add_unended(&self, index: usize) {
        let mut unended = self.unended.lock().unwrap_or_else(PoisonError::into_inner);
        unended.insert(index);
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

/// Injects `dumps` as `settings` says into `sink`, telling `observer` what happens, until `stop` is set.
///
/// `Err` is a run that could not begin; what went wrong later stands in the report.
pub fn run(
    sink: Sink<'_>,
    settings: &Settings,
    dumps: Dumps,
    observer: &dyn Observer,
    stop: &Stop,
) -> Result<RunReport, Error> {
    let Dumps(Found {
        dumps,
        others,
        specials,
        stores,
        unreadable,
    }) = dumps;
    say_skipped(observer, "for they are no dumps", &others);
    say_skipped(
        observer,
        "for they are pipes, sockets or devices",
        &specials,
    );
    say_skipped(observer, "for they are stores", &stores);
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
        unended: Mutex::new(BTreeSet::new()),
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
    warn_of_unended(&shared, &dumps);
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
    // A run without bars because its files failed leaves an existing file as it is.
    let is_failed = files.iter().any(|file| file.status == UnitStatus::Failed);
    if fatal.is_none()
        && !interrupted
        && let Some(output) = shared.output
        && !(is_failed && output.is_empty())
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

/// Names the files whose last line was not taken, and the option that takes it.
fn warn_of_unended(shared: &Shared<'_>, dumps: &[Dump]) {
    let unended = shared
        .unended
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let names: Vec<&str> = unended
        .iter()
        .map(|index| dumps[*index].name.as_str())
        .collect();
    if names.is_empty() {
        return;
    }
    shared.observer.event(&Event::Warning(&format!(
        "the last line has no line end and is a reject, for the file may be cut short or still being written: {}; \
         --accept-last-line takes it",
        some(&names)
    )));
}

fn say_skipped(observer: &dyn Observer, why: &str, names: &[String]) {
    if !names.is_empty() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        observer.event(&Event::Note(&format!("skipped, {why}: {}", some(&names))));
    }
}

/// The first of many names, and how many more there are.
fn some(names: &[&str]) -> String {
    let mut text = names[..names.len().min(NAMED_MAX)].join(", ");
    if names.len() > NAMED_MAX {
        text += &format!(" and {} more", names.len() - NAMED_MAX);
    }
    text
}
