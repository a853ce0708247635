//! How a file writes its dates and numbers, decided from all of its rows.
//!
//! `01/02/2025` is 1 February or 2 January, and `5,001` is 5001 or 5.001. One row can't decide
//! that. Rows are observed until enough of them can be read in only one way: first the rows of the
//! head, then those of the whole file. If the rows don't decide, the file is refused with the
//! option that does. A row that contradicts the decision later, during parsing, fails the file
//! ([`Contradiction`](super::error::Contradiction)).

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, Weekday};

use super::columns::Role;
use super::date::{DateOrder, ShortDate};
use super::error::FileError;
use super::layouts::Layout;
use super::number::{Decimal, has_mark, parse_form};
use super::record::{End, end_of, split};
use super::settings::Settings;
use crate::advice::Advice;

/// Most dates kept. A century has fewer dates whose day is at most 12.
const DATES_MAX: usize = 16_384;
/// Fewer dates don't show that they follow each other.
const DATES_MIN: usize = 3;
/// With at least this many dates, weekends among them don't matter.
const DATES_WITH_WEEKENDS_MIN: usize = 7;
/// The ambiguous numbers that one unambiguous number decides: one with grouped thousands
/// (`5,001.25`), and one without (`10.5`). They are few, so that one damaged row doesn't decide for
/// all others.
const DECIDED_BY_GROUPED: u64 = 100;
const DECIDED_BY_PLAIN: u64 = 4;
/// The longest distance between sessions in days: a long weekend with a holiday.
const SESSION_GAP_DAYS_MAX: i64 = 5;

/// What the rows decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) date_order: DateOrder,
    pub(super) decimal: Decimal,
    /// For a decision that rests on convention only: a warning with the option to change it.
    pub(super) warning: Option<String>,
}

/// What the rows observed so far show.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    delimiter: u8,
    fields: usize,
    date_at: Option<usize>,
    numbers_at: Vec<usize>,
    dates: DateEvidence,
    numbers: NumberEvidence,
}

#[derive(Clone, Debug, Default)]
struct DateEvidence {
    /// Whether an option or the layout decides.
    given: bool,
    order: Option<DateOrder>,
    /// The text of the last date. Rows of one day follow each other, so most dates equal the last.
    last: Vec<u8>,
    /// The first date that is a date in both orders.
    first: Option<String>,
    /// All such dates.
    both: BTreeSet<ShortDate>,
}

#[derive(Clone, Debug, Default)]
struct NumberEvidence {
    /// What an option or the delimiter decides.
    given: Option<Decimal>,
    /// Numbers that are valid with a decimal point only.
    point: Tally,
    /// Numbers that are valid with a decimal comma only.
    comma: Tally,
    /// Numbers that are valid either way and have a point.
    with_point: Ambiguous,
    /// Numbers that are valid either way and have a comma.
    with_comma: Ambiguous,
    /// Whether the layout has a decimal point.
    has_point: bool,
}

/// Numbers that are valid in one form only.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    grouped: u64,
    plain: u64,
}

impl Tally {
    fn total(self) -> u64 {
        self.grouped + self.plain
    }

    /// Whether they are enough to decide the form of `ambiguous` ambiguous numbers.
    fn decides(self, ambiguous: u64) -> bool {
        self.total() > 0
            && self.grouped * DECIDED_BY_GROUPED + self.plain * DECIDED_BY_PLAIN >= ambiguous
    }
}

/// Numbers that are valid in both forms, with different values.
#[derive(Clone, Debug, Default)]
struct Ambiguous {
    count: u64,
    first: Option<String>,
}

impl Ambiguous {
    fn add(&mut self, field: &[u8]) {
        self.count += 1;
        self.first
            .get_or_insert_with(|| String::from_utf8_lossy(field).into_owned());
    }
}

