//! Postgres's `numeric` on the wire, made from a double and rounded to a column's scale.
//!
//! A double means the shortest decimal that reads back as the same double: 0.1 is 0.1, not its 55
//! binary digits. CSV files and Python's `Decimal(str(x))` mean the same, so rows that other
//! programs wrote compare equal.

use super::misfit::Misfit;

/// Precision and scale of a `numeric(p, s)` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::postgres) struct Scale {
    /// Digits in all.
    precision: u16,
    /// Digits after the point; a negative number rounds before it.
    scale: i16,
}

impl Scale {
    /// From a column's `atttypmod`; `None` for a plain `numeric`.
    pub(super) fn from_typmod(typmod: i32) -> Option<Self> {
        let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
        Some(Self {
            precision: (packed >> 16) as u16,
            scale: (((packed & 0x7ff) ^ 1024) - 1024) as i16,
        })
    }
}

const SIGN_NEGATIVE: u16 = 0x4000;
/// 17 significant digits spread over at most six groups of four.
const GROUPS_MAX: usize = 8;

/// A finite decimal as Postgres sends it: groups of four digits, without zero groups at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Decimal {
    groups: [u16; GROUPS_MAX],
    len: u8,
    weight: i16,
    negative: bool,
    dscale: u16,
}

/// Appends `value` as a field: length, then the number.
pub(super) fn put(value: f64, scale: Option<Scale>, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let decimal = convert(value, scale)?;
    let len = usize::from(decimal.len);
    out.extend_from_slice(&((8 + 2 * len) as i32).to_be_bytes());
    out.extend_from_slice(&(len as i16).to_be_bytes());
    out.extend_from_slice(&decimal.weight.to_be_bytes());
    let sign = if decimal.negative { SIGN_NEGATIVE } else { 0 };
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&decimal.dscale.to_be_bytes());
    for group in &decimal.groups[..len] {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Ok(())
}

