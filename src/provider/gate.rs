//! The limits that all requests of a run share: how many are in flight, the rate, pauses, the
//! quota, and the end of the run.
//!
//! **Every request needs a permit of [`Gate::admit`].** A 429 pauses all requests, because the provider
//! counts them by key.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

use super::pace::Pacer;

/// If a server names a longer wait, its limit is that of a day, not of a minute.
const RETRY_AFTER_SECONDS_MAX: u64 = 120;

/// How a [`Gate`] is set up.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// Maximum requests in flight, at least 1.
    pub in_flight: usize,
    /// Maximum requests per minute; `None` for no limit.
    pub per_minute: Option<NonZeroU32>,
    /// Maximum requests in all.
    pub requests_max: Option<u64>,
    /// The quota of the day.
    pub daily: Option<Daily>,
    /// First wait after a 429 that names no time; each later one is longer.
    pub pause_first: Duration,
    /// If requests waited this long in all without a success, the limit is that of a day.
    pub quota_after: Duration,
}

/// A quota of requests per day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daily {
    /// Requests per day.
    pub quota: u64,
    /// Requests that are left today.
    pub left: u64,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self {
            in_flight: 1,
            per_minute: None,
            requests_max: None,
            daily: None,
            pause_first: Duration::from_secs(1),
            quota_after: Duration::from_secs(60),
        }
    }
}

/// Why no further request is sent, though nothing failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spent {
    /// The run's own limit.
    #[error("the run sent its maximum of {0} requests")]
    Requests(u64),
    /// The quota of the day, over all runs.
    #[error("the day's quota of {0} requests is spent")]
    Day(u64),
    /// The provider still refused after waits of [`GateOptions::quota_after`], or named a wait of more
    /// than 120 s.
    #[error("the provider's quota is spent: {detail}")]
    Quota {
        /// The server's error text.
        detail: String,
    },
}

/// Why no permit is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Closed,
    Spent(Spent),
}

/// The gate that every request of a run passes.
pub struct Gate {
    in_flight: Semaphore,
    pacer: tokio::sync::Mutex<Option<Pacer>>,
    pause: Mutex<Pause>,
    sent: AtomicU64,
    retried: AtomicU64,
    reached: AtomicBool,
    closed: watch::Sender<bool>,
    options: GateOptions,
}

/// The waits since the last success.
struct Pause {
    until: Option<Instant>,
    /// The number of pauses. If a request was sent before the current pause, its 429 starts no other
    /// pause.
    generation: u64,
    waited: Duration,
    waits: ExponentialBackoff,
}

/// The permit to send one request.
pub(super) struct Permit<'a> {
    _in_flight: SemaphorePermit<'a>,
    pub(super) generation: u64,
}

impl Gate {
    /// A gate, open.
    #[must_use]
    pub fn new(options: GateOptions) -> Self {
        Self {
            in_flight: Semaphore::new(options.in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            pacer: tokio::sync::Mutex::new(options.per_minute.map(Pacer::new)),
            pause: Mutex::new(Pause {
                until: None,
                generation: 0,
                waited: Duration::ZERO,
                waits: waits(&options),
            }),
            sent: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            reached: AtomicBool::new(false),
            closed: watch::Sender::new(false),
            options,
        }
    }

    /// Requests sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many of them were retries.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Whether the server was ever reached.
    #[must_use]
    pub fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    pub(super) fn set_reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    pub(super) fn count_retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    /// Closes the gate: no further request is sent.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Whether the gate is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Returns when the gate is closed.
    pub async fn closed(&self) {
        // The sender lives as long as the gate, so waiting can't fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Waits until fewer than the maximum are in flight, any pause is over, and the rate allows the
    /// next request.
    pub(super) async fn admit(&self) -> Result<Permit<'_>, Refused> {
        tokio::select! {
            biased;
            () = self.closed() => Err(Refused::Closed),
            admitted = self.next_permit() => admitted,
        }
    }

    async fn next_permit(&self) -> Result<Permit<'_>, Refused> {
        let Ok(in_flight) = self.in_flight.acquire().await else {
            return Err(Refused::Closed);
        };
        let mut pacer = self.pacer.lock().await;
        if let Some(max) = self.options.requests_max
            && self.sent() >= max
        {
            return Err(Refused::Spent(Spent::Requests(max)));
        }
        if let Some(Daily { quota, left }) = self.options.daily
            && self.sent() >= left
        {
            return Err(Refused::Spent(Spent::Day(quota)));
        }
        let generation = loop {
            let until = self.pause().until;
            if let Some(until) = until {
                tokio::time::sleep_until(until).await;
            }
            if let Some(pacer) = pacer.as_mut() {
                pacer.wait().await;
            }
            let pause = self.pause();
            if pause.until.is_none_or(|until| until <= Instant::now()) {
                break pause.generation;
            }
        };
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(Permit {
            _in_flight: in_flight,
            generation,
        })
    }

