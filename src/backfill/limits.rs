//! The limits of a provider's requests, and how many requests windows take.

use chrono::NaiveDate;

use super::days::Day;
use crate::model::{DateRange, Hours, Interval, Timestamp};
use crate::provider::{ProviderInfo, Truncation};

/// Hours of a trading day with pre- and post-market.
const EXTENDED_DAY_HOURS: i64 = 16;
/// Bars of tickers that are requested together which may wait in memory for their turn.
const WAITING_BARS_MAX: u64 = 500_000;

/// The limits of a provider's requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Length of the bars.
    pub interval: Interval,
    /// Hours of the bars that the provider sends.
    pub hours: Hours,
    /// Dates of one request at most.
    pub span_max: u16,
    /// Whether a window ends with the calendar month.
    pub ends_with_month: bool,
    /// Tickers of one request at most.
    pub tickers_max: usize,
    /// What happens to the bars that don't fit into one response.
    pub truncation: Truncation,
    /// Nothing is requested from before this date.
    pub history_start: Option<NaiveDate>,
    /// How many requests dates take, if that doesn't follow from `truncation`.
    pub window_requests: Option<fn(Interval, DateRange, Timestamp) -> u64>,
}

impl RequestLimits {
    /// The limits for bars of this kind; `None` if the provider doesn't offer them.
    #[must_use]
    pub fn of(info: &ProviderInfo, interval: Interval, hours: Hours) -> Option<Self> {
        Some(Self {
            interval,
            hours: info.hours_to_request(hours),
            span_max: info.window_days(info.interval_to_request(interval, hours)?)?,
            ends_with_month: info.ends_with_month,
            tickers_max: info.tickers_per_request.max(1),
            truncation: info.truncation,
            history_start: info.history_begins.as_ref().map(|begins| *begins.start()),
            window_requests: info.window_requests,
        })
    }

    /// Whether a response can silently lack its oldest bars.
    #[must_use]
    pub fn loses_oldest(&self) -> bool {
        self.truncation == Truncation::KeepsNewest
    }

    /// Bars that these days have at most.
    fn bars(&self, days: &[Day]) -> u64 {
        let micros = |day: &Day| {
            let session = day.close.micros() - day.open.micros();
            match self.hours {
                Hours::Extended => session.max(EXTENDED_DAY_HOURS * 3_600_000_000),
                Hours::Regular | Hours::Unknown => session,
            }
        };
        let interval = self.interval.micros();
        let bars = days.iter().map(|day| micros(day).div_euclid(interval) + 1);
        bars.sum::<i64>().unsigned_abs()
    }

    /// Requests for one window of `tickers` tickers at this time, counting each page that the bars of
    /// its days can fill.
    pub(super) fn requests(
        &self,
        (dates, days): (DateRange, &[Day]),
        tickers: usize,
        now: Timestamp,
    ) -> u64 {
        let last = days.last().map(|day| day.date);
        if self.history_start.is_some_and(|start| last < Some(start)) {
            return 0;
        }
        if let Some(requests) = self.window_requests {
            return requests(self.interval, dates, now) * tickers as u64;
        }
        match self.truncation {
            Truncation::Announces { page_bars, .. } => {
                let bars = self.bars(days) * tickers as u64;
                bars.div_ceil(u64::from(page_bars.max(1))).max(1)
            }
            Truncation::Never | Truncation::KeepsNewest => 1,
        }
    }

    /// How many tickers with these windows are requested together: as many as the provider takes,
    /// and whose bars can wait in memory.
    pub(super) fn group_size<'a>(&self, windows: impl Iterator<Item = &'a [Day]>) -> usize {
        if self.tickers_max == 1 {
            return 1;
        }
        let bars: u64 = windows.map(|days| self.bars(days)).sum();
        let fits = usize::try_from(WAITING_BARS_MAX / bars.max(1)).unwrap_or(usize::MAX);
        self.tickers_max.min(fits).max(1)
    }
}
