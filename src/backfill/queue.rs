//! The receiving side of the writer thread's queue: which batches are committed together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Error;
use super::batch::QueuedBatch;
use super::quota::RECORD_EVERY;

/// With this many bars a commit starts.
const GROUP_BARS_MAX: usize = 65_536;
/// How long a commit waits for windows in flight.
const GROUP_WAIT: Duration = Duration::from_millis(50);
/// How often a waiting commit checks whether windows are in flight.
const GROUP_TICK: Duration = Duration::from_millis(5);

/// Batches that wait for the writer thread.
pub(super) struct Queue {
    pub inbox: Receiver<QueuedBatch>,
    /// Windows that are being requested.
    pub in_flight: Arc<AtomicUsize>,
    /// How many windows a commit waits for.
    pub group_size: usize,
}

impl Queue {
    /// The batches to commit together, `group` among them; `None` after the last. Calls `idle` now and
    /// then while nothing arrives.
    pub(super) fn next_group(
        &self,
        mut group: Vec<QueuedBatch>,
        mut idle: impl FnMut() -> Result<(), Error>,
    ) -> Result<Option<Vec<QueuedBatch>>, Error> {
        while group.is_empty() {
            match self.inbox.recv_timeout(RECORD_EVERY) {
                Ok(queued) => group.push(queued),
                Err(RecvTimeoutError::Timeout) => idle()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
        let end = Instant::now() + GROUP_WAIT;
        let mut bars: usize = group.iter().map(|queued| queued.batch.bars.len()).sum();
        while bars < GROUP_BARS_MAX {
            let none_in_flight = self.in_flight.load(Ordering::SeqCst) == 0;
            let wait = if none_in_flight || group.len() >= self.group_size {
                Duration::ZERO
            } else {
                end.saturating_duration_since(Instant::now())
                    .min(GROUP_TICK)
            };
            match self.inbox.recv_timeout(wait) {
                Ok(queued) => {
                    bars += queued.batch.bars.len();
                    group.push(queued);
                }
                Err(RecvTimeoutError::Timeout) if !wait.is_zero() => {}
                Err(_) => break,
            }
        }
        Ok(Some(group))
    }
}
