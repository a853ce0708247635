//! Parses arbitrary bytes as a response of FMP.
#![no_main]

mod reader;

use std::sync::LazyLock;

use backfill::model::Source;
use backfill::provider::fmp::Fmp;

use reader::Reader;

static READER: LazyLock<Reader<Fmp>> =
    LazyLock::new(|| Reader::new(|access| Fmp::new(access, Source::new("fmp")), &["AAPL"]));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| READER.check(bytes));
