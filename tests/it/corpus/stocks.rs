//! Files of stocks, by the vendors and programs that write them.

use super::Case;
use super::market::{Bar, NEW_YORK, Series, UTC, extended, sessions, stock, stock_early};

const SECONDS: &str = "%Y-%m-%d %H:%M:%S";

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(firstrate_and_kibot());
    all.extend(pandas_and_yfinance());
    all.extend(apis());
    all.extend(exchanges_and_archives());
    all.extend(platforms());
    all
}

/// One line a bar: the time in New York, then the values.
fn naive(path: &str, header: &str, series: &Series, pattern: &'static str) -> Case {
    Case::lines(path, header, series, |bar| {
        format!("{},{}", bar.time(NEW_YORK, pattern), bar.ohlcv())
    })
}

fn firstrate_and_kibot() -> Vec<Case> {
    let hours = sessions(
        "AAPL",
        60,
        ["2025-01-13", "2025-02-07"],
        [240, 1200],
        NEW_YORK,
    );
    vec![
        naive(
            "firstrate/AAPL_full_1min_adjsplit.txt",
            "",
            &stock("AAPL", 1),
            SECONDS,
        ),
        naive(
            "firstrate/MSFT_full_5min_UNADJUSTED.txt",
            "",
            &stock("MSFT", 5),
            SECONDS,
        ),
        naive(
            "firstrate/AAPL_full_30min_adjsplitdiv.txt",
            "",
            &stock("AAPL", 30),
            SECONDS,
        ),
        naive(
            "firstrate/AAPL_full_1hour_adjsplit.txt",
            "",
            &hours,
            SECONDS,
        ),
        naive(
            "firstrate/extended/AAPL_1min.txt",
            "",
            &extended("AAPL", 1),
            SECONDS,
        ),
        Case::lines(
            "firstrate/SPX_1min.txt",
            "",
            &without_volume(stock("SPX", 1)),
            |bar| format!("{},{}", bar.time(NEW_YORK, SECONDS), bar.ohlc()),
        ),
        naive("kibot/AAPL.txt", "", &stock("AAPL", 1), "%m/%d/%Y,%H:%M"),
        naive("kibot/MSFT.txt", "", &stock("MSFT", 5), "%m/%d/%Y,%H:%M"),
        naive(
            "kibot/early/MSFT.txt",
            "",
            &stock_early("MSFT", 1),
            "%m/%d/%Y,%H:%M",
        ),
        naive("kibot/BRK.B.txt", "", &stock("BRK.B", 15), "%m/%d/%Y,%H:%M"),
    ]
}

pub fn without_volume(mut series: Series) -> Series {
    for bar in &mut series.bars {
        bar.volume = 0.0;
    }
    series
}

