//! A small file of each layout.

use super::{bars, dry, lines};
use crate::support::TestEnv;

/// The bars of AAPL that are in all files here.
const AAPL: [&str; 2] = [
    "AAPL,2025-01-02T14:30:00Z,10,12,9,11,100",
    "AAPL,2025-01-02T14:31:00Z,11,13,10.5,12.25,250.5",
];

#[test]
fn own() {
    let text = "ticker,timestamp,open,high,low,close,volume,vwap,trades\n\
        AAPL,2025-01-02T14:30:00Z,10,12,9,11,100,10.5,7\n\
        AAPL,2025-01-02T14:31:00Z,11,13,10.5,12.25,250.5,,\n";
    assert_eq!(
        bars("any.csv", text, "--interval 1"),
        [
            "AAPL,2025-01-02T14:30:00Z,10,12,9,11,100,10.5,7",
            "AAPL,2025-01-02T14:31:00Z,11,13,10.5,12.25,250.5,,"
        ]
    );
    let alone = "timestamp,open,high,low,close,volume\n2025-01-02T14:30:00Z,10,12,9,11,100\n";
    assert_eq!(bars("aapl.csv", alone, "--interval 1"), AAPL[..1]);
}

#[test]
fn firstrate() {
    let text = "2025-01-02 09:30:00,10,12,9,11,100\n2025-01-02 09:31:00,11,13,10.5,12.25,250.5\n";
    assert_eq!(bars("AAPL_full_1min.txt", text, ""), AAPL);
    let index = "2025-01-02 09:30:00,10,12,9,11\n";
    assert_eq!(
        bars("SPX_1min.txt", index, ""),
        ["SPX,2025-01-02T14:30:00Z,10,12,9,11,0"]
    );
}

#[test]
fn kibot() {
    let text = "01/02/2025,09:30,10,12,9,11,100\n01/02/2025,09:31,11,13,10.5,12.25,250.5\n";
    assert_eq!(
        bars("AAPL.txt", text, "--interval 1 --date-order mdy"),
        AAPL
    );
}

#[test]
fn pandas_and_alpaca() {
    let text = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n\
        AAPL,2025-01-02 14:30:00+00:00,10.0,12.0,9.0,11.0,100.0,7.0,10.5\n\
        AAPL,2025-01-02 09:31:00-05:00,11,13,10.5,12.25,250.5,8,11.5\n";
    assert_eq!(
        bars("bars.csv", text, "--interval 1"),
        [
            "AAPL,2025-01-02T14:30:00Z,10,12,9,11,100,10.5,7",
            "AAPL,2025-01-02T14:31:00Z,11,13,10.5,12.25,250.5,11.5,8"
        ]
    );
}

#[test]
fn polygon_whose_columns_are_not_in_order() {
    let text = "ticker,volume,open,close,high,low,window_start,transactions\n\
        AAPL,100,10,11,12,9,1735828200000000000,7\n\
        AAPL,250.5,11,12.25,13,10.5,1735828260000000000,8\n";
    assert_eq!(
        bars("2025-01-02.csv", text, "--interval 1"),
        [
            "AAPL,2025-01-02T14:30:00Z,10,12,9,11,100,,7",
            "AAPL,2025-01-02T14:31:00Z,11,13,10.5,12.25,250.5,,8"
        ]
    );
}

#[test]
fn databento_pretty_and_raw() {
    let header = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n";
    let pretty = format!(
        "{header}\
        2025-01-02T14:30:00.000000000Z,33,2,38,10.000000000,12.000000000,9.000000000,11.000000000,100,AAPL\n\
        2025-01-02T14:31:00.000000000Z,33,2,38,11.000000000,13.000000000,10.500000000,12.250000000,250,AAPL\n"
    );
    let raw = format!(
        "{header}\
        1735828200000000000,33,2,38,10000000000,12000000000,9000000000,11000000000,100,AAPL\n\
        1735828260000000000,33,2,38,11000000000,13000000000,10500000000,12250000000,250,AAPL\n"
    );
    let expected = [AAPL[0], "AAPL,2025-01-02T14:31:00Z,11,13,10.5,12.25,250"];
    assert_eq!(bars("xnas-itch.ohlcv-1m.csv", &pretty, ""), expected);
    assert_eq!(bars("xnas-itch.csv", &raw, ""), expected);
}

#[test]
fn metatrader_uses_the_tick_volume_if_the_volume_is_0() {
    let text = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n\
        2025.01.02\t09:30:00\t10\t12\t9\t11\t7\t100\t1\n\
        2025.01.02\t09:31\t11\t13\t10.5\t12.25\t8\t0\t1\n";
    assert_eq!(
        bars("AAPL_M1_202501020930_202501020931.csv", text, ""),
        [AAPL[0], "AAPL,2025-01-02T14:31:00Z,11,13,10.5,12.25,8"]
    );
}

