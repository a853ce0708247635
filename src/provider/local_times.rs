//! Wall time of an exchange into instants.
//!
//! chrono-tz is asked twice a date, not once a row: a date without a clock change has one offset, and rows come in
//! runs of one date.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::model::{DAY_MICROS, Reason, date_micros};

/// What a wall time can mean, in microseconds UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// One instant.
    One(i64),
    /// Two instants, an hour apart or so: the clocks went back.
    Repeated {
        /// The first of them.
        earlier: i64,
        /// The second.
        later: i64,
    },
    /// None: the clocks went forward past it.
    Skipped,
}

/// Reads wall times of one zone. Remembers the last date it saw.
#[derive(Clone, Debug)]
pub struct LocalTimes {
    tz: Tz,
    text: [u8; 10],
    midnight: i64,
    /// Microseconds to add to wall time; `None` on a date on which the clocks change.
    offset: Option<i64>,
}

impl LocalTimes {
    /// Reads wall times of `tz`.
    #[must_use]
    pub fn new(tz: Tz) -> Self {
        Self {
            tz,
            text: [0; 10],
            midnight: 0,
            offset: None,
        }
    }

    /// What `YYYY-MM-DD HH:MM:SS` means; an error where it is not of that form or no such time exists on any clock.
    pub fn read(&mut self, text: &[u8]) -> Result<Local, Reason> {
        let (date, time) = text.split_first_chunk::<10>().ok_or(Reason::BadTimestamp)?;
        let [b' ', h1, h0, b':', m1, m0, b':', s1, s0] = *time else {
            return Err(Reason::BadTimestamp);
        };
        let hour = two_digits(h1, h0)?;
        let minute = two_digits(m1, m0)?;
        let second = two_digits(s1, s0)?;
        if hour > 23 || minute > 59 || second > 59 {
            return Err(Reason::BadTimestamp);
        }
        if *date != self.text {
            self.turn_to(date)?;
        }
        let of_day = i64::from(hour * 3600 + minute * 60 + second) * 1_000_000;
        let wall = self.midnight + of_day;
        match self.offset {
            Some(offset) => Ok(Local::One(wall + offset)),
            None => self.look_up(wall),
        }
    }

    fn turn_to(&mut self, text: &[u8; 10]) -> Result<(), Reason> {
        let date = read_date(text)?;
        self.midnight = date_micros(date);
        self.offset = self.offset_on(date);
        self.text = *text;
        Ok(())
    }

    /// The one offset of a date; `None` where both ends of the date differ or are no single instants.
    fn offset_on(&self, date: NaiveDate) -> Option<i64> {
        let first = date.and_time(chrono::NaiveTime::MIN);
        let next = first + TimeDelta::days(1);
        let first_utc = self.tz.from_local_datetime(&first).single()?;
        let next_utc = self.tz.from_local_datetime(&next).single()?;
        let micros = first_utc.timestamp_micros() - first.and_utc().timestamp_micros();
        (next_utc.timestamp_micros() - first_utc.timestamp_micros() == DAY_MICROS).then_some(micros)
    }

    fn look_up(&self, wall: i64) -> Result<Local, Reason> {
        let naive: NaiveDateTime = chrono::DateTime::from_timestamp_micros(wall)
            .ok_or(Reason::BadTimestamp)?
            .naive_utc();
        Ok(match self.tz.from_local_datetime(&naive) {
            chrono::LocalResult::Single(at) => Local::One(at.timestamp_micros()),
            chrono::LocalResult::Ambiguous(a, b) => {
                let (a, b) = (a.timestamp_micros(), b.timestamp_micros());
                Local::Repeated {
                    earlier: a.min(b),
                    later: a.max(b),
                }
            }
            chrono::LocalResult::None => Local::Skipped,
        })
    }
}

fn two_digits(tens: u8, ones: u8) -> Result<u32, Reason> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        Ok(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
    } else {
        Err(Reason::BadTimestamp)
    }
}

fn read_date(text: &[u8; 10]) -> Result<NaiveDate, Reason> {
    let [y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0] = *text else {
        return Err(Reason::BadTimestamp);
    };
    let year = two_digits(y3, y2)? * 100 + two_digits(y1, y0)?;
    let (month, day) = (two_digits(m1, m0)?, two_digits(d1, d0)?);
    i32::try_from(year)
        .ok()
        .and_then(|year| NaiveDate::from_ymd_opt(year, month, day))
        .ok_or(Reason::BadTimestamp)
}

