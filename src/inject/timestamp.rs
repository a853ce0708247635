//! Reads dates and times, in the forms of CSV files, into instants.
//!
//! The form of a value shows what it is: `2025-01-02`, `2025.01.02` and `20250102` start with the
//! year, and many digits are an epoch, whose magnitude shows its unit. `01/02/2025` starts with the
//! day or the month, which all rows of the file decide (`evidence.rs`). Most rows have the date of
//! the row before, so the last date and its offset are kept.

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;

use super::date::{DateOrder, ShortDate, same_mark, two_digits};
use super::number::{digits, peek};
use crate::model::{DAY_MICROS, Local, Zone};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// Days from 0001-01-01 to 1970-01-01, plus one: chrono counts from the former.
const EPOCH_DAYS: i64 = 719_163;
/// A number with at least this many digits is an epoch, not a date.
const EPOCH_DIGITS_MIN: usize = 9;
const EPOCH_DIGITS_MAX: usize = 19;
/// `YmdHMS` without a blank. As an epoch in milliseconds it would be after the year 2286.
const COMPACT_DIGITS: usize = 14;
/// The length of `2025-01-02`.
const DATE_BYTES_MAX: usize = 10;

/// Reads timestamps, and keeps the last date.
#[derive(Clone, Debug)]
pub(super) struct TimestampReader {
    zone: Zone,
    /// `None` accepts dates in either order.
    order: Option<DateOrder>,
    text: [u8; DATE_BYTES_MAX],
    text_len: usize,
    day: i64,
    /// A local day without a clock change, and its offset.
    known_offset: Option<(i64, i64)>,
}

impl TimestampReader {
    pub(super) fn new(zone: Zone, order: Option<DateOrder>) -> Self {
        Self {
            zone,
            order,
            text: [0; DATE_BYTES_MAX],
            text_len: 0,
            day: 0,
            known_offset: None,
        }
    }

    /// Reads date and time from one column, starting at `at`: the instants, and where the text
    /// ends.
    #[inline]
    pub(super) fn timestamp(&mut self, text: &[u8], at: usize) -> Option<(Local, usize)> {
        if let Some(end) = self.known_date(text, at) {
            return self.after_date(text, self.day, end);
        }
        let (value, end) = digits(text, at, 0);
        let count = end - at;
        if count == COMPACT_DIGITS {
            return self.compact(text, at, end);
        }
        if count >= EPOCH_DIGITS_MIN {
            return epoch(text, value, count, end);
        }
        let (day, end) = self.date(text, at)?;
        self.after_date(text, day, end)
    }

    /// Reads a date, starting at `at`: days since 1970, and where the text ends.
    #[inline]
    pub(super) fn date(&mut self, text: &[u8], at: usize) -> Option<(i64, usize)> {
        if let Some(end) = self.known_date(text, at) {
            return Some((self.day, end));
        }
        let (day, end) = read_date(text, at, self.order)?;
        if end - at <= DATE_BYTES_MAX {
            self.text_len = end - at;
            self.text[..self.text_len].copy_from_slice(&text[at..end]);
            self.day = day;
        }
        Some((day, end))
    }

    /// The instants of a local day and a time of that day.
    #[inline]
    pub(super) fn local(&mut self, day: i64, time: i64) -> Local {
        let local = day * DAY_MICROS + time;
        match self.known_offset {
            Some((known, offset)) if known == day => Local::Single(local - offset),
            _ => self.look_up(day, local),
        }
    }

    #[inline]
    fn known_date(&self, text: &[u8], at: usize) -> Option<usize> {
        let end = at + self.text_len;
        let same = self.text_len > 0
            && text.get(at..end)? == &self.text[..self.text_len]
            && !peek(text, end).is_ascii_digit();
        same.then_some(end)
    }

    #[inline]
    fn after_date(&mut self, text: &[u8], day: i64, end: usize) -> Option<(Local, usize)> {
        if !matches!(peek(text, end), b' ' | b'T' | b't') || !peek(text, end + 1).is_ascii_digit() {
            return Some((self.local(day, 0), end));
        }
        let (time, end) = time_of_day(text, end + 1)?;
        match zone_suffix(text, end) {
            Some((offset, end)) => Some((Local::Single(day * DAY_MICROS + time - offset), end)),
            None => Some((self.local(day, time), end)),
        }
    }

    /// `20250102093000`
    fn compact(&mut self, text: &[u8], at: usize, end: usize) -> Option<(Local, usize)> {
        let (day, _) = read_date(text.get(at..at + 8)?, 0, self.order)?;
        let (time, _) = time_of_day(text.get(at + 8..end)?, 0)?;
        Some((self.local(day, time), end))
    }

