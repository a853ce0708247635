//! What the targets of providers have in common: a client, a request, and the check of a response.

use std::sync::Arc;

use backfill::model::{Basis, DateRange, Hours, Interval, Ticker, Timestamp};
use backfill::provider::{Access, Credentials, PageToken, Provider, Reply, Request};
use backfill::secret::Secret;

/// A provider, and the request whose responses it parses.
pub struct Reader<P> {
    provider: P,
    request: Request,
}

impl<P: Provider> Reader<P> {
    /// The provider that `open` makes, with a request for `tickers`.
    pub fn new<E: std::fmt::Debug>(open: impl FnOnce(&Access) -> Result<P, E>, tickers: &[&str]) -> Self {
        let key = || Secret::new("k3yThatIsNeverShown").expect("a key");
        let access = Access {
            credentials: Credentials::new(vec![key(), key()]),
            base_url: None,
            clock: Arc::new(|| Timestamp::from_micros(0)),
        };
        let provider = open(&access).expect("a client");
        let date = |text: &str| text.parse().expect("a date");
        let request = Request {
            tickers: tickers.iter().map(|ticker| Ticker::new(ticker).expect("a ticker")).collect(),
            interval: Interval::M1,
            dates: DateRange::new(date("2025-02-03"), date("2025-02-05")).expect("dates"),
            tz: chrono_tz::America::New_York,
            basis: Basis::SplitAdjusted,
            hours: Hours::Regular,
            latest: Timestamp::from_micros(i64::MAX),
            page: None,
        };
        Self { provider, request }
    }

    /// The same, for the response to a further page.
    #[allow(dead_code, reason = "not every target has pages")]
    pub fn on_page(mut self, token: &str) -> Self {
        self.request.page = Some(PageToken(token.to_owned()));
        self
    }

    /// Parses a response: its bars are of the request, valid and sorted, or it is an error.
    pub fn check(&self, bytes: &[u8]) {
        let reply = Reply {
            origin: "https://example.org/".to_owned(),
            body: bytes.to_vec(),
            page: None,
        };
        let Ok(page) = self.provider.parse(&self.request, &reply) else {
            return;
        };
        for (ticker, rows) in page.series {
            assert!(self.request.tickers.contains(&ticker));
            assert!(rows.bars.iter().all(|bar| bar.check().is_ok()));
            assert!(rows.bars.timestamps().is_sorted());
        }
    }
}
