//! Parses arbitrary bytes as a response of Massive.
#![no_main]

mod reader;

use std::sync::LazyLock;

use backfill::provider::massive::Massive;

use reader::Reader;

static READER: LazyLock<Reader<Massive>> = LazyLock::new(|| Reader::new(Massive::new, &["AAPL"]));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| READER.check(bytes));
