//! What the workers of a run share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::error::Error;
use super::settings::Settings;
use super::source::{SeriesInfo, Source};
use super::target::{Mark, Probe, Signals};
use crate::model::{Ticker, TimeRange};

/// A series to sync.
pub(super) struct SeriesTask {
    /// Index of its table.
    pub table: usize,
    pub info: SeriesInfo,
    /// The instants that the run is limited to.
    pub range: TimeRange,
    pub probe: Probe,
}

/// All series of a ticker, which one worker syncs.
pub(super) struct Unit {
    pub ticker: Ticker,
    pub series: Vec<SeriesTask>,
}

/// What all workers share.
pub(super) struct RunContext<'a> {
    pub settings: &'a Settings,
    pub source: &'a dyn Source,
    pub signals: Signals<'a>,
    aborted: AtomicBool,
    /// Ids of commits; nil if the store has no such commit.
    commit_ids: Mutex<HashMap<u64, Uuid>>,
}

impl<'a> RunContext<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        settings: &'a Settings,
        signals: Signals<'a>,
    ) -> Self {
        Self {
            settings,
            source,
            signals,
            aborted: AtomicBool::new(false),
            commit_ids: Mutex::default(),
        }
    }

    /// The mark of a commit; with a nil id if the store has no such commit.
    pub(super) fn mark(&self, seq: u64) -> Result<Mark, Error> {
        if seq == 0 {
            return Ok(Mark::default());
        }
        let known = lock(&self.commit_ids).get(&seq).copied();
        if known.is_none() {
            self.look_up(&[seq])?;
        }
        let id = lock(&self.commit_ids).get(&seq).copied();
        Ok(Mark {
            seq,
            id: id.unwrap_or_default(),
        })
    }

    /// Looks up many commits at once.
    pub(super) fn look_up(&self, seqs: &[u64]) -> Result<(), Error> {
        let found = self.source.commit_ids(seqs);
        let found = found.map_err(|error| Error::store(&error))?;
        let mut known = lock(&self.commit_ids);
        for seq in seqs {
            known.insert(*seq, found.get(seq).copied().unwrap_or_default());
        }
        Ok(())
    }

    /// Ends the run after what is in flight: it can't succeed.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Whether nothing new is to be started.
    pub(super) fn is_stopping(&self) -> bool {
        self.signals.stop.is_set() || self.aborted.load(Ordering::Relaxed)
    }
}

/// Locks `mutex`, also if a thread panicked while it had it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
