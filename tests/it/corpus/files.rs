//! Compressed files, archives, and formats other than CSV.

use std::io::Write;

use super::Case;
use super::market::{NEW_YORK, UTC, coin, stock};

pub fn cases() -> Vec<Case> {
    let plain = |path: &str| {
        Case::lines(
            path,
            "timestamp,open,high,low,close,volume",
            &stock("AAPL", 1),
            |bar| {
                format!(
                    "{},{}",
                    bar.time(NEW_YORK, "%Y-%m-%d %H:%M:%S"),
                    bar.ohlcv()
                )
            },
        )
    };
    let mut gzip = plain("files/AAPL.csv.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&gzip.bytes).unwrap();
    gzip.bytes = encoder.finish().unwrap();
    let mut zstd = plain("files/MSFT.csv.zst");
    zstd.truth = vec![super::stocks::with_ticker(stock("AAPL", 1), "MSFT")];
    zstd.bytes = zstd::encode_all(&zstd.bytes[..], 1).unwrap();
    let json = |path: &str| {
        Case::lines(path, "", &stock("AAPL", 1), |bar| {
            format!(
                "{{\"symbol\":\"AAPL\",\"t\":\"{}\",\"o\":{},\"h\":{},\"l\":{},\"c\":{},\"v\":{},\"n\":17}}",
                bar.time(UTC, "%Y-%m-%dT%H:%M:%SZ"),
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                bar.volume
            )
        })
    };
    let freqtrade = Case::lines(
        "freqtrade/BTC_USDT-1m.json",
        "",
        &coin("BTCUSDT", 1),
        |bar| format!("[{},{}],", bar.at * 1000, bar.ohlcv()),
    )
    .edit(|text| format!("[{}]", text.trim_end().trim_end_matches(',')))
    .impossible();
    vec![gzip, zstd, json("files/bars.jsonl"), freqtrade]
}
