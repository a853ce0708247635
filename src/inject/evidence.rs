//! How a dump writes its dates and numbers, decided from all of its rows.
//!
//! `01/02/2025` is 1 February or 2 January, and `5,001` is five thousand and one or five. No row decides that for itself:
//! rows are heard until some of them can be read in one way only, first those of the head, then those of the whole file.
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
/// A dump with at least this many dates may hold weekends on any exchange.
const DATES_WITH_WEEKENDS_MIN: usize = 7;
/// How many numbers that can mean both one number settles that shows its grouped thousands (`5,001.25`), and one that
/// does not (`10.5`): few, so that one damaged row does not decide over all others.
const SETTLED_BY_GROUPED: u64 = 100;
const SETTLED_BY_PLAIN: u64 = 4;
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
    /// Whether the user or the layout says the order.
    given: bool,
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
    /// What the user or the delimiter says.
    given: Option<Decimal>,
    /// Numbers that only a decimal point, and that only a decimal comma explains.
    point: Tally,
    comma: Tally,
    /// Numbers that both explain, by their one mark.
    with_point: Unsure,
    with_comma: Unsure,
    /// Whether the layout is known to write a decimal point.
    known: bool,
}

/// Numbers that one form alone explains.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    grouped: u64,
    plain: u64,
}

impl Tally {
    fn all(self) -> u64 {
        self.grouped + self.plain
    }

    /// Whether they are enough to settle so many that can mean both.
    fn settles(self, unsure: u64) -> bool {
        self.all() > 0
            && self.grouped * SETTLED_BY_GROUPED + self.plain * SETTLED_BY_PLAIN >= unsure
    }
}

/// Numbers that both forms explain, each in its way.
#[derive(Clone, Debug, Default)]
struct Unsure {
    count: u64,
    first: Option<String>,
}

impl Unsure {
    fn add(&mut self, field: &[u8]) {
        self.count += 1;
        self.first
            .get_or_insert_with(|| String::from_utf8_lossy(field).into_owned());
    }
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
                given: order.is_some(),
                order,
                ..Dates::default()
            },
            numbers: Numbers {
                given: decimal,
                known: layout != Layout::Plain,
                ..Numbers::default()
            },
        }
    }

    /// Whether the rows heard decide everything.
    pub(super) fn is_settled(&self) -> bool {
        self.dates.order.is_some() && self.numbers.is_settled()
    }

    /// Hears whole records, unless everything is settled.
    pub(super) fn hear(&mut self, text: &[u8]) {
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
            // Where none of them is a date, the rows are rejects whatever the order.
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
            // A damaged date does not overrule all others.
            (false, Some(order), Some(other)) if order != other => Err(FileError::DateOrder {
                value: first.clone(),
            }),
            (_, _, Some(order)) => Ok((order, None)),
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
        if self.given.is_some() || !has_mark(field) {
            return;
        }
        let (point, comma) = (field.contains(&b'.'), field.contains(&b','));
        let (tally, grouped) = match (
            parse_form(field, Decimal::Point),
            parse_form(field, Decimal::Comma),
        ) {
            (Some(_), None) => (&mut self.point, comma),
            (None, Some(_)) => (&mut self.comma, point),
            (Some(_), Some(_)) if comma => return self.with_comma.add(field),
            (Some(_), Some(_)) => return self.with_point.add(field),
            (None, None) => return,
        };
        tally.grouped += u64::from(grouped);
        tally.plain += u64::from(!grouped);
    }

    /// What most numbers that only one form explains say, if they are enough; those that say the other fail the file
    /// when it is parsed.
    fn settled(&self) -> Option<Decimal> {
        let (decimal, tally, unsure) = if self.point.all() >= self.comma.all() {
            (Decimal::Point, self.point, &self.with_comma)
        } else {
            (Decimal::Comma, self.comma, &self.with_point)
        };
        tally.settles(unsure.count).then_some(decimal)
    }

    /// Whether nothing was heard that a decimal point does not explain.
    fn is_plain(&self) -> bool {
        self.comma.all() == 0 && self.with_comma.count == 0
    }

    fn is_settled(&self) -> bool {
        self.given.is_some() || self.settled().is_some() || (self.known && self.is_plain())
    }

    /// A point is a decimal point where no comma says otherwise.
    fn decide(&self) -> Result<Decimal, FileError> {
        let unsure = self
            .with_comma
            .first
            .as_ref()
            .or(self.with_point.first.as_ref());
        match (self.given.or_else(|| self.settled()), unsure) {
            (Some(decimal), _) => Ok(decimal),
            (None, Some(value)) if !self.is_plain() => Err(FileError::DecimalMark {
                value: value.clone(),
            }),
            (None, _) => Ok(Decimal::Point),
        }
    }
}
