//! Files of crypto currencies.

use super::Case;
use super::market::{Bar, Series, UTC, coin, coin_from};

pub fn cases() -> Vec<Case> {
    let minutes = coin("BTCUSDT", 1);
    let hours = coin("BTCUSDT", 60);
    let old = coin_from("BTCUSDT", 1, "2024-12-01");
    let mut all = vec![
        binance("binance/BTCUSDT-1m-2024-12.csv", &old, 1_000, false),
        binance("binance/BTCUSDT-1m-2025-01.csv", &minutes, 1_000_000, false),
        binance("binance/BTCUSDT-1h-2025-01.csv", &hours, 1_000_000, false),
        binance("binance/futures/BTCUSDT-1m-2025-01.csv", &minutes, 1_000, true),
        binance("binance/renamed/BTCUSDT.csv", &minutes, 1_000, false),
        Case::lines("kraken/XBTUSD_1.csv", "", &coin("XBTUSD", 1), |bar| {
            format!("{},{},17", bar.at, bar.ohlcv())
        }),
        Case::lines("kraken/XBTUSD_60.csv", "", &coin("XBTUSD", 60), |bar| {
            format!("{},{},17", bar.at, bar.ohlcv())
        }),
        Case::lines("ccxt/BTC_USDT-1m.csv", "timestamp,open,high,low,close,volume", &minutes, |bar| {
            format!("{},{}", bar.at * 1000, bar.ohlcv())
        }),
        Case::lines("ccxt/pair/BTC-USDT.csv", "timestamp,open,high,low,close,volume", &hours, |bar| {
            format!("{},{}", bar.at * 1000, bar.ohlcv())
        }),
        Case::lines("coinbase/BTC-USD.csv", "time,low,high,open,close,volume", &coin("BTC-USD", 1), |bar| {
            let Bar { open, high, low, close, volume, at } = bar;
            format!("{at},{low},{high},{open},{close},{volume}")
        }),
        Case::lines(
            "bybit/BTCUSDT_1_2025-01-17.csv",
            "start_at,symbol,period,open,high,low,close",
            &super::stocks::without_volume(minutes.clone()),
            |bar| format!("{},BTCUSDT,1,{}", bar.at, bar.ohlc()),
        ),
        Case::lines(
            "okx/BTC-USDT.csv",
            "ts,open,high,low,close,vol,volCcy,volCcyQuote,confirm",
            &minutes,
            |bar| format!("{},{},{},1,1", bar.at * 1000, bar.ohlcv(), bar.volume),
        ),
        Case::lines("kucoin/BTC-USDT.csv", "time,open,close,high,low,volume,turnover", &minutes, |bar| {
            let Bar { open, high, low, close, volume, at } = bar;
            format!("{at},{open},{close},{high},{low},{volume},{}", volume * close)
        }),
        Case::lines("bitfinex/BTCUSD.csv", "mts,open,close,high,low,volume", &coin("BTCUSD", 1), |bar| {
            let Bar { open, high, low, close, volume, at } = bar;
            format!("{},{open},{close},{high},{low},{volume}", at * 1000)
        })
        .needs("--columns ts=1"),
        Case::lines("huobi/BTCUSDT.csv", "id,open,close,low,high,amount,vol,count", &minutes, |bar| {
            let Bar { open, high, low, close, volume, at } = bar;
            format!("{at},{open},{close},{low},{high},{volume},{},17", volume * close)
        })
        .needs("--columns ts=1,volume=6"),
        Case::lines("gateio/BTC_USDT.csv", "", &minutes, |bar| {
            let Bar { open, high, low, close, volume, at } = bar;
            format!("{at},{volume},{close},{high},{low},{open}")
        })
        .needs("--columns ts=1,volume=2,close=3,high=4,low=5,open=6"),
        Case::lines(
            "coinapi/BTCUSDT.csv",
            "time_period_start,time_period_end,time_open,time_close,price_open,price_high,price_low,price_close,volume_traded,trades_count",
            &minutes,
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%dT%H:%M:%S.0000000Z");
                format!("{at},{at},{at},{at},{},17", bar.ohlcv())
            },
        )
        .needs("--columns ts=1,open=5,high=6,low=7,close=8,volume=9,trades=10"),
        Case::lines(
            "cryptocompare/BTCUSD.csv",
            "time,high,low,open,volumefrom,volumeto,close",
            &coin("BTCUSD", 60),
            |bar| {
                let Bar { open, high, low, close, volume, at } = bar;
                format!("{at},{high},{low},{open},{volume},{},{close}", volume * close)
            },
        ),
        Case::lines(
            "bitstamp/bitstampUSD_1-min_data_2012-01-01_to_2025-01-19.csv",
            "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price",
            &coin("BTCUSD", 1),
            |bar| format!("{},{},{},{}", bar.at, bar.ohlcv(), bar.volume * bar.close, bar.close),
        )
        .needs("--ticker BTCUSD"),
        Case::lines("tradingview/BINANCE_BTCUSDT, 60.csv", "time,open,high,low,close,Volume", &hours, |bar| {
            format!("{},{}", bar.at, bar.ohlcv())
        }),
        Case::lines("naive/BTCUSDT.csv", "date,open,high,low,close,volume", &hours, |bar| {
            format!("{},{}", bar.time(UTC, "%Y-%m-%d %H:%M:%S"), bar.ohlcv())
        })
        .needs("--timezone UTC"),
    ];
    all.extend(cryptodatadownload());
    all.push(next_to_each_other());
    all
}

