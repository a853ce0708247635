//! The calendars of many series, each looked up once.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::{Calendar, Overrides, Session};
use crate::model::DateRange;

/// Calendars by exchange code, with the sessions that were asked for so far. Five hundred series of one exchange lay them
/// out once.
#[derive(Debug, Default)]
pub struct Book {
    overrides: Overrides,
    pages: HashMap<String, Option<Page>>,
}

#[derive(Debug)]
struct Page {
    calendar: Calendar,
    /// The dates whose sessions are laid out.
    laid_out: Option<DateRange>,
    sessions: Vec<Session>,
}

impl Book {
    /// A book whose calendars have a user's files laid over them.
    #[must_use]
    pub fn new(overrides: Overrides) -> Self {
        Self {
            overrides,
            pages: HashMap::new(),
        }
    }

    /// The calendar of an exchange; `None` where the code is not known.
    pub fn calendar(&mut self, exchange: &str) -> Option<&Calendar> {
        self.page(exchange).map(|page| &page.calendar)
    }

    /// The sessions from `first` to `last`, as far as the exchange's calendar reaches; `None` where nothing is known of
    /// the exchange.
    pub fn sessions(
        &mut self,
        exchange: &str,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Option<&[Session]> {
        let page = self.page(exchange)?;
        let (mut from, mut to) = (first, last);
        if let Some(span) = page.calendar.span() {
            from = from.max(span.first());
            to = to.min(span.last());
        }
        if from > to {
            return Some(&[]);
        }
        let covered = page
            .laid_out
            .is_some_and(|dates| dates.contains(from) && dates.contains(to));
        if !covered {
            if let Some(dates) = page.laid_out {
                from = from.min(dates.first());
                to = to.max(dates.last());
            }
            let range = DateRange::new(from, to).ok()?;
            page.sessions = page.calendar.sessions(range).ok()?;
            page.laid_out = Some(range);
        }
        let known = &page.sessions;
        let start = known.partition_point(|session| session.date < first);
        let end = known.partition_point(|session| session.date <= last);
        Some(&known[start..end.max(start)])
    }

    fn page(&mut self, exchange: &str) -> Option<&mut Page> {
        if !self.pages.contains_key(exchange) {
            let calendar = Calendar::for_exchange_with(exchange, &self.overrides).ok();
            let page = calendar.map(|calendar| Page {
                calendar,
                laid_out: None,
                sessions: Vec::new(),
            });
            self.pages.insert(exchange.to_owned(), page);
        }
        self.pages.get_mut(exchange)?.as_mut()
    }
}
