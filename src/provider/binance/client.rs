//! The requests of a window: checksums, files and pages of klines, one GET each.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;

use super::archive::{self, Expected};
use super::classify::{self, error_of};
use super::files::Files;
use super::klines::{self, NotKlines};
use super::row::Bounds;
use super::steps::{File, PAGE_ROWS, Span, Step, Steps, Why};
use super::symbol::{in_tether, interval_name, pair};
use crate::model::{Basis, Grid, Hours, Interval, Source};
use crate::provider::http::Http;
use crate::provider::{
    Access, Error, ErrorKind, Page, PageToken, Provider, ProviderInfo, Reply, Request, Rows,
    Truncation,
};

/// The address of klines: public market data only.
pub const BASE_URL: &str = "https://data-api.binance.vision";

/// The address of files.
pub const FILES_URL: &str = "https://data.binance.vision";

/// Dates of one request: a month.
const DAYS_MAX: u16 = 31;

/// How often a file that doesn't fit its checksum is requested.
const ATTEMPTS_MAX: u8 = 2;

/// How much of the service's limit its responses say is used.
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";

/// The client.
pub struct Binance {
    klines: Http,
    files: Files,
    info: ProviderInfo,
}

impl Binance {
    /// A client. Sends nothing yet.
    pub fn new(access: &Access) -> Result<Self, Error> {
        let http = |otherwise: &str| {
            let base_url = access.base_url.clone().unwrap_or_else(|| otherwise.into());
            Http::new(&base_url, &access.credentials)
        };
        Ok(Self {
            klines: http(BASE_URL)?,
            files: Files::new(http(FILES_URL)?),
            info: info(),
        })
    }

    /// The steps from `page` on; an error if the request is beyond what the provider offers.
    fn steps(&self, request: &Request, page: Option<&PageToken>) -> Result<Steps, Error> {
        request.check(&self.info)?;
        let steps = Steps::of(request, page).filter(|steps| steps.next().is_some());
        steps.ok_or_else(|| Error::new(ErrorKind::BadRequest, "the page is unknown"))
    }

    async fn get(&self, request: &Request) -> Result<Reply, Error> {
        let mut steps = self.steps(request, request.page.as_ref())?;
        let is_changed = self.files.are_down() && steps.without_files(Bounds::of(request));
        let reply = match steps.next() {
            Some(Step::Klines(span)) => self.get_klines(request, span).await?,
            Some(Step::Checksum { file, .. }) => {
                self.files.get(request, *file, ".zip.CHECKSUM").await?
            }
            Some(Step::Content { file, .. }) => self.files.get(request, *file, ".zip").await?,
            None => return Err(Error::new(ErrorKind::BadRequest, "nothing to request")),
        };
        Ok(Reply {
            page: steps.token().filter(|_| is_changed),
            ..reply
        })
    }

    async fn get_klines(&self, request: &Request, span: &Span) -> Result<Reply, Error> {
        let mut url = self.klines.url(&["api", "v3", "klines"]);
        url.query_pairs_mut()
            .append_pair("symbol", &pair(request))
            .append_pair("interval", interval_name(request.interval))
            .append_pair("startTime", &span.from.to_string())
            .append_pair("endTime", &span.to.to_string())
            .append_pair("limit", &PAGE_ROWS.to_string());
        let response = self.klines.get(request, url, HeaderMap::new()).await?;
        if let Some(weight) = response.headers.get(USED_WEIGHT) {
            tracing::debug!("weight used in this minute: {weight:?}");
        }
        if response.status == 200 {
            return Ok(response.reply);
        }
        let error = error_of(&self.klines, request, &response);
        if error.kind() != ErrorKind::Ticker {
            return Err(error);
        }
        // The service refuses a pair over REST once it isn't traded any more.
        let is_only_in_files = match span.why {
            Why::Missing => true,
            Why::NoFile => self.files.have(&pair(request)),
            Why::Unusable => {
                let ticker = &request.tickers[0];
                if in_tether(ticker.as_str()).is_some() {
                    return Err(error);
                }
                let message = format!(
                    "the provider doesn't have {ticker} over REST, and its files can't be read"
                );
                return Err(Error::new(ErrorKind::Ticker, message));
            }
        };
        match is_only_in_files {
            // As a page without klines.
            true => Ok(Reply {
                body: b"[]".to_vec(),
                ..response.reply
            }),
            false => Err(error),
        }
    }

