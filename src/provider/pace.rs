//! Evenly spaced requests: N a minute, with a burst of one.
//!
//! A quota of N a minute counts any trailing minute. A limiter that sends N at once and then
//! refills breaks it: up to 2 N fall into one minute. Evenly spaced requests can't, and a small
//! margin covers what the network does to the spacing on the way.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// How much wider than 60 s / N the spacing is: over a minute the network may delay
/// requests by 0.36 s.
const SPACING_FACTOR: f64 = 1.006;

/// A timer may wake this late without shifting the requests after it.
const LATENESS: Duration = Duration::from_millis(5);

/// Spaces the requests of a run.
///
/// It counts from the moment at which a request was due, not from the moment at which the timer
/// woke: otherwise every late timer would shift all later requests, and at 3,000 a minute a
/// millisecond is 5 %.
pub(super) struct Pacer {
    spacing: Duration,
    next: Instant,
}

impl Pacer {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        Self {
            spacing: Duration::from_secs_f64(60.0 * SPACING_FACTOR / f64::from(per_minute.get())),
            next: Instant::now(),
        }
    }

    /// Waits until the next request is due.
    pub(super) async fn wait(&mut self) {
        let now = Instant::now();
        // Idle time is not saved up.
        let due = self.next.max(now.checked_sub(LATENESS).unwrap_or(now));
        tokio::time::sleep_until(due).await;
        self.next = due + self.spacing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seconds(pacer: &mut Pacer, count: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..count {
            pacer.wait().await;
        }
        start.elapsed().as_secs_f64()
    }

    /// A busy machine can delay any single try, so the upper bound applies to the best of several.
    #[tokio::test]
    async fn late_timers_do_not_add_up() {
        let mut best = f64::MAX;
        for _ in 0..20 {
            let spent = seconds(&mut Pacer::new(NonZeroU32::new(12_000).unwrap()), 101).await;
            assert!(spent >= 0.495, "too fast: {spent}");
            best = best.min(spent);
            // One hundred spacings of 5.03 ms. Counted from when the timer woke, each would take at
            // least a millisecond more.
            if best < 0.56 {
                return;
            }
        }
        panic!("the best try took {best} s");
    }

    #[tokio::test]
    async fn idle_time_is_not_saved_up() {
        let mut pacer = Pacer::new(NonZeroU32::new(12_000).unwrap());
        seconds(&mut pacer, 11).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let spent = seconds(&mut pacer, 11).await;
        assert!(spent >= 0.044, "a burst after a rest: {spent}");
    }
}
