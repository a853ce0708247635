//! All tickers of a run: who is asked for when, and how it ends.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::Error;
use super::fetcher::WindowFetcher;
use super::plan::{Plan, TickerPlan};
use super::quota::Spending;
use super::ticker::TickerRun;
use super::writer::{StoreWriter, WriterContext};
use crate::causes::with_causes;
use crate::export::BarsWriter;
use crate::model::OnConflict;
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport};
use crate::store::{RunId, Store};

/// Tickers beyond the requests in flight that may be under way: their last answers are being read while the requests of
/// others are out.
const TICKERS_SPARE: usize = 2;
/// Tickers whose answers are all in, but not yet all in the store.
const TICKERS_UNCOMMITTED_MAX: usize = 64;

/// Windows that may be open, asked and not yet committed, for each request in flight: one that is out, one that is being
/// committed, one that waits for that, and one to spare for a commit that takes longer than its requests. A run that is
/// killed has at most these to ask again.
const OPEN_PER_REQUEST: usize = 4;

/// A run, ready to go.
pub struct Job {
    /// How to ask.
    pub fetcher: WindowFetcher,
    /// What to ask.
    pub plan: Plan,
    /// Whereto; nowhere in a dry run.
    pub store: Option<(Arc<Store>, RunId)>,
    /// The file that gets every valid bar.
    pub output: Option<BarsWriter>,
    /// What to do with bars that are staged already.
    pub on_conflict: OnConflict,
    /// How many tickers are asked for at once: one, or as many as requests in flight.
    pub tickers_at_once: usize,
    /// Writes the requests of the day down.
    pub spending: Option<Spending>,
    /// Who listens.
    pub observer: Arc<dyn Observer>,
    /// With what the user goes on when a quota ended it: `--resume`.
    pub goes_on: &'static str,
}

/// What all tickers of a run share.
pub(super) struct RunContext {
    pub fetcher: WindowFetcher,
    pub writer: StoreWriter,
    pub observer: Arc<dyn Observer>,
    /// Leave to be asked for, given back when the window is committed: **no more windows than this are ever open**.
    pub open: Arc<Semaphore>,
    tickers_at_once: usize,
    active: AtomicUsize,
    /// Windows that were answered.
    pub answered: AtomicU64,
    ending: Mutex<Ending>,
}

#[derive(Default)]
struct Ending {
    quota: Option<String>,
    fatal: Option<Fatal>,
}

impl RunContext {
    /// Windows of one ticker that are asked for ahead of the oldest that is not in yet: enough that all requests in
    /// flight are used, and always one more than is being read.
    pub(super) fn ahead(&self) -> usize {
        let active = self.active.load(Ordering::Relaxed).max(1);
        self.tickers_at_once.div_ceil(active).max(2)
    }

    /// A quota is spent: nothing more is asked.
    pub(super) fn quota(&self, why: String) {
        self.ending().quota.get_or_insert(why);
        self.fetcher.asker.gate().close();
    }

    /// The run cannot go on.
    pub(super) fn fatal(&self, error: String, hint: Option<String>) {
        self.ending().fatal.get_or_insert(Fatal { error, hint });
        self.fetcher.asker.gate().close();
    }

