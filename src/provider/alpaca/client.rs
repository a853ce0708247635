//! The requests: one GET for a window of all its tickers, and one for each further page.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, SecondsFormat};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName};

use super::decode::{self, NotRows};
use super::{classify, symbol};
use crate::model::{Basis, Grid, Hours, Interval, MINUTE_MICROS, Source};
use crate::provider::http::{Http, secret_header};
use crate::provider::{
    Access, Error, ErrorKind, Page, PageToken, Provider, ProviderInfo, Reply, Request, Truncation,
};

/// The service's own address.
pub const BASE_URL: &str = "https://data.alpaca.markets";

/// The headers with the two parts of the key.
const KEY_HEADERS: [&str; 2] = ["apca-api-key-id", "apca-api-secret-key"];

/// Bars of one page, over all tickers: the most that the service allows. Its default is a tenth of
/// it, and a larger number is refused.
const PAGE_BARS: u32 = 10_000;

/// Tickers of one request. The service documents no maximum; others request as many at once.
const TICKERS_MAX: usize = 200;

/// Dates of one request by interval: a few pages of one ticker, so that a failed page loses little.
const DAYS_MAX: [Option<u16>; 5] = [Some(30), Some(90), Some(180), Some(365), Some(365)];

/// Plans without real-time data refuse a request that ends less than 15 minutes ago. A minute more
/// allows for clocks that differ.
const SIP_DELAY_MINUTES: u64 = 16;

/// How long after its close a bar can change.
const CHANGES_SECONDS: u64 = 60;

/// Where the trades of the bars come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// All exchanges.
    Sip,
    /// One exchange: other prices, and fewer minutes with trades.
    Iex,
}

impl Feed {
    fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Iex => "iex",
        }
    }
}

/// The client.
pub struct Alpaca {
    http: Http,
    headers: HeaderMap,
    feed: Feed,
    /// Symbols mean what they mean on this date. It is the same for all requests of a run, so that a
    /// company that is renamed meanwhile has its bars under one name.
    names_of: NaiveDate,
    info: ProviderInfo,
}

impl Alpaca {
    /// A client of one feed. Sends nothing yet.
    pub fn new(access: &Access, feed: Feed) -> Result<Self, Error> {
        let base_url = access.base_url.clone().unwrap_or_else(|| BASE_URL.into());
        let parts = access.credentials.parts();
        if parts.len() != KEY_HEADERS.len() {
            return Err(Error::new(ErrorKind::Key, "a part of the key is missing")
                .with_hint(classify::KEY_ADVICE));
        }
        let headers = (KEY_HEADERS.into_iter().zip(parts))
            .map(|(name, part)| Ok((HeaderName::from_static(name), secret_header(part)?)))
            .collect::<Result<HeaderMap, Error>>()
            .map_err(|error| error.with_hint(classify::KEY_ADVICE))?;
        let now = (access.clock)().to_utc();
        Ok(Self {
            http: Http::new(&base_url, &access.credentials)?,
            headers,
            feed,
            names_of: now
                .with_timezone(&chrono_tz::America::New_York)
                .date_naive(),
            info: info(feed),
        })
    }

    fn url(&self, request: &Request) -> Result<Url, Error> {
        request.check(&self.info)?;
        let [start, end] = self.ends(request)?;
        let mut symbols: Vec<String> = request.tickers.iter().map(symbol::spelled).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let timeframe = match request.interval {
            Interval::M1 => "1Min",
            Interval::M5 => "5Min",
            Interval::M15 => "15Min",
            Interval::M30 => "30Min",
            Interval::M60 => "1Hour",
        };
        let adjustment = match request.basis {
            Basis::Unadjusted => "raw",
            Basis::SplitAdjusted | Basis::Unknown => "split",
        };
        let mut url = self.http.url(&["v2", "stocks", "bars"]);
        url.query_pairs_mut()
            .append_pair("symbols", &symbols.join(","))
            .append_pair("timeframe", timeframe)
            .append_pair("start", &start)
            .append_pair("end", &end)
            .append_pair("limit", &PAGE_BARS.to_string())
            .append_pair("adjustment", adjustment)
            .append_pair("feed", self.feed.name())
            .append_pair("asof", &self.names_of.to_string())
            .append_pair("sort", "asc");
        if let Some(PageToken(token)) = &request.page {
            url.query_pairs_mut().append_pair("page_token", token);
        }
        Ok(url)
    }

