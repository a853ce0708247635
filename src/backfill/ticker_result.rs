//! The result of a ticker's windows so far: their counts, the first problem, and the report.

use std::time::Instant;

use super::batch::BatchOutcome;
use super::context::RunContext;
use super::fetched::FetchedWindow;
use super::plan::TickerPlan;
use super::windows::Window;
use crate::advice::Advice;
use crate::causes::with_causes;
use crate::provider::{Error, ErrorKind, FetchError, Retry, Scope};
use crate::report::{Counts, Event, Fatal, UnitReport, UnitStatus};

/// Consecutive windows that may fail for good before the ticker is given up.
const FAILED_IN_A_ROW_MAX: usize = 2;

/// The first thing that went wrong, and what can be done.
struct Problem {
    status: UnitStatus,
    error: String,
    hint: Option<Advice>,
}

/// The result of a ticker so far.
pub(super) struct TickerResult<'a> {
    context: &'a RunContext,
    plan: &'a TickerPlan,
    counts: Counts,
    started_at: Instant,
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
    pub is_ended: bool,
}

impl<'a> TickerResult<'a> {
    pub(super) fn new(context: &'a RunContext, plan: &'a TickerPlan) -> Self {
        Self {
            context,
            plan,
            counts: Counts::default(),
            started_at: Instant::now(),
            windows_done: 0,
            windows_failed: 0,
            windows_withheld: 0,
            withheld: None,
            failed_in_a_row: 0,
            problem: None,
            is_ended: false,
        }
    }

    /// Counts what the next window returned, and takes its error. Returns the window.
    pub(super) fn on_window(&mut self, fetched: &mut FetchedWindow) -> &'a Window {
        let window = &self.plan.windows[self.windows_done];
        self.windows_done += 1;
        let withheld = fetched.withheld;
        let prepared = fetched.bars.len() as u64;
        let rejected = fetched.rejects.len() as u64;
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
        match fetched.error.take() {
            Some(error) => self.on_fetch_error(error),
            None => {
                self.failed_in_a_row = 0;
                self.context.window_answered();
            }
        }
        window
    }

    fn on_fetch_error(&mut self, error: FetchError) {
        let error = match error {
            FetchError::Closed => {
                self.windows_done -= 1;
                self.is_ended = true;
                return;
            }
            FetchError::Spent(spent) => {
                self.windows_done -= 1;
                self.is_ended = true;
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
            self.is_ended = true;
        } else if error.scope() == Scope::Run || never_connected {
            // Reported once, at the end of the run.
            self.context.end_by_error(Fatal {
                error: message,
                hint: hint.take(),
            });
            message = "the run could not continue".to_owned();
            self.is_ended = true;
        } else if error.scope() == Scope::Ticker
            || (self.failed_in_a_row >= FAILED_IN_A_ROW_MAX
                && (error.retry() != Retry::Never || error.kind() == ErrorKind::Rejects))
        {
            self.is_ended = true;
        }
        self.problem.get_or_insert(Problem {
            status: UnitStatus::Failed,
            error: message,
            hint,
        });
    }

    /// Counts a window whose dates the provider's plan doesn't include. That isn't a failure: the
    /// other windows are requested.
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

    /// Counts what happened to a batch of `rows` rows. Without an outcome, the writer thread has ended,
    /// and its error ends the run.
    pub(super) fn on_outcome(&mut self, outcome: Option<BatchOutcome>, rows: u64) {
        let Some(outcome) = outcome else {
            self.is_ended = true;
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
                self.is_ended = true;
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
        self.is_ended = true;
        self.problem = Some(Problem {
            status,
            error,
            hint,
        });
    }

    pub(super) fn report(mut self) -> UnitReport {
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
