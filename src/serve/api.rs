//! The responses: files of the page, and documents.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::guard::refusal;
use super::source::{Seen, Source};
use crate::advice::Advice;
use crate::calendar::CalendarCache;
use crate::documents;
use crate::model::{Interval, SeriesKey, Ticker, Timestamp};
use crate::page::{
    self, BarsQuery, Filter, PageData, Resolution, Rows, RunningAudit, RunningComparison, asset,
};
use crate::store::running_writer;

/// Documents that are made at once: each needs a thread.
const AT_ONCE: usize = 4;
/// How long a request waits for its turn, and for its document.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The most rows of a coverage document, and the most bars of a chart.
const COVERAGE_ROWS_MAX: usize = 200;
const BARS_MAX: u64 = 10_000;
const BARS_DEFAULT: u64 = 2_000;

/// What the handlers share.
pub(super) struct Api {
    pub source: Source,
    pub compared: Option<Source>,
    pub clock: fn() -> Timestamp,
    turns: Arc<Semaphore>,
    comparison: Mutex<Option<RunningComparison>>,
    findings: Mutex<Option<RunningAudit>>,
}

impl Api {
    pub fn new(source: Source, compared: Option<Source>, clock: fn() -> Timestamp) -> Self {
        Self {
            source,
            compared,
            clock,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            comparison: Mutex::default(),
            findings: Mutex::default(),
        }
    }

    /// The document `name`; `None` if there is no such document.
    fn document(&self, name: &str, parameters: &Parameters) -> Result<Option<Bytes>, page::Error> {
        if name == "progress" {
            let writer = running_writer(&self.source.store.dir)?;
            let writer = writer.as_ref().map(documents::progress);
            // That of `series` is another one if the store has changed since.
            let generation = self.source.seen().ok().map(|seen| seen.generation);
            let document = json!({
                "schema": "backfill.progress/1",
                "writer": writer,
                "generation": generation,
            });
            return Ok(Some(document.to_string().into()));
        }
        match name {
            "bars" => return self.bars(parameters).map(Some),
            "comparison" => return self.comparison(parameters.again),
            "findings" => return self.findings(parameters).map(Some),
            _ => {}
        }
        let seen = self.source.seen()?;
        let made = || self.made(&seen, name, parameters);
        match name {
            "coverage" => made().map(Some),
            "gaps" if !parameters.ticker.is_empty() => made().map(Some),
            "series" | "gaps" => seen.document(name, false, made).map(Some),
            "conflicts" | "runs" | "targets" => seen.document(name, true, made).map(Some),
            _ => Ok(None),
        }
    }

    /// The bars of a series, of one of the stores.
    fn bars(&self, parameters: &Parameters) -> Result<Bytes, page::Error> {
        let bad = || {
            page::Error::BadParameter(format!(
                "there is no second store; {}",
                Advice::CompareStores
            ))
        };
        let source = match parameters.store.as_str() {
            "" => &self.source,
            "compared" => self.compared.as_ref().ok_or_else(bad)?,
            _ => return Err(bad()),
        };
        let query = parameters.bars()?;
        let seen = source.seen()?;
        let mut calendars = CalendarCache::new(source.store.calendars.clone());
        let filter = Filter::default();
        let mut data = self.data(&seen, &mut calendars, &filter);
        Ok(data.bars(&query)?.to_string().into())
    }

    /// What was compared with the second store so far. The first request starts it. After it has
    /// ended, `is_again` starts it anew.
    fn comparison(&self, is_again: bool) -> Result<Option<Bytes>, page::Error> {
        let Some(compared) = &self.compared else {
            return Ok(None);
        };
        let mut running = (self.comparison.lock()).unwrap_or_else(PoisonError::into_inner);
        let side = |source: &Source| -> Result<_, page::Error> {
            Ok((source.seen()?.reader, source.store.calendars.clone()))
        };
        let running = match &mut *running {
            Some(known) if !(is_again && known.is_done()) => known,
            other => other.insert(RunningComparison::start(
                side(&self.source)?,
                side(compared)?,
            )),
        };
        Ok(Some(running.document().to_string().into()))
    }

    /// What was audited so far. The first request without a ticker starts the audit. After it has
    /// ended, the parameter `again` starts it anew. With a ticker: its findings, if they are known.
    fn findings(&self, parameters: &Parameters) -> Result<Bytes, page::Error> {
        let ticker = (!parameters.ticker.is_empty())
            .then(|| parameters.ticker())
            .transpose()?;
        let interval = (parameters.interval != 0)
            .then(|| parameters.interval())
            .transpose()?;
        let mut running = (self.findings.lock()).unwrap_or_else(PoisonError::into_inner);
        let document = match (&mut *running, &ticker) {
            (None, Some(_)) => RunningAudit::not_started(),
            (Some(known), Some(ticker)) => known.document_of(ticker, interval),
            (Some(known), None) if !(parameters.again && known.is_done()) => known.document(),
            (other, None) => {
                let reader = self.source.seen()?.reader;
                let calendars = self.source.store.calendars.clone();
                let now = (self.clock)();
                let started = RunningAudit::start(reader, calendars, now);
                other.insert(started).document()
            }
        };
        Ok(document.to_string().into())
    }