    fn ending(&self) -> std::sync::MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// Asks for everything the plan says and stages it. What goes wrong on the way stands in the report.
    pub async fn run(self, stop: &Stop) -> RunReport {
        let source = self.fetcher.asker.provider().capabilities().source.clone();
        let gate = self.fetcher.asker.gate().clone();
        // One gate can serve several jobs, one after another.
        let (sent_before, retried_before) = (gate.sent(), gate.retried());
        let context = WriterContext {
            store: self.store,
            output: self.output,
            on_conflict: self.on_conflict,
            provenance: self.fetcher.provenance(),
            source,
            spending: self.spending,
            calendar: self.fetcher.calendar.clone(),
            observer: self.observer.clone(),
        };
        let at_once = self.tickers_at_once.max(1);
        let (writer, thread) = match StoreWriter::start(context, at_once, gate.clone()) {
            Ok(started) => started,
            Err(error) => return failed(&error),
        };
        self.observer.event(&Event::Planned {
            unit: "requests",
            total: self.plan.windows(),
        });
        let run = Arc::new(RunContext {
            fetcher: self.fetcher,
            writer,
            observer: self.observer,
            open: Arc::new(Semaphore::new(at_once * OPEN_PER_REQUEST)),
            tickers_at_once: at_once,
            active: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            ending: Mutex::default(),
        });
        let tickers = {
            let asked = ask_all(&run, &self.plan);
            tokio::pin!(asked);
            tokio::select! {
                tickers = &mut asked => tickers,
                () = stop.wait() => {
                    gate.close();
                    asked.await
                }
            }
        };
        let observer = run.observer.clone();
        let ending = std::mem::take(&mut *run.ending());
        let unanswered = (self.plan.windows()).saturating_sub(run.answered.load(Ordering::Relaxed));
        // The thread ends with the last way to it; aborted windows can hold one a moment longer.
        drop(run);
        let closed = tokio::task::spawn_blocking(move || thread.join()).await;
        let closed = match closed {
            Ok(Ok(closed)) => closed,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(failed) => std::panic::resume_unwind(Box::new(failed.to_string())),
        };

        let mut totals: Counts = tickers.iter().map(|ticker| ticker.counts).sum();
        totals.requests = gate.sent() - sent_before;
        totals.retries = gate.retried() - retried_before;
        let mut report = RunReport {
            totals,
            interrupted: stop.is_set(),
            quota: ending.quota.is_some(),
            fatal: ending.fatal,
            ..RunReport::default()
        };
        if let Some(why) = ending.quota {
            observer.event(&Event::Warning(&why));
            let begun = tickers.len();
            let not_begun = match self.plan.tickers.len() - begun {
                0 => String::new(),
                1 => "; 1 ticker was not begun".to_owned(),
                left => format!("; {left} tickers were not begun"),
            };
            report.hints.push(format!(
                "{} goes on where this run stopped, and will ask {unanswered} requests{not_begun}",
                self.goes_on
            ));
        }
        report.tickers = tickers;
        let finished = closed.and_then(|closed| {
            if let Some(path) = &closed.rejects {
                let count = report.totals.rejected;
                let text = format!(
                    "{count} rows are not bars; they and their reasons are in {}",
                    path.display()
                );
                observer.event(&Event::Warning(&text));
            }
            match closed.output {
                // A file that lacks what was asked for does not replace one that may have it.
                Some(output) if report.fatal.is_none() && !report.interrupted => {
                    output.finish().map(drop).map_err(Error::from)
                }
                _ => Ok(()),
            }
        });
        if let Err(error) = finished {
            report.fatal = failed(&error).fatal;
        }
        report
    }
}

/// The reports of all tickers that were begun, in the plan's order.
async fn ask_all(run: &Arc<RunContext>, plan: &Plan) -> Vec<UnitReport> {
    let at_once = run.tickers_at_once;
    let (slots, behind) = match at_once {
        1 => (Semaphore::new(1), 1),
        _ => (
            Semaphore::new(at_once + TICKERS_SPARE),
            at_once + TICKERS_UNCOMMITTED_MAX,
        ),
    };
    let mut reports: Vec<(usize, UnitReport)> = stream::iter(plan.tickers.iter().enumerate())
        .map(|(index, plan)| ask_one(run, plan, &slots).map_with(index))
        .buffer_unordered(behind)
        .filter_map(std::future::ready)
        .collect()
        .await;
    reports.sort_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}

trait MapWith: Future<Output = Option<UnitReport>> + Sized {
    async fn map_with(self, index: usize) -> Option<(usize, UnitReport)> {
        self.await.map(|report| (index, report))
    }
}

impl<F: Future<Output = Option<UnitReport>>> MapWith for F {}

async fn ask_one(
    run: &Arc<RunContext>,
    plan: &TickerPlan,
    slots: &Semaphore,
) -> Option<UnitReport> {
    let slot = slots.acquire().await.ok()?;
    if run.fetcher.asker.gate().is_closed() {
        return None;
    }
    run.observer.event(&Event::Started(plan.ticker.as_str()));
    run.active.fetch_add(1, Ordering::Relaxed);
    let report = TickerRun::new(run, plan).go(slot).await;
    run.active.fetch_sub(1, Ordering::Relaxed);
    run.observer.event(&Event::TickerDone(&report));
    Some(report)
}

fn failed(error: &Error) -> RunReport {
    RunReport {
        fatal: Some(Fatal {
            error: with_causes(error),
            hint: None,
        }),
        ..RunReport::default()
    }
}
