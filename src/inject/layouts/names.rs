//! What the names of vendors' files show.

use crate::inject::file_ticker::{is_currency, is_pair};
use crate::inject::filename::{minutes_of_word, only_interval, words};

/// Reads the stem of a file's name; `None` if it isn't of this form.
pub(super) type NameRule = fn(&str) -> Option<NamedAs>;

/// What a file's name shows.
#[derive(Default)]
pub(super) struct NamedAs {
    /// `None` for the usual rule: the stem up to the first `_`.
    pub(super) ticker: Option<String>,
    /// In minutes.
    pub(super) interval: Option<u32>,
}

/// `DAT_ASCII_EURUSD_M1_2012`
pub(super) fn histdata_name(stem: &str) -> Option<NamedAs> {
    let ["DAT", _, ticker, rest @ ..] = &stem.split('_').collect::<Vec<_>>()[..] else {
        return None;
    };
    (!rest.is_empty()).then(|| NamedAs {
        ticker: Some((*ticker).to_owned()),
        interval: only_interval(rest.iter().copied()),
    })
}

/// `ES 03-25.Last`
pub(super) fn ninjatrader_name(stem: &str) -> Option<NamedAs> {
    let (symbol, kind) = stem.rsplit_once('.')?;
    matches!(kind, "Last" | "Bid" | "Ask").then(|| NamedAs {
        ticker: Some(symbol.split(' ').next().unwrap_or(symbol).to_owned()),
        interval: None,
    })
}

/// `BATS_SPY, 1`, `CME_MINI_ES1!, 5_0a1b2`
pub(super) fn tradingview_name(stem: &str) -> Option<NamedAs> {
    let (symbol, rest) = stem.split_once(", ")?;
    let minutes = words(rest).next().unwrap_or_default();
    if !minutes.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let symbol = symbol.split_once('_').map_or(symbol, |(_, symbol)| symbol);
    let symbol = symbol.strip_prefix("MINI_").unwrap_or(symbol);
    Some(NamedAs {
        ticker: Some(symbol.to_owned()),
        interval: minutes.parse().ok().or_else(|| minutes_of_word(minutes)),
    })
}

/// `BTCUSDT-1m-2024-01`
pub(super) fn binance_name(stem: &str) -> Option<NamedAs> {
    let [symbol, interval, _, ..] = stem.split('-').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some(NamedAs {
        ticker: Some(symbol.to_owned()),
        interval: Some(minutes_of_word(interval)?),
    })
}

/// `EURUSD_Candlestick_1_M_BID_…`
pub(super) fn dukascopy_name(stem: &str) -> Option<NamedAs> {
    let mut rest = stem
        .split('_')
        .skip_while(|part| *part != "Candlestick")
        .skip(1);
    let count: u32 = rest.next()?.parse().ok()?;
    let minutes = match rest.next()? {
        "M" => count,
        "Hour" | "H" => count.checked_mul(60)?,
        _ => return None,
    };
    Some(NamedAs {
        interval: Some(minutes),
        ..NamedAs::default()
    })
}

/// `XBTUSD_60`, in minutes
pub(super) fn kraken_name(stem: &str) -> Option<NamedAs> {
    let (pair, minutes) = stem.split_once('_')?;
    let minutes: u32 = minutes.parse().ok().filter(|minutes| *minutes > 0)?;
    is_pair(pair).then(|| NamedAs {
        ticker: Some(pair.to_owned()),
        interval: Some(minutes),
    })
}

/// `bitstampUSD_1-min_data_…`: the price of a bitcoin at an exchange, in a currency.
pub(super) fn bitcoincharts_name(stem: &str) -> Option<NamedAs> {
    const EXCHANGES: [&str; 5] = ["bitstamp", "coinbase", "kraken", "bitfinex", "btce"];
    let first = stem.split('_').next()?;
    let mut exchanges = EXCHANGES.iter();
    let currency = exchanges.find_map(|exchange| first.strip_prefix(exchange))?;
    is_currency(currency).then(|| NamedAs {
        ticker: Some(format!("BTC{currency}")),
        interval: stem.contains("_1-min_").then_some(1),
    })
}
