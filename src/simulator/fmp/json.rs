//! Bars as the vendor writes them.

use std::io::Write as _;

use crate::model::{DAY_MICROS, MINUTE_MICROS, Zone};

use crate::simulator::row::Row;

/// Bytes of one bar, roughly.
const ROW_BYTES: usize = 112;

/// The response's body: newest first, low before high, times as naive wall time of `zone`.
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
        let minute = local.rem_euclid(DAY_MICROS) / MINUTE_MICROS;
        let comma = if index > 0 { "," } else { "" };
        // Writing into a Vec can't fail.
        let _ = write!(
            out,
            "{comma}{{\"date\":\"{date} {:02}:{:02}:00\",\"open\":{},\"low\":{},\"high\":{},\"close\":{},\"volume\":{}}}",
            minute / 60,
            minute % 60,
            row.open,
            row.low,
            row.high,
            row.close,
            row.volume
        );
    }
    out.push(b']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_written_newest_first_with_the_shortest_numbers() {
        let row = |at, close| Row {
            at,
            open: 233.0,
            high: 233.13,
            low: 0.000_001,
            close,
            volume: 588_656.856_869_999_3,
            ..Row::default()
        };
        let date: chrono::NaiveDate = "2025-02-04".parse().unwrap();
        let at = crate::model::date_micros(date) + 20 * 3_600_000_000;
        let zone = Zone::of(chrono_tz::America::New_York);
        let text = body(&[row(at, 1.1), row(at + MINUTE_MICROS, 0.0)], &zone);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"[{"date":"2025-02-04 15:01:00","open":233,"low":0.000001,"high":233.13,"close":0,"volume":588656.8568699993},{"date":"2025-02-04 15:00:00","open":233,"low":0.000001,"high":233.13,"close":1.1,"volume":588656.8568699993}]"#
        );
    }
}
