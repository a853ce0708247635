//! How a run requests bars: the provider, and what all windows have in common.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{Days, Months, NaiveDate};

use super::combine::combine;
use super::days::local_date;
use super::limits::RequestLimits;
use super::position::PositionCheck;
use super::windows::{Window, date_range};
use crate::calendar::{Calendar, Session};
use crate::model::{
    Basis, DAY_MICROS, DateRange, Hours, Interval, Provenance, SeriesKey, Ticker, Timestamp,
};
use crate::provider::{FetchError, Request, RetryingClient, Rows};

/// Days by which the start of a plan's history can differ from whole years before now.
const HISTORY_SLACK_DAYS: u64 = 3;

/// Returns the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Fetches windows: the provider, and what all windows of a run have in common.
pub struct WindowFetcher {
    /// Sends the requests.
    pub client: RetryingClient,
    /// The sessions of the exchange.
    pub calendar: Calendar,
    /// Length of the bars.
    pub interval: Interval,
    /// Adjusted for splits or not.
    pub basis: Basis,
    /// The regular session, or extended hours too.
    pub hours: Hours,
    /// Also keep bars that have opened and can still change.
    pub include_forming: bool,
    pub clock: Clock,
}

impl WindowFetcher {
    /// Exchange, price basis and hours of the run's bars.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            exchange: self.calendar.exchange().to_owned(),
            basis: self.basis,
            hours: self.hours,
        }
    }

    /// The series of one of the run's tickers.
    pub(super) fn series(&self, ticker: &Ticker) -> SeriesKey {
        SeriesKey {
            interval: self.interval,
            ticker: ticker.clone(),
        }
    }

    /// The limits of a request; `None` if the provider doesn't offer the interval.
    pub fn limits(&self) -> Option<RequestLimits> {
        RequestLimits::of(self.client.provider().info(), self.interval, self.hours)
    }

    /// Whether responses have bars outside the session that the run doesn't want.
    pub(super) fn cuts_hours(&self) -> bool {
        self.hours == Hours::Regular
            && self.client.provider().info().hours_to_request(self.hours) != Hours::Regular
    }

    /// How long after its end a bar can still change.
    pub(super) fn settle_micros(&self) -> i64 {
        let settles = self.client.provider().info().settles_after;
        i64::try_from(settles.as_micros()).unwrap_or(i64::MAX / 4)
    }

    /// The check of responses to requests of `now`; `None` if the provider never leaves out bars
    /// silently.
    pub(super) fn position_check(&self, now: Timestamp) -> Option<PositionCheck<'_>> {
        let limits = self.limits().filter(RequestLimits::loses_oldest)?;
        Some(PositionCheck {
            calendar: &self.calendar,
            interval: self.interval,
            hours: self.hours,
            span_max: limits.span_max,
            settle_micros: self.settle_micros(),
            now,
        })
    }

    /// Requests all that the provider has of a ticker on these dates.
    pub(super) async fn rows(&self, ticker: &Ticker, dates: DateRange) -> Result<Rows, FetchError> {
        match self.rows_of(vec![ticker.clone()], dates).await {
            (_, Some(error)) => Err(error),
            (mut series, None) => Ok(series.remove(ticker).unwrap_or_default()),
        }
    }

    /// Requests all that the provider has of these tickers on these dates, in one request and its
    /// further pages. With an error, the rows are those of the tickers that came whole before it.
    pub(super) async fn rows_of(
        &self,
        tickers: Vec<Ticker>,
        dates: DateRange,
    ) -> (HashMap<Ticker, Rows>, Option<FetchError>) {
        let info = self.client.provider().info();
        let requested = info.interval_to_request(self.interval, self.hours);
        let interval = requested.unwrap_or(self.interval);
        let request = Request {
            tickers,
            interval,
            dates,
            tz: self.calendar.tz(),
            basis: self.basis,
            hours: info.hours_to_request(self.hours),
            latest: Timestamp::from_micros((self.clock)().micros() + DAY_MICROS),
            page: None,
        };
        let (mut series, error) = self.client.fetch_each(request).await;
        if interval != self.interval {
            let sessions = self.sessions_around(dates);
            for rows in series.values_mut() {
                combine(rows, &sessions, self.interval);
            }
        }
        (series, error)
    }

    /// The sessions with bars on local `dates`: their trading dates can differ by a day.
    fn sessions_around(&self, dates: DateRange) -> Vec<Session> {
        let mut first = dates.first() - Days::new(1);
        let mut last = dates.last() + Days::new(1);
        if let Some(covered) = self.calendar.span() {
            first = first.max(covered.first());
            last = last.min(covered.last());
        }
        // A plan has only dates that the calendar covers.
        let sessions = DateRange::new(first, last).map(|dates| self.calendar.sessions(dates));
        sessions.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Whether a plan of the provider may still withhold bars of this instant.
    pub(super) fn may_be_withheld(&self, at: i64, now: Timestamp) -> bool {
        let withholds = self.client.provider().info().withholds;
        let withholds = i64::try_from(withholds.as_micros()).unwrap_or(i64::MAX / 4);
        at > now.micros() - withholds
    }

    /// Whether a plan of the provider may still withhold the end of a window.
    pub(super) fn is_newest(&self, window: &Window) -> bool {
        let newest = window.days.last();
        newest.is_some_and(|day| self.may_be_withheld(day.close.micros(), (self.clock)()))
    }

    /// The last date on which the history of every plan may begin.
    pub(super) fn history_uncertain_until(&self) -> Option<NaiveDate> {
        let begins = self.client.provider().info().history_begins.as_ref();
        begins.map(|begins| *begins.end())
    }

    /// The dates on which the history of a plan may begin, if responses for `dates` can lack bars
    /// from before it.
    pub(super) fn history_start(&self, dates: DateRange, now: Timestamp) -> Option<DateRange> {
        let today = local_date(&self.calendar, now.micros());
        let years = self.client.provider().info().history_years.iter();
        let slack = Days::new(HISTORY_SLACK_DAYS);
        years
            .filter_map(|years| today.checked_sub_months(Months::new(12 * years)))
            .map(|start| date_range(start - slack, start + slack))
            .filter(|start| dates.first() <= start.last() && start.first() <= dates.last())
            .max_by_key(|start| start.last())
    }
}
