//! What all files of a run share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::contradict::FilePrices;
use super::error::Error;
use super::find_files::InputFile;
use super::planner::Planner;
use super::rejects::Rejects;
use super::settings::Settings;
use crate::advice::Advice;
use crate::export::BarsWriter;
use crate::model::Ticker;
use crate::report::{Counts, Observer, Stop, UnitReport, UnitStatus};
use crate::store::{Committed, Offer, Refusal, RejectedRows, RunId, Store};

/// Where bars go.
#[derive(Clone, Copy)]
pub enum Sink<'a> {
    /// Into the store, as part of a run.
    Store { store: &'a Store, run: &'a RunId },
    /// Bars are only counted.
    Dry,
}

impl Sink<'_> {
    /// The result of each offer; `None` in a dry run.
    pub(super) fn commit(
        self,
        offers: Vec<Offer>,
    ) -> Result<Vec<Result<Option<Committed>, Refusal>>, Error> {
        match self {
            Self::Store { store, run } => {
                let results = store.commit(run, offers)?.into_iter();
                Ok(results.map(|result| result.map(Some)).collect())
            }
            Self::Dry => Ok(offers.iter().map(|_| Ok(None)).collect()),
        }
    }

    /// Records the bars that are missing because of rejects.
    pub(super) fn record_rejected(self, rows: &[RejectedRows]) -> Result<(), Error> {
        match self {
            Self::Store { store, .. } => Ok(store.record_rejected(rows)?),
            Self::Dry => Ok(()),
        }
    }
}

/// What all files of a run share.
pub(super) struct RunContext<'r> {
    pub(super) settings: &'r Settings,
    pub(super) planner: Planner<'r>,
    pub(super) sink: Sink<'r>,
    pub(super) observer: &'r dyn Observer,
    pub(super) pool: ThreadPool,
    pub(super) rejects: Rejects,
    pub(super) output: Option<BarsWriter>,
    /// The prices of the files so far; `None` if no two files can contradict each other.
    pub(super) prices: Option<FilePrices<'r>>,
    pub(super) stop: &'r Stop,
    has_failed: AtomicBool,
    results: Mutex<Results>,
}

/// What the files of a run add up to.
#[derive(Default)]
pub(super) struct Results {
    /// The error that ended the run.
    pub(super) fatal: Option<Error>,
    pub(super) tickers: BTreeMap<Ticker, UnitReport>,
    /// The indices of files whose last line has no line end and is a reject.
    pub(super) unended: BTreeSet<usize>,
}

impl<'r> RunContext<'r> {
    pub(super) fn new(
        settings: &'r Settings,
        sink: Sink<'r>,
        files: &'r [InputFile],
        observer: &'r dyn Observer,
        stop: &'r Stop,
    ) -> Result<Self, Error> {
        let rejects_path = match sink {
            Sink::Store { store, run } => Some(store.rejects_path(run)),
            Sink::Dry => None,
        };
        let output = settings.output.as_ref();
        Ok(Self {
            settings,
            planner: Planner::new(settings)?,
            sink,
            observer,
            pool: ThreadPoolBuilder::new()
                .num_threads(settings.threads.max(1).min(settings.cores.max(1)))
                .build()?,
            rejects: Rejects::new(rejects_path),
            output: output
                .map(|file| BarsWriter::create(file, settings.on_conflict))
                .transpose()?,
            prices: FilePrices::new(files, settings.on_conflict),
            stop,
            has_failed: AtomicBool::new(false),
            results: Mutex::default(),
        })
    }

    /// Whether the user stopped the run, or it can't continue.
    pub(super) fn is_stopped(&self) -> bool {
        self.has_failed() || self.stop.is_set()
    }

    /// Whether the run can't continue.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Ends the run with an error.
    pub(super) fn fail(&self, error: Error) {
        self.results().fatal.get_or_insert(error);
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Adds to a ticker's counts.
    pub(super) fn add_counts(&self, ticker: &Ticker, counts: Counts) {
        self.update(ticker, |unit| unit.counts += counts);
    }

    /// Adds to a ticker's time.
    pub(super) fn add_time(&self, ticker: &Ticker, elapsed: Duration) {
        self.update(ticker, |unit| unit.elapsed += elapsed);
    }

    /// Sets how a ticker ended.
    pub(super) fn set_failed(
        &self,
        ticker: &Ticker,
        status: UnitStatus,
        error: &str,
        hint: Option<&Advice>,
    ) {
        self.update(ticker, |unit| {
            unit.status = status;
            unit.error = Some(error.to_owned());
            unit.hint = hint.cloned();
        });
    }

    /// Records that a file's last line has no line end and is a reject.
    pub(super) fn add_unended(&self, index: usize) {
        self.results().unended.insert(index);
    }

    /// What the files have added up to.
    pub(super) fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, ticker: &Ticker, change: impl FnOnce(&mut UnitReport)) {
        let mut results = self.results();
        let unit = results.tickers.entry(ticker.clone());
        change(unit.or_insert_with(|| UnitReport {
            status: UnitStatus::Ok,
            ..UnitReport::done(ticker.as_str(), Counts::default(), Duration::ZERO)
        }));
    }
}
