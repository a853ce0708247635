//! How a dump writes its dates and numbers, decided from all of its rows.
//!
//! `01/02/2025` is 1 February or 2 January, and `5,001` is five thousand and one or five. No row decides that for itself:
//! rows are heard until one of them can be read in one way only, first those of the head, then those of the whole file.
//! What nothing settles is refused with the option that does. A row that contradicts the decision later, while the file
//! is parsed, fails the file ([`Contrary`]).

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, Weekday};

use super::date::{DateOrder, ShortDate};
use super::error::FileError;
use super::layout::{Layout, Role};
use super::number::{Decimal, has_mark, parse_form};
use super::record::{End, end_of, split};
use super::settings::Settings;

/// Dates kept at most; all that a hundred years can write with days up to 12 are fewer.
const DATES_MAX: usize = 16_384;
/// Fewer dates in a row are no evidence that they follow each other.
const DATES_MIN: usize = 3;
/// From so many dates on, a dump may hold weekends whatever the exchange.
const DATES_WITH_WEEKENDS_MIN: usize = 7;
/// Days from one session to the next, at most: a long weekend with a holiday.
const SESSION_GAP_DAYS_MAX: i64 = 5;

/// A row that contradicts what was decided from the rows before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contrary {
    /// Its number, from 1.
    pub line: u64,
    /// The date or number as it is written.
    pub value: String,
    /// How it is written.
    pub what: Written,
}

/// What one value can only mean, and the values before it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// A date in this order.
    Date(DateOrder),
    /// A number with this decimal mark.
    Number(Decimal),
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) dates: DateOrder,
    pub(super) decimal: Decimal,
    /// A decision that only custom supports, and the option that settles it.
    pub(super) warning: Option<String>,
}

/// What the rows heard so far say.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    delimiter: u8,
    fields: usize,
    date_at: Option<usize>,
    numbers_at: Vec<usize>,
    dates: Dates,
    numbers: Numbers,
}

#[derive(Clone, Debug, Default)]
struct Dates {
    order: Option<DateOrder>,
    /// The text of the last date heard, for rows of one day follow each other.
    last: Vec<u8>,
    /// The first date that can be read in both orders.
    first: Option<String>,
    /// Those dates.
    both: BTreeSet<ShortDate>,
}

#[derive(Clone, Debug, Default)]
struct Numbers {
    decimal: Option<Decimal>,
    /// The first number whose comma can mean both.
    unsure: Option<String>,
    /// Whether the layout is known to write a decimal point.
    known: bool,
}

impl Evidence {
    /// What is to be decided in a dump whose first rows are `rows`. `integers` says that its prices are whole numbers
    /// of another unit.
    pub(super) fn new(
        settings: &Settings,
        delimiter: u8,
        roles: &[Role],
        layout: Layout,
        rows: &[Vec<Cow<'_, [u8]>>],
        integers: bool,
    ) -> Self {
        let in_rows = |at: usize, is: &dyn Fn(&[u8]) -> bool| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .any(|field| is(field.trim_ascii()))
        };
        let date_at = roles
            .iter()
            .position(|role| matches!(role, Role::Stamp | Role::Date))
            .filter(|at| in_rows(*at, &|field| ShortDate::read(field, 0).is_some()));
        let numbers_at: Vec<usize> = (0..roles.len())
            .filter(|at| matches!(roles[*at], Role::Number(_)))
            .collect();
        let order = match (date_at, settings.date_order, layout) {
            (None, given, _) => Some(given.unwrap_or(DateOrder::Ymd)),
            (Some(_), Some(given), _) => Some(given),
            (Some(_), None, Layout::Dukascopy) => Some(DateOrder::Dmy),
            (Some(_), None, _) => None,
        };
        // Where the comma cuts the fields, only a quoted number can hold one.
        let commas = delimiter != b','
            || numbers_at
                .iter()
                .any(|at| in_rows(*at, &|field| field.contains(&b',')));
        let decimal = match settings.decimal {
            Some(given) => Some(given),
            None if integers || !commas => Some(Decimal::Point),
            None => None,
        };
        Self {
            delimiter,
            fields: roles.len(),
            date_at,
            numbers_at,
            dates: Dates {
                order,
                ..Dates::default()
            },
            numbers: Numbers {
                decimal,
                unsure: None,
                known: layout != Layout::Plain,
            },
        }
    }

