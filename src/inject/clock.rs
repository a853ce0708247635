//! Reads times of day, and the offset after them.

use super::date::two_digits;
use super::number::{digits, peek};

pub(super) const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Reads a time of day, `H:M[:S[.f]]`, `HMS` or `HM`, of 24 or 12 hours, starting at `at`:
/// microseconds, and where the text ends.
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
        (3..=4, _) => (first / 100, first % 100, 0, end),
        (5..=6, _) => (first / 10_000, first / 100 % 100, first % 100, end),
        // `09-AM`, `9 PM`
        (1..=2, next) => {
            let at = end + usize::from(next == b'-');
            let (hour, end) = of_twelve_hours(text, first, at)?;
            return (end != at).then_some((hour as i64 * HOUR, end));
        }
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
    let (hour, end) = of_twelve_hours(text, hour, end)?;
    let time = hour as i64 * HOUR + minute as i64 * MINUTE + second as i64 * SECOND;
    Some((time + fraction, end))
}

/// The hour by `AM` or `PM` after a time, if one of them is there.
#[inline]
fn of_twelve_hours(text: &[u8], hour: u64, end: usize) -> Option<(u64, usize)> {
    let at = end + usize::from(peek(text, end) == b' ');
    let is_after_noon = match peek(text, at) {
        b'A' | b'a' => false,
        b'P' | b'p' => true,
        _ => return Some((hour, end)),
    };
    if !matches!(peek(text, at + 1), b'M' | b'm') || peek(text, at + 2).is_ascii_alphabetic() {
        return Some((hour, end));
    }
    let hour = (1..=12).contains(&hour).then_some(hour % 12)?;
    Some((hour + 12 * u64::from(is_after_noon), at + 2))
}

/// The decimals of a second, in microseconds. Less than a microsecond counts as one, so that it
/// isn't a whole minute.
pub(super) fn fraction(text: &[u8], at: usize) -> (i64, usize) {
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
pub(super) fn zone_suffix(text: &[u8], at: usize) -> Option<(i64, usize)> {
    let (at, spaced) = match peek(text, at) {
        b' ' => (at + 1, true),
        _ => (at, false),
    };
    let sign = match peek(text, at) {
        b'Z' | b'z' => return Some((0, at + 1)),
        b'U' | b'G' if spaced => {
            let word = text.get(at..at + 3)?;
            if !matches!(word, b"UTC" | b"GMT") {
                return None;
            }
            // `GMT+0100`
            let offset = match peek(text, at + 3) {
                b'+' | b'-' => zone_suffix(text, at + 3),
                _ => None,
            };
            return offset.or(Some((0, at + 3)));
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
