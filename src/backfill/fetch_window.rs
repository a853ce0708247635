//! One window: requested, checked for what the provider left out, and turned into coverage.
//!
//! ```text
//! request ─> does the oldest row reach the first session? ─no─> request the missing first days ─┐
//!                         │ yes                      <──────────────────────────────────────────┘
//!                         └─> does a response begin inside a session? ─yes─> request it once more,
//!                                 │                                  with the session before it
//!                                 └─> does a session requested alone lack its opening bar?
//!                                     ─yes─> request it once more, with the session after it
//!                                         └─> withhold bars that can change ─> FetchedWindow
//! ```

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use chrono::{Days, NaiveDate};

use super::coverage::{DayEvidence, coverage, failed};
use super::days::{Day, midnight};
use super::evidence::Evidence;
use super::fetched::{FetchedWindow, opens, retain};
use super::fetcher::WindowFetcher;
use super::group::TickerGroup;
use super::position::PositionCheck;
use super::windows::{Window, date_range};
use crate::model::{Bars, DateRange, Ticker, Timestamp};
use crate::provider::{ErrorKind, FetchError, Rows};

/// The date ranges requested for one ticker so far, so that none is requested twice.
#[derive(Default)]
pub struct RequestedRanges(Mutex<HashSet<DateRange>>);

impl RequestedRanges {
    /// Adds a range, and returns whether it is new.
    fn add(&self, dates: DateRange) -> bool {
        let mut requested = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requested.insert(dates)
    }
}

impl WindowFetcher {
    /// Fetches what the provider has of a window of a ticker. `group` and `requested` are shared by
    /// all windows of the ticker.
    pub async fn fetch(
        &self,
        ticker: &Ticker,
        window: &Window,
        group: &TickerGroup,
        requested: &RequestedRanges,
    ) -> FetchedWindow {
        requested.add(window.request);
        let now = (self.clock)();
        let response = group.rows(self, ticker, window.request).await;
        let (mut response, requested_at) = match response {
            Ok((rows, requested_at)) => (Ok(rows), requested_at),
            Err(error) => (Err(error), now),
        };
        let mut failed = Vec::new();
        while is_withheld(&response)
            && let Some((shorter, newest)) = self.without_newest(window, failed.last(), now)
        {
            response = group
                .rows(self, ticker, shorter)
                .await
                .map(|(rows, _)| rows);
            failed.push(newest);
        }
        let fetch = WindowFetch {
            fetcher: self,
            check: self.position_check(requested_at),
            ticker,
            window,
            requested,
            requested_at,
            fetched: FetchedWindow::default(),
            truncated: Vec::new(),
            failed,
            partial: Vec::new(),
        };
        fetch.run(response).await
    }

    /// The request of a window without its newest day, and that day, if the plan may withhold it.
    /// `left_out` is the last day that was left out.
    fn without_newest(
        &self,
        window: &Window,
        left_out: Option<&DateRange>,
        now: Timestamp,
    ) -> Option<(DateRange, DateRange)> {
        let end = left_out.map_or(window.days.len(), |day| {
            (window.days).partition_point(|known| known.date < day.first())
        });
        let [.., before, newest] = &window.days[..end] else {
            return None;
        };
        (self.may_be_withheld(newest.close.micros(), now)).then(|| {
            let shorter = date_range(window.request.first(), before.date);
            let until = left_out.map_or(window.keep.last(), |day| day.last());
            (shorter, date_range(newest.date, until))
        })
    }
}

/// Whether the plan of the key doesn't include the requested dates.
fn is_withheld(response: &Result<Rows, FetchError>) -> bool {
    matches!(response, Err(FetchError::Failed(error)) if error.kind() == ErrorKind::Withheld)
}

/// A window that is being fetched.
struct WindowFetch<'a> {
    fetcher: &'a WindowFetcher,
    /// `None` if no response of the provider needs the check.
    check: Option<PositionCheck<'a>>,
    ticker: &'a Ticker,
    window: &'a Window,
    requested: &'a RequestedRanges,
    requested_at: Timestamp,
    fetched: FetchedWindow,
    /// Sessions inside which a response begins.
    truncated: Vec<Day>,
    /// Dates that could not be requested.
    failed: Vec<DateRange>,
    /// Truncated sessions that could not be requested again.
    partial: Vec<NaiveDate>,
}