    /// Converts by the zone, and keeps the offset if the day has no clock change.
    #[cold]
    fn look_up(&mut self, day: i64, local: i64) -> Local {
        let midnight = |day: i64| match self.zone.from_local(day * DAY_MICROS) {
            Local::Single(at) => Some(day * DAY_MICROS - at),
            Local::Repeated(..) | Local::Skipped(_) => None,
        };
        self.known_offset = match (midnight(day), midnight(day + 1)) {
            (Some(before), Some(after)) if before == after => Some((day, before)),
            _ => None,
        };
        self.zone.from_local(local)
    }
}

/// Whether a field is an instant in any zone: an epoch, or a time with a zone.
pub(super) fn is_instant(field: &[u8]) -> bool {
    let read = |zone| {
        let read = TimestampReader::new(Zone::of(zone), None).timestamp(field, 0);
        read.filter(|(_, end)| *end == field.len())
    };
    let [east, west] = [Tz::Etc__GMTMinus9, Tz::Etc__GMTPlus9].map(read);
    east.is_some() && east == west
}

/// Reads a time of day, `H:M[:S[.f]]` or `HMS` or `HM`, starting at `at`: microseconds, and where
/// the text ends.
#[inline]
pub(super) fn time_of_day(text: &[u8], at: usize) -> Option<(i64, usize)> {
    let (first, end) = digits(text, at, 0);
    let (hour, minute, second, end) = match (end - at, peek(text, end)) {
        (1..=2, b':') => {
            let (minute, after) = two_digits(text, end + 1)?;
            if peek(text, after) == b':' {
                let (second, after) = two_digits(text, after + 1)?;
                (first, minute, second, after)
            } else {
                (first, minute, 0, after)
            }
        }
        (4, _) => (first / 100, first % 100, 0, end),
        (5..=6, _) => (first / 10_000, first / 100 % 100, first % 100, end),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, end) = if peek(text, end) == b'.' {
        fraction(text, end + 1)
    } else {
        (0, end)
    };
    let time = hour as i64 * HOUR + minute as i64 * MINUTE + second as i64 * SECOND;
    Some((time + fraction, end))
}

/// The decimals of a second, in microseconds. Less than a microsecond counts as one, so that it
/// isn't a whole minute.
fn fraction(text: &[u8], at: usize) -> (i64, usize) {
    let (mut micros, mut unit, mut rest, mut end) = (0, 100_000, 0, at);
    while peek(text, end).is_ascii_digit() {
        let digit = i64::from(peek(text, end) - b'0');
        micros += digit * unit;
        if unit == 0 {
            rest |= digit;
        }
        unit /= 10;
        end += 1;
    }
    (micros + i64::from(rest != 0), end)
}

/// `Z`, `+00:00`, `-0500`, `+01`, ` UTC`: the offset in microseconds, and where the text ends.
#[inline]
fn zone_suffix(text: &[u8], at: usize) -> Option<(i64, usize)> {
    let (at, spaced) = match peek(text, at) {
        b' ' => (at + 1, true),
        _ => (at, false),
    };
    let sign = match peek(text, at) {
        b'Z' | b'z' => return Some((0, at + 1)),
        b'U' | b'G' if spaced => {
            let word = text.get(at..at + 3)?;
            return matches!(word, b"UTC" | b"GMT").then_some((0, at + 3));
        }
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (value, end) = digits(text, at + 1, 0);
    let (hours, minutes, end) = match (end - at - 1, peek(text, end)) {
        (2, b':') => {
            let (minutes, end) = two_digits(text, end + 1)?;
            (value, minutes, end)
        }
        (2, _) => (value, 0, end),
        (4, _) => (value / 100, value % 100, end),
        _ => return None,
    };
    (hours < 24 && minutes < 60)
        .then(|| (sign * (hours as i64 * HOUR + minutes as i64 * MINUTE), end))
}

/// A number: seconds, milliseconds, microseconds or nanoseconds since 1970, by its magnitude.
fn epoch(text: &[u8], value: u64, count: usize, end: usize) -> Option<(Local, usize)> {
    if count > EPOCH_DIGITS_MAX {
        return None;
    }
    let value = i64::try_from(value).ok()?;
    let micros = match value {
        0..100_000_000_000 => value * SECOND,
        100_000_000_000..100_000_000_000_000 => value * 1000,
        100_000_000_000_000..100_000_000_000_000_000 => value,
        // Less than a microsecond counts as one, so that it isn't a whole minute.
        _ => value / 1000 + i64::from(value % 1000 != 0),
    };
    let (rest, end) = if peek(text, end) == b'.' {
        let (rest, end) = fraction(text, end + 1);
        (i64::from(rest != 0), end)
    } else {
        (0, end)
    };
    Some((Local::Single(micros + rest), end))
}

fn read_date(text: &[u8], at: usize, order: Option<DateOrder>) -> Option<(i64, usize)> {
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
        _ => return None,
    };
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        u32::try_from(month).ok()?,
        u32::try_from(day).ok()?,
    )?;
    Some((days(date), end))
}