    fn parse_klines(
        &self,
        request: &Request,
        reply: &Reply,
        (span, steps): (Span, &mut Steps),
    ) -> Result<Rows, Error> {
        let unexpected = |message: &str| Error::new(ErrorKind::Unexpected, message);
        let page = klines::page(&reply.body, Bounds::of(request), &reply.origin);
        let page = page.map_err(|why| {
            let start = self.klines.excerpt(&reply.body);
            let error = match why {
                NotKlines::NotJson(source) => {
                    Error::new(ErrorKind::Transient, "the response is not JSON").with_source(source)
                }
                NotKlines::OtherJson => match classify::refusal(&reply.body) {
                    Some(refusal) => classify::of_status(request, 200, Some(&refusal)),
                    None => unexpected("the response is not a list of klines"),
                },
                NotKlines::TooMany => unexpected("the response has too many klines"),
            };
            error.in_window(request).with_detail(start)
        })?;
        // A page can be shorter than the limit, so only an empty one or the end of the span ends the
        // pages.
        let interval = request.interval.micros() / 1_000;
        let next = page
            .newest
            .map(|newest| newest.div_euclid(1_000) + interval);
        if let Some(next) = next.filter(|next| *next <= span.to) {
            if next <= span.from {
                let message = "the response has no kline after the requested start";
                return Err(unexpected(message).in_window(request));
            }
            steps.push(Step::Klines(Span { from: next, ..span }));
        }
        Ok(page.rows)
    }

    /// Continues after a checksum.
    fn parse_checksum(
        reply: &Reply,
        (file, attempt): (File, u8),
        steps: &mut Steps,
        bounds: Bounds,
    ) {
        if reply.body.is_empty() {
            return steps.not_there(file, bounds);
        }
        match archive::checksum(&reply.body) {
            Some(sha256) => steps.push(Step::Content {
                file,
                attempt,
                sha256,
            }),
            None => again(reply, (file, attempt), steps, bounds, "it isn't a checksum"),
        }
    }

    fn parse_content(
        &self,
        request: &Request,
        reply: &Reply,
        (file, attempt, sha256): (File, u8, &str),
        steps: &mut Steps,
    ) -> Rows {
        let bounds = Bounds::of(request);
        if reply.body.is_empty() {
            steps.not_there(file, bounds);
            return Rows::default();
        }
        if !archive::fits(&reply.body, sha256) {
            let why = "it doesn't match its checksum";
            again(reply, (file, attempt), steps, bounds, why);
            return Rows::default();
        }
        let expected = Expected {
            file,
            interval: request.interval,
            bounds,
        };
        match archive::read(&reply.body, &expected, &reply.origin) {
            Ok(found) => {
                steps.found();
                for span in found.missing {
                    steps.request_last(span);
                }
                self.files.add(pair(request));
                found.rows
            }
            Err(why) => {
                again(reply, (file, ATTEMPTS_MAX), steps, bounds, &why);
                Rows::default()
            }
        }
    }
}

impl Provider for Binance {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        self.get(request).boxed()
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        let page = reply.page.as_ref().or(request.page.as_ref());
        let mut steps = self.steps(request, page)?;
        let step = steps.next().cloned();
        steps.pop();
        let mut rows = match step {
            Some(Step::Klines(span)) => self.parse_klines(request, reply, (span, &mut steps))?,
            Some(Step::Checksum { file, attempt }) => {
                let bounds = Bounds::of(request);
                Self::parse_checksum(reply, (file, attempt), &mut steps, bounds);
                Rows::default()
            }
            Some(Step::Content {
                file,
                attempt,
                sha256,
            }) => self.parse_content(request, reply, (file, attempt, &sha256), &mut steps),
            None => Rows::default(),
        };
        for row in &mut rows.rejects {
            row.reject.raw = self.klines.redact(&row.reject.raw);
        }
        Ok(Page {
            series: vec![(request.tickers[0].clone(), rows)],
            next: steps.token(),
        })
    }
}

/// Continues after a damaged file: requests it again with its checksum, then its bars over REST.
fn again(reply: &Reply, (file, attempt): (File, u8), steps: &mut Steps, bounds: Bounds, why: &str) {
    let attempt = attempt + 1;
    if attempt < ATTEMPTS_MAX {
        tracing::debug!("requesting {} again: {why}", reply.origin);
        return steps.push(Step::Checksum { file, attempt });
    }
    tracing::warn!(
        "{} can't be used: {why}; its bars are requested without it",
        reply.origin
    );
    steps.request(file, bounds, Why::Unusable);
}

/// What the service documents.
pub(super) fn info() -> ProviderInfo {
    ProviderInfo {
        source: Source::new("binance"),
        exchange: "CRYPTO",
        probe: "BTCUSDT",
        window_days: [Some(DAYS_MAX); 5],
        ends_with_month: true,
        tickers_per_request: 1,
        truncation: Truncation::Announces {
            page_bars: PAGE_ROWS as u32,
            by_ticker: false,
        },
        window_requests: Some(Steps::count),
        // A pair has no splits, so its prices are the same in both.
        basis: &[Basis::Unadjusted, Basis::SplitAdjusted],
        hours: &[Hours::Regular],
        // Trading begins at midnight UTC.
        hour_grid: |hours| Grid::of(Interval::M60, hours),
        // Klines have a weight of 2; 6,000 a minute are allowed.
        rate_default: NonZeroU32::new(3_000),
        limit_lasts: Duration::from_secs(180),
        settles_after: Duration::from_secs(60),
        withholds: Duration::ZERO,
        history_years: &[],
        history_begins: None,
    }
}
