//! One ticker: its windows asked for in order, offered in order, reported once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{self, Poll};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit, oneshot};
use tokio::task::{JoinError, JoinHandle};

use super::fetcher::{Fetched, RequestedRanges};
use super::plan::TickerPlan;
use super::run::RunContext;
use super::writer::{Batch, BatchOutcome};
use crate::causes::with_causes;
use crate::model::SeriesKey;
use crate::provider::{Error, Gave, Retry, Scope};
use crate::report::{Counts, Event, UnitReport, UnitStatus};
use crate::store::Refusal;

/// Batches of one ticker that may wait for the store.
const OFFERED_MAX: usize = 32;
/// Windows in a row that may fail for good before the ticker is given up.
const FAILED_IN_A_ROW_MAX: usize = 2;

/// What a window brought, and its leave to be open.
type Brought = (Fetched, OwnedSemaphorePermit);

/// A window being asked for; given up when dropped.
struct Task(JoinHandle<Brought>);

impl Future for Task {
    type Output = Result<Brought, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The story of one ticker so far.
pub(super) struct TickerRun<'a> {
    run: &'a Arc<RunContext>,
    plan: &'a TickerPlan,
    counts: Counts,
    begun: Instant,
    /// Windows whose answer came, whatever it was.
    windows_done: usize,
    windows_failed: usize,
    failed_in_a_row: usize,
    /// The first thing that went wrong, and what could be done.
    trouble: Option<(UnitStatus, String, Option<String>)>,
    /// No further window is asked for.
    over: bool,
}

impl<'a> TickerRun<'a> {
    pub(super) fn new(run: &'a Arc<RunContext>, plan: &'a TickerPlan) -> Self {
        Self {
            run,
            plan,
            counts: Counts::default(),
            begun: Instant::now(),
            windows_done: 0,
            windows_failed: 0,
            failed_in_a_row: 0,
            trouble: None,
            over: false,
        }
    }

    /// Asks for all windows. `slot` is given back when the last answer is in, before the store has it.
    pub(super) async fn go(mut self, slot: SemaphorePermit<'_>) -> UnitReport {
        let mut slot = Some(slot);
        let asked = Arc::new(RequestedRanges::default());
        let mut next = 0;
        let mut fetches: FuturesOrdered<Task> = FuturesOrdered::new();
        let mut offers: FuturesOrdered<oneshot::Receiver<BatchOutcome>> = FuturesOrdered::new();
        let mut offered: VecDeque<u64> = VecDeque::new();
        // BatchOutcome from turn to turn, so that its place in the queue is.
        let mut leave = None;
        loop {
            let more = !self.over && next < self.plan.windows.len();
            if more && fetches.len() < self.run.ahead() {
                leave.get_or_insert_with(|| Box::pin(self.run.open.clone().acquire_owned()));
            } else {
                leave = None;
            }
            if fetches.is_empty() && !more {
                slot.take();
            }
            tokio::select! {
                biased;
                Some(kept) = offers.next(), if !offers.is_empty() => {
                    let rows = offered.pop_front().unwrap_or(0);
                    match kept {
                        Ok(kept) => self.kept(kept, rows),
                        // The store's thread is gone, and will say why.
                        Err(_) => self.over = true,
                    }
                },
                Some(fetched) = fetches.next(), if !fetches.is_empty() && offers.len() < OFFERED_MAX => {
                    let (fetched, open) = match fetched {
                        Ok(brought) => brought,
                        Err(failed) => match failed.try_into_panic() {
                            Ok(panic) => std::panic::resume_unwind(panic),
                            Err(_) => continue,
                        },
                    };
                    if let Some(batch) = self.fetched(fetched) {
                        let rows = batch.bars.len() as u64;
                        match self.run.writer.offer(batch, open).await {
                            Some(answer) => {
                                offers.push_back(answer);
                                offered.push_back(rows);
                            }
                            None => self.over = true,
                        }
                    }
                },
                // In the windows' order: whoever has leave waits for nobody who has none.
                Some(open) = async { Some(leave.as_mut()?.await) }, if leave.is_some() => {
                    leave = None;
                    // The semaphore is never closed.
                    if let Ok(open) = open {
                        fetches.push_back(self.start(next, &asked, open));
                        next += 1;
                    }
                }
                else => break,
            }
            if self.over && !self.run.fetcher.asker.gate().is_closed() {
                // What is still asked for would not be offered. When the gate is shut, what comes in its grace is.
                fetches = FuturesOrdered::new();
            }
        }
        self.report()
    }

    fn start(
        &self,
        index: usize,
        asked: &Arc<RequestedRanges>,
        open: OwnedSemaphorePermit,
    ) -> Task {
        let run = self.run.clone();
        let ticker = self.plan.ticker.clone();
        let windows = self.plan.windows.clone();
        let asked = asked.clone();
        Task(tokio::spawn(async move {
            let _under_way = run.writer.in_flight();
            let fetched = run.fetcher.fetch(&ticker, &windows[index], &asked).await;
            (fetched, open)
        }))
    }

