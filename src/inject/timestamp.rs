//! Reads dates and times, in the forms of CSV files, into instants.
//!
//! The form of a value shows what it is: `2025-01-02`, `2025.01.02` and `20250102` start with the
//! year, and many digits are an epoch, whose magnitude shows its unit. `01/02/2025` starts with the
//! day or the month, which all rows of the file decide (`evidence.rs`). Most rows have the date of
//! the row before, so the last date and its offset are kept.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Timelike};
use chrono_tz::Tz;

use super::clock::{SECOND, fraction, time_of_day, zone_suffix};
use super::date::{DateOrder, days, read_date};
use super::header_zone::zone_of_word;
use super::number::{digits, peek};
use crate::model::{DAY_MICROS, Local, Zone};

/// A number with at least this many digits is an epoch, not a date.
const EPOCH_DIGITS_MIN: usize = 9;
const EPOCH_DIGITS_MAX: usize = 19;
/// `YmdHMS` without a blank. As an epoch in milliseconds it would be after the year 2286.
const COMPACT_DIGITS: usize = 14;
/// `YmdHM` without a blank. As an epoch in milliseconds it would be before the year 1977.
const COMPACT_DIGITS_OF_MINUTES: usize = 12;
/// The length of `02-Jan-2025`.
const DATE_BYTES_MAX: usize = 11;
/// The days of a spreadsheet: they are counted from the end of 1899. These are 1954 to 2119.
const SERIAL_DAYS: std::ops::Range<u64> = 20_000..80_000;
const SERIAL_DIGITS: usize = 5;
/// The serial day of 1970-01-01.
const SERIAL_EPOCH: i64 = 25_569;

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
    /// How times are written, if the user says it.
    format: Option<Arc<str>>,
    /// The last name of a zone after a time, and its zone.
    named_zone: Option<(Vec<u8>, Zone)>,
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
            format: None,
            named_zone: None,
        }
    }

    /// Reads only times of this form, in the words of `strftime`.
    pub(super) fn with_format(self, format: Option<Arc<str>>) -> Self {
        Self { format, ..self }
    }

    /// Reads date and time from one column, starting at `at`: the instants, and where the text
    /// ends. With a form of the user, the text must be one field.
    #[inline]
    pub(super) fn timestamp(&mut self, text: &[u8], at: usize) -> Option<(Local, usize)> {
        if let Some(format) = self.format.clone() {
            let local = self.formatted(text.get(at..)?, &format)?;
            return Some((local, text.len()));
        }
        if let Some(end) = self.known_date(text, at) {
            return self.after_date(text, self.day, end);
        }
        let (value, end) = digits(text, at, 0);
        let count = end - at;
        if count == COMPACT_DIGITS {
            return self.compact(text, at, end);
        }
        if count == COMPACT_DIGITS_OF_MINUTES
            && let Some(read) = self.compact(text, at, end)
        {
            return Some(read);
        }
        if count == SERIAL_DIGITS && SERIAL_DAYS.contains(&value) {
            return self.serial(text, value, end);
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
        let mut start = end + 1;
        match peek(text, end) {
            b'T' | b't' => {}
            b' ' => {
                while peek(text, start) == b' ' {
                    start += 1;
                }
            }
            _ => start = end,
        }
        if start == end || !peek(text, start).is_ascii_digit() {
            return Some((self.local(day, 0), end));
        }
        let (time, end) = time_of_day(text, start)?;
        match zone_suffix(text, end) {
            Some((offset, end)) => Some((Local::Single(day * DAY_MICROS + time - offset), end)),
            None if peek(text, end) == b' ' => self.before_zone(text, day, time, end),
            None => Some((self.local(day, time), end)),
        }
    }

    /// A time before a blank, after which the name of a zone may follow: `09:30:00 US/Eastern`.
    #[cold]
    fn before_zone(
        &mut self,
        text: &[u8],
        day: i64,
        time: i64,
        end: usize,
    ) -> Option<(Local, usize)> {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(byte);
        let rest = text.get(end + 1..)?;
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let word = &rest[..length];
        if self
            .named_zone
            .as_ref()
            .is_none_or(|(known, _)| known != word)
        {
            let zone = std::str::from_utf8(word).ok().and_then(zone_of_word);
            self.named_zone = zone.map(|zone| (word.to_vec(), Zone::of(zone)));
        }
        match &self.named_zone {
            Some((_, zone)) => Some((zone.from_local(day * DAY_MICROS + time), end + 1 + length)),
            None => Some((self.local(day, time), end)),
        }
    }

    /// A whole field in the form that the user says.
    pub(super) fn formatted(&mut self, field: &[u8], format: &str) -> Option<Local> {
        let field = std::str::from_utf8(field).ok()?.trim();
        if let Ok(instant) = DateTime::parse_from_str(field, format) {
            return Some(Local::Single(instant.timestamp_micros()));
        }
        let local = NaiveDateTime::parse_from_str(field, format)
            .or_else(|_| {
                let date = NaiveDate::parse_from_str(field, format)?;
                Ok::<_, chrono::ParseError>(date.and_time(chrono::NaiveTime::MIN))
            })
            .ok()?;
        let time = i64::from(local.num_seconds_from_midnight()) * SECOND
            + i64::from(local.nanosecond().div_ceil(1000));
        Some(self.local(days(local.date()), time))
    }

    /// `45659.395833`: days of a spreadsheet, to the nearest second.
    fn serial(&mut self, text: &[u8], value: u64, end: usize) -> Option<(Local, usize)> {
        let day = i64::try_from(value).ok()? - SERIAL_EPOCH;
        let (part, end) = match peek(text, end) {
            b'.' => {
                let (_, after) = digits(text, end + 1, 0);
                let part: f64 = std::str::from_utf8(&text[end..after]).ok()?.parse().ok()?;
                (part, after)
            }
            _ => (0.0, end),
        };
        let seconds = (part * 86_400.0).round() as i64;
        let (day, seconds) = (day + seconds / 86_400, seconds % 86_400);
        Some((self.local(day, seconds * SECOND), end))
    }

    /// `20250102093000` or `202501020930`
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

/// Whether a field is a time of this form.
pub(super) fn has_form(field: &[u8], format: &str) -> bool {
    let mut reader = TimestampReader::new(Zone::of(Tz::UTC), None);
    reader.formatted(field, format).is_some()
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
            "2025-01-02  09:30:00",
            "2025-01-02 09:30:00 AM",
            "2025-01-02 9:30am",
            "02/01/25 9:30",
            "02-Jan-2025 09:30",
            "2-Jan-25 09:30",
            "02 January 2025 09:30",
            "Jan 2, 2025 09:30",
            "January 02 2025 9:30 AM",
            "20250102 09:30:00 US/Eastern",
            "20250102 09:30:00 EST",
            "2025-01-02 09:30:00 America/New_York",
            "2025-01-02 15:30:00 GMT+0100",
            "20250102 15:30:00 Europe/Berlin",
            "202501020930",
            "45659.395833333336",
            "45659.3958333",
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
            "2025-01-02 09:30:00 XST",
            "2025-01-02 13:30 PM",
            "25-01-02 09:30",
            "12345",
            "02-01-25 09:30",
            "02-Jam-2025 09:30",
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
                let naive = Timestamp::from_micros(1_100_000_000_000_000 / (60 * SECOND) * (60 * SECOND) + minute * 60 * SECOND).to_utc().naive_utc();
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
