//! Sends a request until it succeeds or its retries are used up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::error::{Error, ErrorKind, Retry, Scope};
use super::gate::{Gate, Permit, Refused, Spent};
use super::info::Truncation;
use super::request::{Page, PageToken, Provider, Request, Rows};
use super::withheld::Withheld;
use crate::causes::with_causes;
use crate::model::Ticker;

/// How long a request in flight may still take once the gate is closed.
const GRACE: Duration = Duration::from_secs(2);

/// Retries at most if the server refuses connections, or if no request of the run has reached it.
/// They take a few seconds.
const UNREACHED_RETRIES_MAX: usize = 2;

/// No request has more pages. A provider that sends more repeats itself.
const PAGES_MAX: usize = 10_000;

/// How often, and for how long, one page is requested again.
#[derive(Clone, Debug)]
pub struct RetryOptions {
    /// First wait; each later one is twice as long, and jitter makes each up to twice as long
    /// again.
    pub first: Duration,
    /// Longest wait, before jitter.
    pub longest: Duration,
    /// Retries at most.
    pub count_max: usize,
    /// How long failed attempts and the waits between them may take in all.
    pub time_max: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            count_max: 5,
            time_max: Duration::from_secs(180),
        }
    }
}

/// Why a request returned no bars.
#[derive(Clone, Debug)]
pub enum FetchError {
    /// The request failed, and no further attempt is left or makes sense.
    Failed(Error),
    /// A quota is spent.
    Spent(Spent),
    /// The gate is closed.
    Closed,
}

/// Sends the requests of one provider through one gate. Cheap to clone.
#[derive(Clone)]
pub struct RetryingClient {
    provider: Arc<dyn Provider>,
    gate: Arc<Gate>,
    retry: RetryOptions,
    withheld: Arc<Withheld>,
}

impl RetryingClient {
    /// A client that retries as `retry` allows.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>, gate: Arc<Gate>, retry: RetryOptions) -> Self {
        Self {
            provider,
            gate,
            retry,
            withheld: Arc::default(),
        }
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// The gate.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Fetches all pages of a request, and returns the rows of each ticker, bars in order. If two
    /// pages have a bar of the same time, the later page counts.
    ///
    /// A ticker that isn't on the pages so far may be on the next. So after an error, only tickers are
    /// returned that a later page shows to be complete, if the provider sends ticker by ticker.
    pub async fn fetch_each(
        &self,
        request: Request,
    ) -> (HashMap<Ticker, Rows>, Option<FetchError>) {
        let mut series: HashMap<Ticker, Rows> = HashMap::new();
        let mut incomplete = HashSet::new();
        let fetched = self.add_pages(request, &mut series, &mut incomplete).await;
        let error = fetched.err();
        if error.is_some() {
            let truncation = self.provider.info().truncation;
            let by_ticker = matches!(
                truncation,
                Truncation::Announces {
                    by_ticker: true,
                    ..
                }
            );
            series.retain(|ticker, _| by_ticker && !incomplete.contains(ticker));
        }
        for rows in series.values_mut() {
            rows.sort();
        }
        (series, error)
    }

    /// Adds the rows of all pages to `series`. After an error, the tickers of the last page that had
    /// rows are in `incomplete`.
    async fn add_pages(
        &self,
        mut request: Request,
        series: &mut HashMap<Ticker, Rows>,
        incomplete: &mut HashSet<Ticker>,
    ) -> Result<(), FetchError> {
        if let Some(error) = self.known_refusal(&request) {
            return Err(FetchError::Failed(error));
        }
        let mut requested: HashSet<PageToken> = HashSet::new();
        while requested.len() < PAGES_MAX {
            let page = match self.fetch_page(&Arc::new(request.clone())).await {
                Ok(page) => page,
                Err(error) => {
                    if let FetchError::Failed(error) = &error {
                        self.withheld.learn(&request, error);
                    }
                    return Err(error);
                }
            };
            if !page.series.is_empty() {
                let tickers = page.series.iter().map(|(ticker, _)| ticker.clone());
                *incomplete = tickers.collect();
            }
            for (ticker, rows) in page.series {
                series.entry(ticker).or_default().add_page(rows);
            }
            let Some(next) = page.next else {
                return Ok(());
            };
            if !requested.insert(next.clone()) {
                break;
            }
            request.page = Some(next);
        }
        let message = "the provider repeats a page instead of sending the next one";
        let error = Error::new(ErrorKind::Unexpected, message).in_window(&request);
        Err(FetchError::Failed(error))
    }

