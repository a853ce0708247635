//! Decodes arbitrary bytes as a response of Massive: the bars are valid, sorted and counted, or it is an error.
#![no_main]

use std::sync::{Arc, OnceLock};

use backfill::model::{Basis, DateRange, Hours, Interval, Ticker, Timestamp};
use backfill::provider::massive::Massive;
use backfill::provider::{Access, Credentials, Provider, Reply, Request};
use backfill::secret::Secret;

fn client() -> &'static (Massive, Request) {
    static CLIENT: OnceLock<(Massive, Request)> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let key = Secret::new("k3yThatNobodySees").expect("a key");
        let access = Access {
            credentials: Credentials::new(vec![key]),
            base_url: None,
            clock: Arc::new(|| Timestamp::from_micros(0)),
        };
        let massive = Massive::new(&access);
        let date = |text: &str| text.parse().expect("a date");
        let request = Request {
            tickers: vec![Ticker::new("AAPL").expect("a ticker")],
            interval: Interval::M1,
            dates: DateRange::new(date("2025-02-03"), date("2025-02-05")).expect("dates"),
            tz: chrono_tz::America::New_York,
            basis: Basis::SplitAdjusted,
            hours: Hours::Regular,
            latest: Timestamp::from_micros(i64::MAX),
            page: None,
        };
        (massive.expect("a client"), request)
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (massive, request) = client();
    let reply = Reply {
        origin: "https://example.org/".to_owned(),
        body: bytes.to_vec(),
    };
    if let Ok(page) = massive.parse(request, &reply) {
        for (_, rows) in page.series {
            assert!(rows.bars.iter().all(|bar| bar.check().is_ok()));
            assert!(rows.bars.timestamps().is_sorted());
        }
    }
});
