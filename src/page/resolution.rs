//! How long the bars of a chart are.

use crate::model::Interval;

/// The length of the bars of a chart, shorter ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    Minutes(u16),
    /// One bar per trading date.
    Day,
    /// One bar per ISO week of trading dates.
    Week,
}

const MINUTES: [u16; 5] = [1, 5, 15, 30, 60];

impl Resolution {
    /// The resolution with a name: `5`, `day` or `week`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            minutes => {
                let minutes = minutes.parse().ok()?;
                MINUTES.contains(&minutes).then_some(Self::Minutes(minutes))
            }
        }
    }

    /// The longer one of this and `other`, if bars of `interval` can be combined into it.
    pub(super) fn at_least(self, other: Option<Self>, interval: Interval) -> Self {
        match self.max(other.unwrap_or(self)) {
            Self::Minutes(_) if interval != Interval::M1 => Self::Minutes(interval.minutes()),
            longer => longer,
        }
    }

    /// The word in documents: `5`, `day`.
    pub(super) fn name(self) -> serde_json::Value {
        match self {
            Self::Minutes(minutes) => minutes.into(),
            Self::Day => "day".into(),
            Self::Week => "week".into(),
        }
    }

    /// The finest one that draws `bars` stored bars in `sessions` sessions with at most `max`.
    pub(super) fn of(interval: Interval, bars: u64, sessions: u64, max: u64) -> Self {
        let stored = interval.minutes();
        let longer = MINUTES.into_iter().filter(|minutes| {
            // Only one-minute bars can be combined into longer ones on every session's grid.
            *minutes == stored || stored == 1 && *minutes > stored
        });
        for minutes in longer {
            // Each session can begin and end inside a longer bar.
            let drawn = bars * u64::from(stored) / u64::from(minutes) + sessions;
            if bars <= max && minutes == stored || minutes != stored && drawn <= max {
                return Self::Minutes(minutes);
            }
        }
        match sessions <= max {
            true => Self::Day,
            false => Self::Week,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_that_fits_is_chosen() {
        let of = |interval, bars, sessions| Resolution::of(interval, bars, sessions, 2_000);
        assert_eq!(of(Interval::M1, 1_950, 5), Resolution::Minutes(1));
        assert_eq!(of(Interval::M1, 2_340, 6), Resolution::Minutes(5));
        assert_eq!(of(Interval::M1, 390 * 21, 21), Resolution::Minutes(5));
        assert_eq!(of(Interval::M1, 390 * 63, 63), Resolution::Minutes(15));
        assert_eq!(of(Interval::M1, 390 * 252, 252), Resolution::Minutes(60));
        assert_eq!(of(Interval::M1, 390 * 1_260, 1_260), Resolution::Day);
        assert_eq!(of(Interval::M1, 390 * 5_040, 5_040), Resolution::Week);
        // Stored hours aren't combined.
        assert_eq!(of(Interval::M60, 7 * 252, 252), Resolution::Minutes(60));
        assert_eq!(of(Interval::M60, 7 * 504, 504), Resolution::Day);
    }

    #[test]
    fn bars_of_two_stores_can_have_one_resolution() {
        let (day, five) = (Resolution::named("day"), Resolution::named("5"));
        let shortest = Resolution::Minutes(1);
        assert_eq!(shortest.at_least(None, Interval::M1), shortest);
        assert_eq!(shortest.at_least(five, Interval::M1).name(), 5);
        assert_eq!(Resolution::Week.at_least(day, Interval::M1).name(), "week");
        // Half hours aren't combined into hours, but into days.
        let half_hours = Resolution::Minutes(30);
        let hour = Resolution::named("60");
        assert_eq!(half_hours.at_least(hour, Interval::M30), half_hours);
        assert_eq!(half_hours.at_least(day, Interval::M30), Resolution::Day);
        for bad in ["", "7", "-5", "month", "65541"] {
            assert_eq!(Resolution::named(bad), None, "{bad}");
        }
    }
}