    /// The refusal of a request whose dates are known not to be available.
    fn known_refusal(&self, request: &Request) -> Option<Error> {
        match &self.provider.info().history_begins {
            Some(begins) if request.dates.last() < *begins.start() => {
                let message = format!("the provider's history begins on {}", begins.start());
                Some(Error::new(ErrorKind::Withheld, message).in_window(request))
            }
            _ => self.withheld.refusal(request),
        }
    }

    /// Fetches one page.
    ///
    /// A 429 doesn't count as a retry of the page: the limit is the run's, and [`Gate`] decides how
    /// long to wait.
    pub async fn fetch_page(&self, request: &Arc<Request>) -> Result<Page, FetchError> {
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(self.retry.first)
            .with_max_delay(self.retry.longest)
            .with_max_times(self.retry.count_max)
            .with_jitter()
            .build();
        let mut retries = 0;
        let mut left = self.retry.time_max;
        let mut was_sent = false;
        loop {
            let permit = self.gate.admit().await.map_err(|refused| match refused {
                Refused::Closed => FetchError::Closed,
                Refused::Spent(spent) => FetchError::Spent(spent),
            })?;
            if was_sent {
                self.gate.count_retry();
            }
            was_sent = true;
            let generation = permit.generation;
            let start = Instant::now();
            let error = match self.attempt(request, permit).await? {
                Attempt::Page(page) => {
                    self.gate.succeeded();
                    return Ok(page);
                }
                Attempt::Failed(error) => error,
            };
            if error.kind() == ErrorKind::Limit {
                if let Err(spent) =
                    self.gate
                        .limited(generation, error.retry_after(), error.detail())
                {
                    self.gate.close();
                    return Err(FetchError::Spent(spent));
                }
                continue;
            }
            retries += 1;
            // If no server ever responded, the address is more likely wrong than the network slow.
            let is_unreachable = match error.kind() {
                ErrorKind::Refused => true,
                ErrorKind::Connect => !self.gate.was_reached(),
                _ => false,
            };
            let wait = match error.retry() {
                _ if is_unreachable && retries > UNREACHED_RETRIES_MAX => None,
                Retry::Never => None,
                Retry::After(wait) => (retries <= self.retry.count_max).then_some(wait),
                Retry::Backoff => waits.next(),
            };
            left = left.saturating_sub(start.elapsed());
            let Some(wait) = wait.filter(|wait| *wait <= left) else {
                if error.scope() == Scope::Run {
                    // Not only where the run gets the error: until then other requests would be sent.
                    self.gate.close();
                }
                return Err(FetchError::Failed(error));
            };
            left -= wait;
            tracing::debug!(
                "retrying in {:.1} s: {}",
                wait.as_secs_f64(),
                with_causes(&error)
            );
            tokio::select! {
                () = self.gate.closed() => return Err(FetchError::Closed),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One attempt: sent under the permit, parsed after the permit is returned.
    async fn attempt(
        &self,
        request: &Arc<Request>,
        permit: Permit<'_>,
    ) -> Result<Attempt, FetchError> {
        let reply = tokio::select! {
            biased;
            reply = self.provider.fetch(request) => reply,
            () = self.closed_for(GRACE) => return Err(FetchError::Closed),
        };
        drop(permit);
        let is_connected = match &reply {
            Err(error) => !matches!(error.kind(), ErrorKind::Connect | ErrorKind::Refused),
            Ok(_) => true,
        };
        if is_connected {
            self.gate.set_reached();
        }
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return Ok(Attempt::Failed(error)),
        };
        let (provider, request) = (self.provider.clone(), request.clone());
        match tokio::task::spawn_blocking(move || provider.parse(&request, &reply)).await {
            Ok(Ok(page)) => Ok(Attempt::Page(page)),
            Ok(Err(error)) => Ok(Attempt::Failed(error)),
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(FetchError::Closed),
            },
        }
    }

    /// Returns when the gate has been closed for `grace`.
    async fn closed_for(&self, grace: Duration) {
        self.gate.closed().await;
        tokio::time::sleep(grace).await;
    }
}

/// How one attempt ended.
enum Attempt {
    Page(Page),
    Failed(Error),
}
