//! All tickers of a run: how many at once, and how the run ends.

use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::Error;
use super::batch::WriterContext;
use super::context::RunContext;
use super::fetcher::WindowFetcher;
use super::group::TickerGroup;
use super::plan::{Plan, TickerPlan};
use super::quota::Spending;
use super::store_writer::StoreWriter;
use super::ticker::TickerRun;
use super::writer_thread::WriterResult;
use crate::advice::{Advice, Continuation};
use crate::causes::with_causes;
use crate::export::BarsWriter;
use crate::model::OnConflict;
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport, UnitStatus};
use crate::store::{RunId, Store};

/// Tickers that may be active in addition to those with requests in flight: their last responses
/// are parsed meanwhile.
const TICKERS_SPARE: usize = 2;
/// Tickers that may wait only for their last commits.
const TICKERS_UNCOMMITTED_MAX: usize = 64;

/// A run, ready to start.
pub struct Job {
    /// Fetches windows.
    pub fetcher: WindowFetcher,
    /// The windows.
    pub plan: Plan,
    /// The store and the run's id; `None` in a dry run.
    pub store: Option<(Arc<Store>, RunId)>,
    /// The file that gets every valid bar.
    pub output: Option<BarsWriter>,
    /// The policy for bars that are stored already.
    pub on_conflict: OnConflict,
    /// How many tickers are active at once: one, or as many as requests in flight.
    pub tickers_at_once: usize,
    /// Records the requests of the day.
    pub spending: Option<Spending>,
    /// Gets the events of the run.
    pub observer: Arc<dyn Observer>,
    /// What continues the run after a quota or Ctrl-C ended it.
    pub continue_with: Continuation,
}

impl Job {
    /// Requests everything the plan has and stores it. Errors are in the report.
    pub async fn run(self, stop: &Stop) -> RunReport {
        let gate = self.fetcher.client.gate().clone();
        // One gate can serve several jobs, one after another.
        let (sent_before, retried_before) = (gate.sent(), gate.retried());
        let is_stored = self.store.is_some();
        let writer_context = WriterContext {
            store: self.store,
            output: self.output,
            on_conflict: self.on_conflict,
            provenance: self.fetcher.provenance(),
            source: self.fetcher.client.provider().info().source.clone(),
            spending: self.spending,
            calendar: self.fetcher.calendar.clone(),
            observer: self.observer.clone(),
        };
        let at_once = self.tickers_at_once.max(1);
        let (writer, thread) = match StoreWriter::start(writer_context, at_once, gate.clone()) {
            Ok(started) => started,
            Err(error) => return failed(&error),
        };
        self.observer.event(&Event::Planned {
            unit: "windows",
            total: self.plan.windows(),
        });
        let observer = self.observer.clone();
        let group_size = self.plan.groups.iter().copied().max().unwrap_or(1);
        let context = RunContext::new(self.fetcher, writer, self.observer, at_once, group_size);
        let context = Arc::new(context);
        let tickers = run_until_stopped(&context, &self.plan, stop).await;
        let ending = context.take_ending();
        let requests_left = requests_left(&self.plan, context.windows_answered());
        // The thread ends when the last `StoreWriter` is dropped; aborted windows can hold one a
        // moment longer.
        drop(context);
        let written = join(thread).await;

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
        if let Some(reason) = ending.quota {
            observer.event(&Event::Warning(&reason));
            report.hints.push(Advice::Continue {
                with: self.continue_with,
                requests: requests_left,
                tickers_not_started: self.plan.tickers.len() - tickers.len(),
            });
        }
        if report.interrupted && is_stored && requests_left > 0 {
            report
                .hints
                .push(Advice::ContinueStopped(self.continue_with));
        }
        report.tickers = tickers;
        if let Err(error) = written.and_then(|written| finish(written, &report, &*observer)) {
            report.fatal = failed(&error).fatal;
        }
        report
    }
}

