//! Asks until there is an answer, or no sense in asking.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::gate::{Gate, Permit, Refused, Spent};
use crate::causes::with_causes;

use super::{Error, Page, Provider, Query, Retry, Scope};

/// How long a request in flight may still take once the gate is shut.
const GRACE: Duration = Duration::from_secs(2);

/// Retries at most while no request of the run has reached the server.
const UNHEARD_RETRIES_MAX: usize = 2;

/// The budget of one question.
#[derive(Clone, Debug)]
pub struct RetryOptions {
    /// First wait; each later one is twice as long, and jitter makes each up to twice as long again.
    pub first: Duration,
    /// Longest wait, before jitter.
    pub longest: Duration,
    /// Retries at most.
    pub count_max: usize,
    /// Time at most that failed attempts and the waits between them may take.
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

/// Why there is no answer.
#[derive(Debug)]
pub enum Gave {
    /// It failed, and the budget is spent or asking again would change nothing.
    Error(Error),
    /// A quota is spent.
    Spent(Spent),
    /// The gate was shut.
    Closed,
}

/// Asks one provider through one gate. Cheap to clone.
#[derive(Clone)]
pub struct Asker {
    provider: Arc<dyn Provider>,
    gate: Arc<Gate>,
    retry: RetryOptions,
}

impl Asker {
    /// Asks `provider` through `gate`, as patiently as `retry` says.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>, gate: Arc<Gate>, retry: RetryOptions) -> Self {
        Self {
            provider,
            gate,
            retry,
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

    /// Asks for one page.
    ///
    /// A 429 does not draw on the question's own budget: the limit is the run's, and [`Gate`] decides when it is hopeless.
    pub async fn ask(&self, query: &Arc<Query>) -> Result<Page, Gave> {
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(self.retry.first)
            .with_max_delay(self.retry.longest)
            .with_max_times(self.retry.count_max)
            .with_jitter()
            .build();
        let mut retries = 0;
        let mut left = self.retry.time_max;
        let mut asked = false;
        loop {
            let permit = self.gate.admit().await.map_err(|refused| match refused {
                Refused::Closed => Gave::Closed,
                Refused::Spent(spent) => Gave::Spent(spent),
            })?;
            if asked {
                self.gate.count_retry();
            }
            asked = true;
            let generation = permit.generation;
            let start = Instant::now();
            let error = match self.attempt(query, permit).await? {
                Ok(page) => {
                    self.gate.answered();
                    return Ok(page);
                }
                Err(Error::Limit { retry_after, said }) => {
                    if let Err(spent) = self.gate.limited(generation, retry_after, &said) {
                        self.gate.close();
                        return Err(Gave::Spent(spent));
                    }
                    continue;
                }
                Err(error) => error,
            };
            if error.scope() == Scope::Run {
                // Here and not where the run hears of it: until then others would go on asking.
                self.gate.close();
                return Err(Gave::Error(error));
            }
            retries += 1;
            // If no server ever answered, the address is more likely wrong than the network slow.
            let is_hopeless = matches!(error, Error::Connect { .. })
                && !self.gate.was_heard()
                && retries > UNHEARD_RETRIES_MAX;
            let wait = match error.retry() {
                _ if is_hopeless => None,
                Retry::Never => None,
                Retry::After(wait) => (retries <= self.retry.count_max).then_some(wait),
                Retry::Backoff => waits.next(),
            };
            left = left.saturating_sub(start.elapsed());
            let Some(wait) = wait.filter(|wait| *wait <= left) else {
                return Err(Gave::Error(error));
            };
            left -= wait;
            tracing::debug!(
                "asking again in {:.1} s: {}",
                wait.as_secs_f64(),
                with_causes(&error)
            );
            tokio::select! {
                () = self.gate.closed() => return Err(Gave::Closed),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One request: sent under the permit, read after the permit is given back.
    async fn attempt(
        &self,
        query: &Arc<Query>,
        permit: Permit<'_>,
    ) -> Result<Result<Page, Error>, Gave> {
        let reply = tokio::select! {
            biased;
            reply = self.provider.ask(query) => reply,
            () = self.closed_for(GRACE) => return Err(Gave::Closed),
        };
        drop(permit);
        if !matches!(reply, Err(Error::Connect { .. })) {
            self.gate.hear();
        }
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return Ok(Err(error)),
        };
        let (provider, query) = (self.provider.clone(), query.clone());
        match tokio::task::spawn_blocking(move || provider.read(&query, &reply)).await {
            Ok(read) => Ok(read),
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Gave::Closed),
            },
        }
    }

    async fn closed_for(&self, grace: Duration) {
        self.gate.closed().await;
        tokio::time::sleep(grace).await;
    }
}
