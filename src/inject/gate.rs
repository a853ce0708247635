//! Who may go on: files in path order, and not too many rows in memory.
//!
//! Files are parsed ahead of their turn, yet a file commits only when no earlier one that may hold the same series is
//! still under way; so what comes of a run never depends on threads. The first file that is not through, the *front*,
//! never waits for anybody, hence nothing waits for ever.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::Ticker;

/// How long a waiting file sleeps before it looks whether the run was stopped.
const LOOK_MS: u64 = 50;
/// How many files may be through or under way beyond the front.
const AHEAD_FILES_MAX: usize = 64;

/// Whose bars a file holds, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Not known yet, or many.
    Anyone,
    /// One ticker's.
    One(Ticker),
    /// The file is through.
    Through,
}

/// The order of the files of a run.
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    waiting_rows_max: usize,
}

struct State {
    files: Vec<Whose>,
    next: usize,
    front: usize,
    waiting_rows: usize,
}

impl Gate {
    pub(super) fn new(files: usize, waiting_rows_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                files: vec![Whose::Anyone; files],
                next: 0,
                front: 0,
                waiting_rows: 0,
            }),
            changed: Condvar::new(),
            waiting_rows_max,
        }
    }

    /// The next file to begin with; `None` when there is none or the run is stopped.
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

    /// Says whose bars a file holds.
    pub(super) fn announce(&self, file: usize, ticker: &Ticker) {
        self.lock().files[file] = Whose::One(ticker.clone());
        self.changed.notify_all();
    }

    /// Waits until there is room for `rows` more, which the front always has. False when the run is stopped.
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

    /// Gives the room for `rows` back.
    pub(super) fn release(&self, rows: usize) {
        let mut state = self.lock();
        state.waiting_rows = state.waiting_rows.saturating_sub(rows);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for a file's turn to commit. False when the run is stopped.
    pub(super) fn turn(&self, file: usize, stopped: impl Fn() -> bool) -> bool {
        let state = self.wait(stopped, |state| {
            let apart = |other: &Whose| match (other, &state.files[file]) {
                (Whose::Through, _) => true,
                (Whose::One(a), Whose::One(b)) => a != b,
                _ => false,
            };
            state.files[state.front.min(file)..file].iter().all(apart)
        });
        state.is_some()
    }

    /// A file is through, whatever became of it.
    pub(super) fn through(&self, file: usize) {
        let mut state = self.lock();
        state.files[file] = Whose::Through;
        while state.files.get(state.front) == Some(&Whose::Through) {
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
                .wait_timeout(state, Duration::from_millis(LOOK_MS))
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

    /// Whether a wait would end at once: a stopped run ends every wait that is not ready.
    fn ready(check: impl FnOnce(&dyn Fn() -> bool) -> bool) -> bool {
        let asked = std::cell::Cell::new(false);
        check(&|| asked.replace(true))
    }

    #[test]
    fn files_of_one_series_commit_in_order_and_others_at_once() {
        let gate = Gate::new(4, 100);
        for (file, name) in [(0, "A"), (1, "B"), (2, "A")] {
            gate.announce(file, &ticker(name));
        }
        assert!(ready(|stopped| gate.turn(0, stopped)));
        assert!(ready(|stopped| gate.turn(1, stopped)));
        assert!(!ready(|stopped| gate.turn(2, stopped)));
        assert!(!ready(|stopped| gate.turn(3, stopped)));
        gate.through(0);
        assert!(ready(|stopped| gate.turn(2, stopped)));
        assert!(!ready(|stopped| gate.turn(3, stopped)));
        gate.through(2);
        gate.through(1);
        assert!(ready(|stopped| gate.turn(3, stopped)));
    }

    #[test]
    fn the_front_always_has_room() {
        let gate = Gate::new(2, 100);
        assert!(ready(|stopped| gate.admit(1, 80, stopped)));
        assert!(!ready(|stopped| gate.admit(1, 80, stopped)));
        assert!(ready(|stopped| gate.admit(0, 500, stopped)));
        gate.release(500);
        gate.through(0);
        assert!(ready(|stopped| gate.admit(1, 500, stopped)));
    }
}