impl Evidence {
    /// What the rows of a file have to decide; `rows` are the first of them.
    pub(super) fn new(
        settings: &Settings,
        delimiter: u8,
        roles: &[Role],
        layout: &Layout,
        rows: &[Vec<Cow<'_, [u8]>>],
        has_nano_prices: bool,
    ) -> Self {
        let in_rows = |at: usize, is: &dyn Fn(&[u8]) -> bool| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .any(|field| is(field.trim_ascii()))
        };
        let date_at = roles
            .iter()
            .position(|role| matches!(role, Role::Timestamp | Role::Date))
            .filter(|at| in_rows(*at, &|field| ShortDate::read(field, 0).is_some()));
        let numbers_at: Vec<usize> = (0..roles.len())
            .filter(|at| matches!(roles[*at], Role::Number(_)))
            .collect();
        let order = match date_at {
            None => Some(settings.date_order.unwrap_or(DateOrder::Ymd)),
            Some(_) => settings.date_order.or(layout.date_order),
        };
        // If commas separate the fields, only quoted numbers can contain them.
        let commas = delimiter != b','
            || numbers_at
                .iter()
                .any(|at| in_rows(*at, &|field| field.contains(&b',')));
        let decimal = match settings.decimal {
            Some(given) => Some(given),
            None if has_nano_prices || !commas => Some(Decimal::Point),
            None => None,
        };
        Self {
            delimiter,
            fields: roles.len(),
            date_at,
            numbers_at,
            dates: DateEvidence {
                given: order.is_some(),
                order,
                ..DateEvidence::default()
            },
            numbers: NumberEvidence {
                given: decimal,
                has_point: layout.has_decimal_point,
                ..NumberEvidence::default()
            },
        }
    }

    /// Whether the rows observed decide everything.
    pub(super) fn is_decided(&self) -> bool {
        self.dates.order.is_some() && self.numbers.is_decided()
    }

    /// Observes whole records, unless options or the layout decide everything.
    pub(super) fn observe(&mut self, text: &[u8]) {
        if self.dates.order.is_some() && self.numbers.given.is_some() {
            return;
        }
        let mut fields: Vec<Cow<'_, [u8]>> = Vec::with_capacity(self.fields + 1);
        let mut at = 0;
        while at < text.len() {
            let (end, whole) = match end_of(text, at, self.delimiter, true) {
                End::At(end) => (end, true),
                End::Unclosed(end) => (end, false),
                End::Unknown => (text.len(), false),
            };
            split(&text[at..end], self.delimiter, &mut fields);
            at = end;
            // The parser rejects rows with another number of fields, so they aren't evidence. An
            // empty field may follow the last.
            if !whole || !(self.fields..=self.fields + 1).contains(&fields.len()) {
                continue;
            }
            if let Some(field) = self.date_at.and_then(|at| fields.get(at)) {
                self.dates.observe(field.trim_ascii());
            }
            for field in self.numbers_at.iter().filter_map(|at| fields.get(*at)) {
                self.numbers.observe(field.trim_ascii());
            }
        }
    }

    /// The decision; an error if the rows don't decide. `weekends`: whether the exchange trades on
    /// them.
    pub(super) fn decide(self, weekends: bool) -> Result<Decided, FileError> {
        let (date_order, warning) = self.dates.decide(weekends)?;
        Ok(Decided {
            date_order,
            decimal: self.numbers.decide()?,
            warning,
        })
    }
}

impl DateEvidence {
    fn observe(&mut self, field: &[u8]) {
        if !self.last.is_empty() && field.starts_with(&self.last) {
            return;
        }
        let Some((date, end)) = ShortDate::read(field, 0) else {
            return;
        };
        self.last.clear();
        self.last.extend_from_slice(&field[..end]);
        match (date.in_order(DateOrder::Dmy), date.in_order(DateOrder::Mdy)) {
            (Some(_), None) => {
                self.order.get_or_insert(DateOrder::Dmy);
            }
            (None, Some(_)) => {
                self.order.get_or_insert(DateOrder::Mdy);
            }
            (Some(_), Some(_)) => {
                self.first
                    .get_or_insert_with(|| String::from_utf8_lossy(&field[..end]).into_owned());
                if self.both.len() < DATES_MAX {
                    self.both.insert(date);
                }
            }
            (None, None) => {}
        }
    }

