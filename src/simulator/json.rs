//! Bars as the service writes them.

use std::io::Write as _;

use crate::calendar::Zone;
use crate::model::{DAY_MICROS, MINUTE_MICROS};

use super::market::Row;

/// Bytes of one bar, roughly.
const ROW_BYTES: usize = 112;

/// The answer's body: newest first, low before high, times as naive wall time of `zone`.
pub(super) fn body(rows: &[Row], zone: &Zone) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * ROW_BYTES + 2);
    out.push(b'[');
    let mut day = i64::MIN;
    let mut date = String::new();
    for (index, row) in rows.iter().rev().enumerate() {
        let local = zone.to_local(row.at);
        if local.div_euclid(DAY_MICROS) != day {
            day = local.div_euclid(DAY_MICROS);
            date = chrono::DateTime::from_timestamp_micros(local)
                .map(|at| at.format("%Y-%m-%d").to_string())
                .unwrap_or_default();
        }
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"date\":\"");
        out.extend_from_slice(date.as_bytes());
        let minute = local.rem_euclid(DAY_MICROS) / MINUTE_MICROS;
        let digit = |value: i64| b'0' + (value % 10) as u8;
        let (hour, minute) = (minute / 60, minute % 60);
        out.extend_from_slice(&[
            b' ',
            digit(hour / 10),
            digit(hour),
            b':',
            digit(minute / 10),
            digit(minute),
        ]);
        out.extend_from_slice(b":00\",\"open\":");
        number(&mut out, row.open);
        out.extend_from_slice(b",\"low\":");
        number(&mut out, row.low);
        out.extend_from_slice(b",\"high\":");
        number(&mut out, row.high);
        out.extend_from_slice(b",\"close\":");
        number(&mut out, row.close);
        out.extend_from_slice(b",\"volume\":");
        number(&mut out, row.volume);
        out.push(b'}');
    }
    out.push(b']');
    out
}

/// The shortest decimal that reads back as `value`; a whole number stands bare.
fn number(out: &mut Vec<u8>, value: f64) {
    const SCALE: u64 = 1_000_000;
    let scaled = (value * SCALE as f64).round();
    // Of fifteen digits a double keeps all, so that there is no shorter way to write them.
    if !(0.0..1.0e15).contains(&scaled) || scaled / SCALE as f64 != value {
        // Writing into a Vec cannot fail.
        let _ = write!(out, "{value}");
        return;
    }
    let scaled = scaled as u64;
    let (whole, mut fraction) = (scaled / SCALE, scaled % SCALE);
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = whole;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
    if fraction > 0 {
        let mut decimals = 6;
        while fraction % 10 == 0 {
            fraction /= 10;
            decimals -= 1;
        }
        for place in (0..decimals).rev() {
            digits[place] = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
        out.push(b'.');
        out.extend_from_slice(&digits[..decimals]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_as_short_as_the_service_writes_them() {
        assert_eq!(text(233.0), "233");
        assert_eq!(text(233.01), "233.01");
        assert_eq!(text(0.000_001), "0.000001");
        assert_eq!(text(1.1), "1.1");
        assert_eq!(text(588_656.856_869_999_3), "588656.8568699993");
        assert_eq!(text(0.0), "0");
    }

    proptest! {
        #[test]
        fn numbers_read_back(value in prop_oneof![0.0..1e12_f64, (0..1_000_000_000_u64).prop_map(|n| n as f64 / 10_000.0)]) {
            prop_assert_eq!(text(value), format!("{value}"));
        }
    }
}
