//! Locks of series, held from the read of stored rows to the end of a commit or publish. Threads can work
//! on different series at the same time.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::model::SeriesKey;

/// The locked series.
#[derive(Debug, Default)]
pub(crate) struct SeriesLocks {
    held: Mutex<BTreeSet<SeriesKey>>,
    freed: Condvar,
}

/// The lock on some series, released when dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    locks: &'a SeriesLocks,
    keys: BTreeSet<SeriesKey>,
}

impl SeriesLocks {
    /// Waits until none of `keys` is locked, then locks all of them in one step, so no thread waits
    /// while it holds some.
    pub fn lock(&self, keys: BTreeSet<SeriesKey>) -> Held<'_> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while keys.iter().any(|key| held.contains(key)) {
            held = self
                .freed
                .wait(held)
                .unwrap_or_else(PoisonError::into_inner);
        }
        held.extend(keys.iter().cloned());
        Held { locks: self, keys }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self
            .locks
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            held.remove(key);
        }
        self.locks.freed.notify_all();
    }
}
