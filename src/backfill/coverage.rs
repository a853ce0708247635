//! Makes the coverage of a window's days from the rows that the provider returned.

use chrono::{Days, NaiveDate};

use super::days::{Day, midnight};
use super::evidence::Evidence;
use super::fetcher::WindowFetcher;
use super::windows::{Window, date_range};
use crate::model::{DateRange, Hours, Ticker, Timestamp};
use crate::provider::{ErrorKind, FetchError};
use crate::store::{CoverageEntry, CoverageStatus};

/// What the provider returned for the days of a window.
pub(super) struct DayEvidence<'a> {
    pub window: &'a Window,
    /// Of the bars that are kept, in order.
    pub timestamps: &'a [i64],
    pub evidence: &'a Evidence,
    /// Dates that could not be requested; they have entries already.
    pub failed: &'a [DateRange],
    /// Days that came without their first bars, which could not be requested.
    pub truncated: &'a [NaiveDate],
    /// The dates on which the plan's history may begin. Days without bars up to the last of them may
    /// be from before it.
    pub history_start: Option<DateRange>,
    /// Days without bars up to this date may be from before the provider's history.
    pub uncertain_until: Option<NaiveDate>,
}

/// The coverage of a window's days; neighbours that were answered alike are one entry.
pub(super) fn coverage(
    fetcher: &WindowFetcher,
    ticker: &Ticker,
    days: &DayEvidence<'_>,
    requested_at: Timestamp,
) -> Vec<CoverageEntry> {
    let window = days.window;
    let settled = requested_at.micros() - fetcher.settle_micros();
    let mut entries: Vec<CoverageEntry> = Vec::new();
    let mut joins = false;
    let mut row = 0;
    for date in window.keep.iter() {
        let end = midnight(&fetcher.calendar, date + Days::new(1));
        let rows = days.timestamps[row..].partition_point(|open| *open < end);
        row += rows;
        let Some(day) = window.days.iter().find(|day| day.date == date) else {
            joins &= !window.skip.contains(&date);
            continue;
        };
        if days.failed.iter().any(|failed| failed.contains(date)) {
            joins = false;
            continue;
        }
        let ended_at = match fetcher.hours {
            Hours::Regular => day.close.micros(),
            Hours::Extended | Hours::Unknown => end,
        };
        let may_come = fetcher.may_be_withheld(ended_at, requested_at);
        let (status, reason) = days.status(day, rows, (ended_at <= settled, may_come));
        match entries.last_mut() {
            Some(last) if joins && last.status == status && last.reason.as_deref() == reason => {
                last.dates = date_range(last.dates.first(), date);
                last.rows += rows as u64;
            }
            _ => entries.push(CoverageEntry {
                rows: rows as u64,
                reason: reason.map(str::to_owned),
                ..entry(
                    fetcher,
                    ticker,
                    date_range(date, date),
                    status,
                    requested_at,
                )
            }),
        }
        joins = true;
    }
    entries
}

/// The coverage of dates whose request failed; none if it was never sent, or if the plan doesn't
/// include them.
pub(super) fn failed(
    fetcher: &WindowFetcher,
    ticker: &Ticker,
    dates: DateRange,
    error: &FetchError,
    requested_at: Timestamp,
) -> Option<CoverageEntry> {
    let FetchError::Failed(error) = error else {
        return None;
    };
    if error.kind() == ErrorKind::Withheld {
        return None;
    }
    Some(CoverageEntry {
        reason: Some(error.to_string()),
        ..entry(fetcher, ticker, dates, CoverageStatus::Failed, requested_at)
    })
}

impl DayEvidence<'_> {
    /// Whether the history may begin after the day, or inside it.
    fn may_be_before_history(&self, day: &Day, rows: usize) -> bool {
        if rows == 0 && self.uncertain_until.is_some_and(|last| day.date <= last) {
            return true;
        }
        let Some(start) = self.history_start else {
            return false;
        };
        let session = day.open.micros() + 1..day.close.micros();
        let begins_inside = (self.timestamps.first()).is_some_and(|first| session.contains(first));
        match rows {
            0 => day.date <= start.last(),
            _ => begins_inside && start.contains(day.date),
        }
    }

    /// How a day with `rows` bars was answered, and why if that is not obvious.
    fn status(
        &self,
        day: &Day,
        rows: usize,
        (has_settled, may_come): (bool, bool),
    ) -> (CoverageStatus, Option<&'static str>) {
        if self.evidence.failed.contains(&day.date) {
            let reason = "most of its rows can't become bars";
            (CoverageStatus::Failed, Some(reason))
        } else if !has_settled {
            let reason = "requested before its session had settled";
            (CoverageStatus::Partial, Some(reason))
        } else if self.truncated.contains(&day.date) {
            let reason = "its first bars were cut off and could not be requested";
            (CoverageStatus::Partial, Some(reason))
        } else if self.evidence.partial.contains(&day.date) {
            let reason = "more than a tenth of its rows can't become bars";
            (CoverageStatus::Partial, Some(reason))
        } else if rows == 0 && may_come {
            let reason = "the provider may withhold bars this new";
            (CoverageStatus::Partial, Some(reason))
        } else if self.may_be_before_history(day, rows) {
            let reason = "the history of the provider's plan may begin after its first bars";
            (CoverageStatus::Partial, Some(reason))
        } else if rows == 0 {
            (CoverageStatus::Empty, None)
        } else {
            (CoverageStatus::Rows, None)
        }
    }
}

fn entry(
    fetcher: &WindowFetcher,
    ticker: &Ticker,
    dates: DateRange,
    status: CoverageStatus,
    requested_at: Timestamp,
) -> CoverageEntry {
    let source = &fetcher.client.provider().info().source;
    CoverageEntry {
        series: fetcher.series(ticker),
        provider: source.as_str().to_owned(),
        provenance: fetcher.provenance(),
        dates,
        status,
        rows: 0,
        reason: None,
        asked_at: requested_at,
    }
}
