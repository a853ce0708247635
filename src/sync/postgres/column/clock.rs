//! Timestamps as the time column stores them: with a time zone, or without one (in UTC, or in the
//! wall time of a zone).

use std::borrow::Cow;

use chrono::{LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::field::put_eight;
use crate::model::Timestamp;

/// The zone of a column if no other is requested or recorded.
const UTC: &str = "UTC";
/// Microseconds from 1970 to 2000, the epoch of Postgres.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Clocks change at whole quarters of an hour, so one look-up is enough for each quarter.
const QUARTER_MICROS: i64 = 15 * 60_000_000;

/// How the time column stores an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::postgres) enum ColumnClock {
    /// `timestamp with time zone`: the instant itself.
    Instant,
    /// `timestamp`, in UTC.
    Utc,
    /// `timestamp`, in the wall time of a zone.
    Wall(Tz),
}

/// The instant of a bar whose wall time occurs for the second time that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::postgres) struct Repeated(pub Timestamp);

impl ColumnClock {
    /// The zone of the column's times, as it is recorded; none for a column with a time zone.
    pub(in crate::sync::postgres) fn zone_name(self) -> Option<&'static str> {
        match self {
            Self::Instant => None,
            Self::Utc => Some(UTC),
            // Other names of UTC are the same clock.
            Self::Wall(Tz::Etc__UTC | Tz::UTC | Tz::Zulu | Tz::GMT | Tz::Etc__GMT) => Some(UTC),
            Self::Wall(zone) => Some(zone.name()),
        }
    }

    /// The clock of a `timestamp` column in the zone of this name; `None` for an unknown name.
    pub(in crate::sync::postgres) fn of_zone(name: &str) -> Option<Self> {
        match name {
            UTC => Some(Self::Utc),
            name => name.parse().ok().map(Self::Wall),
        }
    }

    /// The column's type in SQL.
    pub(in crate::sync::postgres) const fn sql_type(self) -> &'static str {
        match self {
            Self::Instant => "timestamptz",
            Self::Utc | Self::Wall(_) => "timestamp",
        }
    }

    /// The column's values for `instants`, in microseconds since 1970 as if they were UTC. They are
    /// strictly increasing if the instants are: the second of two equal wall times is an error.
    pub(in crate::sync::postgres) fn convert(
        self,
        instants: &[i64],
    ) -> Result<Cow<'_, [i64]>, Repeated> {
        let Self::Wall(zone) = self else {
            return Ok(Cow::Borrowed(instants));
        };
        let mut quarter = None;
        let mut shift = 0;
        let mut repeats = false;
        let converted: Result<Vec<i64>, _> = instants
            .iter()
            .map(|&micros| {
                let this = micros.div_euclid(QUARTER_MICROS);
                if quarter != Some(this) {
                    quarter = Some(this);
                    (shift, repeats) = shift_at(zone, this * QUARTER_MICROS);
                }
                if repeats {
                    return Err(Repeated(Timestamp::from_micros(micros)));
                }
                Ok(micros + shift)
            })
            .collect();
        converted.map(Cow::Owned)
    }
}

/// What to add to an instant for the zone's wall time, and whether that wall time occurred before.
fn shift_at(zone: Tz, micros: i64) -> (i64, bool) {
    let utc = Timestamp::from_micros(micros).to_utc().naive_utc();
    let offset = zone.offset_from_utc_datetime(&utc).fix();
    let wall: NaiveDateTime = utc + offset;
    let repeats = match zone.offset_from_local_datetime(&wall) {
        LocalResult::Ambiguous(earlier, _) => earlier.fix() != offset,
        LocalResult::Single(_) | LocalResult::None => false,
    };
    (i64::from(offset.local_minus_utc()) * 1_000_000, repeats)
}

/// Appends a column's value as a COPY field.
pub(in crate::sync::postgres) fn put(column_micros: i64, out: &mut Vec<u8>) {
    put_eight((column_micros - EPOCH_MICROS).to_be_bytes(), out);
}

/// The column's value from the wire; `None` if it isn't eight bytes.
pub(in crate::sync::postgres) fn get(stored: &[u8]) -> Option<i64> {
    let micros = i64::from_be_bytes(stored.try_into().ok()?);
    Some(micros.saturating_add(EPOCH_MICROS))
}

/// A column's value as text, which the server casts to the column's type under any settings.
pub(in crate::sync::postgres) fn text(column_micros: i64, clock: ColumnClock) -> String {
    let text = Timestamp::from_micros(column_micros)
        .to_utc()
        .format("%Y-%m-%d %H:%M:%S%.6f");
    match clock {
        ColumnClock::Instant => format!("{text}+00"),
        ColumnClock::Utc | ColumnClock::Wall(_) => text.to_string(),
    }
}

/// A column's value as a literal of the column's type.
pub(in crate::sync::postgres) fn literal(column_micros: i64, clock: ColumnClock) -> String {
    format!("'{}'::{}", text(column_micros, clock), clock.sql_type())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        text.parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
            .timestamp_micros()
    }

    #[test]
    fn wall_times_are_those_of_the_zone_and_each_occurs_once() {
        let clock = ColumnClock::Wall(chrono_tz::America::New_York);
        let instants = [
            micros("2025-01-02T14:30:00Z"),
            micros("2025-07-02T13:30:00Z"),
            micros("2025-11-02T05:59:00Z"),
        ];
        let converted = clock.convert(&instants).unwrap();
        assert_eq!(
            *converted,
            [
                micros("2025-01-02T09:30:00Z"),
                micros("2025-07-02T09:30:00Z"),
                micros("2025-11-02T01:59:00Z"),
            ]
        );
        let second = micros("2025-11-02T06:00:00Z");
        assert_eq!(
            clock.convert(&[second]),
            Err(Repeated(Timestamp::from_micros(second)))
        );
        assert!(clock.convert(&[micros("2025-11-02T07:00:00Z")]).is_ok());
    }

    #[test]
    fn accepted_wall_times_increase_over_a_year() {
        for zone in [
            chrono_tz::America::New_York,
            chrono_tz::Australia::Lord_Howe,
            chrono_tz::Asia::Kolkata,
            chrono_tz::Africa::Casablanca,
        ] {
            let clock = ColumnClock::Wall(zone);
            let start = micros("2025-01-01T00:00:00Z");
            let mut last = i64::MIN;
            for quarter in 0..366 * 96 {
                if let Ok(wall) = clock.convert(&[start + quarter * QUARTER_MICROS]) {
                    assert!(wall[0] > last, "{zone}");
                    last = wall[0];
                }
            }
        }
    }

    #[test]
    fn a_clock_is_found_by_the_name_of_its_zone() {
        for clock in [
            ColumnClock::Utc,
            ColumnClock::Wall(chrono_tz::America::New_York),
        ] {
            assert_eq!(
                ColumnClock::of_zone(clock.zone_name().unwrap()),
                Some(clock)
            );
        }
        assert_eq!(ColumnClock::of_zone("Mars/Olympus"), None);
    }

    #[test]
    fn the_wire_format_counts_from_2000() {
        let mut out = Vec::new();
        put(EPOCH_MICROS + 5, &mut out);
        assert_eq!(out, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(get(&out[4..]), Some(EPOCH_MICROS + 5));
        assert_eq!(
            literal(EPOCH_MICROS, ColumnClock::Instant),
            "'2000-01-01 00:00:00.000000+00'::timestamptz"
        );
    }
}
