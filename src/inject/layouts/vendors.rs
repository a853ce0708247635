//! The layouts of vendors and programs, one entry each.

use chrono_tz::Tz;

use super::excerpt::Excerpt;
use super::layout::{Layout, PLAIN, VENDOR};
use super::names::{
    binance_name, bitcoincharts_name, dukascopy_name, histdata_name, kraken_name, ninjatrader_name,
    tradingview_name,
};
use super::rows::{
    binance_order, gate_order, has_no_volume, is_binance_order, is_gate_order, usual_order,
};
use crate::inject::columns::{Role, slot};
use crate::inject::date::DateOrder;
use crate::inject::sample::FieldKind;
use crate::inject::settings::Label;
use crate::model::Interval;

const OPEN: Role = Role::Number(slot::OPEN);
const HIGH: Role = Role::Number(slot::HIGH);
const LOW: Role = Role::Number(slot::LOW);
const CLOSE: Role = Role::Number(slot::CLOSE);
const VOLUME: Role = Role::Number(slot::VOLUME);
const VWAP: Role = Role::Number(slot::VWAP);
const TRADES: Role = Role::Number(slot::TRADES);

/// A vendor of coins.
const COINS: Layout = Layout {
    exchange: "CRYPTO",
    ..VENDOR
};
/// A vendor of currencies whose local times are UTC.
const CURRENCIES: Layout = Layout {
    exchange: "FOREX",
    zone: Some(Tz::UTC),
    ..VENDOR
};

/// The layout of a file: the first entry that it matches, else the one without special rules.
pub(super) fn layout_of(file: &Excerpt<'_>) -> &'static Layout {
    let mut all = LAYOUTS.iter().copied().flatten();
    all.find(|layout| (layout.is)(file)).unwrap_or(&PLAIN)
}

/// All layouts with an entry.
pub(super) fn all() -> impl Iterator<Item = &'static Layout> {
    LAYOUTS.iter().copied().flatten()
}

/// Entries recognised by file names or headers that only one vendor uses come first; headers that
/// other files may also have come last.
static LAYOUTS: [&[Layout]; 5] = [&BY_NAME, &PLATFORMS, &STOCKS, &CRYPTO, &OTHERS];

/// Layouts whose files have names that no other vendor's have.
static BY_NAME: [Layout; 4] = [
    Layout {
        name: "NinjaTrader",
        is: |file| ninjatrader_name(file.stem).is_some(),
        file_name: Some(ninjatrader_name),
        zone: Some(Tz::UTC),
        label: Label::Close,
        ..VENDOR
    },
    Layout {
        name: "HistData",
        is: |file| {
            let has_form = file.delimiter == b';'
                && file.kinds.contains(&FieldKind::CompactTimestamp)
                && has_no_volume(file);
            histdata_name(file.stem).is_some() || has_form
        },
        file_name: Some(histdata_name),
        exchange: "FOREX",
        // New York's winter time all year: UTC-5, which the tz database calls GMT+5.
        zone: Some(Tz::Etc__GMTPlus5),
        ..VENDOR
    },
    Layout {
        name: "Alpha Vantage (currencies)",
        is: |file| {
            (file.is("timestamp open high low close")
                || file.is("timestamp open high low close volume"))
                && file.stem.starts_with("fx_intraday_")
        },
        ..CURRENCIES
    },
    Layout {
        name: "Alpha Vantage",
        is: |file| {
            file.is("timestamp open high low close volume") && file.stem.starts_with("intraday_")
        },
        ..VENDOR
    },
];

