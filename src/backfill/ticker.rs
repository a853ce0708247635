//! One ticker: its windows requested in order and offered in order.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit, oneshot};
use tokio::task::{JoinError, JoinHandle};

use super::batch::{Batch, BatchOutcome};
use super::context::RunContext;
use super::fetch_window::RequestedRanges;
use super::fetched::FetchedWindow;
use super::group::TickerGroup;
use super::plan::TickerPlan;
use super::ticker_result::TickerResult;
use crate::model::{Reason, Timestamp};
use crate::provider::BadRow;
use crate::report::UnitReport;

/// Batches of one ticker that may wait for the store.
const OFFERED_MAX: usize = 32;
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
    /// `None` if the writer thread has ended.
    async fn outcome(self) -> (Option<BatchOutcome>, u64) {
        (self.outcome.await.ok(), self.rows)
    }
}

/// The progress of one ticker.
pub(super) struct TickerRun<'a> {
    context: &'a Arc<RunContext>,
    plan: &'a TickerPlan,
    group: Arc<TickerGroup>,
    /// Permits that a window takes.
    weight: u32,
    requested: Arc<RequestedRanges>,
    /// The next window to request.
    next_window: usize,
    result: TickerResult<'a>,
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
            next_window: 0,
            result: TickerResult::new(context, plan),
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
            let has_more = !self.result.is_ended && self.next_window < self.plan.windows.len();
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
                    self.result.on_outcome(outcome, rows);
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
            if self.result.is_ended && !self.context.gate().is_closed() {
                // Their bars would not be offered. (When the gate closes, bars that still arrive are.)
                fetches = FuturesOrdered::new();
            }
        }
        self.group.leave_out(&self.plan.ticker);
        self.result.report()
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
                self.result.is_ended = true;
                None
            }
        }
    }

    /// Counts what a window returned, and makes a batch of it if there is anything to store.
    fn batch(&mut self, mut fetched: FetchedWindow) -> Option<Batch> {
        let window = self.result.on_window(&mut fetched);
        let FetchedWindow {
            bars,
            rejects,
            coverage,
            context_bars,
            ..
        } = fetched;
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
}

/// When the bar opens that is missing because of a reject.
fn missing_bar(row: &BadRow) -> Option<i64> {
    let is_of_session = !matches!(
        row.reject.reason,
        Reason::InTheFuture | Reason::OutsideRange | Reason::OtherTicker
    );
    row.at.filter(|_| is_of_session).map(Timestamp::micros)
}