fn pandas_and_yfinance() -> Vec<Case> {
    let aapl = stock("AAPL", 1);
    let msft = stock("MSFT", 1);
    let two = |line: &dyn Fn(&str, &Bar) -> String| -> String {
        [&aapl, &msft]
            .iter()
            .flat_map(|series| series.bars.iter().map(|bar| line(&series.ticker, bar)))
            .collect()
    };
    let alpaca = two(&|ticker, bar| {
        let at = bar.time(UTC, "%Y-%m-%d %H:%M:%S+00:00");
        format!("{ticker},{at},{},31,{}\n", bar.ohlcv(), bar.close)
    });
    let wide: String = aapl
        .bars
        .iter()
        .zip(&msft.bars)
        .map(|(a, m)| {
            format!(
                "{},{},{},{},{},{},{},{},{},{},{}\n",
                a.time(UTC, "%Y-%m-%d %H:%M:%S+00:00"),
                a.close,
                m.close,
                a.high,
                m.high,
                a.low,
                m.low,
                a.open,
                m.open,
                a.volume,
                m.volume
            )
        })
        .collect();
    let single: String = (aapl.bars.iter())
        .map(|bar| {
            let at = bar.time(UTC, "%Y-%m-%d %H:%M:%S+00:00");
            let Bar {
                open,
                high,
                low,
                close,
                volume,
                ..
            } = bar;
            format!("{at},{close},{high},{low},{open},{volume}\n")
        })
        .collect();
    vec![
        Case::new(
            "alpaca/bars.csv",
            [aapl.clone(), msft.clone()],
            format!("symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n{alpaca}"),
        ),
        Case::lines(
            "pandas/AAPL.csv",
            ",open,high,low,close,volume",
            &aapl,
            |bar| {
                format!(
                    "{},{}",
                    bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S%:z"),
                    bar.ohlcv()
                )
            },
        ),
        naive(
            "pandas/MSFT.csv",
            ",Open,High,Low,Close,Volume",
            &msft,
            SECONDS,
        ),
        Case::lines(
            "pandas/numbered/AAPL.csv",
            ",timestamp,open,high,low,close,volume",
            &aapl,
            {
                let index = std::cell::Cell::new(0);
                move |bar| {
                    index.set(index.get() + 1);
                    let at = bar.time(UTC, "%Y-%m-%dT%H:%M:%SZ");
                    format!("{},{at},{}", index.get() - 1, bar.ohlcv())
                }
            },
        ),
        Case::lines(
            "yfinance/old/AAPL.csv",
            "Datetime,Open,High,Low,Close,Adj Close,Volume",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S%:z");
                format!("{at},{},{},{}", bar.ohlc(), bar.close, bar.volume)
            },
        ),
        Case::lines(
            "yfinance/history/AAPL.csv",
            "Datetime,Open,High,Low,Close,Volume,Dividends,Stock Splits",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S%:z");
                format!("{at},{},0.0,0.0", bar.ohlcv())
            },
        ),
        Case::new(
            "yfinance/AAPL_1m.csv",
            [aapl.clone()],
            format!(
                "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDatetime,,,,,\n{single}"
            ),
        ),
        Case::new(
            "yfinance/portfolio.csv",
            [aapl.clone(), msft.clone()],
            format!(
                "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n\
                 Ticker,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT\nDatetime,,,,,,,,,,\n{wide}"
            ),
        ),
    ]
}

