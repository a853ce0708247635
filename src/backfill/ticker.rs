//! One ticker: its windows requested in order, offered in order, reported once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};
use tokio::task::{JoinError, JoinHandle};

use super::batch::{Batch, BatchOutcome};
use super::context::RunContext;
use super::fetch_window::RequestedRanges;
use super::fetched::FetchedWindow;
use super::group::TickerGroup;
use super::plan::TickerPlan;
use crate::advice::Advice;
use crate::causes::with_causes;
use crate::model::{Reason, Timestamp};
use crate::provider::{BadRow, Error, ErrorKind, FetchError, Retry, Scope};
use crate::report::{Counts, Event, Fatal, UnitReport, UnitStatus};

/// Batches of one ticker that may wait for the store.
const OFFERED_MAX: usize = 32;
/// Consecutive windows that may fail for good before the ticker is given up.
const FAILED_IN_A_ROW_MAX: usize = 2;

/// A fetched window and its permit.
type Fetched = (FetchedWindow, OwnedSemaphorePermit);

/// A window that is being fetched; aborted when dropped.
struct FetchTask(JoinHandle<Fetched>);

impl Future for FetchTask {
    type Output = Result<Fetched, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl Drop for FetchTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A batch whose outcome is awaited.
struct Offered {
    outcome: oneshot::Receiver<BatchOutcome>,
    rows: u64,
}

impl Offered {
    async fn outcome(self) -> (Result<BatchOutcome, RecvError>, u64) {
        (self.outcome.await, self.rows)
    }
}

/// The first thing that went wrong, and what can be done.
struct Problem {
    status: UnitStatus,
    error: String,
    hint: Option<Advice>,
}

/// One ticker, as far as it has come.
pub(super) struct TickerRun<'a> {
    context: &'a Arc<RunContext>,
    plan: &'a TickerPlan,
    group: Arc<TickerGroup>,
    /// Permits that a window takes.
    weight: u32,
    requested: Arc<RequestedRanges>,
    counts: Counts,
    started_at: Instant,
    /// The next window to request.
    next_window: usize,
    /// Windows that were answered or failed.
    windows_done: usize,
    windows_failed: usize,
    /// Windows whose dates the provider's plan doesn't include, and the error of the last one that
    /// isn't too new.
    windows_withheld: usize,
    withheld: Option<Error>,
    failed_in_a_row: usize,
    problem: Option<Problem>,
    /// No further window is requested.
    ended: bool,
}

impl<'a> TickerRun<'a> {
    pub(super) fn new(
        context: &'a Arc<RunContext>,
        plan: &'a TickerPlan,
        group: Arc<TickerGroup>,
    ) -> Self {
        Self {
            context,
            plan,
            weight: context.weight(&group),
            group,
            requested: Arc::default(),
            counts: Counts::default(),
            started_at: Instant::now(),
            next_window: 0,
            windows_done: 0,
            windows_failed: 0,
            windows_withheld: 0,
            withheld: None,
            failed_in_a_row: 0,
            problem: None,
            ended: false,
        }
    }

    /// Requests all windows. `slot` is returned when the last response has come, before it is
    /// committed.
    pub(super) async fn run(mut self, slot: SemaphorePermit<'_>) -> UnitReport {
        let mut slot = Some(slot);
        let mut fetches: FuturesOrdered<FetchTask> = FuturesOrdered::new();
        let mut offers = FuturesOrdered::new();
        // Kept from one iteration to the next, so that it keeps its place in the queue.
        let mut permit = None;
        loop {
            let has_more = !self.ended && self.next_window < self.plan.windows.len();
            if has_more && fetches.len() < self.context.windows_ahead() {
                let (permits, count) = (&self.context.window_permits, self.weight);
                permit.get_or_insert_with(|| Box::pin(permits.clone().acquire_many_owned(count)));
            } else {
                permit = None;
            }
            if fetches.is_empty() && !has_more {
                slot.take();
            }
            tokio::select! {
                biased;
                Some((outcome, rows)) = offers.next(), if !offers.is_empty() => {
                    self.on_outcome(outcome, rows);
                },
                Some(fetched) = fetches.next(),
                    if !fetches.is_empty() && offers.len() < OFFERED_MAX =>
                {
                    if let Some(offered) = self.on_fetched(fetched).await {
                        offers.push_back(offered.outcome());
                    }
                },
                // Permits are taken in window order, so a task that holds one never waits for a
                // task that doesn't.
                Some(granted) = async { Some(permit.as_mut()?.await) }, if permit.is_some() => {
                    permit = None;
                    // The semaphore is never closed.
                    if let Ok(granted) = granted {
                        fetches.push_back(self.start_next(granted));
                    }
                }
                else => break,
            }
            if self.ended && !self.context.gate().is_closed() {
                // Their bars would not be offered. (When the gate closes, bars that still arrive are.)
                fetches = FuturesOrdered::new();
            }
        }
        self.report()
    }

