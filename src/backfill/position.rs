//! Whether an answer is whole, judged by where its bars lie and never by how many they are; and what to ask where it is not.

use chrono::{Days, NaiveDate};

use super::days::{Day, days, local_date};
use super::fetcher::WindowFetcher;
use super::windows::{DayState, Window, widened};
use crate::model::{DateRange, Hours, Timestamp};

impl WindowFetcher {
    /// The days at the window's start that came without a bar though later ones have some: cut off, it may be.
    pub(super) fn unreached(
        &self,
        window: &Window,
        oldest: Option<i64>,
        now: Timestamp,
    ) -> Option<DateRange> {
        let reach = local_date(&self.calendar, oldest?);
        let mut head = window.days.iter().take_while(|day| day.date < reach);
        let first = head.next()?;
        let last = head.last().unwrap_or(first);
        // A session that has hardly begun may well have no bar yet.
        if self.first_bar_settles(first) > now.micros() {
            return None;
        }
        DateRange::new(first.date, last.date).ok()
    }

    /// The session in whose middle an answer begins, where it was cut there: sessions before it came without a bar, or all
    /// those that came behind it have their opening bars, so that minutes without trades are no reason.
    ///
    /// `rows` are the opens of the answer's rows, in order; a row that is not a bar shows how far
    /// an answer reaches too.
    pub(super) fn cut_inside(&self, window: &Window, rows: &[i64]) -> Option<Day> {
        let oldest = *rows.first()?;
        let date = local_date(&self.calendar, oldest);
        let at = window.days.iter().position(|day| day.date == date)?;
        let day = window.days[at];
        if self.hours != Hours::Regular || oldest <= day.open.micros() {
            return None;
        }
        let opens = |open: &i64| rows.binary_search(open).is_ok();
        let has_bars = |day: &&Day| {
            let of_day = day.open.micros()..day.close.micros();
            rows.iter().any(|at| of_day.contains(at))
        };
        let mut after = (window.days[at + 1..].iter())
            .filter(has_bars)
            .map(|day| day.open.micros())
            .peekable();
        let tells = at > 0 || (after.peek().is_some() && after.all(|open| opens(&open)));
        tells.then_some(day)
    }

    pub(super) fn first_bar_settles(&self, day: &Day) -> i64 {
        day.open.micros() + self.interval.micros() + self.settle_micros()
    }

    /// `dates`, with a session more where they hold one alone.
    pub(super) fn widened(&self, dates: DateRange, now: Timestamp) -> DateRange {
        let span_max = i64::from(self.span_max());
        let around = self.days_around(dates.first(), dates.last(), now);
        widened(&around, dates, span_max)
    }

    fn days_around(
        &self,
        first: NaiveDate,
        last: NaiveDate,
        now: Timestamp,
    ) -> Vec<(Day, DayState)> {
        let span = Days::new(u64::from(self.span_max()));
        let (mut first, mut last) = (first - span, last + span);
        if let Some(covered) = self.calendar.span() {
            first = first.max(covered.first());
            last = last.min(covered.last());
        }
        DateRange::new(first, last)
            .ok()
            .and_then(|range| days(&self.calendar, range, self.hours, now).ok())
            .unwrap_or_default()
            .into_iter()
            .map(|day| (day, DayState::New))
            .collect()
    }

    /// Where a session that was asked for alone came without its opening bar: what to ask instead.
    pub(super) fn opening_is_missing(
        &self,
        window: &Window,
        rows: &[i64],
        now: Timestamp,
    ) -> Option<DateRange> {
        let [day] = window.days.as_slice() else {
            return None;
        };
        let first = *rows.first()?;
        if self.hours != Hours::Regular
            || first <= day.open.micros()
            || self.first_bar_settles(day) > now.micros()
        {
            return None;
        }
        let around = self.days_around(day.date, day.date, now);
        let alone = (around.iter())
            .filter(|(day, _)| window.ask.contains(day.date))
            .count()
            == 1;
        let next = around
            .iter()
            .find(|(other, _)| other.date > day.date)?
            .0
            .date;
        let fits = (next - day.date).num_days() < i64::from(self.span_max());
        (alone && fits).then(|| DateRange::new(day.date, next).ok())?
    }
}
