//! The store's own thread: takes windows' bars from the asynchronous side, many to a commit.
//!
//! ```text
//! ticker ──Batch──┐
//! ticker ──Batch──┼─(bounded by bars)─> writer thread ─> output file, rejects, Store::commit ─┐
//! ticker ──Batch──┘                                                                         │
//!    └─────────────────────────────── BatchOutcome, one a batch <───────────────────────────────────┘
//! ```
//!
//! **The store is never called on an asynchronous thread**, and what waits for it is bounded in bars: a slow store slows
//! the fetch.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Error;
use super::advice::advice;
use super::quota::{RECORD_EVERY, Spending};
use super::rejects::Rejects;
use super::restatement::Restatement;
use crate::calendar::Calendar;
use crate::export::BarsWriter;
use crate::model::{Bars, DateRange, OnConflict, Provenance, Reject, SeriesKey, Source};
use crate::provider::Gate;
use crate::report::Observer;
use crate::store::{CoverageEntry, Offer, Refusal, RunId, Store, Tally};

/// Bars that may wait for the store, in units of [`UNIT_BARS`].
const WAITING_UNITS_MAX: u32 = 96;
/// A batch takes one unit for so many bars, and at least one.
const UNIT_BARS: usize = 1024;
/// A commit is not made larger than this by waiting for more.
const GROUP_BARS_MAX: usize = 65_536;
/// How long a commit waits for company while windows are under way.
const GROUP_WAIT: Duration = Duration::from_millis(50);
/// How often a waiting commit looks whether windows still are.
const GROUP_TICK: Duration = Duration::from_millis(5);