    fn decide(&self, weekends: bool) -> Result<(DateOrder, Option<String>), FileError> {
        let Some(first) = &self.first else {
            // If none of them is a date in either order, the rows are rejects anyway.
            return Ok((self.order.unwrap_or(DateOrder::Dmy), None));
        };
        let dotted = self.both.iter().all(|date| date.mark == b'.');
        let sessions = match (
            self.are_sessions(DateOrder::Dmy, weekends),
            self.are_sessions(DateOrder::Mdy, weekends),
        ) {
            (true, false) => Some(DateOrder::Dmy),
            (false, true) => Some(DateOrder::Mdy),
            _ => None,
        };
        match (self.given || sessions.is_none(), self.order, sessions) {
            (true, Some(order), _) => Ok((order, None)),
            // One damaged date doesn't overrule all others.
            (false, Some(order), Some(other)) if order != other => Err(FileError::DateOrder {
                value: first.clone(),
            }),
            (_, _, Some(order)) => Ok((order, None)),
            _ if dotted => Ok((
                DateOrder::Dmy,
                Some(format!(
                    "dates such as {first} are read day first, as is usual with dots; {}",
                    Advice::ReadMonthFirst
                )),
            )),
            _ => Err(FileError::DateOrder {
                value: first.clone(),
            }),
        }
    }

    /// Whether the dates, read in this order, follow each other like sessions.
    fn are_sessions(&self, order: DateOrder, weekends: bool) -> bool {
        let mut dates: Vec<NaiveDate> = self
            .both
            .iter()
            .filter_map(|date| date.in_order(order))
            .collect();
        dates.sort_unstable();
        let gapless = dates
            .windows(2)
            .all(|pair| (pair[1] - pair[0]).num_days() <= SESSION_GAP_DAYS_MAX);
        let on_weekend = |date: &NaiveDate| matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
        gapless
            && dates.len() >= DATES_MIN
            && (weekends || dates.len() >= DATES_WITH_WEEKENDS_MIN || !dates.iter().any(on_weekend))
    }
}

impl NumberEvidence {
    fn observe(&mut self, field: &[u8]) {
        if self.given.is_some() || !has_mark(field) {
            return;
        }
        let (point, comma) = (field.contains(&b'.'), field.contains(&b','));
        let (tally, is_grouped) = match (
            parse_form(field, Decimal::Point),
            parse_form(field, Decimal::Comma),
        ) {
            (Some(_), None) => (&mut self.point, comma),
            (None, Some(_)) => (&mut self.comma, point),
            (Some(_), Some(_)) if comma => return self.with_comma.add(field),
            (Some(_), Some(_)) => return self.with_point.add(field),
            (None, None) => return,
        };
        tally.grouped += u64::from(is_grouped);
        tally.plain += u64::from(!is_grouped);
    }

    /// The form of most unambiguous numbers, if they are enough. Numbers of the other form fail the
    /// file when it is parsed.
    fn decided(&self) -> Option<Decimal> {
        let (decimal, tally, ambiguous) = if self.point.total() >= self.comma.total() {
            (Decimal::Point, self.point, &self.with_comma)
        } else {
            (Decimal::Comma, self.comma, &self.with_point)
        };
        tally.decides(ambiguous.count).then_some(decimal)
    }

    /// Whether all numbers are valid with a decimal point and have no comma.
    fn is_plain(&self) -> bool {
        self.comma.total() == 0 && self.with_comma.count == 0
    }

    fn is_decided(&self) -> bool {
        self.given.is_some() || self.decided().is_some() || (self.has_point && self.is_plain())
    }

    /// Without commas, a point is a decimal point.
    fn decide(&self) -> Result<Decimal, FileError> {
        let ambiguous = self
            .with_comma
            .first
            .as_ref()
            .or(self.with_point.first.as_ref());
        match (self.given.or_else(|| self.decided()), ambiguous) {
            (Some(decimal), _) => Ok(decimal),
            (None, Some(value)) if !self.is_plain() => Err(FileError::DecimalMark {
                value: value.clone(),
            }),
            (None, _) => Ok(Decimal::Point),
        }
    }
}