    /// The ends of a request, both included. **They follow from the request alone**: further pages
    /// must have the same.
    fn ends(&self, request: &Request) -> Result<[String; 2], Error> {
        let instants = request.instants();
        let mut last = instants.end - 1_000;
        if self.feed == Feed::Sip {
            let delay = SIP_DELAY_MINUTES as i64 * MINUTE_MICROS;
            last = last.min(request.made_at().micros() - delay);
        }
        if last < instants.start {
            let message = "the provider has no bars of these dates yet";
            return Err(Error::new(ErrorKind::Withheld, message).in_window(request));
        }
        Ok([instants.start, last].map(|micros| {
            let at = DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH);
            at.to_rfc3339_opts(SecondsFormat::Millis, true)
        }))
    }

    async fn get(&self, request: &Request) -> Result<Reply, Error> {
        let url = self.url(request)?;
        let response = self.http.get(request, url, self.headers.clone()).await?;
        match response.status {
            200 => return Ok(response.reply),
            // Nothing there.
            204 => {
                return Ok(Reply {
                    body: decode::EMPTY.to_vec(),
                    ..response.reply
                });
            }
            _ => {}
        }
        let body = &response.reply.body;
        let text = classify::error_text(body)
            .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        let error = classify::of_status(request, response.status, &text);
        let error = match text.trim() {
            "" => error,
            text => error.with_detail(self.http.excerpt(text.as_bytes())),
        };
        Err(error.with_retry_after(response.retry_after))
    }
}

impl Provider for Alpaca {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        self.get(request).boxed()
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        let mut page = decode::page(&reply.body, request, &reply.origin).map_err(|why| {
            let error = match why {
                NotRows::NotJson(source) => {
                    Error::new(ErrorKind::Transient, "the response is not JSON").with_source(source)
                }
                NotRows::OtherJson => {
                    let message = "the response is not an object with bars";
                    Error::new(ErrorKind::Unexpected, message)
                }
                NotRows::OtherTicker => {
                    let message = "the response has bars of another ticker";
                    Error::new(ErrorKind::Unexpected, message)
                }
            };
            let start = self.http.excerpt(&reply.body);
            error.in_window(request).with_detail(start)
        })?;
        for (_, rows) in &mut page.series {
            for row in &mut rows.rejects {
                row.reject.raw = self.http.redact(&row.reject.raw);
            }
        }
        Ok(page)
    }
}

/// What the service documents, and what its clients measured.
pub(super) fn info(feed: Feed) -> ProviderInfo {
    let date = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    let (source, delay_minutes, history_begins) = match feed {
        Feed::Sip => {
            let begins = date(2016, 1, 1)..=date(2016, 1, 31);
            ("alpaca-sip", SIP_DELAY_MINUTES, begins)
        }
        Feed::Iex => ("alpaca-iex", 0, date(2020, 1, 1)..=date(2022, 12, 31)),
    };
    let delay = Duration::from_secs(delay_minutes * 60);
    ProviderInfo {
        source: Source::new(source),
        exchange: "NASDAQ",
        probe: "AAPL",
        window_days: DAYS_MAX,
        ends_with_month: false,
        tickers_per_request: TICKERS_MAX,
        truncation: Truncation::Announces {
            page_bars: PAGE_BARS,
            by_ticker: true,
        },
        window_requests: None,
        basis: &[Basis::SplitAdjusted, Basis::Unadjusted],
        hours: &[Hours::Extended],
        hour_grid: |_| Grid::Clock,
        rate_default: NonZeroU32::new(200),
        limit_lasts: Duration::from_secs(60),
        settles_after: delay + Duration::from_secs(CHANGES_SECONDS),
        withholds: delay,
        history_years: &[],
        history_begins: Some(history_begins),
    }
}