    /// A request returned bars, so no limit applies any more.
    pub(super) fn succeeded(&self) {
        let mut pause = self.pause();
        if pause.waited > Duration::ZERO {
            pause.waited = Duration::ZERO;
            pause.waits = waits(&self.options);
        }
    }

    /// A request of `generation` got a 429: all requests wait. An error if they have waited long
    /// enough.
    pub(super) fn limited(
        &self,
        generation: u64,
        retry_after: Option<Duration>,
        detail: &str,
    ) -> Result<(), Spent> {
        let mut pause = self.pause();
        if generation < pause.generation {
            return Ok(());
        }
        let left = self.options.quota_after.saturating_sub(pause.waited);
        let longest = Duration::from_secs(RETRY_AFTER_SECONDS_MAX);
        if left.is_zero() || retry_after.is_some_and(|wait| wait > longest) {
            return Err(Spent::Quota {
                detail: detail.to_owned(),
            });
        }
        let wait = match retry_after {
            Some(wait) => wait.max(self.options.pause_first),
            None => pause.waits.next().map_or(left, |wait| wait.min(left)),
        };
        tracing::debug!(
            "too many requests; all requests wait {:.1} s",
            wait.as_secs_f64()
        );
        pause.until = Some(Instant::now() + wait);
        pause.waited += wait;
        pause.generation += 1;
        Ok(())
    }

    fn pause(&self) -> MutexGuard<'_, Pause> {
        // Plain numbers: a panic elsewhere can't leave them half changed.
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn waits(options: &GateOptions) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(options.pause_first)
        .with_max_delay(options.quota_after)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_limit_pauses_all_workers_once() {
        let gate = Arc::new(Gate::new(GateOptions {
            in_flight: 4,
            pause_first: Duration::from_millis(100),
            ..GateOptions::default()
        }));
        let first = gate.admit().await.unwrap();
        let second = gate.admit().await.unwrap();
        gate.limited(first.generation, None, "Limit Reach . ")
            .unwrap();
        gate.limited(second.generation, None, "Limit Reach . ")
            .unwrap();
        let start = Instant::now();
        let third = gate.admit().await.unwrap();
        let waited = start.elapsed();
        assert!((95..210).contains(&waited.as_millis()), "{waited:?}");
        assert_eq!(third.generation, 1);
        assert_eq!(gate.sent(), 3);
    }

    #[tokio::test]
    async fn waits_without_a_success_end_as_a_spent_quota() {
        let gate = Gate::new(GateOptions {
            pause_first: Duration::from_millis(10),
            quota_after: Duration::from_millis(60),
            ..GateOptions::default()
        });
        let start = Instant::now();
        let spent = loop {
            let permit = gate.admit().await.unwrap();
            if let Err(spent) = gate.limited(permit.generation, None, "x") {
                break spent;
            }
        };
        assert_eq!(spent, Spent::Quota { detail: "x".into() });
        assert!(start.elapsed() >= Duration::from_millis(60));

        // After a success the waits count from zero again.
        let gate = Gate::new(GateOptions {
            quota_after: Duration::ZERO,
            ..GateOptions::default()
        });
        gate.succeeded();
        assert!(gate.limited(0, None, "x").is_err());
        let hour = Duration::from_secs(3600);
        assert!(
            Gate::new(GateOptions::default())
                .limited(0, Some(hour), "x")
                .is_err()
        );
    }

    #[tokio::test]
    async fn the_runs_own_limit_is_exact_and_closing_wakes_all_workers() {
        let gate = Arc::new(Gate::new(GateOptions {
            in_flight: 1,
            requests_max: Some(2),
            ..GateOptions::default()
        }));
        drop(gate.admit().await.unwrap());
        drop(gate.admit().await.unwrap());
        let third = gate.admit().await.err();
        assert_eq!(third, Some(Refused::Spent(Spent::Requests(2))));
        assert_eq!(gate.sent(), 2);

        let gate = Arc::new(Gate::new(GateOptions::default()));
        let held = gate.admit().await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.admit().await.err() }
        });
        tokio::task::yield_now().await;
        gate.close();
        assert_eq!(waiting.await.unwrap(), Some(Refused::Closed));
        drop(held);
    }
}
