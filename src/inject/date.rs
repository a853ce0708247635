//! Dates that end with the year. One date doesn't show whether day or month comes first.

use chrono::NaiveDate;

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
        let date = Self {
            year: i32::try_from(year).ok()?,
            first: first as u32,
            second: second as u32,
            mark,
        };
        (end - at == 4).then_some((date, end))
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