/// What one window brought.
pub(super) struct Batch {
    pub series: SeriesKey,
    pub bars: Bars,
    pub rejects: Vec<Reject>,
    pub answers: Vec<CoverageEntry>,
    pub asked_again: bool,
    /// Bars that came with these and are not offered.
    pub context_bars: Bars,
    /// The dates of the run, where it asks for every trading day of them.
    pub full_range: Option<DateRange>,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub(super) enum BatchOutcome {
    /// Durably taken; in a dry run, counted.
    Committed(Tally),
    /// Refused whole, why, and what would go on.
    Refused {
        refusal: Refusal,
        error: String,
        hint: String,
    },
    /// Not offered: it would have put prices of another basis beside those that are staged.
    SplitSuspected {
        restated: u64,
        error: String,
        hint: String,
    },
    /// Not offered: an earlier batch of its ticker was refused.
    SkippedAfterRefusal,
}

/// What the thread works with.
pub(super) struct WriterContext {
    pub store: Option<(Arc<Store>, RunId)>,
    pub output: Option<BarsWriter>,
    pub on_conflict: OnConflict,
    pub provenance: Provenance,
    pub source: Source,
    pub spending: Option<Spending>,
    pub calendar: Calendar,
    pub observer: Arc<dyn Observer>,
}

/// What the thread hands back.
pub(super) struct WriterResult {
    pub output: Option<BarsWriter>,
    pub rejects: Option<std::path::PathBuf>,
}

/// The way to the thread. Cheap to clone; the thread ends when the last is gone.
#[derive(Clone)]
pub(super) struct StoreWriter {
    jobs: Sender<Job>,
    room: Arc<Semaphore>,
    in_flight: Arc<AtomicUsize>,
}

pub(super) struct Job {
    pub batch: Batch,
    pub kept: oneshot::Sender<BatchOutcome>,
    _room: OwnedSemaphorePermit,
    /// Given back when the job is dropped: not before its batch is committed.
    _open: OwnedSemaphorePermit,
}

/// Says, while it lives, that a window is being asked for: a commit may wait for it.
pub(super) struct InFlightGuard(Arc<AtomicUsize>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl StoreWriter {
    /// Starts the thread. When it fails it shuts `gate`, and says why when it is joined.
    ///
    /// A commit waits until `group` windows have come, but for no longer than a moment.
    pub(super) fn start(
        context: WriterContext,
        group: usize,
        gate: Arc<Gate>,
    ) -> Result<(Self, JoinHandle<Result<WriterResult, Error>>), Error> {
        let (jobs, inbox) = mpsc::channel();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let worker = Worker {
            rejects: (context.store.as_ref())
                .map(|(store, run)| Rejects::new(store.rejects_path(run))),
            in_flight: in_flight.clone(),
            refused: HashSet::new(),
            rewriting: HashSet::new(),
            stored_before: HashMap::new(),
            compared: HashSet::new(),
            group: if context.store.is_some() { group } else { 1 },
            context,
            gate,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || worker.serve(&inbox))
            .map_err(Error::Thread)?;
        let writer = Self {
            jobs,
            room: Arc::new(Semaphore::new(WAITING_UNITS_MAX as usize)),
            in_flight,
        };
        Ok((writer, thread))
    }

    pub(super) fn in_flight(&self) -> InFlightGuard {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlightGuard(self.in_flight.clone())
    }

    /// Hands a batch over, once there is room; what became of it comes later. `None` when the thread is gone.
    pub(super) async fn offer(
        &self,
        batch: Batch,
        open: OwnedSemaphorePermit,
    ) -> Option<oneshot::Receiver<BatchOutcome>> {
        let units = (batch.bars.len() / UNIT_BARS + 1).min(WAITING_UNITS_MAX as usize);
        let room = self
            .room
            .clone()
            .acquire_many_owned(units as u32)
            .await
            .ok()?;
        let (kept, answer) = oneshot::channel();
        let job = Job {
            batch,
            kept,
            _room: room,
            _open: open,
        };
        self.jobs.send(job).ok()?;
        Some(answer)
    }
}

pub(super) struct Worker {
    pub(super) context: WriterContext,
    rejects: Option<Rejects>,
    in_flight: Arc<AtomicUsize>,
    /// Series with a refused batch.
    pub(super) refused: HashSet<SeriesKey>,
    /// Series that are being restated as a whole, after a split.
    pub(super) rewriting: HashSet<SeriesKey>,
    /// Whether a series held bars before this run wrote into it.
    pub(super) stored_before: HashMap<SeriesKey, bool>,
    /// Series of which a stored bar was compared with what the provider returns now.
    pub(super) compared: HashSet<SeriesKey>,
    /// Windows that a commit waits for.
    group: usize,
    gate: Arc<Gate>,
}

impl Worker {
    fn serve(mut self, inbox: &Receiver<Job>) -> Result<WriterResult, Error> {
        let mut later = Vec::new();
        let worked = loop {
            let group = match self.group(inbox, std::mem::take(&mut later)) {
                Ok(Some(group)) => group,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            match self.work(group) {
                Ok(rest) => later = rest,
                Err(error) => break Err(error),
            }
        };
        let spent = (self.context.spending.as_mut())
            .map_or(Ok(()), |spending| spending.record(self.gate.sent()));
        if worked.is_err() {
            self.gate.close();
        }
        worked.and(spent)?;
        Ok(WriterResult {
            output: self.context.output,
            rejects: self.rejects.and_then(|rejects| rejects.written().cloned()),
        })
    }

    /// The next batches to be taken together; `None` when there will be no more.
    fn group(
        &mut self,
        inbox: &Receiver<Job>,
        mut group: Vec<Job>,
    ) -> Result<Option<Vec<Job>>, Error> {
        while group.is_empty() {
            match inbox.recv_timeout(RECORD_EVERY) {
                Ok(job) => group.push(job),
                // Requests that bring nothing, for the time being, are spent too.
                Err(RecvTimeoutError::Timeout) => self.record()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
        let end = Instant::now() + GROUP_WAIT;
        let mut bars: usize = group.iter().map(|job| job.batch.bars.len()).sum();
        while bars < GROUP_BARS_MAX {
            let alone = self.in_flight.load(Ordering::SeqCst) == 0;
            let left = end.saturating_duration_since(Instant::now());
            let wait = if alone || group.len() >= self.group {
                Duration::ZERO
            } else {
                left.min(GROUP_TICK)
            };
            match inbox.recv_timeout(wait) {
                Ok(job) => {
                    bars += job.batch.bars.len();
                    group.push(job);
                }
                Err(RecvTimeoutError::Timeout) if !wait.is_zero() => {}
                Err(_) => break,
            }
        }
        Ok(Some(group))
    }

    fn record(&mut self) -> Result<(), Error> {
        match &mut self.context.spending {
            Some(spending) => spending.record_now_and_then(self.gate.sent()),
            None => Ok(()),
        }
    }

    /// Takes a group, and gives back what has to wait for the next.
    fn work(&mut self, group: Vec<Job>) -> Result<Vec<Job>, Error> {
        let (mut now, mut later) = (Vec::new(), Vec::new());
        let mut lots: Vec<SeriesBatch> = Vec::new();
        for job in group {
            let batch = &job.batch;
            if self.refused.contains(&batch.series) {
                let _ = job.kept.send(BatchOutcome::SkippedAfterRefusal);
                continue;
            }
            let lot = lots.iter_mut().find(|lot| lot.series == batch.series);
            match lot {
                // Whether it is offered at all can hang on what becomes of the ones before it.
                Some(lot) if lot.asked_again != batch.asked_again => later.push(job),
                Some(lot) => now.push((lot.place, job)),
                None => {
                    let place = lots.len();
                    lots.push(SeriesBatch {
                        place,
                        series: batch.series.clone(),
                        asked_again: batch.asked_again,
                        parts: Vec::new(),
                    });
                    now.push((place, job));
                }
            }
        }
        for (place, job) in now {
            if let Some(output) = &self.context.output {
                output.add(&job.batch.series.ticker, job.batch.bars.clone())?;
            }
            if let Some(rejects) = &mut self.rejects {
                rejects.add(&job.batch.rejects)?;
            }
            lots[place].parts.push(job);
        }
        match self.context.store.clone() {
            Some((store, run)) => self.commit(&store, &run, lots)?,
            None => {
                for job in lots.into_iter().flat_map(|lot| lot.parts) {
                    let _ = job.kept.send(BatchOutcome::Committed(Tally::default()));
                }
            }
        }
        self.record()?;
        Ok(later)
    }

    /// Takes each lot in one commit, all in one call; a lot that is refused is taken apart.
    fn commit(&mut self, store: &Store, run: &RunId, lots: Vec<SeriesBatch>) -> Result<(), Error> {
        let mut empty: Vec<CoverageEntry> = Vec::new();
        let mut full = Vec::new();
        let mut done = Vec::new();
        for mut lot in lots {
            // First, so that stored bars that came without new ones are compared too.
            if self.restatement(store, &lot.series, &lot.parts)?.is_some() {
                self.one_by_one(store, run, lot)?;
                continue;
            }
            let (bare, parts) = lot
                .parts
                .into_iter()
                .partition(|job| job.batch.bars.is_empty());
            lot.parts = parts;
            for mut job in bare {
                empty.append(&mut job.batch.answers);
                done.push(job);
            }
            if !lot.parts.is_empty() {
                self.warn_if_not_compared(&lot.series);
                full.push(lot);
            }
        }
        store.record_coverage(run, &empty)?;
        for job in done {
            let _ = job.kept.send(BatchOutcome::Committed(Tally::default()));
        }
        if full.is_empty() {
            return Ok(());
        }
        let offers = (full.iter_mut())
            .map(|lot| self.offer(lot.series.clone(), lot.asked_again, &mut lot.parts))
            .collect();
        let outcomes = store.commit(run, offers)?;
        for (lot, outcome) in full.into_iter().zip(outcomes) {
            match outcome {
                Ok(committed) => {
                    // The counts go to the first of its windows; all are of one ticker.
                    let mut counts = Some(committed.counts);
                    for job in lot.parts {
                        let _ = job
                            .kept
                            .send(BatchOutcome::Committed(counts.take().unwrap_or_default()));
                    }
                }
                Err(refusal) if lot.parts.len() == 1 => {
                    for job in lot.parts {
                        self.refuse(store, &refusal, job, None);
                    }
                }
                Err(_) => self.one_by_one(store, run, lot)?,
            }
        }
        Ok(())
    }

    /// Offers the windows of a refused lot each by itself, up to the first that is refused: a batch is one window's bars.
    fn one_by_one(&mut self, store: &Store, run: &RunId, lot: SeriesBatch) -> Result<(), Error> {
        for job in lot.parts {
            if self.refused.contains(&lot.series) {
                let _ = job.kept.send(BatchOutcome::SkippedAfterRefusal);
                continue;
            }
            let mut alone = [job];
            let found = self.restatement(store, &lot.series, &alone)?;
            if let Some(found) = &found
                && !self.may_continue(store, found, &alone[0].batch)
            {
                let [job] = alone;
                self.refuse_split(store, found, job);
                continue;
            }
            if alone[0].batch.bars.is_empty() {
                let [job] = alone;
                store.record_coverage(run, &job.batch.answers)?;
                let _ = job.kept.send(BatchOutcome::Committed(Tally::default()));
                continue;
            }
            let offer = self.offer(lot.series.clone(), lot.asked_again, &mut alone);
            let outcome = store.commit(run, vec![offer])?.pop();
            let [job] = alone;
            match outcome {
                Some(Err(refusal)) => self.refuse(store, &refusal, job, found.as_ref()),
                Some(Ok(committed)) => {
                    let _ = job.kept.send(BatchOutcome::Committed(committed.counts));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The bars of neighbouring windows as one batch. Of several windows the bars stay with them, for the case that the
    /// batch is refused.
    fn offer(&self, series: SeriesKey, asked_again: bool, parts: &mut [Job]) -> Offer {
        let several = parts.len() > 1;
        let mut bars = Bars::default();
        let mut coverage = Vec::new();
        for Job { batch, .. } in parts {
            if several {
                bars.extend_from(&batch.bars, 0..batch.bars.len());
            } else {
                bars = std::mem::take(&mut batch.bars);
            }
            coverage.extend(batch.answers.iter().cloned());
        }
        Offer {
            series,
            provenance: self.context.provenance.clone(),
            source: self.context.source.clone(),
            bars,
            on_conflict: self.context.on_conflict,
            asked_again,
            coverage,
        }
    }

    fn refuse(&mut self, store: &Store, refusal: &Refusal, job: Job, found: Option<&Restatement>) {
        let (error, hint) = match found {
            Some(found) => (
                format!("{refusal}: {found}"),
                self.again(store, &job.batch, found),
            ),
            None => (
                refusal.to_string(),
                advice(store, refusal, &job.batch.answers),
            ),
        };
        self.refused.insert(job.batch.series);
        let _ = job.kept.send(BatchOutcome::Refused {
            refusal: refusal.clone(),
            error,
            hint,
        });
    }
}

/// Windows of one series that are offered as one batch: one commit instead of many.
struct SeriesBatch {
    place: usize,
    series: SeriesKey,
    asked_again: bool,
    parts: Vec<Job>,
}
