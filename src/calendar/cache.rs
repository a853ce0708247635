//! The calendars and sessions of many series, computed once.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::{Calendar, Overrides, Session};
use crate::model::DateRange;

/// Calendars by exchange code, with the sessions requested so far.
#[derive(Debug, Default)]
pub struct CalendarCache {
    overrides: Overrides,
    calendars: HashMap<String, Option<CachedCalendar>>,
}

#[derive(Debug)]
struct CachedCalendar {
    calendar: Calendar,
    /// The dates of `sessions`.
    dates: Option<DateRange>,
    sessions: Vec<Session>,
}

impl CalendarCache {
    /// A cache of calendars with a user's overrides.
    #[must_use]
    pub fn new(overrides: Overrides) -> Self {
        Self {
            overrides,
            calendars: HashMap::new(),
        }
    }

    /// The user's overrides.
    #[must_use]
    pub const fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The calendar of an exchange; `None` for an unknown code.
    pub fn calendar(&mut self, exchange: &str) -> Option<&Calendar> {
        self.cached(exchange).map(|cached| &cached.calendar)
    }

    /// The sessions from `first` to `last` that are in the calendar's span; `None` for an unknown
    /// exchange.
    pub fn sessions(
        &mut self,
        exchange: &str,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Option<&[Session]> {
        let cached = self.cached(exchange)?;
        let (mut from, mut to) = (first, last);
        if let Some(span) = cached.calendar.span() {
            from = from.max(span.first());
            to = to.min(span.last());
        }
        if from > to {
            return Some(&[]);
        }
        let covered = cached
            .dates
            .is_some_and(|dates| dates.contains(from) && dates.contains(to));
        if !covered {
            if let Some(dates) = cached.dates {
                from = from.min(dates.first());
                to = to.max(dates.last());
            }
            let range = DateRange::new(from, to).ok()?;
            cached.sessions = cached.calendar.sessions(range).ok()?;
            cached.dates = Some(range);
        }
        let known = &cached.sessions;
        let start = known.partition_point(|session| session.date < first);
        let end = known.partition_point(|session| session.date <= last);
        Some(&known[start..end.max(start)])
    }

    fn cached(&mut self, exchange: &str) -> Option<&mut CachedCalendar> {
        if !self.calendars.contains_key(exchange) {
            let calendar = Calendar::for_exchange_with(exchange, &self.overrides).ok();
            let cached = calendar.map(|calendar| CachedCalendar {
                calendar,
                dates: None,
                sessions: Vec::new(),
            });
            self.calendars.insert(exchange.to_owned(), cached);
        }
        self.calendars.get_mut(exchange)?.as_mut()
    }
}