    /// Whether the rows heard decide everything.
    pub(super) fn is_settled(&self) -> bool {
        let numbers = &self.numbers;
        self.dates.order.is_some()
            && (numbers.decimal.is_some() || (numbers.known && numbers.unsure.is_none()))
    }

    /// Hears whole records, until everything is settled.
    pub(super) fn hear(&mut self, text: &[u8]) {
        let mut fields: Vec<Cow<'_, [u8]>> = Vec::with_capacity(self.fields + 1);
        let mut at = 0;
        while at < text.len() && (self.dates.order.is_none() || self.numbers.decimal.is_none()) {
            let (end, whole) = match end_of(text, at, self.delimiter, true) {
                End::At(end) => (end, true),
                End::Unclosed(end) => (end, false),
                End::Unknown => (text.len(), false),
            };
            split(&text[at..end], self.delimiter, &mut fields);
            at = end;
            // A row that the parser rejects for its fields is no evidence; an empty field may follow the last.
            if !whole || !(self.fields..=self.fields + 1).contains(&fields.len()) {
                continue;
            }
            if let Some(field) = self.date_at.and_then(|at| fields.get(at)) {
                self.dates.hear(field.trim_ascii());
            }
            for field in self.numbers_at.iter().filter_map(|at| fields.get(*at)) {
                self.numbers.hear(field.trim_ascii());
            }
        }
    }

    /// The decision, where there is one. `weekends` says that the exchange trades on them.
    pub(super) fn decide(self, weekends: bool) -> Result<Decided, FileError> {
        let (dates, warning) = self.dates.decide(weekends)?;
        Ok(Decided {
            dates,
            decimal: self.numbers.decide()?,
            warning,
        })
    }
}

impl Dates {
    fn hear(&mut self, field: &[u8]) {
        if self.order.is_some() || (!self.last.is_empty() && field.starts_with(&self.last)) {
            return;
        }
        let Some((date, end)) = ShortDate::read(field, 0) else {
            return;
        };
        self.last.clear();
        self.last.extend_from_slice(&field[..end]);
        match (date.in_order(DateOrder::Dmy), date.in_order(DateOrder::Mdy)) {
            (Some(_), None) => self.order = Some(DateOrder::Dmy),
            (None, Some(_)) => self.order = Some(DateOrder::Mdy),
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
        if let Some(order) = self.order {
            return Ok((order, None));
        }
        let Some(first) = &self.first else {
            // None of them is a date: whatever the order, the rows are rejects.
            return Ok((DateOrder::Dmy, None));
        };
        let dotted = self.both.iter().all(|date| date.mark == b'.');
        match (
            self.are_sessions(DateOrder::Dmy, weekends),
            self.are_sessions(DateOrder::Mdy, weekends),
        ) {
            (true, false) => Ok((DateOrder::Dmy, None)),
            (false, true) => Ok((DateOrder::Mdy, None)),
            _ if dotted => Ok((
                DateOrder::Dmy,
                Some(format!(
                    "dates such as {first} are read day first, as is the custom with dots; if they are month first: \
                     --date-order mdy"
                )),
            )),
            _ => Err(FileError::DateOrder {
                value: first.clone(),
            }),
        }
    }

    /// Whether the dates follow each other like sessions when they are read in this order.
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

impl Numbers {
    fn hear(&mut self, field: &[u8]) {
        if self.decimal.is_some() || !has_mark(field) {
            return;
        }
        match (
            parse_form(field, Decimal::Point),
            parse_form(field, Decimal::Comma),
        ) {
            (Some(_), None) => self.decimal = Some(Decimal::Point),
            (None, Some(_)) => self.decimal = Some(Decimal::Comma),
            (Some(_), Some(_)) if field.contains(&b',') => {
                self.unsure
                    .get_or_insert_with(|| String::from_utf8_lossy(field).into_owned());
            }
            _ => {}
        }
    }

    /// A point is a decimal point where no comma says otherwise.
    fn decide(&self) -> Result<Decimal, FileError> {
        match (self.decimal, &self.unsure) {
            (Some(decimal), _) => Ok(decimal),
            (None, None) => Ok(Decimal::Point),
            (None, Some(value)) => Err(FileError::DecimalMark {
                value: value.clone(),
            }),
        }
    }
}