#[test]
fn stooq_has_the_interval_in_each_row() {
    let text = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n\
        AAPL.US,5,20250102,093000,10,12,9,11,100,0\n\
        AAPL.US,5,20250102,093500,11,13,10.5,12.25,250.5,0\n\
        AAPL.US,D,20250102,000000,11,13,10.5,12.25,250.5,0\n";
    let env = TestEnv::new();
    let run = dry(
        &env,
        &[("aapl.us.txt", text.as_bytes())],
        "--strip-suffix .us",
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("(rows=2 rejects=1)"), "{}", run.stderr);
    assert_eq!(
        lines(&env),
        [AAPL[0], "AAPL,2025-01-02T14:35:00Z,11,13,10.5,12.25,250.5"]
    );
}

#[test]
fn dukascopy_is_utc() {
    let text = "Gmt time,Open,High,Low,Close,Volume\n\
        02.01.2025 14:30:00.000,10,12,9,11,100\n02.01.2025 14:31:00.000,11,13,10.5,12.25,250.5\n";
    let name = "AAPL_Candlestick_1_M_BID_02.01.2025-03.01.2025.csv";
    assert_eq!(bars(name, text, ""), AAPL);
}

#[test]
fn histdata_is_new_york_winter_time_all_year() {
    let text = "20250102 093000;10;12;9;11;100\n20250702 093000;11;13;10.5;12.25;250.5\n";
    assert_eq!(
        bars("DAT_ASCII_EURUSD_M1_2025.csv", text, ""),
        [
            "EURUSD,2025-01-02T14:30:00Z,10,12,9,11,100",
            "EURUSD,2025-07-02T14:30:00Z,11,13,10.5,12.25,250.5"
        ]
    );
}

#[test]
fn tradingview_in_seconds_and_in_iso() {
    let epoch = "time,open,high,low,close,Volume,Volume MA\n\
        1735828200,10,12,9,11,100,5\n1735828260,11,13,10.5,12.25,250.5,6\n";
    assert_eq!(bars("BATS_AAPL, 1.csv", epoch, ""), AAPL);
    let iso = "time,open,high,low,close\n2025-01-02T09:30:00-05:00,10,12,9,11\n";
    assert_eq!(
        bars("BATS_AAPL, 1_0a1b2.csv", iso, ""),
        ["AAPL,2025-01-02T14:30:00Z,10,12,9,11,0"]
    );
}

#[test]
fn yahoo_whose_adjusted_close_is_extra() {
    let text = "Datetime,Open,High,Low,Close,Adj Close,Volume\n\
        2025-01-02 09:30:00-05:00,10,12,9,11,5.5,100\n2025-01-02 09:31:00-05:00,11,13,10.5,12.25,6,250.5\n";
    assert_eq!(bars("AAPL.csv", text, "--interval 1"), AAPL);
}

#[test]
fn binance_in_milliseconds_and_in_microseconds() {
    let row = |scale: &str, minute: u32| {
        let open = 1_735_828_200 + minute * 60;
        format!("{open}{scale},10,12,9,11,100,{open}{scale},1000,7,50,500,0\n")
    };
    let text = row("000", 0) + &row("000000", 1);
    assert_eq!(
        bars("BTCUSDT-1m-2025-01.csv", &text, ""),
        [
            "BTCUSDT,2025-01-02T14:30:00Z,10,12,9,11,100,,7",
            "BTCUSDT,2025-01-02T14:31:00Z,10,12,9,11,100,,7"
        ]
    );
}

#[test]
fn fmp() {
    let text = "date,open,low,high,close,volume\n\
        2025-01-02 09:31:00,11,10.5,13,12.25,250.5\n2025-01-02 09:30:00,10,9,12,11,100\n";
    assert_eq!(bars("AAPL.csv", text, "--interval 1"), AAPL);
}

#[test]
fn all_of_them_in_one_folder_and_its_subfolders() {
    let env = TestEnv::new();
    let gz = {
        use std::io::Write;
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(b"01/02/2025,09:30,10,12,9,11,100\n").unwrap();
        out.finish().unwrap()
    };
    let zst = zstd::encode_all(&b"20250102 093000;10;12;9;11;100\n"[..], 1).unwrap();
    let run = dry(
        &env,
        &[
            ("A.csv", b"2025-01-02 09:30:00,10,12,9,11,100\r\n\r\n"),
            ("deep/er/B.txt.gz", &gz),
            ("DAT_ASCII_EURUSD_M1_2025.csv.zst", &zst),
            (
                "D.tsv",
                b"\xef\xbb\xbfdate\ttime\topen\thigh\tlow\tclose\tvol\n2025-01-02\t09:30\t10\t12\t9\t11\t100\n",
            ),
            (
                "E.csv",
                b"\"Note\";open;high;low;close;volume;datetime\n\"x;\"\"y\";10;12;9;11;\"100\";\"2025-01-02 09:30\"\n",
            ),
            ("notes.md", b"# notes"),
        ],
        "--interval 1 --date-order mdy",
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stderr.matches("notes.md").count(), 1, "{}", run.stderr);
    assert!(
        run.stderr.contains("[deep/er/B.txt.gz] Prepared"),
        "{}",
        run.stderr
    );
    assert_eq!(
        lines(&env),
        ["A", "B", "D", "E", "EURUSD"]
            .map(|ticker| format!("{ticker},2025-01-02T14:30:00Z,10,12,9,11,100"))
    );
}
