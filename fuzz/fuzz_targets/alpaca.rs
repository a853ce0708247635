//! Parses arbitrary bytes as a page of Alpaca.
#![no_main]

mod reader;

use std::sync::LazyLock;

use backfill::provider::alpaca::{Alpaca, Feed};

use reader::Reader;

static READER: LazyLock<Reader<Alpaca>> =
    LazyLock::new(|| Reader::new(|access| Alpaca::new(access, Feed::Sip), &["AAPL", "BRK-B"]));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| READER.check(bytes));