/// Programs that export bars.
static PLATFORMS: [Layout; 12] = [
    Layout {
        name: "TradeStation",
        is: |file| file.has(&["up", "down"]),
        label: Label::Close,
        ..VENDOR
    },
    Layout {
        name: "TradingView",
        is: |file| {
            file.has(&["time", "open", "high", "low", "close"])
                && tradingview_name(file.stem).is_some()
        },
        file_name: Some(tradingview_name),
        ..VENDOR
    },
    Layout {
        name: "Interactive Brokers",
        is: |file| file.has(&["average", "barcount"]),
        names: &[("average", VWAP), ("barcount", TRADES)],
        ..VENDOR
    },
    Layout {
        name: "Sierra Chart",
        is: |file| file.has(&["numberoftrades", "bidvolume", "askvolume"]),
        ..VENDOR
    },
    Layout {
        name: "MetaStock",
        is: |file| {
            file.has(&["ticker", "name", "per", "dtyyyymmdd"])
                || file.has(&["ticker", "name", "per", "date"])
        },
        ..VENDOR
    },
    Layout {
        name: "Stooq",
        is: |file| file.has(&["per", "openint"]),
        interval_codes: &[
            ("1", Interval::M1),
            ("5", Interval::M5),
            ("15", Interval::M15),
            ("30", Interval::M30),
            ("60", Interval::M60),
        ],
        ..VENDOR
    },
    Layout {
        name: "Dukascopy",
        is: |file| {
            file.has(&["gmttime"])
                || file.has(&["timeutc"])
                || file.has_field("dd.dd.dddd dd:dd:dd.ddd")
                || file.has_field("dd.dd.dddd dd:dd:dd.ddd GMT+dddd")
                || file.has_field("dd.dd.dddd dd:dd:dd.ddd GMT-dddd")
                || (file.is("timestamp open high low close volume")
                    && file.is_named(&["bid", "ask"])
                    && file.kinds.first() == Some(&FieldKind::Epoch))
        },
        file_name: Some(dukascopy_name),
        date_order: Some(DateOrder::Dmy),
        ..CURRENCIES
    },
    Layout {
        name: "MetaTrader 5",
        is: |file| file.has(&["tickvol"]) || file.has(&["tickvolume", "realvolume"]),
        has_tick_volume: true,
        ..VENDOR
    },
    Layout {
        name: "MetaTrader 4",
        is: |file| file.row_is(&["dddd.dd.dd", "dd:dd"], 5..=5),
        ..VENDOR
    },
    Layout {
        name: "FXCM",
        is: |file| file.has(&["bidopen", "bidclose", "askopen", "askclose"]),
        ..CURRENCIES
    },
    Layout {
        name: "OANDA",
        is: |file| file.is("time volume open high low close complete"),
        ..VENDOR
    },
    Layout {
        name: "AmiBroker",
        is: |file| {
            file.is("ticker datetime open high low close volume")
                && (file.has_field("dd/dd/dddd dd:dd:dd AM")
                    || file.has_field("dd/dd/dddd dd:dd:dd PM"))
        },
        ..VENDOR
    },
];

/// Vendors of stocks.
static STOCKS: [Layout; 19] = [
    Layout {
        name: "Databento",
        is: |file| file.has(&["tsevent"]),
        // Its `rtype`: the number of a schema.
        interval_codes: &[("33", Interval::M1), ("34", Interval::M60)],
        has_nano_prices: true,
        ..VENDOR
    },
    Layout {
        name: "Massive (Polygon)",
        is: |file| {
            file.has(&["windowstart", "transactions"])
                || file.has(&["timestamp", "transactions", "vwap", "otc"])
                || file.has(&["o", "h", "l", "c", "v", "vw", "t", "n"])
        },
        ..VENDOR
    },
    Layout {
        name: "Alpaca",
        is: |file| file.has(&["symbol", "timestamp", "tradecount", "vwap"]),
        ..VENDOR
    },
    Layout {
        name: "FMP",
        is: |file| file.is("date open low high close volume"),
        ..VENDOR
    },
    Layout {
        name: "FirstRate",
        is: |file| {
            file.row_is(&["dddd-dd-dd dd:dd:dd"], 4..=5)
                && file.is_named(&["full", "adjsplit", "adjsplitdiv", "unadjusted"])
        },
        ..VENDOR
    },
    Layout {
        name: "Kibot",
        is: |file| file.row_is(&["dd/dd/dddd", "dd:dd"], 5..=5),
        only_order: Some(DateOrder::Mdy),
        ..VENDOR
    },
    Layout {
        name: "QuantQuote",
        is: |file| file.row_is(&["dddddddd"], 9..=9) && file.stem.starts_with("table_"),
        ..VENDOR
    },
    Layout {
        name: "algoseek",
        is: |file| file.has(&["timebarstart", "firsttradeprice", "lasttradeprice"]),
        names: &[
            ("timebarstart", Role::Time),
            ("firsttradeprice", OPEN),
            ("hightradeprice", HIGH),
            ("lowtradeprice", LOW),
            ("lasttradeprice", CLOSE),
            ("volumeweightprice", VWAP),
            ("totaltrades", TRADES),
        ],
        ..VENDOR
    },
    Layout {
        name: "Refinitiv",
        is: |file| file.has(&["ric", "datetime", "gmtoffset"]),
        names: &[("ric", Role::Ticker)],
        ..VENDOR
    },
    Layout {
        name: "Twelve Data",
        is: |file| file.delimiter == b';' && file.is("datetime open high low close volume"),
        ..VENDOR
    },
    Layout {
        name: "EODHD",
        is: |file| file.has(&["timestamp", "gmtoffset", "datetime"]),
        ..VENDOR
    },
    Layout {
        name: "Tiingo",
        is: |file| {
            file.is("date close high low open")
                || file.is("date close high low open volume")
                || (file.is("date open high low close volume")
                    && file.has_field("dddd-dd-ddTdd:dd:dd.dddZ"))
        },
        ..VENDOR
    },
    Layout {
        name: "Finnhub",
        is: |file| file.has(&["c", "h", "l", "o", "s", "t", "v"]),
        ..VENDOR
    },
    Layout {
        name: "Tradier",
        is: |file| file.has(&["time", "timestamp", "price", "vwap"]),
        ..VENDOR
    },
    Layout {
        name: "Schwab",
        is: |file| {
            file.is("open high low close volume datetime")
                && file.kinds.last() == Some(&FieldKind::Epoch)
        },
        ..VENDOR
    },
    Layout {
        name: "Robinhood",
        is: |file| file.has(&["beginsat", "openprice", "interpolated"]),
        ..VENDOR
    },
    Layout {
        name: "Marketstack",
        is: |file| file.is("date symbol exchange open high low close last volume"),
        ..VENDOR
    },
    Layout {
        name: "Barchart",
        is: |file| file.has(&["time", "open", "high", "low", "last", "change"]),
        ..VENDOR
    },
    Layout {
        name: "Finam",
        is: |file| file.is("ticker per date time open high low close vol"),
        zone: Some(Tz::Europe__Moscow),
        interval_codes: &[
            ("1", Interval::M1),
            ("5", Interval::M5),
            ("15", Interval::M15),
            ("30", Interval::M30),
            ("60", Interval::M60),
        ],
        ..VENDOR
    },
];

