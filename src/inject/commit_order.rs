//! The order of commits: files of one series in path order, and a limit of rows in memory.
//!
//! Files are parsed ahead of their turn. A file commits only when all earlier files that may have
//! the same series are done, so the result doesn't depend on threads. The first file that isn't
//! done, the *front*, never waits; so there is no deadlock.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::Ticker;

/// How often a waiting file checks whether the run was stopped.
const CHECK_MS: u64 = 50;
/// How many files after the front may be in progress or done.
const AHEAD_FILES_MAX: usize = 64;

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FileState {
    /// Its tickers aren't known, or it has several.
    AnyTicker,
    OneTicker(Ticker),
    Done,
}

/// The order of the files of a run.
pub(super) struct CommitOrder {
    state: Mutex<State>,
    changed: Condvar,
    waiting_rows_max: usize,
}

struct State {
    files: Vec<FileState>,
    next: usize,
    front: usize,
    waiting_rows: usize,
}

impl CommitOrder {
    pub(super) fn new(files: usize, waiting_rows_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                files: vec![FileState::AnyTicker; files],
                next: 0,
                front: 0,
                waiting_rows: 0,
            }),
            changed: Condvar::new(),
            waiting_rows_max,
        }
    }

    /// The next file to start; `None` after the last or if the run is stopped.
    pub(super) fn next(&self, stopped: impl Fn() -> bool) -> Option<usize> {
        let mut state = self.wait(stopped, |state| {
            state.next >= state.files.len() || state.next < state.front + AHEAD_FILES_MAX
        })?;
        let next = state.next;
        if next >= state.files.len() {
            return None;
        }
        state.next += 1;
        Some(next)
    }

    /// Records that a file has one ticker only.
    pub(super) fn announce(&self, file: usize, ticker: &Ticker) {
        self.lock().files[file] = FileState::OneTicker(ticker.clone());
        self.changed.notify_all();
    }

    /// Waits until there is room for `rows` more rows, which the front always has. False if the run
    /// is stopped.
    pub(super) fn admit(&self, file: usize, rows: usize, stopped: impl Fn() -> bool) -> bool {
        let state = self.wait(stopped, |state| {
            state.front == file || state.waiting_rows + rows <= self.waiting_rows_max
        });
        match state {
            Some(mut state) => {
                state.waiting_rows += rows;
                true
            }
            None => false,
        }
    }

    /// Frees the room of `rows` rows.
    pub(super) fn release(&self, rows: usize) {
        let mut state = self.lock();
        state.waiting_rows = state.waiting_rows.saturating_sub(rows);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for a file's turn to commit. False if the run is stopped.
    pub(super) fn wait_for_turn(&self, file: usize, stopped: impl Fn() -> bool) -> bool {
        let state = self.wait(stopped, |state| {
            let is_independent = |earlier: &FileState| match (earlier, &state.files[file]) {
                (FileState::Done, _) => true,
                (FileState::OneTicker(a), FileState::OneTicker(b)) => a != b,
                _ => false,
            };
            state.files[state.front.min(file)..file]
                .iter()
                .all(is_independent)
        });
        state.is_some()
    }

    /// Records that a file is done, whether it failed or not.
    pub(super) fn finish(&self, file: usize) {
        let mut state = self.lock();
        state.files[file] = FileState::Done;
        while state.files.get(state.front) == Some(&FileState::Done) {
            state.front += 1;
        }
        drop(state);
        self.changed.notify_all();
    }

    fn wait(
        &self,
        stopped: impl Fn() -> bool,
        ready: impl Fn(&State) -> bool,
    ) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        loop {
            if stopped() {
                return None;
            }
            if ready(&state) {
                return Some(state);
            }
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(CHECK_MS))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticker(name: &str) -> Ticker {
        Ticker::new(name).unwrap()
    }

    /// Whether a wait returns at once; one that would wait is stopped.
    fn ready(check: impl FnOnce(&dyn Fn() -> bool) -> bool) -> bool {
        let checked = std::cell::Cell::new(false);
        check(&|| checked.replace(true))
    }

    #[test]
    fn files_of_one_series_commit_in_order_and_others_at_once() {
        let order = CommitOrder::new(4, 100);
        for (file, name) in [(0, "A"), (1, "B"), (2, "A")] {
            order.announce(file, &ticker(name));
        }
        assert!(ready(|stopped| order.wait_for_turn(0, stopped)));
        assert!(ready(|stopped| order.wait_for_turn(1, stopped)));
        assert!(!ready(|stopped| order.wait_for_turn(2, stopped)));
        assert!(!ready(|stopped| order.wait_for_turn(3, stopped)));
        order.finish(0);
        assert!(ready(|stopped| order.wait_for_turn(2, stopped)));
        assert!(!ready(|stopped| order.wait_for_turn(3, stopped)));
        order.finish(2);
        order.finish(1);
        assert!(ready(|stopped| order.wait_for_turn(3, stopped)));
    }

    #[test]
    fn the_front_always_has_room() {
        let order = CommitOrder::new(2, 100);
        assert!(ready(|stopped| order.admit(1, 80, stopped)));
        assert!(!ready(|stopped| order.admit(1, 80, stopped)));
        assert!(ready(|stopped| order.admit(0, 500, stopped)));
        order.release(500);
        order.finish(0);
        assert!(ready(|stopped| order.admit(1, 500, stopped)));
    }
}