/// Whether the column's number is `value` as the column would store it. Trailing zeros don't count.
pub(super) fn agrees(stored: &[u8], value: f64, scale: Option<Scale>) -> Result<bool, Misfit> {
    let decimal = convert(value, scale)?;
    let word = |index: usize| {
        stored
            .get(2 * index..2 * index + 2)
            .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let (Some(len), Some(weight), Some(sign)) = (word(0), word(1), word(2)) else {
        return Ok(false);
    };
    if len == 0 && sign == 0 {
        return Ok(decimal.len == 0);
    }
    let ours = &decimal.groups[..usize::from(decimal.len)];
    let sign_agrees = sign == if decimal.negative { SIGN_NEGATIVE } else { 0 };
    Ok(sign_agrees
        && usize::from(len) == ours.len()
        && weight == decimal.weight as u16
        && stored.len() == 8 + 2 * ours.len()
        && ours
            .iter()
            .enumerate()
            .all(|(index, group)| word(4 + index) == Some(*group)))
}

/// The number as text, for values that are sent as text.
pub(super) fn text(value: f64, scale: Option<Scale>) -> Result<String, Misfit> {
    let decimal = convert(value, scale)?;
    if decimal.len == 0 {
        return Ok("0".to_owned());
    }
    let mut text = String::from(if decimal.negative { "-0." } else { "0." });
    for group in &decimal.groups[..usize::from(decimal.len)] {
        text.push_str(&format!("{group:04}"));
    }
    text.push_str(&format!("e{}", 4 * (i32::from(decimal.weight) + 1)));
    Ok(text)
}

/// Sets the scale of a number on the wire to what its digits need, as the server's `trim_scale`
/// does.
pub(super) fn trim_scale(number: &mut [u8]) {
    let word = |index: usize| i16::from_be_bytes([number[2 * index], number[2 * index + 1]]);
    let (len, weight) = (word(0), word(1));
    let mut scale = 0;
    if len > 0 {
        let mut last = word(4 + len as usize - 1);
        // Digits after the point up to the end of the last group, without its trailing zeros.
        let mut digits = 4 * (i32::from(len) - 1 - i32::from(weight));
        while digits > 0 && last % 10 == 0 {
            last /= 10;
            digits -= 1;
        }
        scale = digits.max(0);
    }
    number[6..8].copy_from_slice(&(scale as u16).to_be_bytes());
}

fn convert(value: f64, scale: Option<Scale>) -> Result<Decimal, Misfit> {
    let (mut digits, mut len, mut point) = shortest_digits(value);
    if let Some(Scale { precision, scale }) = scale {
        round(&mut digits, &mut len, &mut point, i32::from(scale));
        if len > 0 && point > i32::from(precision) - i32::from(scale) {
            return Err(Misfit::Overflow);
        }
    }
    if len == 0 {
        return Ok(Decimal {
            dscale: scale.map_or(0, |s| s.scale.max(0) as u16),
            ..Decimal::default()
        });
    }
    let fraction_digits = (len as i32 - point).max(0) as u16;
    let mut decimal = Decimal {
        negative: value < 0.0,
        weight: (point - 1).div_euclid(4) as i16,
        dscale: scale.map_or(fraction_digits, |s| s.scale.max(0) as u16),
        ..Decimal::default()
    };
    // How many digits the first group has, the others four.
    let mut in_group = point - 4 * i32::from(decimal.weight);
    let mut group = 0;
    for digit in &digits[..len] {
        if in_group == 0 {
            group += 1;
            in_group = 4;
        }
        decimal.groups[group] = decimal.groups[group] * 10 + u16::from(*digit);
        in_group -= 1;
    }
    for _ in 0..in_group {
        decimal.groups[group] *= 10;
    }
    let mut groups = group + 1;
    while groups > 0 && decimal.groups[groups - 1] == 0 {
        groups -= 1;
    }
    decimal.len = groups as u8;
    Ok(decimal)
}

/// The digits of |value| without zeros at either end, their number, and the position of the point:
/// |value| is 0.`digits` x 10^`point`.
fn shortest_digits(value: f64) -> ([u8; 20], usize, i32) {
    use std::io::Write;
    let mut text = [0u8; 32];
    let mut rest = &mut text[..];
    // Seventeen digits, a point, a sign and an exponent always fit.
    let _ = write!(rest, "{:e}", value.abs());
    let left = rest.len();
    let text = &text[..32 - left];
    let mut digits = [0u8; 20];
    let mut len = 0;
    let mut bytes = text.iter();
    for byte in bytes.by_ref() {
        match byte {
            b'0'..=b'9' => {
                digits[len] = byte - b'0';
                len += 1;
            }
            b'.' => {}
            _ => break,
        }
    }
    let mut exponent = 0i32;
    let mut negative = false;
    for byte in bytes {
        match byte {
            b'-' => negative = true,
            digit => exponent = exponent * 10 + i32::from(digit - b'0'),
        }
    }
    let point = if negative { -exponent } else { exponent } + 1;
    while len > 0 && digits[len - 1] == 0 {
        len -= 1;
    }
    (digits, len, point)
}

/// Rounds to `scale` digits after the point; halves away from zero, as Postgres does.
fn round(digits: &mut [u8; 20], len: &mut usize, point: &mut i32, scale: i32) {
    let keep = *point + scale;
    if keep >= *len as i32 {
        return;
    }
    if keep < 0 {
        *len = 0;
        return;
    }
    let keep = keep as usize;
    let up = digits[keep] >= 5;
    *len = keep;
    if up {
        loop {
            if *len == 0 {
                // 0.99 rounds to 1.0, which has one more digit before the others.
                digits[0] = 1;
                *len = 1;
                *point += 1;
                return;
            }
            if digits[*len - 1] == 9 {
                *len -= 1;
            } else {
                digits[*len - 1] += 1;
                return;
            }
        }
    }
    while *len > 0 && digits[*len - 1] == 0 {
        *len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(field: &[u8]) -> String {
        let word = |i: usize| i16::from_be_bytes([field[4 + 2 * i], field[5 + 2 * i]]);
        let (len, weight) = (word(0) as usize, word(1));
        let groups: Vec<_> = (0..len).map(|i| word(4 + i)).collect();
        format!("{groups:?} w{weight} s{} d{}", word(2), word(3))
    }

    fn written(value: f64, scale: Option<(u16, i16)>) -> String {
        let mut out = Vec::new();
        let scale = scale.map(|(precision, scale)| Scale { precision, scale });
        match put(value, scale, &mut out) {
            Ok(()) => read(&out),
            Err(misfit) => format!("{misfit:?}"),
        }
    }

    #[test]
    fn numbers_are_grouped_as_postgres_groups_them() {
        assert_eq!(written(12345.678, None), "[1, 2345, 6780] w1 s0 d3");
        assert_eq!(written(0.0001, None), "[1] w-1 s0 d4");
        assert_eq!(written(0.00001, None), "[1000] w-2 s0 d5");
        assert_eq!(written(10000.0, None), "[1] w1 s0 d0");
        assert_eq!(written(0.0, None), "[] w0 s0 d0");
        assert_eq!(written(-1.5, None), "[1, 5000] w0 s16384 d1");
        assert_eq!(written(1e20, None), "[1] w5 s0 d0");
    }

    #[test]
    fn a_scale_rounds_halves_away_from_zero() {
        assert_eq!(written(187.125, Some((10, 2))), "[187, 1300] w0 s0 d2");
        assert_eq!(written(187.124, Some((10, 2))), "[187, 1200] w0 s0 d2");
        assert_eq!(written(0.005, Some((10, 2))), "[100] w-1 s0 d2");
        assert_eq!(written(0.004, Some((10, 2))), "[] w0 s0 d2");
        assert_eq!(written(9999.995, Some((10, 2))), "[1] w1 s0 d2");
        assert_eq!(written(99.995, Some((4, 2))), "Overflow");
        assert_eq!(written(99.99, Some((4, 2))), "[99, 9900] w0 s0 d2");
        assert_eq!(written(1250.0, Some((4, -2))), "[1300] w0 s0 d0");
        assert_eq!(written(0.1, Some((2, 4))), "Overflow");
        assert_eq!(written(0.001, Some((2, 4))), "[10] w-1 s0 d4");
    }

    #[test]
    fn typmods_are_unpacked() {
        assert_eq!(Scale::from_typmod(-1), None);
        let packed = |p: i32, s: i32| ((p << 16) | (s & 0x7ff)) + 4;
        for (precision, scale) in [(18, 6), (38, 0), (4, -2), (1000, 1000)] {
            let read = Scale::from_typmod(packed(precision, scale)).unwrap();
            assert_eq!(
                (i32::from(read.precision), i32::from(read.scale)),
                (precision, scale)
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_agrees_and_reads_back(value in 1e-12f64..1e15, cents in 0i64..1_000_000_000) {
            for value in [value, cents as f64 / 100.0, cents as f64] {
                let mut out = Vec::new();
                put(value, None, &mut out).unwrap();
                prop_assert!(agrees(&out[4..], value, None).unwrap());
                prop_assert!(!agrees(&out[4..], value * 1.5 + 1.0, None).unwrap());
                prop_assert_eq!(text(value, None).unwrap().parse::<f64>().unwrap(), value);
            }
        }
    }
}
