//! The bar intervals that a series can have.

use std::fmt;
use std::str::FromStr;

/// The length of a bar. Only these five exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Interval {
    /// One minute.
    M1,
    /// Five minutes.
    M5,
    /// Fifteen minutes.
    M15,
    /// Thirty minutes.
    M30,
    /// Sixty minutes.
    M60,
}

/// The typed text isn't one of the five intervals.
#[derive(Debug, thiserror::Error)]
#[error("{typed:?} isn't a bar interval; use 1, 5, 15, 30 or 60 minutes")]
pub struct UnknownInterval {
    typed: String,
}

impl Interval {
    /// All intervals, shortest first.
    pub const ALL: [Self; 5] = [Self::M1, Self::M5, Self::M15, Self::M30, Self::M60];

    /// Length in minutes.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        match self {
            Self::M1 => 1,
            Self::M5 => 5,
            Self::M15 => 15,
            Self::M30 => 30,
            Self::M60 => 60,
        }
    }

    /// Length in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.minutes() as i64 * 60_000_000
    }

    /// The interval of this length, if there is one.
    #[must_use]
    pub fn from_minutes(minutes: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|interval| u32::from(interval.minutes()) == minutes)
    }
}

/// `1m`, `5m`, … `60m`: the spelling in the lake's folders and in table names.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m", self.minutes())
    }
}

/// Reads `1`, `5m`, `1min`, `60`, `1h`, `1hour`.
impl FromStr for Interval {
    type Err = UnknownInterval;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownInterval {
            typed: typed.to_owned(),
        };
        let lower = typed.trim().to_ascii_lowercase();
        let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &lower[digits.len()..] {
            "" | "m" | "min" | "minute" | "minutes" => 1,
            "h" | "hour" | "hours" => 60,
            _ => return Err(unknown()),
        };
        let count: u32 = digits.parse().map_err(|_| unknown())?;
        Self::from_minutes(count.saturating_mul(factor)).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interval_reads_back_from_its_own_spelling() {
        for interval in Interval::ALL {
            assert_eq!(interval.to_string().parse::<Interval>().unwrap(), interval);
        }
        assert_eq!("1hour".parse::<Interval>().unwrap(), Interval::M60);
    }

    #[test]
    fn other_lengths_are_refused() {
        for typed in ["2", "", "m", "1d", "-1", "99999999999"] {
            assert!(typed.parse::<Interval>().is_err(), "{typed}");
        }
    }
}
