//! The ticker and the interval in a file's name that follows no vendor's rule.

use super::filename::{minutes_of_word, only_interval, words};

/// Words in names of files that aren't tickers, in lower case.
const OTHER_WORDS: [&str; 39] = [
    "data",
    "bars",
    "candles",
    "candlestick",
    "ohlc",
    "ohlcv",
    "prices",
    "quotes",
    "history",
    "historical",
    "historicaldata",
    "intraday",
    "daily",
    "hourly",
    "minute",
    "minutes",
    "min",
    "fx",
    "forex",
    "crypto",
    "stock",
    "stocks",
    "table",
    "example",
    "sample",
    "test",
    "export",
    "download",
    "bid",
    "ask",
    "mid",
    "last",
    "full",
    "adjusted",
    "unadjusted",
    "adjsplit",
    "adjsplitdiv",
    "gmt",
    "utc",
];
/// Currencies and coins that form pairs.
const CURRENCIES: [&str; 36] = [
    "usd", "eur", "gbp", "jpy", "chf", "aud", "nzd", "cad", "sek", "nok", "dkk", "pln", "czk",
    "huf", "try", "zar", "mxn", "sgd", "hkd", "cnh", "xau", "xag", "btc", "xbt", "eth", "xrp",
    "ltc", "bch", "ada", "sol", "dot", "doge", "bnb", "usdt", "usdc", "busd",
];
/// The periods of MetaTrader's names, in minutes.
const PERIODS: [u32; 9] = [1, 5, 15, 30, 60, 240, 1440, 10_080, 43_200];

/// What a name shows.
pub(super) struct UsualName {
    /// `None` if all of its words are about something else.
    pub(super) ticker: Option<String>,
    /// In minutes.
    pub(super) interval: Option<u32>,
}

/// The first part of the stem that isn't a date, an interval or a word such as `data`, and the
/// interval of the other parts. Parts end at `_` and blanks.
pub(super) fn usual_name(stem: &str) -> UsualName {
    let parts: Vec<&str> = stem
        .split(['_', ' ', ','])
        .filter(|part| !part.is_empty())
        .collect();
    let names: Vec<&str> = parts.iter().map(|part| without_rest(part)).collect();
    let Some(at) = names.iter().position(|name| !name.is_empty()) else {
        // The only part may look like an interval and be the ticker, but the word `data` is never one.
        let only = (parts.len() == 1).then(|| parts[0]);
        let ticker = only.filter(|part| minutes_of_word(part).is_some());
        return UsualName {
            ticker: ticker.map(str::to_owned),
            interval: if ticker.is_some() {
                None
            } else {
                only_interval(words(stem))
            },
        };
    };
    let name = names[at];
    let rest = parts[..at].iter().chain(&parts[at + 1..]).copied();
    let rest = rest.chain([&parts[at][name.len()..]]);
    let interval = only_interval(rest.flat_map(words));
    if let Some(second) = names.get(at + 1)
        && is_currency(name)
        && is_currency(second)
    {
        return UsualName {
            ticker: Some(format!("{name}{second}")),
            interval,
        };
    }
    match with_period(name) {
        Some((pair, period)) if interval.is_none_or(|shown| shown == period) => UsualName {
            ticker: Some(pair.to_owned()),
            interval: Some(period),
        },
        _ => UsualName {
            ticker: Some(name.to_owned()),
            interval,
        },
    }
}

/// A part of a name up to the first `-` or `.` after which nothing belongs to a ticker: `BTC-USD`
/// stays, `EURUSD-bid` and `BTCUSDT-1m-2025` lose their rest.
fn without_rest(part: &str) -> &str {
    let mut end = 0;
    for word in part.split_inclusive(['-', '.']) {
        if is_other(word.trim_end_matches(['-', '.'])) {
            break;
        }
        end += word.len();
    }
    part[..end].trim_end_matches(['-', '.'])
}

/// Whether a word is about something else than the ticker.
pub(super) fn is_other(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let is_copy = word.starts_with('(') && word.ends_with(')');
    let is_date = matches!(word.len(), 4 | 6 | 8 | 12 | 14)
        && word.bytes().all(|b| b.is_ascii_digit())
        && (word.starts_with("19") || word.starts_with("20"));
    is_copy || is_date || OTHER_WORDS.contains(&lower.as_str()) || minutes_of_word(word).is_some()
}

pub(super) fn is_currency(name: &str) -> bool {
    CURRENCIES.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether a ticker consists of two currencies or coins.
pub(super) fn is_pair(ticker: &str) -> bool {
    let lower = ticker.to_ascii_lowercase();
    CURRENCIES
        .iter()
        .filter_map(|first| lower.strip_prefix(first))
        .any(|second| CURRENCIES.contains(&second))
}

/// A pair with the period after it, as MetaTrader names files: `EURUSD60`.
fn with_period(name: &str) -> Option<(&str, u32)> {
    let pair = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let period = name[pair.len()..].parse().ok()?;
    (is_pair(pair) && PERIODS.contains(&period)).then_some((pair, period))
}
