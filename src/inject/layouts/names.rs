//! What the names of vendors' files show.

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
    /// Whether only this layout's files have such names.
    pub(super) is_unique: bool,
}

/// `DAT_ASCII_EURUSD_M1_2012`
pub(super) fn histdata_name(stem: &str) -> Option<NamedAs> {
    let ["DAT", _, ticker, rest @ ..] = &stem.split('_').collect::<Vec<_>>()[..] else {
        return None;
    };
    (!rest.is_empty()).then(|| NamedAs {
        ticker: Some((*ticker).to_owned()),
        interval: only_interval(rest.iter().copied()),
        is_unique: true,
    })
}

/// `ES 03-25.Last`
pub(super) fn ninjatrader_name(stem: &str) -> Option<NamedAs> {
    let (symbol, kind) = stem.rsplit_once('.')?;
    matches!(kind, "Last" | "Bid" | "Ask").then(|| NamedAs {
        ticker: Some(symbol.split(' ').next().unwrap_or(symbol).to_owned()),
        interval: None,
        is_unique: true,
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
        is_unique: false,
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
        is_unique: false,
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
