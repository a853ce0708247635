//! What the fetch gives to the writer thread, and what it gets back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::quota::Spending;
use crate::advice::Advice;
use crate::calendar::Calendar;
use crate::export::BarsWriter;
use crate::model::{Bars, DateRange, OnConflict, Provenance, Reject, SeriesKey, Source};
use crate::report::Observer;
use crate::store::{CoverageEntry, Refusal, RunId, Store, Tally};

/// What one window returned.
pub(super) struct Batch {
    pub series: SeriesKey,
    pub bars: Bars,
    pub rejects: Vec<Reject>,
    /// When the bars of the rejects open, of those whose time is known.
    pub missing: Vec<i64>,
    pub coverage: Vec<CoverageEntry>,
    /// Some of it was requested before, so stored bars with the same values don't conflict.
    pub refetch: bool,
    /// Bars from outside the window; they are compared with stored ones and not offered.
    pub context_bars: Bars,
    /// The dates of the run, if it requests every trading day of them.
    pub full_range: Option<DateRange>,
}

/// What happened to a batch.
#[derive(Clone, Debug)]
pub(super) enum BatchOutcome {
    /// Committed; in a dry run, counted.
    Committed(Tally),
    /// Refused by the store.
    Refused {
        refusal: Refusal,
        error: String,
        hint: Option<Advice>,
    },
    /// Not offered: the series would have had bars of two price bases.
    SplitSuspected {
        restated: u64,
        error: String,
        hint: Option<Advice>,
    },
    /// Not offered: an earlier batch of its ticker was refused.
    SkippedAfterRefusal,
}

/// A batch in the queue of the writer thread.
pub(super) struct QueuedBatch {
    pub batch: Batch,
    /// Gets the outcome.
    pub reply: oneshot::Sender<BatchOutcome>,
    /// Room in the queue.
    pub _room: OwnedSemaphorePermit,
    /// The window's permit, returned when this is dropped: not before the batch is committed.
    pub _window_permit: OwnedSemaphorePermit,
}

impl QueuedBatch {
    pub(super) fn finish(self, outcome: BatchOutcome) {
        // The ticker may have been given up.
        let _ = self.reply.send(outcome);
    }
}

/// What the writer thread works with.
pub(super) struct WriterContext {
    /// `None` in a dry run.
    pub store: Option<(Arc<Store>, RunId)>,
    pub output: Option<BarsWriter>,
    pub on_conflict: OnConflict,
    pub provenance: Provenance,
    pub source: Source,
    pub spending: Option<Spending>,
    pub calendar: Calendar,
    pub observer: Arc<dyn Observer>,
}
