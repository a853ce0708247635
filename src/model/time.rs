//! Instants and dates.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Utc};

/// Microseconds in a minute.
pub const MINUTE_MICROS: i64 = 60_000_000;
/// Microseconds in a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// The first valid instant: 1900-01-01.
const MICROS_MIN: i64 = -2_208_988_800_000_000;
/// The first instant after the valid ones: 2200-01-01.
const MICROS_END: i64 = 7_258_118_400_000_000;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `micros` microseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whether seconds and their fractions are zero.
    #[must_use]
    pub const fn is_whole_minute(self) -> bool {
        self.0 % MINUTE_MICROS == 0
    }

    /// Whether the instant is in the years of bars, 1900 to 2199.
    #[must_use]
    pub const fn is_in_range(self) -> bool {
        self.0 >= MICROS_MIN && self.0 < MICROS_END
    }

    /// The same instant for chrono.
    ///
    /// # Panics
    ///
    /// Never for an instant that [`is_in_range`](Self::is_in_range).
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The UTC year, which is that of the partition with a bar of this instant.
    #[must_use]
    pub fn year(self) -> i32 {
        self.to_utc().year()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp_micros())
    }
}

/// `2025-01-02T14:30:00Z`, with a fraction only if there is one.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.to_utc();
        if self.0 % 1_000_000 == 0 {
            write!(f, "{}", utc.format("%Y-%m-%dT%H:%M:%SZ"))
        } else {
            write!(f, "{}", utc.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
        }
    }
}

/// First microsecond of a UTC year.
#[must_use]
pub fn year_start_micros(year: i32) -> i64 {
    NaiveDate::from_ymd_opt(year, 1, 1).map_or(i64::MAX, date_micros)
}

/// Midnight UTC of a date, in microseconds.
#[must_use]
pub fn date_micros(date: NaiveDate) -> i64 {
    date.and_time(chrono::NaiveTime::MIN)
        .and_utc()
        .timestamp_micros()
}

/// Instants from `start` to before `end`, in microseconds: half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First instant inside.
    pub start: i64,
    /// First instant after.
    pub end: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self {
        start: i64::MIN,
        end: i64::MAX,
    };

    /// Whether it contains no instant.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Whether it contains the instant `micros`.
    #[must_use]
    pub const fn contains(self, micros: i64) -> bool {
        self.start <= micros && micros < self.end
    }
}

/// A range of dates, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateRange {
    first: NaiveDate,
    last: NaiveDate,
}

/// Why a date or a range of dates is invalid.
#[derive(Debug, thiserror::Error)]
pub enum BadDate {
    /// Neither `DDMMYY` nor `YYYY-MM-DD`.
    #[error("{0:?} isn't a date; write DDMMYY (040325 is 4 March 2025) or YYYY-MM-DD")]
    Unreadable(String),
    /// The start is after the end.
    #[error("the start {0} is after the end {1}")]
    Reversed(NaiveDate, NaiveDate),
}

impl DateRange {
    /// The dates from `first` to `last`, both inclusive.
    pub fn new(first: NaiveDate, last: NaiveDate) -> Result<Self, BadDate> {
        if first > last {
            return Err(BadDate::Reversed(first, last));
        }
        Ok(Self { first, last })
    }

    /// The first date.
    #[must_use]
    pub const fn first(self) -> NaiveDate {
        self.first
    }

    /// The last date.
    #[must_use]
    pub const fn last(self) -> NaiveDate {
        self.last
    }

    /// The number of dates.
    #[must_use]
    pub fn days(self) -> i64 {
        (self.last - self.first).num_days() + 1
    }

    /// Whether it contains `date`.
    #[must_use]
    pub fn contains(self, date: NaiveDate) -> bool {
        self.first <= date && date <= self.last
    }

    /// All dates, in order.
    pub fn iter(self) -> impl Iterator<Item = NaiveDate> {
        self.first
            .iter_days()
            .take_while(move |date| *date <= self.last)
    }
}

impl fmt::Display for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}..{}", self.first, self.last)
        }
    }
}

/// A date as typed on the command line: `DDMMYY` (20YY) or `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypedDate(pub NaiveDate);

impl FromStr for TypedDate {
    type Err = BadDate;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let unreadable = || BadDate::Unreadable(typed.to_owned());
        let text = typed.trim();
        let bytes = text.as_bytes();
        let number = |range: std::ops::Range<usize>| {
            text.get(range)
                .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|part| part.parse::<u32>().ok())
                .ok_or_else(unreadable)
        };
        let (year, month, day) = match bytes.len() {
            6 => (2000 + number(4..6)?, number(2..4)?, number(0..2)?),
            10 if bytes[4] == b'-' && bytes[7] == b'-' => {
                (number(0..4)?, number(5..7)?, number(8..10)?)
            }
            _ => return Err(unreadable()),
        };
        let date = NaiveDate::from_ymd_opt(year as i32, month, day).ok_or_else(unreadable)?;
        if !(1900..2200).contains(&date.year()) {
            return Err(unreadable());
        }
        Ok(Self(date))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_day_first() {
        let date = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        assert_eq!("040325".parse::<TypedDate>().unwrap().0, date(2025, 3, 4));
        assert_eq!(
            "2025-03-04".parse::<TypedDate>().unwrap().0,
            date(2025, 3, 4)
        );
        for typed in [
            "310225",
            "2025-3-4",
            "04/03/25",
            "",
            "0403205",
            "éé11",
            "+40325",
            "9999-01-01",
        ] {
            assert!(typed.parse::<TypedDate>().is_err(), "{typed}");
        }
    }

    #[test]
    fn instants_print_with_a_z() {
        assert_eq!(
            Timestamp::from_micros(1_735_828_200_000_000).to_string(),
            "2025-01-02T14:30:00Z"
        );
        assert_eq!(Timestamp::from_micros(-1).year(), 1969);
        assert_eq!(year_start_micros(1970), 0);
    }
}