/// Settles wall times that a clock change repeats, by what stands around them.
///
/// `instants` are the rows of one answer, oldest first as they were served, the repeated ones standing as their earlier
/// instant; `later` says for each row by how much its later instant lies behind (0 for a row that needs no settling).
/// Where a stretch of repeated rows steps back once, the clock went back there. Where it does not, a neighbour exactly
/// one bar away tells which of the two hours it is. Rows that neither settles come back as indices, to be rejected.
pub(super) fn settle(instants: &mut [i64], later: &[i64], step: i64) -> Vec<usize> {
    let mut unsettled = Vec::new();
    let mut at = 0;
    while at < instants.len() {
        if later[at] == 0 {
            at += 1;
            continue;
        }
        let end = (at..later.len())
            .find(|&row| later[row] == 0)
            .unwrap_or(later.len());
        let back: Vec<usize> = (at + 1..end)
            .filter(|&row| instants[row] <= instants[row - 1])
            .collect();
        let follows = at > 0 && instants[at] - instants[at - 1] == step;
        let leads =
            end < instants.len() && instants[end] - (instants[end - 1] + later[end - 1]) == step;
        let split = match (back.as_slice(), follows, leads) {
            ([one], _, _) => Some(*one),
            ([], true, false) => Some(end),
            ([], false, true) => Some(at),
            _ => None,
        };
        match split {
            Some(split) => {
                for row in split..end {
                    instants[row] += later[row];
                }
            }
            None => unsettled.extend(at..end),
        }
        at = end;
    }
    unsettled
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::America::New_York;
    use chrono_tz::{Asia, Europe, UTC};
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000_000;

    fn one(tz: Tz, text: &str) -> i64 {
        match LocalTimes::new(tz).read(text.as_bytes()) {
            Ok(Local::One(micros)) => micros,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn wall_time_is_read_on_both_sides_of_a_clock_change() {
        // 2025-01-02T14:30:00Z and 2025-07-02T13:30:00Z.
        assert_eq!(one(New_York, "2025-01-02 09:30:00"), 1_735_828_200_000_000);
        assert_eq!(one(New_York, "2025-07-02 09:30:00"), 1_751_463_000_000_000);
        assert_eq!(
            one(Asia::Tokyo, "2025-01-02 09:00:00"),
            1_735_776_000_000_000
        );
        let mut times = LocalTimes::new(New_York);
        assert_eq!(times.read(b"2025-03-09 02:30:00"), Ok(Local::Skipped));
        let before = one(New_York, "2025-11-02 00:59:00");
        assert_eq!(
            times.read(b"2025-11-02 01:00:00"),
            Ok(Local::Repeated {
                earlier: before + MINUTE,
                later: before + 61 * MINUTE
            })
        );
        assert_eq!(one(New_York, "2025-11-02 02:00:00"), before + 121 * MINUTE);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "2025-02-30 09:30:00",
            "2025-02-03 24:00:00",
            "2025-02-03 09:60:00",
            "2025-02-03",
            "2025-02-03T09:30:00",
            "2025-02-03 09:30:00.5",
            "2025-02-03 09:30:0a",
            "2025/02/03 09:30:00",
            "",
        ] {
            let read = LocalTimes::new(New_York).read(text.as_bytes());
            assert_eq!(read, Err(Reason::BadTimestamp), "{text}");
        }
    }

    #[test]
    fn a_repeated_hour_is_settled_by_the_step_back_or_by_a_neighbour() {
        let hour = 60;
        let settled = |rows: &[(i64, bool)]| {
            let mut instants: Vec<i64> = rows.iter().map(|(minute, _)| *minute).collect();
            let later: Vec<i64> = rows
                .iter()
                .map(|(_, r)| if *r { hour } else { 0 })
                .collect();
            let unsettled = settle(&mut instants, &later, 1);
            (instants, unsettled)
        };
        // Both hours there: one step back.
        let both = settled(&[(58, true), (59, true), (0, true), (59, true), (120, false)]);
        assert_eq!(both, (vec![58, 59, 60, 119, 120], vec![]));
        // The first only, joined to what stands before; the second only, joined to what stands behind.
        assert_eq!(
            settled(&[(-1, false), (0, true), (1, true), (125, false)]).0,
            [-1, 0, 1, 125]
        );
        assert_eq!(
            settled(&[(-9, false), (59, true), (120, false)]).0,
            [-9, 119, 120]
        );
        // Alone, or joined to both: nothing settles it.
        assert_eq!(settled(&[(30, true)]).1, [0]);
        assert_eq!(
            settled(&[(-1, false), (0, true), (59, true), (120, false)]).1,
            [1, 2]
        );
        // Back twice: no clock does that.
        assert_eq!(settled(&[(5, true), (5, true), (5, true)]).1, [0, 1, 2]);
    }

    proptest! {
        #[test]
        fn every_minute_of_every_zone_reads_as_chrono_reads_it(
            zone in 0usize..5,
            minute in 15_000_000i64..34_000_000, // 1998 to 2034
        ) {
            let tz = [New_York, Europe::Berlin, Asia::Tokyo, UTC, chrono_tz::Australia::Lord_Howe][zone];
            let utc = chrono::DateTime::from_timestamp_micros(minute * MINUTE).unwrap();
            let wall = utc.with_timezone(&tz).naive_local();
            let text = wall.format("%Y-%m-%d %H:%M:%S").to_string();
            match LocalTimes::new(tz).read(text.as_bytes()) {
                Ok(Local::One(micros)) => prop_assert_eq!(micros, minute * MINUTE),
                Ok(Local::Repeated { earlier, later }) => {
                    prop_assert!(earlier == minute * MINUTE || later == minute * MINUTE);
                }
                other => prop_assert!(false, "{}: {:?}", text, other),
            }
        }
    }
}
