//! Ticker symbols, as they are typed, stored and written into paths.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The longest ticker, in bytes. Percent-encoded it still fits into a file name.
pub const TICKER_BYTES_MAX: usize = 64;

/// Characters that need no encoding in the name of a folder, on any file system and for any hive
/// reader.
const PATH_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Names that mean a missing value to hive readers. DuckDB and Spark compare before they decode, so
/// encoding helps. pyarrow and Polars decode first, and always read the second name as missing.
const HIVE_NULLS: [&str; 2] = ["NULL", "__HIVE_DEFAULT_PARTITION__"];

/// A ticker: trimmed, upper case, one to 64 bytes, without control characters.
///
/// Cloning is cheap: bars of one series share one allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticker(Arc<str>);

/// The typed text can't be a ticker.
#[derive(Debug, thiserror::Error)]
pub enum BadTicker {
    /// It is empty after trimming.
    #[error("a ticker is empty")]
    Empty,
    /// It is longer than [`TICKER_BYTES_MAX`].
    #[error("ticker {0:?} is longer than 64 bytes")]
    TooLong(String),
    /// It has a line break or another control character.
    #[error("ticker {0:?} has a control character")]
    Control(String),
    /// It has a comma; allowed for stored bars only.
    #[error("ticker {0:?} has a comma, which separates tickers")]
    Comma(String),
}

impl Ticker {
    /// The ticker of `typed`: trimmed and upper case.
    pub fn new(typed: &str) -> Result<Self, BadTicker> {
        let name = typed.trim().to_uppercase();
        if name.is_empty() {
            return Err(BadTicker::Empty);
        }
        if name.len() > TICKER_BYTES_MAX {
            return Err(BadTicker::TooLong(name));
        }
        if name.chars().any(char::is_control) {
            return Err(BadTicker::Control(name));
        }
        Ok(Self(name.into()))
    }

    /// The ticker of new bars. It can't have a comma, because commas separate lists of tickers;
    /// tickers in older stores may have one.
    pub fn of_new_bars(typed: &str) -> Result<Self, BadTicker> {
        let ticker = Self::new(typed)?;
        match ticker.0.contains(',') {
            true => Err(BadTicker::Comma(ticker.0.to_string())),
            false => Ok(ticker),
        }
    }

    /// The symbol.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The symbol as one component of a path, percent-encoded if needed: `BTC%2FUSD`.
    #[must_use]
    pub fn path_component(&self) -> String {
        if self.0.bytes().all(|b| b == b'.') {
            return self.0.replace('.', "%2E");
        }
        if HIVE_NULLS.contains(&&*self.0) {
            let first = self.0.as_bytes()[0];
            return format!("%{first:02X}{}", &self.0[1..]);
        }
        utf8_percent_encode(&self.0, PATH_SET).to_string()
    }

    /// The ticker whose [`path_component`](Self::path_component) is `component`; `None` for any
    /// other text.
    #[must_use]
    pub fn from_path_component(component: &str) -> Option<Self> {
        let decoded = percent_decode_str(component).decode_utf8().ok()?;
        let ticker = Self::new(&decoded).ok()?;
        (ticker.path_component() == component).then_some(ticker)
    }

    /// The ticker whose folder had the name `component` before names that hive readers reserve were
    /// encoded.
    #[must_use]
    pub fn from_bare_path_component(component: &str) -> Option<Self> {
        let ticker = Self::new(component).ok()?;
        (HIVE_NULLS.contains(&component) && ticker.as_str() == component).then_some(ticker)
    }
}

impl fmt::Display for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Ticker {
    type Err = BadTicker;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        Self::new(typed)
    }
}

impl AsRef<str> for Ticker {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_symbols_survive_the_way_through_a_path() {
        for symbol in [
            "007",
            "^GSPC",
            "BRK-B",
            "BTC/USD",
            "A.B",
            "..",
            "ÅÄ",
            "A%2FB",
            "X=Y",
            "A B",
            "NULL",
            "__HIVE_DEFAULT_PARTITION__",
        ] {
            let ticker = Ticker::new(symbol).unwrap();
            let component = ticker.path_component();
            assert!(!component.contains('/') && component != ".." && component != ".");
            assert!(!HIVE_NULLS.contains(&&*component));
            assert_eq!(Ticker::from_path_component(&component), Some(ticker));
        }
    }

    #[test]
    fn symbols_are_trimmed_and_upper_case() {
        assert_eq!(Ticker::new(" aapl\t").unwrap().as_str(), "AAPL");
        assert!(Ticker::new("  ").is_err());
        assert!(Ticker::new("A\nB").is_err());
        assert!(Ticker::new("A,B").is_ok() && Ticker::of_new_bars("A,B").is_err());
        assert!(Ticker::new(&"A".repeat(65)).is_err());
    }
}