    /// Counts what a window brought, judges what it did not, and makes a batch of it.
    fn fetched(&mut self, fetched: Fetched) -> Option<Batch> {
        let Fetched {
            bars,
            rejects,
            held,
            answers,
            gave,
            context_bars,
        } = fetched;
        let window = &self.plan.windows[self.windows_done];
        self.windows_done += 1;
        let prepared = bars.len() as u64;
        let rejected = rejects.len() as u64;
        self.counts += Counts {
            fetched: prepared + rejected + held,
            held,
            rejected,
            prepared,
            ..Counts::default()
        };
        tracing::debug!(
            "[{}] {}: {prepared} rows prepared, {rejected} rejected, {held} held back",
            self.plan.ticker,
            window.keep
        );
        self.run.observer.event(&Event::Progress {
            done: 1,
            bars: prepared,
        });
        match gave {
            Some(gave) => self.gave(gave),
            None => {
                self.failed_in_a_row = 0;
                self.run.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        if bars.is_empty() && rejects.is_empty() && answers.is_empty() && context_bars.is_empty() {
            return None;
        }
        Some(Batch {
            series: SeriesKey {
                interval: self.run.fetcher.interval,
                ticker: self.plan.ticker.clone(),
            },
            bars,
            rejects: rejects.into_iter().map(|row| row.reject).collect(),
            answers,
            asked_again: window.refetch,
            context_bars,
            full_range: self.plan.full_range,
        })
    }

    fn gave(&mut self, gave: Gave) {
        let error = match gave {
            Gave::Closed => {
                self.windows_done -= 1;
                self.over = true;
                return;
            }
            Gave::Spent(spent) => {
                self.windows_done -= 1;
                self.over = true;
                self.run.quota(spent.to_string());
                return;
            }
            Gave::Error(error) => error,
        };
        self.windows_failed += 1;
        self.failed_in_a_row += 1;
        let unheard =
            matches!(error, Error::Connect { .. }) && !self.run.fetcher.asker.gate().was_heard();
        let mut message = with_causes(&error);
        let mut hint = error.hint().map(str::to_owned);
        if error.is_quota() {
            self.run.quota(message.clone());
            self.over = true;
        } else if error.scope() == Scope::Run || unheard {
            // Said once, at the end of the run.
            self.run.fatal(message, hint.take());
            message = "the run could not continue".to_owned();
            self.over = true;
        } else if error.scope() == Scope::Ticker
            || (self.failed_in_a_row >= FAILED_IN_A_ROW_MAX
                && (error.retry() != Retry::Never || matches!(error, Error::Rejects { .. })))
        {
            self.over = true;
        }
        if self.trouble.is_none() {
            self.trouble = Some((UnitStatus::Failed, message, hint));
        }
    }

    /// Counts what became of a batch of so many rows.
    fn kept(&mut self, kept: BatchOutcome, rows: u64) {
        match kept {
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
                // Asked ahead, and never offered: as if it had not been asked.
                self.counts.fetched -= rows;
                self.counts.prepared -= rows;
                self.over = true;
            }
            BatchOutcome::SplitSuspected {
                restated,
                error,
                hint,
            } => {
                self.over = true;
                self.counts.conflicts += restated;
                self.trouble = Some((UnitStatus::Failed, error, Some(hint)));
            }
            BatchOutcome::Refused {
                refusal,
                error,
                hint,
            } => {
                self.over = true;
                let mut status = UnitStatus::Failed;
                if let Refusal::Conflicts {
                    identical,
                    restated,
                    ..
                } = &refusal
                {
                    self.counts.conflicts += identical + restated;
                    status = UnitStatus::Conflict;
                }
                // It outweighs a window that failed: nothing goes on before it is settled.
                self.trouble = Some((status, error, Some(hint)));
            }
        }
    }

    fn report(mut self) -> UnitReport {
        let windows = self.plan.windows.len();
        let left = windows - self.windows_done.min(windows);
        if left > 0 {
            // The bar still counts them.
            let event = Event::Progress {
                done: left as u64,
                bars: 0,
            };
            self.run.observer.event(&event);
        }
        if self.trouble.is_none() && left > 0 {
            let message = format!("stopped with {left} of {windows} windows not asked for");
            self.trouble = Some((UnitStatus::Failed, message, None));
        } else if let Some((UnitStatus::Failed, message, _)) = &mut self.trouble
            && windows > 1
            && self.windows_failed > 0
        {
            let failed = self.windows_failed;
            let rest = if left > 0 {
                format!(", {left} not asked for")
            } else {
                String::new()
            };
            message.push_str(&format!(" ({failed} of {windows} windows failed{rest})"));
        }
        let mut report =
            UnitReport::done(self.plan.ticker.as_str(), self.counts, self.begun.elapsed());
        if report.status == UnitStatus::Empty && self.plan.days_answered > 0 {
            report.status = UnitStatus::Ok;
        }
        if let Some((status, error, hint)) = self.trouble {
            report.status = status;
            report.error = Some(error);
            report.hint = hint;
        }
        report
    }
}
