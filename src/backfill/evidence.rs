//! Which days of a window failed because of their rejects.
//!
//! **A day counts as answered only if its rows could be read.** If most of its rows are rejects, the
//! provider may have changed its format, and what it has for that day isn't known.

use chrono::{Days, NaiveDate};

use super::days::{Day, midnight};
use super::windows::Window;
use crate::calendar::{COMPLETE_SHARE_MIN, Calendar};
use crate::model::{Bars, Reason};
use crate::provider::{BadRow, Error};

/// Days of a window that don't count as answered.
#[derive(Default)]
pub(super) struct Evidence {
    /// Days that came with rows of which most are rejects.
    pub failed: Vec<NaiveDate>,
    /// Days that lack too many bars because of their rejects.
    pub partial: Vec<NaiveDate>,
    /// Why the first day failed.
    pub error: Option<Error>,
}

impl Evidence {
    /// Checks the days of a window by the bars and rejects that came for them. `name` has ticker,
    /// interval and dates.
    pub(super) fn of(
        calendar: &Calendar,
        window: &Window,
        name: &str,
        bars: &Bars,
        rejects: &[BadRow],
    ) -> Self {
        let mut found = Self::default();
        if rejects.is_empty() || window.is_comparison() {
            return found;
        }
        let rows = bars.len() + rejects.len();
        if rejects.len() > bars.len() {
            found.failed = window.days.iter().map(|day| day.date).collect();
            found.error = Some(Error::of_rejects(name, rows, rejects.iter()));
            return found;
        }
        // A row outside the requested dates has a date, and isn't one of these days.
        let undated = || {
            (rejects.iter())
                .filter(|row| row.at.is_none() && row.reject.reason != Reason::OutsideRange)
        };
        for day in &window.days {
            let span = span(calendar, day);
            let good = (bars.timestamps().iter())
                .filter(|at| span.contains(at))
                .count();
            let bad = || {
                (rejects.iter()).filter(|row| row.at.is_some_and(|at| span.contains(&at.micros())))
            };
            let count = bad().count();
            let error = if count > good {
                let day = format!("{name}, session {}", day.date);
                Error::of_rejects(&day, good + count, bad())
            } else if good == 0 && undated().next().is_some() {
                // They may be all that the provider has for this day.
                Error::of_rejects(name, rows, undated())
            } else {
                if (good as f64) < COMPLETE_SHARE_MIN * (good + count) as f64 {
                    found.partial.push(day.date);
                }
                continue;
            };
            found.failed.push(day.date);
            found.error.get_or_insert(error);
        }
        found
    }
}

/// The instants of a local date.
fn span(calendar: &Calendar, day: &Day) -> std::ops::Range<i64> {
    midnight(calendar, day.date)..midnight(calendar, day.date + Days::new(1))
}