/// The columns of two coins in one table.
fn next_to_each_other() -> Case {
    let (btc, eth) = (coin("BTC", 60), coin("ETH", 60));
    let columns = ["open", "high", "low", "close", "volume"];
    let names = |ticker: &str| columns.map(|column| format!("{ticker}:{column}")).join(",");
    let rows: String = btc
        .bars
        .iter()
        .zip(&eth.bars)
        .map(|(btc, eth)| {
            let at = btc.time(UTC, "%Y-%m-%d %H:%M:%S+00:00");
            format!("{at},{},{}\n", btc.ohlcv(), eth.ohlcv())
        })
        .collect();
    let text = format!(",{},{}\n{rows}", names("BTC"), names("ETH"));
    Case::new("flat/coins_1h.csv", [btc, eth], text)
}

fn binance(path: &str, series: &Series, scale: i64, has_header: bool) -> Case {
    let header = if has_header {
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
    } else {
        ""
    };
    let length = i64::from(series.minutes) * 60;
    Case::lines(path, header, series, |bar| {
        let end = (bar.at + length) * scale - 1;
        let quote = bar.volume * bar.close;
        format!(
            "{},{},{end},{quote},17,1.5,2.5,0",
            bar.at * scale,
            bar.ohlcv()
        )
    })
}

fn cryptodatadownload() -> Vec<Case> {
    let site = |text: String| {
        let (header, rows) = text.split_once('\n').unwrap();
        let rows: Vec<&str> = rows.lines().rev().collect();
        format!(
            "https://www.CryptoDataDownload.com\n{header}\n{}\n",
            rows.join("\n")
        )
    };
    vec![
        Case::lines(
            "cdd/Binance_BTCUSDT_minute.csv",
            "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount",
            &coin("BTCUSDT", 1),
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%d %H:%M:%S");
                format!(
                    "{},{at},BTCUSDT,{},{},17",
                    bar.at * 1000,
                    bar.ohlcv(),
                    bar.volume * bar.close
                )
            },
        )
        .edit(site),
        Case::lines(
            "cdd/Bitfinex_BTCUSD_1h.csv",
            "unix,date,symbol,open,high,low,close,Volume USD,Volume BTC",
            &coin("BTCUSD", 60),
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%d %H:%M:%S");
                let quote = bar.volume * bar.close;
                format!(
                    "{},{at},BTC/USD,{},{quote},{}",
                    bar.at * 1000,
                    bar.ohlc(),
                    bar.volume
                )
            },
        )
        .edit(site),
        Case::lines(
            "cdd/old/Coinbase_BTCUSD_1h.csv",
            "date,symbol,open,high,low,close,volume_btc,volume",
            &coin("BTCUSD", 60),
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%d %I-%p");
                format!("{at},BTCUSD,{},{}", bar.ohlcv(), bar.volume * bar.close)
            },
        )
        .edit(site),
        Case::lines(
            "cdd/gemini_BTCUSD_2025_1min.csv",
            "Unix Timestamp,Date,Symbol,Open,High,Low,Close,Volume",
            &coin("BTCUSD", 1),
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%d %H:%M:%S");
                format!("{},{at},BTCUSD,{}", bar.at * 1000, bar.ohlcv())
            },
        )
        .edit(site),
    ]
}
