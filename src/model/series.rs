//! The key of a series, and its provenance.

use std::fmt;

use super::words::words;
use super::{Interval, Ticker};

/// All bars of one interval and one ticker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// Interval of the bars.
    pub interval: Interval,
    /// Ticker of the bars.
    pub ticker: Ticker,
}

impl SeriesKey {
    /// Whether it is one of these series. No tickers mean all, as does no interval.
    #[must_use]
    pub fn is_among(&self, tickers: &[Ticker], interval: Option<Interval>) -> bool {
        (tickers.is_empty() || tickers.contains(&self.ticker))
            && interval.is_none_or(|interval| interval == self.interval)
    }
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
    /// Prices and volumes as traded.
    Unadjusted,
    /// Not known, as for CSV files. Mixes with either.
    Unknown,
}

/// Which hours of the day the bars cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hours {
    /// The regular session only.
    Regular,
    /// Also pre-market and after hours.
    Extended,
    /// Not known, as for CSV files. Mixes with either.
    Unknown,
}

words!(Basis, "price basis", {
    SplitAdjusted => "split-adjusted",
    Unadjusted => "unadjusted",
    Unknown => "unknown",
});

words!(Hours, "kind of hours", {
    Regular => "regular",
    Extended => "extended",
    Unknown => "unknown",
});

/// Where the bars of a series are from, recorded at its first commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Provenance {
    /// The exchange code as typed, upper case: `NASDAQ`, `XETRA`, `CRYPTO`.
    pub exchange: String,
    /// Whether prices are adjusted for splits.
    pub basis: Basis,
    /// The hours that the bars cover.
    pub hours: Hours,
}
