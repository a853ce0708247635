//! The requests for public files. If their server doesn't work, the rest of the run requests none.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use reqwest::header::HeaderMap;

use super::classify::error_of;
use super::steps::File;
use super::symbol::{interval_name, pair};
use crate::causes::with_causes;
use crate::provider::http::Http;
use crate::provider::{Error, ErrorKind, Reply, Request};

/// Failures in a row, by weight, from which on no file is requested.
const FAILURES_MAX: u32 = 5;
/// The weight of a failure to connect: few retries follow it.
const UNREACHED_WEIGHT: u32 = 3;

/// The server of the files.
pub(super) struct Files {
    http: Http,
    /// Pairs of which a file was found. Pairs that aren't traded any more are only in files.
    found: RwLock<HashSet<String>>,
    failures: AtomicU32,
}

impl Files {
    pub(super) fn new(http: Http) -> Self {
        Self {
            http,
            found: RwLock::default(),
            failures: AtomicU32::new(0),
        }
    }

    /// Whether no file is requested for the rest of the run.
    pub(super) fn are_down(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= FAILURES_MAX
    }

    /// Whether a file of the pair was found.
    pub(super) fn have(&self, pair: &str) -> bool {
        let found = self.found.read().unwrap_or_else(PoisonError::into_inner);
        found.contains(pair)
    }

    /// A file of the pair was found.
    pub(super) fn add(&self, pair: String) {
        let mut found = self.found.write().unwrap_or_else(PoisonError::into_inner);
        found.insert(pair);
    }

    /// Requests a file or its checksum; the body is empty if there is none.
    pub(super) async fn get(
        &self,
        request: &Request,
        file: File,
        ending: &str,
    ) -> Result<Reply, Error> {
        let result = self.send(request, file, ending).await;
        match &result {
            // Unless they count as down already.
            Ok(_) => {
                let reset = |failures| (failures < FAILURES_MAX).then_some(0);
                let (set, load) = (Ordering::Relaxed, Ordering::Relaxed);
                let _ = self.failures.fetch_update(set, load, reset);
            }
            Err((error, weight)) => {
                let before = self.failures.fetch_add(*weight, Ordering::Relaxed);
                if before < FAILURES_MAX && before + weight >= FAILURES_MAX {
                    tracing::warn!(
                        "the provider's files can't be read; all bars are requested over REST from now on: {}",
                        with_causes(error)
                    );
                }
            }
        }
        result.map_err(|(error, _)| error)
    }

    /// The response, or the error and its weight.
    async fn send(
        &self,
        request: &Request,
        file: File,
        ending: &str,
    ) -> Result<Reply, (Error, u32)> {
        let (period, date) = match file {
            File::Month(first) => ("monthly", first.format("%Y-%m")),
            File::Day(date) => ("daily", date.format("%Y-%m-%d")),
        };
        let (pair, interval) = (pair(request), interval_name(request.interval));
        let name = format!("{pair}-{interval}-{date}{ending}");
        let segments = ["data", "spot", period, "klines", &pair, interval, &name];
        let url = self.http.url(&segments);
        let response = self.http.get(request, url, HeaderMap::new()).await;
        let response = response.map_err(|error| {
            let weight = match error.kind() {
                ErrorKind::Connect | ErrorKind::Refused => UNREACHED_WEIGHT,
                ErrorKind::Transient => 1,
                _ => 0,
            };
            (error, weight)
        })?;
        let transient =
            |message: String| Error::new(ErrorKind::Transient, message).in_window(request);
        match response.status {
            200 if response.reply.body.is_empty() => {
                Err((transient("the file is empty".to_owned()), 1))
            }
            200 => Ok(response.reply),
            404 | 410 => Ok(Reply {
                body: Vec::new(),
                ..response.reply
            }),
            418 | 429 => Err((error_of(&self.http, request, &response), 0)),
            // Refused because of the address. The klines' own server shows whether the client is refused.
            status @ (400..=407 | 409..=417 | 451) => {
                let message = format!("the server of the files responds with status {status}");
                Err((transient(message), FAILURES_MAX))
            }
            _ => Err((error_of(&self.http, request, &response), 1)),
        }
    }
}