    fn start_next(&mut self, permit: OwnedSemaphorePermit) -> FetchTask {
        let context = self.context.clone();
        let ticker = self.plan.ticker.clone();
        let windows = self.plan.windows.clone();
        let (group, requested) = (self.group.clone(), self.requested.clone());
        let index = self.next_window;
        self.next_window += 1;
        FetchTask(tokio::spawn(async move {
            let _in_flight = context.writer.in_flight();
            let fetcher = &context.fetcher;
            let fetched = fetcher
                .fetch(&ticker, &windows[index], &group, &requested)
                .await;
            (fetched, permit)
        }))
    }

    /// Counts what a window returned, and offers it to the store.
    async fn on_fetched(&mut self, fetched: Result<Fetched, JoinError>) -> Option<Offered> {
        let (fetched, permit) = match fetched {
            Ok(fetched) => fetched,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return None,
            },
        };
        let batch = self.batch(fetched)?;
        let rows = batch.bars.len() as u64;
        match self.context.writer.offer(batch, permit).await {
            Some(outcome) => Some(Offered { outcome, rows }),
            None => {
                self.ended = true;
                None
            }
        }
    }

    /// Counts what a window returned, and makes a batch of it if there is anything to store.
    fn batch(&mut self, fetched: FetchedWindow) -> Option<Batch> {
        let FetchedWindow {
            bars,
            rejects,
            withheld,
            coverage,
            error,
            context_bars,
        } = fetched;
        let window = &self.plan.windows[self.windows_done];
        self.windows_done += 1;
        let prepared = bars.len() as u64;
        let rejected = rejects.len() as u64;
        self.counts += Counts {
            fetched: prepared + rejected + withheld,
            held: withheld,
            rejected,
            prepared,
            ..Counts::default()
        };
        tracing::debug!(
            "[{}] {}: {prepared} rows prepared, {rejected} rejected, {withheld} held back",
            self.plan.ticker,
            window.keep
        );
        self.context.observer.event(&Event::Progress {
            done: 1,
            bars: prepared,
        });
        match error {
            Some(error) => self.on_fetch_error(error),
            None => {
                self.failed_in_a_row = 0;
                self.context.window_answered();
            }
        }
        let is_empty =
            bars.is_empty() && rejects.is_empty() && coverage.is_empty() && context_bars.is_empty();
        (!is_empty).then(|| Batch {
            series: self.context.fetcher.series(&self.plan.ticker),
            bars,
            missing: rejects.iter().filter_map(missing_bar).collect(),
            rejects: rejects.into_iter().map(|row| row.reject).collect(),
            coverage,
            refetch: window.refetch,
            context_bars,
            full_range: self.plan.full_range,
        })
    }

    fn on_fetch_error(&mut self, error: FetchError) {
        let error = match error {
            FetchError::Closed => {
                self.windows_done -= 1;
                self.ended = true;
                return;
            }
            FetchError::Spent(spent) => {
                self.windows_done -= 1;
                self.ended = true;
                self.context.end_by_quota(spent.to_string());
                return;
            }
            FetchError::Failed(error) => error,
        };
        if error.kind() == ErrorKind::Withheld {
            self.on_withheld(error);
            return;
        }
        self.windows_failed += 1;
        self.failed_in_a_row += 1;
        let never_connected =
            error.kind() == ErrorKind::Connect && !self.context.gate().was_reached();
        let mut message = with_causes(&error);
        let mut hint = error.hint();
        if error.is_quota() {
            self.context.end_by_quota(message.clone());
            self.ended = true;
        } else if error.scope() == Scope::Run || never_connected {
            // Reported once, at the end of the run.
            self.context.end_by_error(Fatal {
                error: message,
                hint: hint.take(),
            });
            message = "the run could not continue".to_owned();
            self.ended = true;
        } else if error.scope() == Scope::Ticker
            || (self.failed_in_a_row >= FAILED_IN_A_ROW_MAX
                && (error.retry() != Retry::Never || error.kind() == ErrorKind::Rejects))
        {
            self.ended = true;
        }
        self.problem.get_or_insert(Problem {
            status: UnitStatus::Failed,
            error: message,
            hint,
        });
    }

    /// Counts a window whose dates the provider's plan doesn't include. That is no failure: the other
    /// windows are requested.
    fn on_withheld(&mut self, error: Error) {
        self.context.window_answered();
        self.windows_withheld += 1;
        let window = &self.plan.windows[self.windows_done - 1];
        if !self.context.fetcher.is_newest(window) {
            self.withheld = Some(error);
        }
    }

    /// Reports windows that the plan doesn't include: in a warning if others were requested.
    fn report_withheld(&mut self) {
        let Some(error) = self.withheld.take() else {
            return;
        };
        let (withheld, windows) = (self.windows_withheld, self.plan.windows.len());
        if withheld < windows {
            let ticker = &self.plan.ticker;
            let text =
                format!("[{ticker}] {withheld} of {windows} windows were not available: {error}");
            self.context.observer.event(&Event::Warning(&text));
            return;
        }
        let hint = error.hint();
        self.problem.get_or_insert(Problem {
            status: UnitStatus::Failed,
            error: error.to_string(),
            hint,
        });
    }

    /// Counts what happened to a batch of `rows` rows.
    fn on_outcome(&mut self, outcome: Result<BatchOutcome, RecvError>, rows: u64) {
        // Without an outcome, the writer thread has ended, and its error ends the run.
        let Ok(outcome) = outcome else {
            self.ended = true;
            return;
        };
        match outcome {
            BatchOutcome::Committed(tally) => {
                self.counts += Counts {
                    committed: tally.committed,
                    updated: tally.updated,
                    skipped_identical: tally.skipped_identical,
                    skipped_restated: tally.skipped_restated,
                    ..Counts::default()
                };
            }
            BatchOutcome::SkippedAfterRefusal => {
                // It was requested ahead and not offered, so its rows don't count.
                self.counts.fetched -= rows;
                self.counts.prepared -= rows;
                self.ended = true;
            }
            BatchOutcome::SplitSuspected {
                restated,
                error,
                hint,
            } => {
                self.counts.conflicts += restated;
                self.stop(UnitStatus::Failed, error, hint);
            }
            BatchOutcome::Refused {
                refusal,
                error,
                hint,
            } => {
                let conflicts = refusal.conflicts();
                self.counts.conflicts += conflicts.unwrap_or_default();
                self.stop(UnitStatus::refused(conflicts), error, hint);
            }
        }
    }

    /// Ends the ticker because of a refused batch. It outweighs a window that failed: the user has
    /// to resolve it first.
    fn stop(&mut self, status: UnitStatus, error: String, hint: Option<Advice>) {
        self.ended = true;
        self.problem = Some(Problem {
            status,
            error,
            hint,
        });
    }

    fn report(mut self) -> UnitReport {
        self.group.leave_out(&self.plan.ticker);
        let windows = self.plan.windows.len();
        let left = windows - self.windows_done.min(windows);
        if left > 0 {
            // The progress bar still counts them.
            self.context.observer.event(&Event::Progress {
                done: left as u64,
                bars: 0,
            });
        }
        self.report_withheld();
        match &mut self.problem {
            None if left > 0 => {
                self.problem = Some(Problem {
                    status: UnitStatus::Failed,
                    error: format!("stopped with {left} of {windows} windows not requested"),
                    hint: None,
                });
            }
            Some(problem)
                if problem.status == UnitStatus::Failed
                    && windows > 1
                    && self.windows_failed > 0 =>
            {
                let failed = self.windows_failed;
                let rest = match left {
                    0 => String::new(),
                    left => format!(", {left} not requested"),
                };
                let text = format!(" ({failed} of {windows} windows failed{rest})");
                problem.error.push_str(&text);
            }
            _ => {}
        }
        let ticker = self.plan.ticker.as_str();
        let mut report = UnitReport::done(ticker, self.counts, self.started_at.elapsed());
        let is_too_new = self.windows_withheld > 0;
        if report.status == UnitStatus::Empty && (self.plan.days_answered > 0 || is_too_new) {
            report.status = UnitStatus::Ok;
        }
        if let Some(problem) = self.problem {
            report.status = problem.status;
            report.error = Some(problem.error);
            report.hint = problem.hint;
        }
        report
    }
}

/// When the bar opens that is missing because of a reject.
fn missing_bar(row: &BadRow) -> Option<i64> {
    let is_of_session = !matches!(
        row.reject.reason,
        Reason::InTheFuture | Reason::OutsideRange | Reason::OtherTicker
    );
    row.at.filter(|_| is_of_session).map(Timestamp::micros)
}