/// Exchanges and vendors of coins.
static CRYPTO: [Layout; 13] = [
    Layout {
        name: "Binance",
        is: |file| file.has(&["opentime", "closetime"]) || is_binance_order(file),
        columns: binance_order,
        file_name: Some(binance_name),
        ..COINS
    },
    Layout {
        name: "CryptoDataDownload",
        is: |file| {
            file.has_above("cryptodatadownload")
                || file.has(&["unix", "date", "symbol"])
                || file.has(&["unixtimestamp", "date", "symbol"])
        },
        zone: Some(Tz::UTC),
        ..COINS
    },
    Layout {
        name: "Bitcoincharts",
        is: |file| {
            bitcoincharts_name(file.stem).is_some() && file.has(&["volumebtc", "volumecurrency"])
        },
        file_name: Some(bitcoincharts_name),
        ..COINS
    },
    Layout {
        name: "CryptoCompare",
        is: |file| file.has(&["volumefrom", "volumeto"]),
        ..COINS
    },
    Layout {
        name: "CoinAPI",
        is: |file| file.has(&["timeperiodstart", "priceopen", "priceclose"]),
        names: &[
            ("timeperiodstart", Role::Timestamp),
            ("priceopen", OPEN),
            ("pricehigh", HIGH),
            ("pricelow", LOW),
            ("priceclose", CLOSE),
            ("volumetraded", VOLUME),
            ("tradescount", TRADES),
        ],
        ..COINS
    },
    Layout {
        name: "Coinbase",
        is: |file| file.is("time low high open close volume"),
        ..COINS
    },
    Layout {
        name: "Bitfinex",
        is: |file| file.is("mts open close high low volume"),
        names: &[("mts", Role::Timestamp)],
        ..COINS
    },
    Layout {
        name: "Kraken",
        is: |file| file.row_is(&["dddddddddd"], 6..=6) && kraken_name(file.stem).is_some(),
        columns: |file| {
            let mut roles = usual_order(file.kinds);
            roles[6] = TRADES;
            roles
        },
        file_name: Some(kraken_name),
        ..COINS
    },
    Layout {
        name: "Bybit",
        is: |file| file.has(&["startat", "symbol", "period"]),
        ..COINS
    },
    Layout {
        name: "OKX",
        is: |file| file.has(&["volccy", "volccyquote"]),
        ..COINS
    },
    Layout {
        name: "KuCoin",
        is: |file| file.is("time open close high low volume turnover"),
        ..COINS
    },
    Layout {
        name: "HTX (Huobi)",
        is: |file| file.has(&["id", "open", "close", "amount", "vol", "count"]),
        // Its `vol` is in the quote currency.
        names: &[
            ("id", Role::Timestamp),
            ("amount", VOLUME),
            ("vol", Role::Skip),
        ],
        ..COINS
    },
    Layout {
        name: "Gate.io",
        is: is_gate_order,
        columns: gate_order,
        ..COINS
    },
];

/// Headers of programs that write other vendors' bars.
static OTHERS: [Layout; 3] = [
    Layout {
        name: "backfill",
        is: |file| {
            file.is("ticker timestamp open high low close volume vwap trades")
                || file.is("timestamp open high low close volume vwap trades")
        },
        ..VENDOR
    },
    Layout {
        name: "Yahoo",
        is: |file| {
            file.is_yfinance
                || file.has(&["datetime", "open", "close", "adjclose"])
                || file.has(&["datetime", "open", "dividends", "stocksplits"])
        },
        ..VENDOR
    },
    Layout {
        name: "pandas",
        is: |file| file.names.first().is_some_and(String::is_empty),
        ..VENDOR
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_layouts_differ() {
        let names: Vec<&str> = all()
            .map(|layout| layout.name)
            .chain([PLAIN.name])
            .collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name}");
        }
    }
}
