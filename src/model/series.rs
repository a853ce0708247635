//! What identifies a series, and what it was recorded as.

use std::fmt;
use std::str::FromStr;

use super::{Interval, Ticker};

/// All bars of one interval and one ticker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// Length of the bars.
    pub interval: Interval,
    /// Symbol of the bars.
    pub ticker: Ticker,
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ticker, self.interval)
    }
}

/// Whether prices and volumes are adjusted for splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Prices and volumes are divided by later splits.
    SplitAdjusted,
    /// Prices and volumes as they were traded.
    Unadjusted,
    /// Not said, as in a CSV dump. Mixes with either.
    Unknown,
}

/// Which hours of the day the bars cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hours {
    /// The regular session only.
    Regular,
    /// Pre- and post-market too.
    Extended,
    /// Not said, as in a CSV dump. Mixes with either.
    Unknown,
}

/// A word that is not one of a closed list, read from a catalog or a file's footer.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a known {1}")]
pub struct UnknownWord(String, &'static str);

impl Basis {
    /// The word that the catalog and the footers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SplitAdjusted => "split-adjusted",
            Self::Unadjusted => "unadjusted",
            Self::Unknown => "unknown",
        }
    }
}

impl Hours {
    /// The word that the catalog and the footers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Extended => "extended",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Basis {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::SplitAdjusted, Self::Unadjusted, Self::Unknown]
            .into_iter()
            .find(|basis| basis.as_str() == word)
            .ok_or_else(|| UnknownWord(word.to_owned(), "price basis"))
    }
}

impl FromStr for Hours {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Regular, Self::Extended, Self::Unknown]
            .into_iter()
            .find(|hours| hours.as_str() == word)
            .ok_or_else(|| UnknownWord(word.to_owned(), "kind of hours"))
    }
}

/// What a series is recorded as at its first commit, beside its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Provenance {
    /// The exchange code as typed, upper case: `NASDAQ`, `XETRA`, `CRYPTO`.
    pub exchange: String,
    /// Split-adjusted or not.
    pub basis: Basis,
    /// Regular or extended hours.
    pub hours: Hours,
}