fn apis() -> Vec<Case> {
    let aapl = stock("AAPL", 1);
    let nanos = |bar: &Bar| bar.at * 1_000_000_000;
    let newest_first = |text: String| {
        let (header, rows) = text.split_once('\n').unwrap();
        let rows: Vec<&str> = rows.lines().rev().collect();
        format!("{header}\n{}\n", rows.join("\n"))
    };
    vec![
        Case::lines(
            "polygon/us_stocks_sip/2025-01-13.csv",
            "ticker,volume,open,close,high,low,window_start,transactions",
            &aapl,
            |bar| {
                let Bar {
                    open,
                    high,
                    low,
                    close,
                    volume,
                    ..
                } = bar;
                format!(
                    "AAPL,{volume},{open},{close},{high},{low},{},17",
                    nanos(bar)
                )
            },
        ),
        Case::lines(
            "polygon/client/AAPL.csv",
            ",open,high,low,close,volume,vwap,timestamp,transactions,otc",
            &aapl,
            |bar| format!("0,{},{},{},17,", bar.ohlcv(), bar.close, bar.at * 1000),
        ),
        Case::lines("polygon/rest/AAPL.csv", "v,vw,o,c,h,l,t,n", &aapl, |bar| {
            let Bar {
                open,
                high,
                low,
                close,
                volume,
                at,
            } = bar;
            format!(
                "{volume},{close},{open},{close},{high},{low},{},17",
                at * 1000
            )
        }),
        Case::lines(
            "databento/xnas-itch-20250113.ohlcv-1m.csv",
            "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol",
            &aapl,
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%dT%H:%M:%S.000000000Z");
                format!("{at},33,2,32,{},AAPL", bar.ohlcv())
            },
        ),
        Case::lines(
            "databento/raw/xnas-itch-20250113.ohlcv-1m.csv",
            "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol",
            &aapl,
            |bar| {
                let raw = |price: f64| (price * 1e9).round() as i64;
                let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(raw);
                format!(
                    "{},33,2,32,{open},{high},{low},{close},{},AAPL",
                    nanos(bar),
                    bar.volume
                )
            },
        ),
        naive(
            "alphavantage/intraday_1min_AAPL.csv",
            "timestamp,open,high,low,close,volume",
            &aapl,
            SECONDS,
        )
        .edit(newest_first),
        naive(
            "alphavantage/intraday_5min_MSFT.csv",
            "timestamp,open,high,low,close,volume",
            &stock("MSFT", 5),
            SECONDS,
        )
        .edit(newest_first),
        Case::lines(
            "twelvedata/AAPL_1min.csv",
            "datetime;open;high;low;close;volume",
            &aapl,
            |bar| format!("{};{}", bar.time(NEW_YORK, SECONDS), bar.separated(";")),
        )
        .edit(newest_first),
        Case::lines(
            "eodhd/AAPL.csv",
            "Timestamp,Gmtoffset,Datetime,Open,High,Low,Close,Volume",
            &aapl,
            |bar| format!("{},0,{},{}", bar.at, bar.time(UTC, SECONDS), bar.ohlcv()),
        ),
        Case::lines(
            "tiingo/AAPL.csv",
            "date,open,high,low,close,volume",
            &aapl,
            |bar| {
                format!(
                    "{},{}",
                    bar.time(UTC, "%Y-%m-%dT%H:%M:%S.000Z"),
                    bar.ohlcv()
                )
            },
        ),
        Case::lines("finnhub/AAPL.csv", "c,h,l,o,s,t,v", &aapl, |bar| {
            let Bar {
                open,
                high,
                low,
                close,
                volume,
                at,
            } = bar;
            format!("{close},{high},{low},{open},ok,{at},{volume}")
        }),
        Case::lines(
            "fmp/AAPL.csv",
            "date,open,low,high,close,volume",
            &aapl,
            |bar| {
                let Bar {
                    open,
                    high,
                    low,
                    close,
                    volume,
                    ..
                } = bar;
                format!(
                    "{},{open},{low},{high},{close},{volume}",
                    bar.time(NEW_YORK, SECONDS)
                )
            },
        )
        .edit(newest_first),
        Case::lines(
            "tradier/AAPL.csv",
            "time,timestamp,price,open,high,low,close,volume,vwap",
            &aapl,
            |bar| {
                let local = bar.time(NEW_YORK, "%Y-%m-%dT%H:%M:%S");
                format!(
                    "{local},{},{},{},{}",
                    bar.at,
                    bar.close,
                    bar.ohlcv(),
                    bar.close
                )
            },
        ),
        Case::lines(
            "schwab/AAPL.csv",
            "open,high,low,close,volume,datetime",
            &aapl,
            |bar| format!("{},{}", bar.ohlcv(), bar.at * 1000),
        ),
        Case::lines(
            "robinhood/AAPL.csv",
            "begins_at,open_price,close_price,high_price,low_price,volume,session,interpolated,symbol",
            &stock("AAPL", 5),
            |bar| {
                let Bar {
                    open,
                    high,
                    low,
                    close,
                    volume,
                    ..
                } = bar;
                let at = bar.time(UTC, "%Y-%m-%dT%H:%M:%SZ");
                format!("{at},{open},{close},{high},{low},{volume},reg,False,AAPL")
            },
        ),
        Case::lines(
            "marketstack/AAPL.csv",
            "date,symbol,exchange,open,high,low,close,last,volume",
            &stock("AAPL", 15),
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%dT%H:%M:%S+0000");
                format!("{at},AAPL,IEXG,{},{},{}", bar.ohlc(), bar.close, bar.volume)
            },
        ),
        Case::lines(
            "intrinio/AAPL.csv",
            "time,open,close,high,low,volume",
            &stock("AAPL", 5),
            |bar| {
                let Bar {
                    open,
                    high,
                    low,
                    close,
                    volume,
                    ..
                } = bar;
                let at = bar.time(UTC, "%Y-%m-%dT%H:%M:%S.000Z");
                format!("{at},{open},{close},{high},{low},{volume}")
            },
        ),
    ]
}

