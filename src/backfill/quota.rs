//! Requests of a day, counted in the store across runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDate;

use super::fetcher::Clock;
use crate::store::Store;

/// How often the count is recorded during a run: a run that is killed loses at most the requests of
/// this time.
pub(super) const RECORD_EVERY: Duration = Duration::from_secs(1);

/// Records the requests of a run, under a fingerprint of the key.
pub struct Spending {
    store: Arc<Store>,
    fingerprint: String,
    clock: Clock,
    recorded: u64,
    recorded_at: Instant,
}

impl Spending {
    /// Records for `fingerprint` in `store`, by UTC day. `recorded` requests of the gate are recorded
    /// already, by an earlier job.
    #[must_use]
    pub fn new(store: Arc<Store>, fingerprint: String, clock: Clock, recorded: u64) -> Self {
        Self {
            store,
            fingerprint,
            clock,
            recorded,
            recorded_at: Instant::now(),
        }
    }

    pub(super) fn record(&mut self, sent: u64) -> Result<(), super::Error> {
        if sent > self.recorded {
            self.store
                .add_requests(&self.fingerprint, self.day(), sent - self.recorded)?;
            self.recorded = sent;
        }
        self.recorded_at = Instant::now();
        Ok(())
    }

    pub(super) fn record_now_and_then(&mut self, sent: u64) -> Result<(), super::Error> {
        if sent == self.recorded || self.recorded_at.elapsed() < RECORD_EVERY {
            return Ok(());
        }
        self.record(sent)
    }

    fn day(&self) -> NaiveDate {
        (self.clock)().to_utc().date_naive()
    }
}
