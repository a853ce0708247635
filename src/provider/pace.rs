//! One request after another, evenly: N a minute, with a burst of one.
//!
//! A quota of N a minute counts any trailing minute, so a limiter that lets N go at once and then refills breaks it:
//! up to 2 N fall into one minute. Evenly spaced requests cannot, and a small margin covers what the network does to
//! the spacing on the way.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, FakeRelativeClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// How much wider than 60 s / N the spacing is: over a minute this gives the network 0.36 s of play.
const SPACING_FACTOR: f64 = 1.006;

/// A timer that wakes late by no more than this does not shift the requests behind it.
const LATENESS: Duration = Duration::from_millis(5);

type Limiter = RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>;

/// A pacer. Held by one task at a time; whoever holds it waits for the next place.
///
/// The limiter runs on nominal time: the moment for which a place was due, not the moment at which the timer woke.
/// On real time every late timer would shift all places behind it, and at 3,000 a minute a millisecond is 5 %.
pub(super) struct Pacer {
    limiter: Limiter,
    nominal: FakeRelativeClock,
    start: Instant,
}

impl Pacer {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let spacing = Duration::from_secs_f64(60.0 * SPACING_FACTOR / f64::from(per_minute.get()));
        // with_period is None only for a period of zero, which no u32 gives.
        let quota = Quota::with_period(spacing)
            .unwrap_or_else(|| Quota::per_minute(per_minute))
            .allow_burst(NonZeroU32::MIN);
        let nominal = FakeRelativeClock::default();
        Self {
            limiter: RateLimiter::direct_with_clock(quota, nominal.clone()),
            nominal,
            start: Instant::now(),
        }
    }

    /// Waits for the next place and takes it.
    pub(super) async fn wait(&mut self) {
        loop {
            let real = self.start.elapsed();
            let nominal = Duration::from(self.nominal.now());
            if let Some(behind) = real.checked_sub(nominal + LATENESS)
                && behind > Duration::ZERO
            {
                self.nominal.advance(behind);
            }
            match self.limiter.check() {
                Ok(()) => return,
                Err(refused) => {
                    let due = refused.earliest_possible();
                    tokio::time::sleep_until(self.start + Duration::from(due)).await;
                    let step = due.duration_since(self.nominal.now());
                    self.nominal.advance(step.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seconds(pacer: &mut Pacer, places: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..places {
            pacer.wait().await;
        }
        start.elapsed().as_secs_f64()
    }

    /// A busy machine can hold any single try up, so the upper bound is that of the best of several.
    #[tokio::test]
    async fn late_timers_do_not_add_up() {
        let mut best = f64::MAX;
        for _ in 0..20 {
            let spent = seconds(&mut Pacer::new(NonZeroU32::new(12_000).unwrap()), 101).await;
            assert!(spent >= 0.495, "too fast: {spent}");
            best = best.min(spent);
            // One hundred spacings of 5.03 ms; on real time each would cost at least the timer's millisecond more.
            if best < 0.56 {
                return;
            }
        }
        panic!("{best} s at best");
    }

    #[tokio::test]
    async fn idle_time_saves_nothing() {
        let mut pacer = Pacer::new(NonZeroU32::new(12_000).unwrap());
        seconds(&mut pacer, 11).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let spent = seconds(&mut pacer, 11).await;
        assert!(spent >= 0.044, "a burst after a rest: {spent}");
    }
}
