//! The first records of a dump, and what their fields look like.

use std::borrow::Cow;

use chrono_tz::Tz;
use memchr::memchr;

use super::layout::Look;
use super::number::{Decimal, parse, parse_form};
use super::record::{End, end_of, split};
use super::stamp::{StampReader, time_of_day};
use crate::model::Zone;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Records that are looked at.
const SAMPLE_RECORDS_MAX: usize = 20;
/// A time and four prices.
const FIELDS_MIN: usize = 5;

/// The fields of a record.
pub(super) type Fields<'a> = Vec<Cow<'a, [u8]>>;

/// The delimiter whose fields look most like times and numbers.
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
        let meaning = records
            .iter()
            .flatten()
            .filter(|field| !matches!(look(field), Look::Text | Look::Empty))
            .count();
        let score = (meaning, records[0].len());
        if best.is_none_or(|(_, before)| score > before) {
            best = Some((delimiter, score));
        }
    }
    best.map(|(delimiter, _)| delimiter)
}

/// The first records that are not blank, cut into fields, and where each begins.
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

/// What a field looks like.
pub(super) fn look(field: &[u8]) -> Look {
    let field = field.trim_ascii();
    if field.is_empty() {
        return Look::Empty;
    }
    let mut reader = StampReader::new(Zone::of(Tz::UTC), None);
    let mut is_date = |text: &[u8]| {
        reader
            .date(text, 0)
            .is_some_and(|(_, end)| end == text.len())
    };
    if field.iter().all(u8::is_ascii_digit) {
        return match field.len() {
            6 if time_of_day(field, 0).is_some() => Look::TimeDigits,
            8 if is_date(field) => Look::DateDigits,
            14 => Look::Stamp,
            9..=19 => Look::Epoch,
            _ => Look::Number,
        };
    }
    // `1735828200.0`, as a table of doubles writes an epoch.
    let whole = memchr(b'.', field).unwrap_or(field.len());
    if (9..=19).contains(&whole) && field[whole..].iter().all(|b| matches!(b, b'.' | b'0')) {
        let digits = field[..whole].iter().all(u8::is_ascii_digit);
        if digits {
            return Look::Epoch;
        }
    }
    if parse(field).is_some()
        || [Decimal::Point, Decimal::Comma]
            .into_iter()
            .any(|decimal| parse_form(field, decimal).is_some())
    {
        return Look::Number;
    }
    if is_date(field) {
        return Look::Date;
    }
    if time_of_day(field, 0).is_some_and(|(_, end)| end == field.len()) {
        return Look::Time;
    }
    let stamp = StampReader::new(Zone::of(Tz::UTC), None).stamp(field, 0);
    if stamp.is_some_and(|(_, end)| end == field.len()) {
        let compact = field.len() == 15 && field[..8].iter().all(u8::is_ascii_digit);
        return if compact {
            Look::CompactStamp
        } else {
            Look::Stamp
        };
    }
    Look::Text
}
