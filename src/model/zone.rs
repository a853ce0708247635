//! Local time to instants and back.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::time::{DAY_MICROS, year_start_micros};

const SECOND_MICROS: i64 = 1_000_000;
/// The years whose clock changes are listed: [`YEAR_FIRST`] to before [`YEAR_END`].
const YEAR_FIRST: i32 = 1980;
const YEAR_END: i32 = 2041;

/// A time zone that converts in a few nanoseconds: the clock changes of 1980 to 2040 are in a
/// sorted list. Other years are converted by chrono-tz. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Zone {
    tz: Tz,
    /// The first instant of each offset, and the offset, both in microseconds.
    offsets: Arc<[(i64, i64)]>,
    end: i64,
}

/// The instants of a local time, in microseconds UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// The usual case.
    Single(i64),
    /// Clocks went back and the local time occurs twice: the earlier instant, then the later.
    Repeated(i64, i64),
    /// Clocks went forward and the local time doesn't occur: the instant of the clock change.
    Skipped(i64),
}

impl Local {
    /// The only or earlier instant; for a skipped time, the instant of the clock change.
    #[must_use]
    pub const fn earliest(self) -> i64 {
        match self {
            Self::Single(at) | Self::Repeated(at, _) | Self::Skipped(at) => at,
        }
    }
}

impl Zone {
    /// The zone `tz`. Its clock changes are listed once per process.
    #[must_use]
    pub fn of(tz: Tz) -> Self {
        static ZONES: LazyLock<Mutex<HashMap<Tz, Zone>>> = LazyLock::new(Mutex::default);
        let mut zones = ZONES.lock().unwrap_or_else(PoisonError::into_inner);
        zones.entry(tz).or_insert_with(|| Self::new(tz)).clone()
    }

    fn new(tz: Tz) -> Self {
        let (start, end) = (year_start_micros(YEAR_FIRST), year_start_micros(YEAR_END));
        let mut before = offset_micros(tz, start);
        let mut offsets = vec![(start, before)];
        let mut at = start;
        while at < end {
            let next = at + DAY_MICROS;
            let after = offset_micros(tz, next);
            if after != before {
                let change = change_between(tz, at, next);
                offsets.push((change, offset_micros(tz, change)));
            }
            (at, before) = (next, after);
        }
        Self {
            tz,
            offsets: offsets.into(),
            end,
        }
    }

    /// The zone as chrono-tz has it.
    #[must_use]
    pub const fn tz(&self) -> Tz {
        self.tz
    }

    /// Local time minus UTC at an instant, in microseconds.
    #[must_use]
    pub fn offset(&self, utc: i64) -> i64 {
        if utc < self.offsets[0].0 || utc >= self.end {
            return offset_micros(self.tz, utc);
        }
        let after = self.offsets.partition_point(|(from, _)| *from <= utc);
        self.offsets[after - 1].1
    }

    /// The local time of an instant, in microseconds since 1970-01-01 00:00 local.
    #[must_use]
    pub fn to_local(&self, utc: i64) -> i64 {
        utc + self.offset(utc)
    }

    /// The instants of a local time, which is in microseconds since 1970-01-01 00:00 local.
    #[must_use]
    pub fn from_local(&self, local: i64) -> Local {
        let before = self.offset(local - DAY_MICROS);
        let after = self.offset(local + DAY_MICROS);
        if before == after {
            return Local::Single(local - before);
        }
        let (first, second) = (local - before, local - after);
        match (self.offset(first) == before, self.offset(second) == after) {
            (true, true) => Local::Repeated(first, second),
            (true, false) => Local::Single(first),
            (false, true) => Local::Single(second),
            (false, false) => Local::Skipped(change_between(
                self.tz,
                local - DAY_MICROS,
                local + DAY_MICROS,
            )),
        }
    }
}

fn offset_micros(tz: Tz, utc: i64) -> i64 {
    DateTime::from_timestamp_micros(utc).map_or(0, |instant| {
        let offset = tz.offset_from_utc_datetime(&instant.naive_utc());
        i64::from(offset.fix().local_minus_utc()) * SECOND_MICROS
    })
}

/// The first second whose offset differs from that at `from`; it must be in `(from, to]`.
fn change_between(tz: Tz, from: i64, to: i64) -> i64 {
    let before = offset_micros(tz, from);
    let (mut same, mut changed) = (from / SECOND_MICROS, to / SECOND_MICROS);
    while changed - same > 1 {
        let middle = same + (changed - same) / 2;
        if offset_micros(tz, middle * SECOND_MICROS) == before {
            same = middle;
        } else {
            changed = middle;
        }
    }
    changed * SECOND_MICROS
}

#[cfg(test)]
mod tests {
    use chrono::MappedLocalTime;
    use proptest::prelude::*;

    use super::*;

    const ZONES: [Tz; 9] = [
        Tz::America__New_York,
        Tz::Europe__London,
        Tz::Europe__Berlin,
        Tz::Australia__Sydney,
        Tz::Australia__Lord_Howe,
        Tz::America__Sao_Paulo,
        Tz::Asia__Tokyo,
        Tz::Europe__Istanbul,
        Tz::UTC,
    ];

    #[test]
    fn every_minute_around_every_clock_change_agrees_with_chrono_tz() {
        for tz in ZONES {
            let zone = Zone::of(tz);
            for &(change, _) in &zone.offsets[1..] {
                for minute in -130..130 {
                    let local = change + zone.offset(change) + minute * 60 * SECOND_MICROS;
                    let naive = DateTime::from_timestamp_micros(local).unwrap().naive_utc();
                    let expected = match tz.from_local_datetime(&naive) {
                        MappedLocalTime::Single(at) => Local::Single(at.timestamp_micros()),
                        MappedLocalTime::Ambiguous(a, b) => {
                            Local::Repeated(a.timestamp_micros(), b.timestamp_micros())
                        }
                        MappedLocalTime::None => Local::Skipped(change),
                    };
                    assert_eq!(zone.from_local(local), expected, "{tz} {naive}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_instant_has_the_offset_of_chrono_tz(
            utc in -2_208_988_800_i64..7_258_118_400,
            which in 0..ZONES.len(),
        ) {
            let zone = Zone::of(ZONES[which]);
            let utc = utc * SECOND_MICROS;
            prop_assert_eq!(zone.offset(utc), offset_micros(ZONES[which], utc));
            let local = zone.to_local(utc);
            let back = match zone.from_local(local) {
                Local::Single(at) => vec![at],
                Local::Repeated(a, b) => vec![a, b],
                Local::Skipped(_) => vec![],
            };
            prop_assert!(back.contains(&utc));
        }
    }
}
