//! A provider of the tests, and a small example of one. It differs from FMP in every fact: several
//! tickers per request, responses in pages, UTC times, unadjusted prices, bars outside the session, a
//! key of two parts. So the rest of the program depends on no provider's peculiarities. Its simulator is
//! `src/simulator/toy.rs`. Releases have neither.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::bad_row::NotBar;
use super::entry::ProviderEntry;
use super::http::{Http, secret_header};
use super::{
    Access, Error, ErrorKind, Page, PageToken, Provider, ProviderInfo, Reply, Request, Rows,
    Truncation,
};
use crate::model::{Bar, Basis, Grid, Hours, Reason, Source, Ticker, Timestamp};

/// Tickers that one request may name.
const TICKERS_MAX: usize = 3;
/// Dates that one request may span.
const DAYS_MAX: u16 = 5;

/// The provider of the tests; help doesn't list it.
pub const ENTRY: ProviderEntry = ProviderEntry {
    name: "toy",
    help: "a provider of the tests",
    hidden: true,
    keys: &[&["TOY_KEY_ID", "TOY_KEY"], &["TOY_SECRET"]],
    base_url_env: Some("TOY_BASE_URL"),
    feeds: &[],
    info,
    open: |access| Ok(Arc::new(Toy::new(&access)?)),
};

fn info() -> ProviderInfo {
    ProviderInfo {
        source: Source::new("toy"),
        exchange: "NASDAQ",
        probe: "ACME",
        window_days: [Some(DAYS_MAX), Some(DAYS_MAX), None, None, Some(DAYS_MAX)],
        ends_with_month: false,
        tickers_per_request: TICKERS_MAX,
        truncation: Truncation::Announces {
            page_bars: 500,
            by_ticker: false,
        },
        window_requests: None,
        basis: &[Basis::Unadjusted],
        hours: &[Hours::Extended],
        hour_grid: |_| Grid::Clock,
        rate_default: NonZeroU32::new(6_000),
        limit_lasts: Duration::from_secs(60),
        settles_after: Duration::from_secs(60),
        withholds: Duration::ZERO,
        history_years: &[],
        history_begins: None,
    }
}

/// The client.
pub(super) struct Toy {
    http: Http,
    headers: HeaderMap,
    info: ProviderInfo,
}

/// A body: rows of any order of tickers, and the next page.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    bars: Vec<&'a RawValue>,
    next: Option<String>,
}

/// A row: ticker, when it opens in microseconds, open, high, low, close and volume.
type RawBar<'a> = (&'a str, i64, f64, f64, f64, f64, f64);

/// The bar of a row, and its ticker; the error says why it isn't one of the request.
fn bar<'a>(raw: &'a RawValue, request: &Request) -> Result<(&'a str, Result<Bar, NotBar>), NotBar> {
    let row: RawBar<'a> = serde_json::from_str(raw.get()).map_err(|_| (Reason::BadNumber, None))?;
    let (name, at, open, high, low, close, volume) = row;
    if !request.instants().contains(&at) {
        return Ok((name, Err((Reason::OutsideRange, None))));
    }
    let bar = Bar::new(Timestamp::from_micros(at), [open, high, low, close], volume);
    let checked = bar.check_until(request.latest).map(|()| bar);
    Ok((name, checked.map_err(|reason| (reason, Some(at)))))
}

impl Toy {
    pub(super) fn new(access: &Access) -> Result<Self, Error> {
        let url = access
            .base_url
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::BaseUrl, "TOY_BASE_URL is not set"))?;
        let names = ["x-key-id", "x-key-secret"].map(HeaderName::from_static);
        let values = access.credentials.parts().iter().map(secret_header);
        let headers = (names.into_iter().zip(values))
            .map(|(name, value)| Ok((name, value?)))
            .collect::<Result<HeaderMap, Error>>()?;
        Ok(Self {
            http: Http::new(url, &access.credentials)?,
            headers,
            info: info(),
        })
    }

    async fn get(&self, request: &Request) -> Result<Reply, Error> {
        request.check(&self.info)?;
        let instants = request.instants();
        let tickers: Vec<&str> = request.tickers.iter().map(Ticker::as_str).collect();
        let mut url = self
            .http
            .url(&["bars", &request.interval.minutes().to_string()]);
        url.query_pairs_mut()
            .append_pair("tickers", &tickers.join(","))
            .append_pair("from", &instants.start.to_string())
            .append_pair("before", &instants.end.to_string());
        if let Some(PageToken(page)) = &request.page {
            url.query_pairs_mut().append_pair("page", page);
        }
        let response = self.http.get(request, url, self.headers.clone()).await?;
        let detail = || self.http.excerpt(&response.reply.body);
        match response.status {
            200 => Ok(response.reply),
            401 => {
                Err(Error::new(ErrorKind::Key, "the provider refuses the key")
                    .with_detail(detail()))
            }
            422 => {
                let text = String::from_utf8_lossy(&response.reply.body);
                let is_named = |ticker: &&Ticker| text.split(' ').next() == Some(ticker.as_str());
                let ticker = request.tickers.iter().find(is_named).cloned();
                Err(
                    Error::new(ErrorKind::Ticker, "the provider refuses a ticker")
                        .about(ticker)
                        .with_detail(detail()),
                )
            }
            429 => Err(Error::new(ErrorKind::Limit, "too many requests")
                .with_retry_after(response.retry_after)),
            _ => Err(Error::new(ErrorKind::Transient, "the provider failed").with_detail(detail())),
        }
    }
}

impl Provider for Toy {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        self.get(request).boxed()
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        let body: Body<'_> = serde_json::from_slice(&reply.body).map_err(|error| {
            Error::new(ErrorKind::Transient, "the response is not a page of bars")
                .in_window(request)
                .with_source(error)
        })?;
        let mut page = Page {
            series: Vec::new(),
            next: body.next.map(PageToken),
        };
        for (line, raw) in (1..).zip(body.bars) {
            // A row whose ticker can't be read counts for the first one.
            let (name, row) = bar(raw, request).unwrap_or_else(|why| {
                let first = request.tickers[0].as_str();
                (first, Err(why))
            });
            let is_named = |ticker: &&Ticker| ticker.as_str() == name;
            let Some(ticker) = request.tickers.iter().find(is_named) else {
                let message = "the response has bars of another ticker";
                return Err(Error::new(ErrorKind::Unexpected, message).in_window(request));
            };
            let index = page.series.iter().position(|(known, _)| known == ticker);
            let index = index.unwrap_or_else(|| {
                page.series.push((ticker.clone(), Rows::default()));
                page.series.len() - 1
            });
            let raw = self.http.redact(raw.get());
            page.series[index].1.add(row, line, &raw, &reply.origin);
        }
        Ok(page)
    }
}
