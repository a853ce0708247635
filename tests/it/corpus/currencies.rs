//! Files of currency pairs.

use chrono_tz::Tz;

use super::Case;
use super::market::{Bar, Series, UTC, currency};

/// New York's winter time all year.
const EST: Tz = Tz::Etc__GMTPlus5;
const ATHENS: Tz = chrono_tz::Europe::Athens;

pub fn cases() -> Vec<Case> {
    let minutes = currency("EURUSD", 1);
    let hours = currency("EURUSD", 60);
    let at = |path: &str, header: &str, series: &Series, zone: Tz, pattern: &'static str| {
        Case::lines(path, header, series, move |bar| {
            format!("{},{}", bar.time(zone, pattern), bar.ohlcv())
        })
    };
    let mut all = histdata(&minutes);
    all.extend(dukascopy(&minutes, &hours));
    all.extend(metatrader(&minutes, &hours));
    all.extend([
        Case::lines(
            "oanda/EUR_USD_M1.csv",
            "time,volume,open,high,low,close,complete",
            &minutes,
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%dT%H:%M:%S.000000000Z");
                format!("{at},{},{},True", bar.volume, bar.ohlc())
            },
        ),
        Case::lines(
            "oanda/short/GBP_USD_M5.csv",
            "time,o,h,l,c,volume",
            &currency("GBPUSD", 5),
            |bar| format!("{},{}", bar.time(UTC, "%Y-%m-%dT%H:%M:%SZ"), bar.ohlcv()),
        ),
        Case::lines(
            "fxcm/EURUSD.csv",
            "DateTime,BidOpen,BidHigh,BidLow,BidClose,AskOpen,AskHigh,AskLow,AskClose",
            &super::stocks::without_volume(minutes.clone()),
            |bar| {
                let at = bar.time(UTC, "%m/%d/%Y %H:%M:%S.000");
                format!("{at},{},{}", bar.ohlc(), bar.ohlc())
            },
        )
        .needs("--timezone UTC"),
        Case::lines(
            "tradingview/FX_EURUSD, 1.csv",
            "time,open,high,low,close,Volume",
            &minutes,
            |bar| format!("{},{}", bar.at, bar.ohlcv()),
        ),
        Case::lines(
            "tradingview/OANDA_EURUSD, 60.csv",
            "time,open,high,low,close",
            &super::stocks::without_volume(hours.clone()),
            |bar| format!("{},{}", bar.time(UTC, "%Y-%m-%dT%H:%M:%SZ"), bar.ohlc()),
        ),
        Case::lines(
            "forexite/EURUSD.txt",
            "<TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
            &minutes,
            |bar| {
                let at = bar.time(chrono_tz::Europe::Paris, "%Y%m%d,%H%M%S");
                format!("EURUSD,{at},{}", bar.ohlcv())
            },
        )
        .needs("--timezone Europe/Paris"),
        at(
            "backtesting/EURUSD.csv",
            ",Open,High,Low,Close,Volume",
            &hours,
            UTC,
            "%Y-%m-%d %H:%M:%S",
        )
        .needs("--timezone UTC"),
        at(
            "gym/FOREX_EURUSD_1H_ASK.csv",
            "Time,Open,High,Low,Close,Volume",
            &hours,
            UTC,
            "%Y-%m-%d %H:%M:%S",
        )
        .needs("--timezone UTC"),
        at(
            "alphavantage/fx_intraday_5min_EURUSD.csv",
            "timestamp,open,high,low,close",
            &super::stocks::without_volume(currency("EURUSD", 5)),
            UTC,
            "%Y-%m-%d %H:%M:%S",
        )
        .edit(|text| {
            text.lines()
                .map(|line| line.strip_suffix(",0").unwrap_or(line).to_owned() + "\n")
                .collect()
        })
        .needs("--timezone UTC"),
        Case::lines("truefx/EURUSD-2025-01.csv", "", &minutes, |bar| {
            format!(
                "EUR/USD,{},{},{}",
                bar.time(UTC, "%Y%m%d %H:%M:%S.123"),
                bar.open,
                bar.high
            )
        })
        .impossible(),
        Case::lines("ticks/EURUSD.csv", "time,bid,ask", &minutes, |bar| {
            format!(
                "{},{},{}",
                bar.time(UTC, "%Y-%m-%dT%H:%M:%SZ"),
                bar.open,
                bar.high
            )
        })
        .impossible(),
    ]);
    all
}

