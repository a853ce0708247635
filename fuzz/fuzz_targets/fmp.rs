//! The FMP decoder on bytes: whatever a body holds, bars are valid, sorted and counted, or it is an error.
#![no_main]

use std::sync::OnceLock;

use backfill::model::{Basis, DateRange, Hours, Interval, Source, Ticker, Timestamp};
use backfill::provider::fmp::{BASE_URL, Fmp, FmpOptions};
use backfill::provider::{ApiKey, Provider, Query, Reply};

fn client() -> &'static (Fmp, Query) {
    static CLIENT: OnceLock<(Fmp, Query)> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let fmp = Fmp::new(FmpOptions {
            base_url: BASE_URL.into(),
            key: ApiKey::new("k3yThatNobodySees").expect("a key"),
            source: Source::new("fmp"),
        });
        let date = |text: &str| text.parse().expect("a date");
        let query = Query {
            tickers: vec![Ticker::new("AAPL").expect("a ticker")],
            interval: Interval::M1,
            dates: DateRange::new(date("2025-02-03"), date("2025-02-05")).expect("dates"),
            tz: chrono_tz::America::New_York,
            basis: Basis::SplitAdjusted,
            hours: Hours::Regular,
            latest: Timestamp::from_micros(i64::MAX),
            page: None,
        };
        (fmp.expect("a client"), query)
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (fmp, query) = client();
    let reply = Reply {
        origin: "https://example.org/".to_owned(),
        body: bytes.to_vec(),
    };
    if let Ok(page) = fmp.read(query, &reply) {
        for (_, rows) in page.series {
            assert!(rows.bars.iter().all(|bar| bar.check().is_ok()));
            assert!(rows.bars.timestamps().is_sorted());
        }
    }
});
