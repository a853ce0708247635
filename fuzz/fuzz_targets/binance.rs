//! Parses arbitrary bytes as a page of klines of Binance, and as one of its files.
#![no_main]

mod reader;

use std::sync::LazyLock;

use backfill::provider::binance::{Binance, read_file};

use reader::Reader;

/// Klines of the dates of the request.
const PAGE: &str = "0;klines,n,1738558800000,1738817999999";

static READER: LazyLock<Reader<Binance>> =
    LazyLock::new(|| Reader::new(Binance::new, &["BTCUSDT"]).on_page(PAGE));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    READER.check(bytes);
    if let Some(bars) = read_file(bytes) {
        assert!(bars.iter().all(|bar| bar.check().is_ok()));
        assert!(bars.timestamps().is_sorted());
    }
});
