//! The first records of a file, and the kinds of their fields.

use std::borrow::Cow;

use chrono_tz::Tz;
use memchr::memchr;

use super::clock::time_of_day;
use super::number::{Decimal, parse, parse_decorated, parse_form};
use super::record::{End, end_of, split};
use super::timestamp::TimestampReader;
use crate::model::Zone;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
const SAMPLE_RECORDS_MAX: usize = 20;
/// A timestamp and four prices.
const FIELDS_MIN: usize = 5;

/// The fields of a record.
pub(super) type Fields<'a> = Vec<Cow<'a, [u8]>>;

/// What a field holds, by its form alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    /// A number that may be a price.
    Number,
    /// A number with as many digits as an epoch.
    Epoch,
    /// Date and time.
    Timestamp,
    /// `20120201 000000`
    CompactTimestamp,
    Date,
    /// Eight digits that are a date or a number.
    DateDigits,
    /// A time of day.
    Time,
    /// Six digits that are a time of day or a number.
    TimeDigits,
    /// Three or four digits that are hour and minute or a number.
    ShortTimeDigits,
    Empty,
    /// Anything else.
    Text,
}

impl FieldKind {
    /// Whether it is a time, or may be one.
    pub(super) fn is_time(self) -> bool {
        matches!(
            self,
            Self::Timestamp | Self::CompactTimestamp | Self::Date | Self::DateDigits | Self::Epoch
        )
    }

    /// Whether it can be read as a number.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Number
                | Self::Epoch
                | Self::DateDigits
                | Self::TimeDigits
                | Self::ShortTimeDigits
        )
    }
}

/// The delimiter with which most fields are times or numbers.
pub(super) fn delimiter_of(head: &[u8], last: bool) -> Option<u8> {
    let mut best = None;
    for delimiter in DELIMITERS {
        let (records, _) = sample(head, last, delimiter);
        let wide = records
            .iter()
            .filter(|fields| fields.len() >= FIELDS_MIN)
            .count();
        if wide == 0 || wide * 2 < records.len() {
            continue;
        }
        let understood = records
            .iter()
            .flatten()
            .filter(|field| !matches!(kind_of(field), FieldKind::Text | FieldKind::Empty))
            .count();
        let score = (understood, records[0].len());
        if best.is_none_or(|(_, before)| score > before) {
            best = Some((delimiter, score));
        }
    }
    best.map(|(delimiter, _)| delimiter)
}

/// The fields of the first records that aren't blank, and where each record starts.
pub(super) fn sample(head: &[u8], last: bool, delimiter: u8) -> (Vec<Fields<'_>>, Vec<usize>) {
    let (mut records, mut starts) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < head.len() && records.len() < SAMPLE_RECORDS_MAX {
        let end = match end_of(head, at, delimiter, last) {
            End::At(end) | End::Unclosed(end) => end,
            End::Unknown => break,
        };
        let record = &head[at..end];
        if !record.trim_ascii().is_empty() {
            let mut fields = Vec::new();
            split(record, delimiter, &mut fields);
            records.push(fields);
            starts.push(at);
        }
        at = end;
    }
    (records, starts)
}

/// The kind of a field.
pub(super) fn kind_of(field: &[u8]) -> FieldKind {
    let field = field.trim_ascii();
    if field.is_empty() {
        return FieldKind::Empty;
    }
    let mut reader = TimestampReader::new(Zone::of(Tz::UTC), None);
    let mut is_date = |text: &[u8]| {
        reader
            .date(text, 0)
            .is_some_and(|(_, end)| end == text.len())
    };
    if field.iter().all(u8::is_ascii_digit) {
        return match field.len() {
            3 | 4 if time_of_day(field, 0).is_some() => FieldKind::ShortTimeDigits,
            6 if time_of_day(field, 0).is_some() => FieldKind::TimeDigits,
            8 if is_date(field) => FieldKind::DateDigits,
            14 => FieldKind::Timestamp,
            9..=19 => FieldKind::Epoch,
            _ => FieldKind::Number,
        };
    }
    // `1735828200.0`, as a table of doubles writes an epoch.
    let whole = memchr(b'.', field).unwrap_or(field.len());
    if (9..=19).contains(&whole) && field[whole..].iter().all(|b| matches!(b, b'.' | b'0')) {
        let digits = field[..whole].iter().all(u8::is_ascii_digit);
        if digits {
            return FieldKind::Epoch;
        }
    }
    if parse(field).is_some()
        || [Decimal::Point, Decimal::Comma]
            .into_iter()
            .any(|decimal| parse_form(field, decimal).is_some())
        || parse_decorated(field, Decimal::Point).is_some()
    {
        return FieldKind::Number;
    }
    if is_date(field) {
        return FieldKind::Date;
    }
    if time_of_day(field, 0).is_some_and(|(_, end)| end == field.len()) {
        return FieldKind::Time;
    }
    let timestamp = TimestampReader::new(Zone::of(Tz::UTC), None).timestamp(field, 0);
    if timestamp.is_some_and(|(_, end)| end == field.len()) {
        let compact = field.len() == 15 && field[..8].iter().all(u8::is_ascii_digit);
        return if compact {
            FieldKind::CompactTimestamp
        } else {
            FieldKind::Timestamp
        };
    }
    FieldKind::Text
}