fn days(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;

    fn new_york() -> Zone {
        Zone::of(Tz::America__New_York)
    }

    fn read(text: &str) -> Option<String> {
        read_in(text, DateOrder::Dmy)
    }

    fn read_in(text: &str, order: DateOrder) -> Option<String> {
        let mut reader = TimestampReader::new(new_york(), Some(order));
        let once = reader.timestamp(text.as_bytes(), 0);
        assert_eq!(
            reader.timestamp(text.as_bytes(), 0),
            once,
            "known date: {text}"
        );
        let (local, end) = once?;
        (end == text.len()).then(|| match local {
            Local::Single(at) => Timestamp::from_micros(at).to_string(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn every_form_of_an_instant() {
        let expected = Some("2025-01-02T14:30:00Z".to_owned());
        for text in [
            "2025-01-02 09:30:00",
            "2025-01-02 09:30",
            "2025-01-02T09:30:00.000",
            "2025/01/02 09:30:00",
            "2025.01.02 09:30",
            "20250102 093000",
            "20250102 0930",
            "20250102093000",
            "02/01/2025 09:30",
            "2/1/2025 9:30",
            "02.01.2025 09:30:00.000",
            "02-01-2025 09:30",
            "2025-01-02T14:30:00Z",
            "2025-01-02T14:30:00.000000000Z",
            "2025-01-02 14:30:00+00:00",
            "2025-01-02 09:30:00-05:00",
            "2025-01-02 09:30:00 -0500",
            "2025-01-02T15:30+01",
            "2025-01-02 14:30:00 UTC",
            "1735828200",
            "1735828200.0",
            "1735828200000",
            "1735828200000000",
            "1735828200000000000",
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in ["01/02/2025 09:30", "1-2-2025 9:30", "01.02.2025 09:30:00"] {
            assert_eq!(read_in(text, DateOrder::Mdy), expected, "{text}");
            assert_eq!(read_in(text, DateOrder::Ymd), None, "{text}");
        }
        assert_eq!(read_in("13/01/2025", DateOrder::Mdy), None);
        assert_eq!(read("01/13/2025"), None);
        assert_eq!(read("20250102").as_deref(), Some("2025-01-02T05:00:00Z"));
        assert_eq!(
            read("2025-07-02 09:30").as_deref(),
            Some("2025-07-02T13:30:00Z")
        );
    }

    #[test]
    fn other_texts_are_not_read() {
        for text in [
            "",
            "x",
            "2025-13-01 09:30",
            "2025-02-30",
            "2025-01-02 24:00",
            "2025-01-02 09:60",
            "2025-01-02 9",
            "2025-01-02 09:30:00 EST",
            "25-01-02 09:30",
            "12345",
            "99999999999999999999",
            "2025-01/02",
            "2025-01-02 09:30+25:00",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn parts_of_a_microsecond_are_not_a_whole_minute() {
        for text in [
            "2025-01-02T14:30:00.000000001Z",
            "1735828200000000001",
            "1735828200.5",
        ] {
            let (local, _) = TimestampReader::new(new_york(), None)
                .timestamp(text.as_bytes(), 0)
                .unwrap();
            assert!(
                !Timestamp::from_micros(local.earliest()).is_whole_minute(),
                "{text}"
            );
        }
    }

    #[test]
    fn clock_changes_are_reported() {
        assert!(read("2025-11-02 01:30").unwrap().starts_with("Repeated"));
        assert!(read("2025-03-09 02:30").unwrap().starts_with("Skipped"));
        assert_eq!(
            read("2025-03-09 03:30").as_deref(),
            Some("2025-03-09T07:30:00Z")
        );
        assert_eq!(
            read("2025-11-02 00:30").as_deref(),
            Some("2025-11-02T04:30:00Z")
        );
    }

    proptest! {
        #[test]
        fn one_reader_reads_any_order_of_dates_as_a_fresh_one(
            minutes in prop::collection::vec(0..12_000_000_i64, 1..60), day_first in any::<bool>(),
        ) {
            let (order, short) = if day_first { (DateOrder::Dmy, "%d/%m/%Y %H:%M") } else { (DateOrder::Mdy, "%m-%d-%Y %H:%M") };
            let mut reader = TimestampReader::new(new_york(), Some(order));
            for minute in minutes {
                let naive = Timestamp::from_micros(1_100_000_000_000_000 / MINUTE * MINUTE + minute * MINUTE).to_utc().naive_utc();
                for form in ["%Y-%m-%d %H:%M:%S", short, "%Y%m%d %H%M%S"] {
                    let text = naive.format(form).to_string();
                    let fresh = TimestampReader::new(new_york(), Some(order)).timestamp(text.as_bytes(), 0);
                    prop_assert!(fresh.is_some_and(|(_, end)| end == text.len()));
                    prop_assert_eq!(reader.timestamp(text.as_bytes(), 0), fresh, "{}", text);
                }
            }
        }
    }
}
