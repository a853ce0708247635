//! Whether a response is complete, by the times of its bars and never by their number; and what to
//! request if it isn't.

use chrono::{Days, NaiveDate};

use super::days::{Day, days, local_date};
use super::windows::{Window, date_range, widened};
use crate::calendar::Calendar;
use crate::model::{DateRange, Hours, Interval, Timestamp};

/// Checks the responses of one window.
pub(super) struct PositionCheck<'a> {
    pub calendar: &'a Calendar,
    pub interval: Interval,
    pub hours: Hours,
    /// Dates that one request may span.
    pub span_max: u16,
    /// How long after its end a bar can change.
    pub settle_micros: i64,
    /// When the window was requested.
    pub now: Timestamp,
}

impl PositionCheck<'_> {
    /// The days at the window's start without a bar, if later ones have some: the response may have
    /// been truncated. `oldest` is the open of its oldest row.
    pub(super) fn missing_head(&self, window: &Window, oldest: Option<i64>) -> Option<DateRange> {
        let reach = local_date(self.calendar, oldest?);
        let mut head = window.days.iter().take_while(|day| day.date < reach);
        let first = head.next()?;
        let last = head.last().unwrap_or(first);
        // A session that has only begun may have no bar yet.
        self.has_first_bar(first)
            .then(|| date_range(first.date, last.date))
    }

    /// The session in which a response begins, if it was truncated there: sessions before it came
    /// without a bar, or all later ones that came have their opening bars, so that minutes without
    /// trades are not the reason.
    ///
    /// `rows` are the opens of the response's rows, in order. Rejects count too: they also show how
    /// far a response reaches.
    pub(super) fn truncated_session(&self, window: &Window, rows: &[i64]) -> Option<Day> {
        let oldest = *rows.first()?;
        let date = local_date(self.calendar, oldest);
        let index = window.days.iter().position(|day| day.date == date)?;
        let day = window.days[index];
        if self.hours != Hours::Regular || oldest <= day.open.micros() {
            return None;
        }
        let is_row = |open: &i64| rows.binary_search(open).is_ok();
        let has_rows = |day: &&Day| {
            let session = day.open.micros()..day.close.micros();
            rows.iter().any(|at| session.contains(at))
        };
        let mut later_opens = window.days[index + 1..]
            .iter()
            .filter(has_rows)
            .map(|day| day.open.micros())
            .peekable();
        let is_truncated =
            index > 0 || (later_opens.peek().is_some() && later_opens.all(|open| is_row(&open)));
        is_truncated.then_some(day)
    }

    /// What to request for a session that was requested alone and came without its opening bar.
    /// `rows` are the opens of all rows that came, in order.
    pub(super) fn missing_opening(&self, window: &Window, rows: &[i64]) -> Option<DateRange> {
        let [day] = window.days.as_slice() else {
            return None;
        };
        let first = *rows.first()?;
        if self.hours != Hours::Regular || first <= day.open.micros() || !self.has_first_bar(day) {
            return None;
        }
        let around = self.trading_dates_around(day.date, day.date);
        let requested = around.iter().filter(|date| window.request.contains(**date));
        let next = *around.iter().find(|date| **date > day.date)?;
        let fits = (next - day.date).num_days() < i64::from(self.span_max);
        (requested.count() == 1 && fits).then(|| date_range(day.date, next))
    }

    /// Whether the provider has the first bar of a session by now.
    pub(super) fn has_first_bar(&self, day: &Day) -> bool {
        let settled = day.open.micros() + self.interval.micros() + self.settle_micros;
        settled <= self.now.micros()
    }

    /// `dates`, with another session if they have one only.
    pub(super) fn widened(&self, dates: DateRange) -> DateRange {
        let around = self.trading_dates_around(dates.first(), dates.last());
        widened(&around, dates, i64::from(self.span_max))
    }

    fn trading_dates_around(&self, first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
        let span = Days::new(u64::from(self.span_max));
        let (mut first, mut last) = (first - span, last + span);
        if let Some(covered) = self.calendar.span() {
            first = first.max(covered.first());
            last = last.min(covered.last());
        }
        DateRange::new(first, last)
            .ok()
            .and_then(|range| days(self.calendar, range, self.hours, self.now).ok())
            .unwrap_or_default()
            .into_iter()
            .map(|day| day.date)
            .collect()
    }
}