impl WindowFetch<'_> {
    async fn run(mut self, response: Result<Rows, FetchError>) -> FetchedWindow {
        let response = match response {
            Ok(response) => response,
            Err(error) => return self.fail_whole(error),
        };
        let opens = opens(&response.bars, &response.rejects);
        let (rows, context_bars) = self.split(self.window.keep, response);
        self.fetched.context_bars = context_bars;
        self.fetched.add(rows);
        if let Some(check) = self.check.take() {
            let truncated = check.truncated_session(self.window, &opens);
            self.truncated.extend(truncated);
            self.fetch_missing_head(&check, opens.first().copied())
                .await;
            self.fetch_truncated_sessions(&check).await;
            self.fetch_missing_opening(&check).await;
        }
        self.finish()
    }

    /// The first request failed: nothing of the window came.
    fn fail_whole(mut self, error: FetchError) -> FetchedWindow {
        if !self.window.is_comparison() {
            self.fail(self.window.keep, error);
            return self.fetched;
        }
        if let FetchError::Failed(error) = &error
            && !error.is_quota()
        {
            // Not a failure: the user's plan may not have that session. The series gets a warning,
            // and an error that concerns the run appears in the next window too.
            tracing::debug!("[{}] no stored session to compare: {error}", self.ticker);
            return self.fetched;
        }
        self.fetched.error = Some(error);
        self.fetched
    }

    /// Requests the start of the window alone until a response reaches it or is empty.
    async fn fetch_missing_head(&mut self, check: &PositionCheck<'_>, mut oldest: Option<i64>) {
        while let Some(head) = check.missing_head(self.window, oldest) {
            let request = check.widened(head);
            if !self.requested.add(request) {
                return;
            }
            tracing::debug!(
                "[{}] the response for {} lacks {head}; requesting {request}",
                self.ticker,
                self.window.request
            );
            match self.fetcher.rows(self.ticker, request).await {
                Ok(response) => {
                    let (rows, _) = self.split(head, response);
                    let opens = opens(&rows.bars, &rows.rejects);
                    oldest = opens.first().copied();
                    let truncated = check.truncated_session(self.window, &opens);
                    self.truncated.extend(truncated);
                    self.fetched.add(rows);
                }
                Err(error) => return self.fail(head, error),
            }
        }
    }

    /// Requests the sessions once more inside which a response began.
    async fn fetch_truncated_sessions(&mut self, check: &PositionCheck<'_>) {
        for day in std::mem::take(&mut self.truncated) {
            let session = date_range(day.date, day.date);
            let request = check.widened(session);
            let has_opening = self.fetched.opens().contains(&day.open.micros());
            if has_opening || !check.has_first_bar(&day) {
                continue;
            }
            if !self.failed.is_empty() {
                self.partial.push(day.date);
                continue;
            }
            if !self.requested.add(request) {
                continue;
            }
            tracing::debug!(
                "[{}] a response for {} begins inside {}; requesting {request}",
                self.ticker,
                self.window.request,
                day.date
            );
            match self.fetcher.rows(self.ticker, request).await {
                Ok(response) => self.add_kept(response),
                Err(error @ FetchError::Failed(_)) => self.fail(session, error),
                // Not sent, but the bars that did come are stored.
                Err(error) => {
                    self.fetched.error = Some(error);
                    self.partial.push(day.date);
                }
            }
        }
    }

    /// Requests a session that came alone and without its opening bar once more.
    async fn fetch_missing_opening(&mut self, check: &PositionCheck<'_>) {
        if !self.failed.is_empty() || !self.partial.is_empty() {
            return;
        }
        let opens = self.fetched.opens();
        let Some(request) = check.missing_opening(self.window, &opens) else {
            return;
        };
        if !self.requested.add(request) {
            return;
        }
        tracing::debug!(
            "[{}] the opening bar of {} is missing; requesting {request}",
            self.ticker,
            self.window.keep
        );
        // An error here doesn't count: the first response was complete by the provider's account.
        if let Ok(response) = self.fetcher.rows(self.ticker, request).await {
            self.add_kept(response);
        }
    }

    fn finish(mut self) -> FetchedWindow {
        let (calendar, window) = (&self.fetcher.calendar, self.window);
        let name = format!("{} {} {}", self.ticker, self.fetcher.interval, window.keep);
        let fetched = &self.fetched;
        let evidence = Evidence::of(calendar, window, &name, &fetched.bars, &fetched.rejects);
        self.withhold();
        let days = DayEvidence {
            window,
            timestamps: self.fetched.bars.timestamps(),
            evidence: &evidence,
            failed: &self.failed,
            truncated: &self.partial,
            history_start: (self.fetcher).history_start(window.request, self.requested_at),
            uncertain_until: (self.fetcher).history_uncertain_until(),
        };
        let coverage = coverage(self.fetcher, self.ticker, &days, self.requested_at);
        self.fetched.coverage.extend(coverage);
        if self.fetched.error.is_none() {
            self.fetched.error = evidence.error.map(FetchError::Failed);
        }
        self.fetched
    }

    /// Records that some dates of the window could not be requested.
    fn fail(&mut self, dates: DateRange, error: FetchError) {
        let entry = failed(self.fetcher, self.ticker, dates, &error, self.requested_at);
        self.fetched.coverage.extend(entry);
        self.fetched.error = Some(error);
        self.failed.push(dates);
    }

    fn add_kept(&mut self, response: Rows) {
        let (rows, _) = self.split(self.window.keep, response);
        self.fetched.add(rows);
    }

    /// The rows of a response that the window keeps, inside `keep`, and the bars next to them. A
    /// reject without a time is kept.
    fn split(&self, keep: DateRange, mut rows: Rows) -> (Rows, Bars) {
        let calendar = &self.fetcher.calendar;
        let instants = |dates: DateRange| {
            midnight(calendar, dates.first())..midnight(calendar, dates.last() + Days::new(1))
        };
        let kept = instants(keep);
        let skipped: Vec<_> = (self.window.skip.iter())
            .map(|date| instants(date_range(*date, *date)))
            .collect();
        let cuts_hours = self.fetcher.cuts_hours();
        let in_session = |at: &i64| {
            (self.window.days.iter())
                .any(|day| (day.open.micros()..day.close.micros()).contains(at))
        };
        let keeps = |at: &i64| {
            kept.contains(at)
                && !skipped.iter().any(|skipped| skipped.contains(at))
                && (!cuts_hours || in_session(at))
        };
        let mut context_bars = Bars::default();
        if !rows.bars.timestamps().iter().all(keeps) {
            context_bars = retain(&rows.bars, |at| !keeps(at));
            rows.bars = retain(&rows.bars, keeps);
        }
        (rows.rejects).retain(|row| row.at.is_none_or(|at| keeps(&at.micros())));
        (rows, context_bars)
    }

    /// Removes the bars that can still change; under `include_forming` only those that have not
    /// opened.
    fn withhold(&mut self) {
        let (fetcher, bars) = (self.fetcher, &self.fetched.bars);
        let Some(last) = bars.timestamps().last() else {
            return;
        };
        let settled = self.requested_at.micros() - fetcher.settle_micros();
        if last + fetcher.interval.micros() <= settled {
            return;
        }
        let close = |open: i64| {
            // The last bar of a session can be shorter.
            let day = (self.window.days.iter())
                .find(|day| day.open.micros() <= open && open < day.close.micros());
            day.map_or(i64::MAX, |day| day.close.micros())
                .min(open + fetcher.interval.micros())
        };
        let kept = retain(bars, |open| match fetcher.include_forming {
            true => *open <= self.requested_at.micros(),
            false => close(*open) <= settled,
        });
        self.fetched.withheld = (bars.len() - kept.len()) as u64;
        self.fetched.bars = kept;
    }
}
