//! Reads dates. One that ends with the year doesn't show whether day or month comes first.

use chrono::{Datelike, NaiveDate};

use super::number::{digits, peek};

/// The order of day, month and year in dates that end with the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// `31/01/2025`
    Dmy,
    /// `01/31/2025`
    Mdy,
    /// There are none: all dates start with the year.
    Ymd,
}

impl DateOrder {
    /// The order with day and month exchanged.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Dmy => Self::Mdy,
            Self::Mdy => Self::Dmy,
            Self::Ymd => Self::Ymd,
        }
    }
}

/// A date that ends with the year, in unknown order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShortDate {
    pub(super) year: i32,
    pub(super) first: u32,
    pub(super) second: u32,
    pub(super) mark: u8,
}

impl ShortDate {
    /// Reads the date at `at`, and where it ends.
    pub(super) fn read(text: &[u8], at: usize) -> Option<(Self, usize)> {
        let (first, end) = two_digits(text, at)?;
        let mark = peek(text, end);
        if !matches!(mark, b'-' | b'/' | b'.') {
            return None;
        }
        let (second, end) = two_digits(text, end + 1)?;
        let at = same_mark(text, end, mark)?;
        let (year, end) = digits(text, at, 0);
        let year = match end - at {
            4 => year,
            // With `-`, two digits in front may be the year too.
            2 if mark != b'-' => whole_year(year),
            _ => return None,
        };
        let date = Self {
            year: i32::try_from(year).ok()?,
            first: first as u32,
            second: second as u32,
            mark,
        };
        Some((date, end))
    }

    /// The date in an order, if it exists.
    pub(super) fn in_order(self, order: DateOrder) -> Option<NaiveDate> {
        match order {
            DateOrder::Dmy => NaiveDate::from_ymd_opt(self.year, self.second, self.first),
            DateOrder::Mdy => NaiveDate::from_ymd_opt(self.year, self.first, self.second),
            DateOrder::Ymd => None,
        }
    }
}

/// Days from 0001-01-01 to 1970-01-01, plus one: chrono counts from the former.
const EPOCH_DAYS: i64 = 719_163;
const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];

/// Reads the date at `at`: days since 1970, and where it ends. Without an order, day and month may
/// be in either.
pub(super) fn read_date(text: &[u8], at: usize, order: Option<DateOrder>) -> Option<(i64, usize)> {
    if let Some((date, end)) = ShortDate::read(text, at) {
        let date = match order {
            Some(order) => date.in_order(order),
            None => date
                .in_order(DateOrder::Dmy)
                .or_else(|| date.in_order(DateOrder::Mdy)),
        };
        return Some((days(date?), end));
    }
    let (first, end) = digits(text, at, 0);
    let mark = peek(text, end);
    let (year, month, day, end) = match (end - at, mark) {
        (8, _) => (first / 10_000, first / 100 % 100, first % 100, end),
        (4, b'-' | b'/' | b'.') => {
            let (month, end) = two_digits(text, end + 1)?;
            let (day, end) = two_digits(text, same_mark(text, end, mark)?)?;
            (first, month, day, end)
        }
        (0, _) => month_first(text, at)?,
        (1..=2, b'-' | b' ' | b'/') => {
            let (month, end) = month_name(text, end + 1)?;
            let (year, end) = year(text, same_mark(text, end, mark)?)?;
            (year, month, first, end)
        }
        _ => return None,
    };
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        u32::try_from(month).ok()?,
        u32::try_from(day).ok()?,
    )?;
    Some((days(date), end))
}

/// `Jan 2, 2025`: year, month, day, and where it ends.
fn month_first(text: &[u8], at: usize) -> Option<(u64, u64, u64, usize)> {
    let (month, end) = month_name(text, at)?;
    let (day, end) = two_digits(text, same_mark(text, end, b' ')?)?;
    let end = end + usize::from(peek(text, end) == b',');
    let (year, end) = year(text, same_mark(text, end, b' ')?)?;
    Some((year, month, day, end))
}

/// `Jan`, `january`: the month, and where its name ends.
fn month_name(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let rest = text.get(at..)?;
    let length = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let word = rest[..length].to_ascii_lowercase();
    let month = MONTHS
        .iter()
        .position(|name| word.len() >= 3 && name.starts_with(&word))?;
    Some((month as u64 + 1, at + length))
}

/// A year of two or four digits, and where it ends.
fn year(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let (year, end) = digits(text, at, 0);
    match end - at {
        4 => Some((year, end)),
        2 => Some((whole_year(year), end)),
        _ => None,
    }
}

/// The year of two digits: 1970 to 2069.
const fn whole_year(year: u64) -> u64 {
    year + if year < 70 { 2000 } else { 1900 }
}

/// Days since 1970.
pub(super) fn days(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - EPOCH_DAYS
}

/// One or two digits starting at `at`: the number, and where it ends.
#[inline]
pub(super) fn two_digits(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let (value, end) = digits(text, at, 0);
    (1..=2).contains(&(end - at)).then_some((value, end))
}

/// The index after `at`, if `mark` is there.
pub(super) fn same_mark(text: &[u8], at: usize, mark: u8) -> Option<usize> {
    (peek(text, at) == mark).then_some(at + 1)
}