/// The requests that a plan still needs when `answered` of its windows are answered.
fn requests_left(plan: &Plan, answered: u64) -> u64 {
    let windows = plan.windows();
    let left = windows.saturating_sub(answered);
    (plan.requests * left).div_ceil(windows.max(1))
}

/// Finishes the output file, and reports the file with the rejects.
fn finish(written: WriterResult, report: &RunReport, observer: &dyn Observer) -> Result<(), Error> {
    if let Some(path) = &written.rejects {
        let count = report.totals.rejected;
        let text = format!("{count} rows rejected; see {}", path.display());
        observer.event(&Event::Warning(&text));
    }
    // An incomplete file must not replace one that may be complete, and neither must one without
    // bars after a failure.
    let is_complete = report.fatal.is_none() && !report.interrupted;
    let has_failed = |ticker: &UnitReport| ticker.status == UnitStatus::Failed;
    let is_useless = report.totals.prepared == 0 && report.tickers.iter().any(has_failed);
    match written.output {
        Some(output) if is_complete && !is_useless => Ok(output.finish().map(drop)?),
        _ => Ok(()),
    }
}

async fn join(thread: JoinHandle<Result<WriterResult, Error>>) -> Result<WriterResult, Error> {
    match tokio::task::spawn_blocking(move || thread.join()).await {
        Ok(Ok(written)) => written,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(failed) => std::panic::resume_unwind(Box::new(failed.to_string())),
    }
}

/// Runs all tickers. When `stop` is set, it closes the gate: no more requests are sent.
async fn run_until_stopped(context: &Arc<RunContext>, plan: &Plan, stop: &Stop) -> Vec<UnitReport> {
    let tickers = run_tickers(context, plan);
    tokio::pin!(tickers);
    tokio::select! {
        reports = &mut tickers => reports,
        () = stop.wait() => {
            context.gate().close();
            tickers.await
        }
    }
}

/// The reports of all tickers that were started, in the plan's order.
async fn run_tickers(context: &Arc<RunContext>, plan: &Plan) -> Vec<UnitReport> {
    let at_once = context.tickers_at_once;
    let active = at_once * context.group_size;
    let (active_max, uncommitted_max) = match at_once {
        1 => (active, 1),
        _ => (active + TICKERS_SPARE, active + TICKERS_UNCOMMITTED_MAX),
    };
    // The tickers of a small group take as much room as those of a full one.
    let slots = &Semaphore::new(active_max);
    let tickers = plan.tickers.iter().zip(groups(plan)).enumerate();
    let mut reports: Vec<(usize, UnitReport)> = stream::iter(tickers)
        .map(|(index, (plan, group))| async move {
            let report = run_ticker(context, plan, group, slots).await?;
            Some((index, report))
        })
        .buffer_unordered(uncommitted_max)
        .filter_map(std::future::ready)
        .collect()
        .await;
    reports.sort_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// The group of each ticker, in the plan's order.
fn groups(plan: &Plan) -> impl Iterator<Item = Arc<TickerGroup>> {
    let mut start = 0;
    plan.groups.iter().flat_map(move |&size| {
        let tickers = &plan.tickers[start..start + size];
        start += size;
        let tickers = tickers.iter().map(|plan| plan.ticker.clone()).collect();
        std::iter::repeat_n(Arc::new(TickerGroup::new(tickers)), size)
    })
}

/// Runs one ticker; `None` if the run ended before its turn.
async fn run_ticker(
    context: &Arc<RunContext>,
    plan: &TickerPlan,
    group: Arc<TickerGroup>,
    slots: &Semaphore,
) -> Option<UnitReport> {
    let weight = context.weight(&group);
    let slot = slots.acquire_many(weight).await.ok()?;
    if context.gate().is_closed() {
        return None;
    }
    context
        .observer
        .event(&Event::Started(plan.ticker.as_str()));
    context.ticker_started(weight);
    let report = TickerRun::new(context, plan, group).run(slot).await;
    context.ticker_ended(weight);
    context.observer.event(&Event::TickerDone(&report));
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