fn histdata(minutes: &Series) -> Vec<Case> {
    let whole = |bar: &Bar| Bar {
        volume: 0.0,
        ..bar.clone()
    };
    let quiet = super::stocks::without_volume(minutes.clone());
    vec![
        Case::lines(
            "histdata/DAT_ASCII_EURUSD_M1_202501.csv",
            "",
            &quiet,
            move |bar| {
                format!(
                    "{};{}",
                    bar.time(EST, "%Y%m%d %H%M%S"),
                    whole(bar).separated(";")
                )
            },
        ),
        Case::lines("histdata/DAT_MT_EURUSD_M1_202501.csv", "", &quiet, |bar| {
            format!("{},{}", bar.time(EST, "%Y.%m.%d,%H:%M"), bar.ohlcv())
        }),
        Case::lines(
            "histdata/DAT_XLSX_EURUSD_M1_202501.csv",
            "",
            &quiet,
            |bar| format!("{},{}", bar.time(EST, "%Y-%m-%d %H:%M:%S"), bar.ohlcv()),
        ),
    ]
}

fn dukascopy(minutes: &Series, hours: &Series) -> Vec<Case> {
    let brussels = chrono_tz::Europe::Brussels;
    vec![
        Case::lines(
            "dukascopy/EURUSD_Candlestick_1_M_BID_12.01.2025-15.01.2025.csv",
            "Gmt time,Open,High,Low,Close,Volume",
            minutes,
            |bar| format!("{},{}", bar.time(UTC, "%d.%m.%Y %H:%M:%S.000"), bar.ohlcv()),
        ),
        Case::lines(
            "dukascopy/local/EURUSD_Candlestick_1_M_ASK_12.01.2025-15.01.2025.csv",
            "Local time,Open,High,Low,Close,Volume",
            minutes,
            move |bar| {
                let at = bar.time(brussels, "%d.%m.%Y %H:%M:%S.000 GMT%z");
                format!("{at},{}", bar.ohlcv())
            },
        ),
        Case::lines(
            "dukascopy/EURUSD_Candlestick_1_Hour_BID_12.01.2025-21.02.2025.csv",
            "Gmt time,Open,High,Low,Close,Volume",
            hours,
            |bar| format!("{},{}", bar.time(UTC, "%d.%m.%Y %H:%M:%S.000"), bar.ohlcv()),
        ),
        Case::lines(
            "dukascopy/other_header/EURUSD.csv",
            "Time,Open,High,Low,Close,Volume",
            hours,
            |bar| format!("{},{}", bar.time(UTC, "%d.%m.%Y %H:%M:%S.000"), bar.ohlcv()),
        ),
        Case::lines(
            "dukascopy_node/eurusd-m1-bid-2025-01-12-2025-01-15.csv",
            "timestamp,open,high,low,close,volume",
            minutes,
            |bar| format!("{},{}", bar.at * 1000, bar.ohlcv()),
        ),
    ]
}

fn metatrader(minutes: &Series, hours: &Series) -> Vec<Case> {
    const MT5: &str = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>";
    let ticks = |series: &Series| {
        let mut series = series.clone();
        for bar in &mut series.bars {
            bar.volume = bar.volume.round().max(1.0);
        }
        series
    };
    let mt5 = |path: &str, series: &Series| {
        Case::lines(path, MT5, &ticks(series), |bar| {
            let at = bar.time(ATHENS, "%Y.%m.%d\t%H:%M:%S");
            format!("{at}\t{}\t0\t2", bar.separated("\t"))
        })
    };
    let mt4 = |path: &str, series: &Series| {
        Case::lines(path, "", &ticks(series), |bar| {
            format!("{},{}", bar.time(ATHENS, "%Y.%m.%d,%H:%M"), bar.ohlcv())
        })
    };
    vec![
        mt5("mt5/EURUSD_M1_202501130000_202501152359.csv", minutes)
            .needs("--timezone Europe/Athens"),
        mt5("mt5/EURUSD_H1_202501130000_202502212300.csv", hours).needs("--timezone Europe/Athens"),
        mt5(
            "mt5/EURUSD_M15_202501130000_202501172345.csv",
            &currency("EURUSD", 15),
        )
        .needs("--timezone Europe/Athens"),
        mt4("mt4/EURUSD1.csv", minutes).needs("--timezone Europe/Athens"),
        mt4("mt4/EURUSD60.csv", hours).needs("--timezone Europe/Athens"),
        mt4("mt4/EURUSD240.csv", &currency("EURUSD", 240)).impossible(),
        Case::lines(
            "mt5/real/EURUSD.csv",
            "time,open,high,low,close,tick_volume,spread,real_volume",
            &ticks(minutes),
            |bar| {
                format!(
                    "{},{},2,0",
                    bar.time(ATHENS, "%Y-%m-%d %H:%M:%S"),
                    bar.ohlcv()
                )
            },
        )
        .needs("--timezone Europe/Athens"),
    ]
}
