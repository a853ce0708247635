//! The requests: one GET per window, and one for each further page.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::decode::{self, NotRows, Unfit};
use super::{classify, symbol};
use crate::model::{Basis, Grid, Hours, Interval, Source};
use crate::provider::http::{Http, bearer_header};
use crate::provider::{
    Access, Error, ErrorKind, Page, PageToken, Provider, ProviderInfo, Reply, Request, Truncation,
};

/// The service's own address.
pub const BASE_URL: &str = "https://api.massive.com";

/// The path of all requests, below the base URL.
const PATH: [&str; 4] = ["v2", "aggs", "ticker", ""];

/// Minutes that one response may be made of: the most that the service allows. Its default is a
/// tenth of it.
const MINUTES_MAX: u32 = 50_000;

/// Dates of one request, of any interval, because the service counts minutes: 30 days of trading
/// around the clock are 43,200.
const DAYS_MAX: u16 = 30;

/// The client.
pub struct Massive {
    http: Http,
    key: HeaderValue,
    info: ProviderInfo,
    /// Whether a request has returned a good response.
    has_succeeded: AtomicBool,
}

impl Massive {
    /// A client. Sends nothing yet.
    pub fn new(access: &Access) -> Result<Self, Error> {
        let base_url = access.base_url.clone().unwrap_or_else(|| BASE_URL.into());
        let key = (access.credentials.parts().first())
            .ok_or_else(|| Error::new(ErrorKind::Key, "the key is missing"));
        Ok(Self {
            key: key
                .and_then(bearer_header)
                .map_err(|error| error.with_hint(classify::KEY_ADVICE))?,
            http: Http::new(&base_url, &access.credentials)?,
            info: info(),
            has_succeeded: AtomicBool::new(false),
        })
    }

    fn url(&self, request: &Request) -> Result<Url, Error> {
        request.check(&self.info)?;
        if let Some(PageToken(page)) = &request.page {
            return Ok(self.http.url_of_page(page));
        }
        let (multiplier, timespan) = match request.interval {
            Interval::M60 => ("1".to_owned(), "hour"),
            shorter => (shorter.minutes().to_string(), "minute"),
        };
        let [from, to] = ends(request);
        let mut url = self.http.url(&[
            "v2",
            "aggs",
            "ticker",
            &symbol::spelled(request.tickers[0].as_str()),
            "range",
            &multiplier,
            timespan,
            &from,
            &to,
        ]);
        url.query_pairs_mut()
            .append_pair("adjusted", &is_adjusted(request).to_string())
            .append_pair("sort", "asc")
            .append_pair("limit", &MINUTES_MAX.to_string());
        Ok(url)
    }

    async fn get(&self, request: &Request) -> Result<Reply, Error> {
        let url = self.url(request)?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, self.key.clone())]);
        let response = self.http.get(request, url, headers).await?;
        if response.status == 200 {
            return Ok(response.reply);
        }
        let body = &response.reply.body;
        let text = classify::error_text(body)
            .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        let error = classify::of_status(request, response.status, &text, self.is_first());
        Err(self
            .with_text(error, &text)
            .with_retry_after(response.retry_after))
    }

    fn is_first(&self) -> bool {
        !self.has_succeeded.load(Ordering::Relaxed)
    }

    fn with_text(&self, error: Error, text: &str) -> Error {
        match text.trim() {
            "" => error,
            text => error.with_detail(self.http.excerpt(text.as_bytes())),
        }
    }

    /// The error of a body that has no rows.
    fn not_rows(&self, request: &Request, reply: &Reply, why: NotRows) -> Error {
        let start = self.http.excerpt(&reply.body);
        let unfit = |message| Error::new(ErrorKind::Unexpected, message).in_window(request);
        match why {
            NotRows::NotJson(source) => {
                Error::new(ErrorKind::Transient, "the response is not JSON")
                    .in_window(request)
                    .with_detail(start)
                    .with_source(source)
            }
            NotRows::OtherJson => {
                unfit("the response is not an object with bars").with_detail(start)
            }
            NotRows::Refused { status, text } => {
                let error = classify::of_body(request, &status, &text, self.is_first());
                self.with_text(error, &text)
            }
            NotRows::Unfit(Unfit::Ticker) => {
                unfit("the response is about another ticker").with_detail(start)
            }
            NotRows::Unfit(Unfit::Basis) => {
                unfit("the response has another price basis than requested").with_detail(start)
            }
        }
    }
}

impl Provider for Massive {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        self.get(request).boxed()
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        let ticker = &request.tickers[0];
        let expected = decode::Expected {
            symbol: &symbol::spelled(request.tickers[0].as_str()),
            is_adjusted: is_adjusted(request),
        };
        let (mut rows, next) = decode::page(&reply.body, request, &expected, &reply.origin)
            .map_err(|why| self.not_rows(request, reply, why))?;
        self.has_succeeded.store(true, Ordering::Relaxed);
        for row in &mut rows.rejects {
            row.reject.raw = self.http.redact(&row.reject.raw);
        }
        let next = match next {
            // The URL itself isn't shown: it may contain anything.
            Some(url) => Some(PageToken(self.http.page(&url, &PATH).ok_or_else(|| {
                let message = "the next page is not at the provider's own address";
                Error::new(ErrorKind::Unexpected, message).in_window(request)
            })?)),
            None => None,
        };
        Ok(Page {
            series: vec![(ticker.clone(), rows)],
            next,
        })
    }
}

fn is_adjusted(request: &Request) -> bool {
    request.basis != Basis::Unadjusted
}

/// The ends of a request, both included. The service reads a date as a day of New York, so other
/// zones need instants, in milliseconds.
fn ends(request: &Request) -> [String; 2] {
    if request.tz == chrono_tz::America::New_York {
        return [request.dates.first(), request.dates.last()].map(|date| date.to_string());
    }
    let instants = request.instants();
    [instants.start / 1_000, instants.end / 1_000 - 1].map(|at| at.to_string())
}

/// What the service documents, and what its clients measured.
pub(super) fn info() -> ProviderInfo {
    ProviderInfo {
        source: Source::new("massive"),
        exchange: "NASDAQ",
        probe: "AAPL",
        window_days: [Some(DAYS_MAX); 5],
        ends_with_month: false,
        tickers_per_request: 1,
        truncation: Truncation::Announces {
            page_bars: MINUTES_MAX,
            by_ticker: true,
        },
        window_requests: None,
        basis: &[Basis::SplitAdjusted, Basis::Unadjusted],
        hours: &[Hours::Extended],
        hour_grid: |_| Grid::Clock,
        rate_default: NonZeroU32::new(5),
        limit_lasts: Duration::from_secs(240),
        settles_after: Duration::from_secs(20 * 60),
        withholds: Duration::from_secs(36 * 3600),
        history_years: &[2, 5, 10],
        history_begins: None,
    }
}
