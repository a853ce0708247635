//! What a file's name says of its bars: ticker, interval, and the vendors that have a habit of their own.

use crate::model::Interval;

/// What a name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FromName {
    /// The ticker by the layout's habit; else the stem up to the first `_`.
    pub(super) ticker: String,
    /// The interval, where the name says one and only one.
    pub(super) interval: Option<Interval>,
    /// HistData's `DAT_…`: New York's winter time all year.
    pub(super) histdata: bool,
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}

impl Packing {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Splits a file's name into its stem and how it is packed; `None` when it is no dump.
pub(super) fn stem_of(name: &str) -> Option<(&str, Packing)> {
    let (name, packing) = if let Some(inner) = strip_end(name, ".gz") {
        (inner, Packing::Gzip)
    } else if let Some(inner) = strip_end(name, ".zst") {
        (inner, Packing::Zstd)
    } else {
        (name, Packing::Plain)
    };
    let stem = [".csv", ".txt", ".tsv"]
        .into_iter()
        .find_map(|end| strip_end(name, end))?;
    (!stem.is_empty() && !stem.starts_with('.')).then_some((stem, packing))
}

/// Whether a file of this name in a folder of dumps is taken for one.
#[must_use]
pub fn is_dump_name(name: &str) -> bool {
    stem_of(name).is_some()
}

/// `name` without `end`, which is matched without case.
pub(super) fn strip_end<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(end.len())?;
    let tail = name.get(at..)?;
    tail.eq_ignore_ascii_case(end).then(|| &name[..at])
}

/// Reads a stem.
pub(super) fn read(stem: &str) -> FromName {
    let parts: Vec<&str> = stem.split('_').collect();
    if parts.len() >= 4 && parts[0] == "DAT" {
        return FromName {
            ticker: parts[2].to_owned(),
            interval: one_interval(parts[3..].iter().copied()),
            histdata: true,
        };
    }
    let plain = |ticker: &str, interval| FromName {
        ticker: ticker.to_owned(),
        interval,
        histdata: false,
    };
    // TradingView: `BATS_SPY, 1`, `CME_MINI_ES1!, 5_0a1b2`.
    if let Some((symbol, rest)) = stem.split_once(", ") {
        let minutes = rest
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        if minutes.starts_with(|c: char| c.is_ascii_digit()) {
            let symbol = symbol.split_once('_').map_or(symbol, |(_, symbol)| symbol);
            let symbol = symbol.strip_prefix("MINI_").unwrap_or(symbol);
            let interval = minutes.parse().ok().and_then(Interval::from_minutes);
            return plain(symbol, interval);
        }
    }
    // Binance: `BTCUSDT-1m-2024-01`.
    if let [symbol, span, _, ..] = stem.split('-').collect::<Vec<_>>()[..]
        && let Some(interval) = token(span)
    {
        return plain(symbol, Some(interval));
    }
    let ticker = parts[0];
    let rest = &stem[ticker.len()..];
    let interval = dukascopy(&parts)
        .or_else(|| one_interval(rest.split(|c: char| !c.is_ascii_alphanumeric())));
    plain(ticker, interval)
}

/// The interval of a name whose ticker stands in a column, so that the first word may say it too.
pub(super) fn interval_anywhere(stem: &str) -> Option<Interval> {
    read(stem)
        .interval
        .or_else(|| one_interval(stem.split(|c: char| !c.is_ascii_alphanumeric())))
}

/// Dukascopy: `EURUSD_Candlestick_1_M_BID_…`.
fn dukascopy(parts: &[&str]) -> Option<Interval> {
    let at = parts.iter().position(|part| *part == "Candlestick")?;
    let count: u32 = parts.get(at + 1)?.parse().ok()?;
    match *parts.get(at + 2)? {
        "M" => Interval::from_minutes(count),
        "Hour" | "H" => Interval::from_minutes(count.checked_mul(60)?),
        _ => None,
    }
}

/// The interval that the words name, when they name one and not two.
fn one_interval<'a>(words: impl Iterator<Item = &'a str>) -> Option<Interval> {
    let mut found = None;
    for interval in words.filter_map(token) {
        if found.is_some_and(|before| before != interval) {
            return None;
        }
        found = Some(interval);
    }
    found
}

/// `1m`, `5min`, `1hour`, `M15`, `H1`. A capital `1M` is a month.
fn token(word: &str) -> Option<Interval> {
    let number = |digits: &str| {
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse::<u32>().ok())
            .flatten()
    };
    if let Some(minutes) = word.strip_prefix('M').and_then(number) {
        return Interval::from_minutes(minutes);
    }
    if let Some(hours) = word.strip_prefix('H').and_then(number) {
        return Interval::from_minutes(hours.checked_mul(60)?);
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &word[digits.len()..];
    if unit == "M" || unit.is_empty() {
        return None;
    }
    number(digits)?;
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_habit() {
        let cases = [
            ("SPY_full_1min", "SPY", Some(Interval::M1)),
            ("DAT_ASCII_EURUSD_M1_2012", "EURUSD", Some(Interval::M1)),
            ("BATS_SPY, 1", "SPY", Some(Interval::M1)),
            ("BATS_SPY, 1D", "SPY", None),
            ("CME_MINI_ES1!, 5_0a1b2", "ES1!", Some(Interval::M5)),
            ("BTCUSDT-1m-2024-01", "BTCUSDT", Some(Interval::M1)),
            ("BTCUSDT-1d-2024-01", "BTCUSDT-1d-2024-01", None),
            (
                "EURUSD_M15_202401020000_202401312359",
                "EURUSD",
                Some(Interval::M15),
            ),
            (
                "EURUSD_Candlestick_1_M_BID_01.01.2024-31.01.2024",
                "EURUSD",
                Some(Interval::M1),
            ),
            (
                "EURUSD_Candlestick_1_Hour_BID_01.01.2024-31.01.2024",
                "EURUSD",
                Some(Interval::M60),
            ),
            ("SPY", "SPY", None),
            ("BRK.B", "BRK.B", None),
            ("BTC-USD", "BTC-USD", None),
            ("M1", "M1", None),
            ("SPY_1min_5min", "SPY", None),
            ("SPY_1M", "SPY", None),
            ("SPY_H1", "SPY", Some(Interval::M60)),
            ("aapl.us", "aapl.us", None),
        ];
        for (stem, ticker, interval) in cases {
            let name = read(stem);
            assert_eq!(
                (name.ticker.as_str(), name.interval),
                (ticker, interval),
                "{stem}"
            );
        }
        assert!(read("DAT_ASCII_EURUSD_M1_2012").histdata);
        assert_eq!(
            interval_anywhere("glbx-mdp3-20240102.ohlcv-1m"),
            Some(Interval::M1)
        );
        assert_eq!(interval_anywhere("5min_bars"), Some(Interval::M5));
    }

    #[test]
    fn what_is_a_dump() {
        assert_eq!(stem_of("SPY.csv"), Some(("SPY", Packing::Plain)));
        assert_eq!(stem_of("SPY.CSV.GZ"), Some(("SPY", Packing::Gzip)));
        assert_eq!(stem_of("2013-10.tsv.zst"), Some(("2013-10", Packing::Zstd)));
        assert_eq!(stem_of("aapl.us.txt"), Some(("aapl.us", Packing::Plain)));
        for name in ["README.md", "a.gz", ".csv", "._SPY.csv", "SPY.csv.zip", "é"] {
            assert_eq!(stem_of(name), None, "{name}");
        }
    }
}
