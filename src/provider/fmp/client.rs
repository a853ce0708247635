//! The requests: one GET per window.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::classify;
use super::decode::{self, NotRows};
use crate::model::{Basis, Grid, Hours, Interval, Source};
use crate::provider::http::{Http, HttpResponse, secret_header};
use crate::provider::{
    Access, Error, ErrorKind, Page, Provider, ProviderInfo, Reply, Request, Truncation,
};

/// The service's own address.
pub const BASE_URL: &str = "https://financialmodelingprep.com/stable";

/// The client.
pub struct Fmp {
    http: Http,
    key: HeaderValue,
    info: ProviderInfo,
}

impl Fmp {
    /// A client that stores its bars under `source`. Sends nothing yet.
    pub fn new(access: &Access, source: Source) -> Result<Self, Error> {
        let base_url = access.base_url.clone().unwrap_or_else(|| BASE_URL.into());
        let key = (access.credentials.parts().first())
            .ok_or_else(|| Error::new(ErrorKind::Key, "the key is missing"));
        Ok(Self {
            key: key
                .and_then(secret_header)
                .map_err(|error| error.with_hint(classify::KEY_ADVICE))?,
            http: Http::new(&base_url, &access.credentials)?,
            info: info(source),
        })
    }

    fn url(&self, request: &Request) -> Result<Url, Error> {
        request.check(&self.info)?;
        let interval = match request.interval {
            Interval::M1 => "1min",
            Interval::M5 => "5min",
            Interval::M15 => "15min",
            Interval::M30 => "30min",
            Interval::M60 => "1hour",
        };
        let mut url = self.http.url(&["historical-chart", interval]);
        let mut pairs = url.query_pairs_mut();
        pairs
            .append_pair("symbol", request.tickers[0].as_str())
            .append_pair("from", &request.dates.first().to_string())
            .append_pair("to", &request.dates.last().to_string());
        if request.hours == Hours::Extended {
            pairs.append_pair("extended", "true");
        }
        if request.basis == Basis::Unadjusted {
            pairs.append_pair("nonadjusted", "true");
        }
        drop(pairs);
        Ok(url)
    }

    async fn get(&self, request: &Request) -> Result<Reply, Error> {
        let url = self.url(request)?;
        let headers = HeaderMap::from_iter([(HeaderName::from_static("apikey"), self.key.clone())]);
        let HttpResponse {
            status,
            retry_after,
            reply,
            ..
        } = self.http.get(request, url, headers).await?;
        if status == 200 {
            return Ok(reply);
        }
        let text = classify::error_message(&reply.body)
            .unwrap_or_else(|| String::from_utf8_lossy(&reply.body).into_owned());
        let detail = self.http.excerpt(text.as_bytes());
        Err(classify::of_status(request, status, &text)
            .with_detail(detail)
            .with_retry_after(retry_after))
    }
}

impl Provider for Fmp {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        self.get(request).boxed()
    }

    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        let start = || self.http.excerpt(&reply.body);
        match decode::rows(&reply.body, request, &reply.origin) {
            Ok(mut rows) => {
                for row in &mut rows.rejects {
                    row.reject.raw = self.http.redact(&row.reject.raw);
                }
                let ticker = request.tickers[0].clone();
                Ok(Page {
                    series: vec![(ticker, rows)],
                    next: None,
                })
            }
            Err(NotRows::NotJson(source)) => {
                let error = Error::new(ErrorKind::Transient, "the response is not JSON");
                Err(error
                    .in_window(request)
                    .with_detail(start())
                    .with_source(source))
            }
            Err(NotRows::OtherJson) => {
                let message = classify::error_message(&reply.body);
                let known = message.and_then(|text| {
                    let error = classify::of_message(&text)?;
                    Some(error.with_detail(self.http.excerpt(text.as_bytes())))
                });
                Err(known.unwrap_or_else(|| {
                    Error::new(
                        ErrorKind::Unexpected,
                        "the response is not an array of bars",
                    )
                    .in_window(request)
                    .with_detail(start())
                }))
            }
        }
    }
}

/// What clients of the live service measured.
pub(super) fn info(source: Source) -> ProviderInfo {
    ProviderInfo {
        source,
        exchange: "NASDAQ",
        probe: "AAPL",
        window_days: [3, 6, 29, 28, 85].map(Some),
        ends_with_month: false,
        tickers_per_request: 1,
        truncation: Truncation::KeepsNewest,
        window_requests: None,
        basis: &[Basis::SplitAdjusted, Basis::Unadjusted],
        hours: &[Hours::Regular, Hours::Extended],
        hour_grid: |hours| match hours {
            Hours::Extended => Grid::Clock,
            Hours::Regular | Hours::Unknown => Grid::Session,
        },
        rate_default: NonZeroU32::new(300),
        limit_lasts: Duration::from_secs(60),
        settles_after: Duration::from_secs(300),
        withholds: Duration::ZERO,
        history_years: &[],
        history_begins: None,
    }
}
