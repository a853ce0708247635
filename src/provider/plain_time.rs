//! Dates with a time to the second, as services write them.

use chrono::NaiveDate;

use crate::model::{DAY_MICROS, date_micros};

/// Reads `YYYY-MM-DD HH:MM:SS` with this byte in the middle, as microseconds since 1970-01-01 00:00 of
/// its zone; `None` for any other form.
pub(super) fn read_time(text: &[u8], separator: u8) -> Option<i64> {
    let [
        y3,
        y2,
        y1,
        y0,
        b'-',
        m1,
        m0,
        b'-',
        d1,
        d0,
        middle,
        time @ ..,
    ] = *text.first_chunk::<19>()?
    else {
        return None;
    };
    let [h1, h0, b':', n1, n0, b':', s1, s0] = time else {
        return None;
    };
    if text.len() != 19 || middle != separator {
        return None;
    }
    let year = two_digits(y3, y2)? * 100 + two_digits(y1, y0)?;
    let date = NaiveDate::from_ymd_opt(year as i32, two_digits(m1, m0)?, two_digits(d1, d0)?)?;
    let (hour, minute, second) = (
        two_digits(h1, h0)?,
        two_digits(n1, n0)?,
        two_digits(s1, s0)?,
    );
    let micros = i64::from(hour * 3600 + minute * 60 + second) * 1_000_000;
    (minute < 60 && second < 60 && micros < DAY_MICROS).then(|| date_micros(date) + micros)
}

fn two_digits(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn only_this_form_is_read() {
        for text in [
            "2025-01-02 09:30:00",
            "1998-12-31 23:59:59",
            "2024-02-29 00:00:00",
        ] {
            let local = DateTime::from_timestamp_micros(read_time(text.as_bytes(), b' ').unwrap());
            assert_eq!(local.unwrap().format("%Y-%m-%d %H:%M:%S").to_string(), text);
        }
        for text in [
            "2025-02-30 09:30:00",
            "2025-02-03 24:00:00",
            "2025-02-03 09:60:00",
            "2025-02-03 09:30:60",
            "2025-02-03",
            "2025-02-03T09:30:00",
            "2025-02-03 09:30:00.5",
            "2025-02-03 09:30:0a",
            "2025/02/03 09:30:00",
            "",
        ] {
            assert_eq!(read_time(text.as_bytes(), b' '), None, "{text}");
        }
    }
}
