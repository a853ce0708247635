//! A time zone over the years of a calendar, quick enough to be asked for every bar.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use crate::model::{DAY_MICROS, DateRange, date_micros};

const SECOND_MICROS: i64 = 1_000_000;
/// Looked at on either side of the span, so that local times of its first and last day settle without the slow path.
const MARGIN_DAYS: i64 = 3;

/// A time zone whose clock changes over a span of dates are laid out as a short sorted list.
///
/// chrono-tz answers the same questions, and is asked for every instant outside the span; inside it the list takes a
/// few nanoseconds.
#[derive(Debug)]
pub struct Zone {
    tz: Tz,
    /// First instant of each offset, and the offset, both in microseconds.
    steps: Vec<(i64, i64)>,
    end: i64,
}

/// What a local time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// One instant, in microseconds UTC.
    Single(i64),
    /// The clock was put back: two instants, the earlier one first.
    Repeated(i64, i64),
    /// The clock was put forward over it; the instant at which it was.
    Skipped(i64),
}

impl Local {
    /// The instant meant, where two are possible the first, and for a skipped time the clock change itself.
    #[must_use]
    pub const fn earliest(self) -> i64 {
        match self {
            Self::Single(at) | Self::Repeated(at, _) | Self::Skipped(at) => at,
        }
    }
}

impl Zone {
    /// The zone `tz`, quick over `span`.
    #[must_use]
    pub fn new(tz: Tz, span: DateRange) -> Self {
        let start = date_micros(span.first()) - MARGIN_DAYS * DAY_MICROS;
        let end = date_micros(span.last()) + (1 + MARGIN_DAYS) * DAY_MICROS;
        let mut steps = vec![(start, offset_micros(tz, start))];
        let mut at = start;
        while at < end {
            let next = at + DAY_MICROS;
            let before = offset_micros(tz, at);
            if offset_micros(tz, next) != before {
                let change = change_between(tz, at, next);
                steps.push((change, offset_micros(tz, change)));
            }
            at = next;
        }
        Self { tz, steps, end }
    }

    /// The zone itself.
    #[must_use]
    pub const fn tz(&self) -> Tz {
        self.tz
    }

    /// Local time minus UTC at an instant, all in microseconds.
    #[must_use]
    pub fn offset(&self, utc: i64) -> i64 {
        if utc < self.steps[0].0 || utc >= self.end {
            return offset_micros(self.tz, utc);
        }
        let after = self.steps.partition_point(|(from, _)| *from <= utc);
        self.steps[after - 1].1
    }

    /// The local wall time of an instant, as microseconds since 1970-01-01 00:00 local.
    #[must_use]
    pub fn to_local(&self, utc: i64) -> i64 {
        utc + self.offset(utc)
    }

    /// The instant of a local wall time (microseconds since 1970-01-01 00:00 local).
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

/// The first second with another offset than `from`'s, known to lie in `(from, to]`.
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
    use chrono::{MappedLocalTime, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn span() -> DateRange {
        let date = |y| NaiveDate::from_ymd_opt(y, 1, 1).unwrap();
        DateRange::new(date(2000), date(2029)).unwrap()
    }

    const ZONES: [Tz; 6] = [
        Tz::America__New_York,
        Tz::Europe__London,
        Tz::Australia__Sydney,
        Tz::America__Sao_Paulo,
        Tz::Asia__Tokyo,
        Tz::Europe__Istanbul,
    ];

    #[test]
    fn every_minute_around_every_clock_change_agrees_with_chrono_tz() {
        for tz in ZONES {
            let zone = Zone::new(tz, span());
            for &(change, _) in &zone.steps[1..] {
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
        fn any_instant_has_the_offset_of_chrono_tz(utc in -2_208_988_800_i64..7_258_118_400, which in 0..ZONES.len()) {
            static BUILT: std::sync::OnceLock<Vec<Zone>> = std::sync::OnceLock::new();
            let zone = &BUILT.get_or_init(|| ZONES.map(|tz| Zone::new(tz, span())).into())[which];
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