fn exchanges_and_archives() -> Vec<Case> {
    let aapl = stock("AAPL", 1);
    let five = stock("AAPL.US", 5);
    let mut sber = sessions(
        "SBER",
        1,
        ["2025-01-13", "2025-01-15"],
        [600, 1120],
        chrono_tz::Europe::Moscow,
    );
    sber.ticker = "SBER".to_owned();
    vec![
        Case::lines(
            "stooq/aapl.us.txt",
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
            &five,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y%m%d,%H%M%S");
                format!("AAPL.US,5,{at},{},0", bar.ohlcv())
            },
        ),
        Case::lines(
            "finam/SBER_250113_250115.txt",
            "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>",
            &sber,
            |bar| {
                let at = bar.time(chrono_tz::Europe::Moscow, "%Y%m%d;%H%M%S");
                format!("SBER;1;{at};{}", bar.separated(";"))
            },
        )
        .needs("--timezone Europe/Moscow"),
        Case::lines(
            "pitrading/AAPL.txt",
            "\"Date\",\"Time\",\"Open\",\"High\",\"Low\",\"Close\",\"Volume\"",
            &aapl,
            |bar| format!("{},{}", bar.time(NEW_YORK, "%m/%d/%Y,%-H%M"), bar.ohlcv()),
        ),
        Case::lines("tickdata/AAPL.csv", "", &aapl, |bar| {
            format!("{},{}", bar.time(NEW_YORK, "%m/%d/%Y,%H:%M:%S.000"), bar.ohlcv())
        }),
        Case::lines("quantquote/allstocks_20250113/table_aapl.csv", "", &aapl, |bar| {
            format!("{},{},1,0,0", bar.time(NEW_YORK, "%Y%m%d,%-H%M"), bar.ohlcv())
        })
        .needs("--ticker AAPL"),
        Case::lines(
            "algoseek/AAPL.csv",
            "Date,Ticker,TimeBarStart,FirstTradePrice,HighTradePrice,LowTradePrice,LastTradePrice,VolumeWeightPrice,Volume,TotalTrades",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y%m%d,AAPL,%H:%M");
                format!("{at},{},{},{},17", bar.ohlc(), bar.close, bar.volume)
            },
        )
        .needs("--columns date=1,time=3,open=4,high=5,low=6,close=7,vwap=8,volume=9,trades=10"),
        Case::lines(
            "refinitiv/AAPL.O.csv",
            "#RIC,Domain,Date-Time,GMT Offset,Type,Open,High,Low,Last,Volume",
            &with_ticker(aapl.clone(), "AAPL.O"),
            |bar| {
                let at = bar.time(UTC, "%Y-%m-%dT%H:%M:%S.000000000Z");
                format!("AAPL.O,Market Price,{at},-5,Intraday 1Min,{}", bar.ohlcv())
            },
        )
        .needs("--columns ts=3,open=6,high=7,low=8,close=9,volume=10 --ticker AAPL.O"),
        Case::lines(
            "barchart/aapl_intraday-1min_historical-data-01-15-2025.csv",
            "Time,Open,High,Low,Last,Change,%Chg,Volume",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%m/%d/%Y %H:%M");
                format!("{at},{},0.01,0.01%,{}", bar.ohlc(), bar.volume)
            },
        )
        .edit(|text| format!("{text}\"Downloaded from Barchart.com as of 01-15-2025 05:12pm CST\"\n"))
        .needs("--columns ts=1,open=2,high=3,low=4,close=5,volume=8"),
        Case::lines(
            "marketwatch/AAPL.csv",
            "Date,Open,High,Low,Close,Volume",
            &aapl,
            |bar| {
                let volume = thousands(bar.volume);
                let at = bar.time(NEW_YORK, "%m/%d/%Y %I:%M %p");
                format!("{at},{},\"{volume}\"", bar.ohlc())
            },
        ),
    ]
}

pub fn with_ticker(mut series: Series, ticker: &str) -> Series {
    series.ticker = ticker.to_owned();
    series
}

