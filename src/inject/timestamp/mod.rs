//! Reads dates and times, in the forms of CSV files, into instants.
//!
//! The form of a value shows what it is: `2025-01-02`, `2025.01.02` and `20250102` start with the
//! year, and many digits are an epoch, whose magnitude shows its unit. `01/02/2025` starts with the
//! day or the month, which all rows of the file decide (`evidence.rs`). Most rows have the date of
//! the row before, so the last date and its offset are kept.

#[cfg(test)]
mod tests;

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