    fn data<'a>(
        &self,
        seen: &'a Seen,
        calendars: &'a mut CalendarCache,
        filter: &'a Filter,
    ) -> PageData<'a> {
        PageData::new(&seen.reader, calendars, filter, (self.clock)(), seen.bytes)
    }

    /// Makes the document `name` of the store.
    fn made(&self, seen: &Seen, name: &str, parameters: &Parameters) -> Result<Bytes, page::Error> {
        let mut calendars = CalendarCache::new(self.source.store.calendars.clone());
        let filter = Filter {
            tickers: match (name, parameters.ticker.as_str()) {
                ("gaps", ticker) if !ticker.is_empty() => vec![parameters.ticker()?],
                _ => Vec::new(),
            },
            ..Filter::default()
        };
        let compared = self.compared.as_ref().map(Source::seen).transpose()?;
        let mut data = self.data(seen, &mut calendars, &filter);
        if matches!(name, "coverage" | "gaps") {
            data = data.with_sessions(seen.sessions()?);
        }
        if let Some(compared) = &compared {
            data = data.compared_with(&compared.reader);
        }
        let document = match name {
            "series" => {
                let mut document = data.series()?;
                document["generation"] = json!(seen.generation);
                document
            }
            "coverage" => data.coverage(Rows {
                first: parameters.first,
                count: parameters.count.min(COVERAGE_ROWS_MAX),
            })?,
            "gaps" => data.gaps()?,
            "conflicts" => data.conflicts()?,
            "runs" => data.runs()?,
            _ => data.targets()?,
        };
        Ok(document.to_string().into())
    }
}

/// The parameters of all documents.
#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    first: usize,
    #[serde(default = "rows_max")]
    count: usize,
    #[serde(default)]
    ticker: String,
    #[serde(default)]
    interval: u32,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    max: Option<u64>,
    resolution: Option<String>,
    #[serde(default)]
    store: String,
    #[serde(default)]
    again: bool,
}

const fn rows_max() -> usize {
    COVERAGE_ROWS_MAX
}

impl Parameters {
    fn ticker(&self) -> Result<Ticker, page::Error> {
        Ticker::new(&self.ticker).map_err(|error| page::Error::BadParameter(error.to_string()))
    }

    fn interval(&self) -> Result<Interval, page::Error> {
        Interval::from_minutes(self.interval).ok_or_else(|| {
            page::Error::BadParameter("interval is one of 1, 5, 15, 30 and 60".to_owned())
        })
    }

    fn bars(&self) -> Result<BarsQuery, page::Error> {
        let bad = |what: &str| page::Error::BadParameter(what.to_owned());
        Ok(BarsQuery {
            series: SeriesKey {
                interval: self.interval()?,
                ticker: self.ticker()?,
            },
            from: self.from,
            to: self.to,
            max: self.max.unwrap_or(BARS_DEFAULT).min(BARS_MAX),
            at_least: (self.resolution.as_deref())
                .map(|name| {
                    Resolution::named(name)
                        .ok_or_else(|| bad("resolution is 1, 5, 15, 30, 60, day or week"))
                })
                .transpose()?,
        })
    }
}

pub(super) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/api/{name}", get(document))
        .fallback(file)
        .with_state(api)
}

async fn document(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Query(parameters) = match parameters {
        Ok(parameters) => parameters,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let busy = || refusal(StatusCode::SERVICE_UNAVAILABLE, "the server is busy");
    let turn = tokio::time::timeout(TIMEOUT, Arc::clone(&api.turns).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        return busy();
    };
    let work = tokio::task::spawn_blocking(move || {
        // Held until the work ends, also after the request has timed out.
        let _turn = turn;
        api.document(&name, &parameters)
    });
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(Ok(Ok(Some(document)))) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, Body::from(document)).into_response()
        }
        Ok(Ok(Ok(None))) => refusal(StatusCode::NOT_FOUND, "there is no such document"),
        Ok(Ok(Err(error))) => failed(&error),
        Ok(Err(_)) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the request failed"),
        Err(_) => busy(),
    }
}

fn failed(error: &page::Error) -> Response {
    let status = match error {
        page::Error::BadParameter(_) => StatusCode::BAD_REQUEST,
        page::Error::UnknownSeries { .. } => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, &page::without_folders(&error.to_string()))
}

async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let Some(asset) = asset(uri.path()) else {
        return refusal(StatusCode::NOT_FOUND, "there is no such file");
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let known = text(header::IF_NONE_MATCH).unwrap_or_default();
    let own = [
        (header::ETAG, asset.etag.clone()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if known.split(',').any(|etag| etag.trim() == asset.etag) {
        return (StatusCode::NOT_MODIFIED, own).into_response();
    }
    let kind = [(header::CONTENT_TYPE, asset.content_type)];
    let accepted = text(header::ACCEPT_ENCODING).unwrap_or_default();
    if accepted.contains("gzip") {
        let encoding = [(header::CONTENT_ENCODING, "gzip")];
        return (own, kind, encoding, Body::from(asset.gzip.as_slice())).into_response();
    }
    (own, kind, Body::from(asset.body.as_slice())).into_response()
}