/// `12,345`
pub fn thousands(value: f64) -> String {
    let digits = (value as i64).to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn platforms() -> Vec<Case> {
    let aapl = stock("AAPL", 1);
    let closing = |bar: &Bar| Bar {
        at: bar.at + 60,
        ..bar.clone()
    };
    vec![
        Case::lines(
            "tradestation/AAPL.txt",
            "\"Date\",\"Time\",\"Open\",\"High\",\"Low\",\"Close\",\"Up\",\"Down\"",
            &aapl,
            |bar| {
                let at = closing(bar).time(NEW_YORK, "%m/%d/%Y,%H:%M");
                let up = (bar.volume / 3.0).floor();
                format!("{at},{},{up},{}", bar.ohlc(), bar.volume - up)
            },
        )
        .needs("--timestamp-label close"),
        Case::lines("ninjatrader/AAPL.Last.txt", "", &aapl, |bar| {
            let at = closing(bar).time(UTC, "%Y%m%d %H%M%S");
            format!("{at};{}", bar.separated(";"))
        }),
        Case::lines(
            "multicharts/AAPL.txt",
            "<Date>,<Time>,<Open>,<High>,<Low>,<Close>,<Volume>",
            &aapl,
            |bar| {
                let at = closing(bar).time(NEW_YORK, "%m/%d/%Y,%H:%M:%S");
                format!("{at},{}", bar.ohlcv())
            },
        )
        .needs("--timestamp-label close"),
        Case::lines(
            "sierrachart/AAPL.txt",
            "Date, Time, Open, High, Low, Last, Volume, NumberOfTrades, BidVolume, AskVolume",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y/%-m/%-d, %H:%M:%S");
                format!("{at}, {}, 17, 100, 200", bar.ohlcv().replace(',', ", "))
            },
        ),
        Case::lines(
            "ib/tws/AAPL.csv",
            "date,open,high,low,close,volume,average,barCount",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y%m%d  %H:%M:%S");
                format!("{at},{},{},17", bar.ohlcv(), bar.close)
            },
        ),
        Case::lines(
            "ib/zone/AAPL.csv",
            "date,open,high,low,close,volume,average,barCount",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y%m%d %H:%M:%S US/Eastern");
                format!("{at},{},{},17", bar.ohlcv(), bar.close)
            },
        ),
        Case::lines(
            "ib_insync/AAPL.csv",
            ",date,open,high,low,close,volume,average,barCount",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S%:z");
                format!("0,{at},{},{},17", bar.ohlcv(), bar.close)
            },
        ),
        Case::lines(
            "tradingview/BATS_AAPL, 1.csv",
            "time,open,high,low,close,Volume",
            &aapl,
            |bar| format!("{},{}", bar.at, bar.ohlcv()),
        ),
        Case::lines(
            "tradingview/NASDAQ_AAPL, 5_3f9c1.csv",
            "time,open,high,low,close,Volume,Volume MA",
            &stock("AAPL", 5),
            |bar| {
                let at = bar.time(NEW_YORK, "%Y-%m-%dT%H:%M:%S%:z");
                format!("{at},{},1234.5", bar.ohlcv())
            },
        ),
        Case::lines(
            "amibroker/AAPL.csv",
            "Ticker,Date/Time,Open,High,Low,Close,Volume",
            &stock("AAPL", 5),
            |bar| {
                let at = bar.time(NEW_YORK, "%m/%d/%Y %I:%M:%S %p");
                format!("AAPL,{at},{}", bar.ohlcv())
            },
        ),
        Case::lines(
            "metastock/AAPL.txt",
            "<TICKER>,<NAME>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
            &aapl,
            |bar| {
                let at = bar.time(NEW_YORK, "%Y%m%d,%H%M%S");
                format!("AAPL,Apple,I,{at},{},0", bar.ohlcv())
            },
        ),
        Case::lines(
            "esignal/AAPL.csv",
            "Date,Time,Open,High,Low,Close,Volume",
            &aapl,
            |bar| format!("{},{}", bar.time(NEW_YORK, "%d/%m/%Y,%H:%M"), bar.ohlcv()),
        ),
    ]
}
