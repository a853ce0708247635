//! The threads of a run: which file is read next, which waits for its commit, and how many rows are in
//! memory.
//!
//! ```text
//! worker ──large file──> wait_for_turn ─> commit
//! worker ──small file──> queue ─┐
//! worker ──small file──> queue ─┴─> next_group ─> commit thread: one commit for all
//! ```
//!
//! Files are parsed ahead of their turn ([`Turns`]). The limit of rows doesn't apply to the front, and
//! it waits for no other file, so there is no deadlock.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::turns::Turns;
use crate::model::Ticker;

/// How often a waiting thread checks whether the run was stopped.
const CHECK_MS: u64 = 50;
/// How many files after the front may be in progress or done.
const AHEAD_FILES_MAX: usize = 8_192;
/// A group commits once it has this many files.
const GROUP_FILES: usize = 4_096;
/// A group commits once its first file has waited this long.
const GROUP_WAIT_MS: u64 = 1_000;

/// The order of the files of a run. `T` is a parsed file.
pub(super) struct CommitOrder<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// The limit of rows in memory.
    waiting_rows_max: usize,
    /// A group commits once it has this many rows.
    group_rows: usize,
}

struct State<T> {
    turns: Turns,
    waiting_rows: usize,
    /// Parsed files by index, with their rows.
    queue: BTreeMap<usize, (usize, T)>,
    queued_rows: usize,
    queued_since: Option<Instant>,
    /// Threads that read files.
    workers: usize,
    /// Workers that wait for a commit.
    waiting_workers: usize,
    /// Whether the commit thread has ended.
    is_closed: bool,
}

/// While it exists, a worker may queue files.
pub(super) struct WorkerGuard<'o, T>(&'o CommitOrder<T>);

impl<T> Drop for WorkerGuard<'_, T> {
    fn drop(&mut self) {
        self.0.lock().workers -= 1;
        self.0.changed.notify_all();
    }
}

/// Ends all waits when the commit thread ends, also by a panic.
pub(super) struct CommitterGuard<'o, T>(&'o CommitOrder<T>);

impl<T> Drop for CommitterGuard<'_, T> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl<T> CommitOrder<T> {
    pub(super) fn new(files: usize, waiting_rows_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                turns: Turns::new(files),
                waiting_rows: 0,
                queue: BTreeMap::new(),
                queued_rows: 0,
                queued_since: None,
                workers: 0,
                waiting_workers: 0,
                is_closed: false,
            }),
            changed: Condvar::new(),
            waiting_rows_max,
            // A part of the room, so that files are parsed while a group commits.
            group_rows: waiting_rows_max / 4,
        }
    }

    /// Registers a worker. Groups wait for its files until the guard is dropped.
    pub(super) fn worker(&self) -> WorkerGuard<'_, T> {
        self.lock().workers += 1;
        WorkerGuard(self)
    }

    /// Registers the commit thread.
    pub(super) const fn committer(&self) -> CommitterGuard<'_, T> {
        CommitterGuard(self)
    }

    /// The next file to start; `None` after the last or if the run is stopped.
    pub(super) fn next(&self, stopped: impl Fn() -> bool) -> Option<usize> {
        let mut state = self.wait(stopped, |state| {
            let turns = &state.turns;
            turns.is_last_started() || turns.ahead() < AHEAD_FILES_MAX
        })?;
        state.turns.start_next()
    }

    /// Records that a file has one ticker only.
    pub(super) fn announce(&self, file: usize, ticker: &Ticker) {
        let mut state = self.lock();
        state.turns.announce(file, ticker);
        let is_waited_for = state.waiting_workers > 0;
        drop(state);
        if is_waited_for {
            self.changed.notify_all();
        }
    }

    /// Waits until there is room for `rows` more rows, which the front always has. False if the run
    /// is stopped.
    pub(super) fn admit(&self, file: usize, rows: usize, stopped: impl Fn() -> bool) -> bool {
        let state = self.wait(stopped, |state| {
            state.turns.front() == file || state.waiting_rows + rows <= self.waiting_rows_max
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
        self.wait(stopped, |state| state.turns.is_turn(file))
            .is_some()
    }

    /// Puts a parsed file into the queue for a commit with others.
    pub(super) fn queue(&self, file: usize, rows: usize, parsed: T) {
        let mut state = self.lock();
        state.queue.insert(file, (rows, parsed));
        state.queued_rows += rows;
        state.queued_since.get_or_insert_with(Instant::now);
        let is_due = self.is_due(&state);
        drop(state);
        if is_due {
            self.changed.notify_all();
        }
    }

    /// Waits for files to commit together, and takes them from the queue in path order. `None` if no
    /// more can follow, or at once if the run `failed`: what is queued then isn't committed.
    pub(super) fn next_group(&self, failed: impl Fn() -> bool) -> Option<Vec<(usize, T)>> {
        let mut state = self.lock();
        loop {
            if failed() {
                return None;
            }
            if self.is_due(&state) {
                let group = state.take_group(self.group_rows);
                if !group.is_empty() {
                    return Some(group);
                }
            }
            if state.workers == 0 {
                return None;
            }
            state = self.wait_for_change(state);
        }
    }

    /// Takes the files that will not be committed.
    pub(super) fn take_queue(&self) -> Vec<(usize, T)> {
        let queue = std::mem::take(&mut self.lock().queue);
        queue
            .into_iter()
            .map(|(file, (_, parsed))| (file, parsed))
            .collect()
    }

    /// Records that files are done, whether they failed or not.
    pub(super) fn finish(&self, files: &[usize]) {
        let mut state = self.lock();
        state.turns.finish(files);
        drop(state);
        self.changed.notify_all();
    }

    /// Whether to commit what is queued.
    fn is_due(&self, state: &State<T>) -> bool {
        let has_waited = |since: Instant| since.elapsed() >= Duration::from_millis(GROUP_WAIT_MS);
        !state.queue.is_empty()
            && (state.queued_rows >= self.group_rows
                || state.queue.len() >= GROUP_FILES
                || state.waiting_workers > 0
                || state.workers == 0
                || state.queued_since.is_some_and(has_waited))
    }

    fn wait(
        &self,
        stopped: impl Fn() -> bool,
        ready: impl Fn(&State<T>) -> bool,
    ) -> Option<MutexGuard<'_, State<T>>> {
        let mut state = self.lock();
        let mut waits = false;
        loop {
            let is_stopped = stopped() || state.is_closed;
            let is_ready = !is_stopped && ready(&state);
            if (is_stopped || is_ready) && waits {
                state.waiting_workers -= 1;
            }
            if is_stopped {
                return None;
            }
            if is_ready {
                return Some(state);
            }
            if !waits {
                waits = true;
                state.waiting_workers += 1;
                self.changed.notify_all();
            }
            state = self.wait_for_change(state);
        }
    }

    fn wait_for_change<'s>(&self, state: MutexGuard<'s, State<T>>) -> MutexGuard<'s, State<T>> {
        let waited = self
            .changed
            .wait_timeout(state, Duration::from_millis(CHECK_MS));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Takes the queued files whose turn it is together, in path order, up to about `rows_max` rows.
    fn take_group(&mut self, rows_max: usize) -> Vec<(usize, T)> {
        let queue = &mut self.queue;
        let mut rows = 0;
        let group = self.turns.take_together(|file| {
            if rows >= rows_max {
                return None;
            }
            let (its_rows, parsed) = queue.remove(&file)?;
            rows += its_rows;
            Some(parsed)
        });
        self.queued_rows -= rows;
        self.queued_since = (!self.queue.is_empty()).then(Instant::now);
        group
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
        let order = CommitOrder::<()>::new(4, 100);
        for (file, name) in [(0, "A"), (1, "B"), (2, "A")] {
            order.announce(file, &ticker(name));
        }
        assert!(ready(|stopped| order.wait_for_turn(0, stopped)));
        assert!(ready(|stopped| order.wait_for_turn(1, stopped)));
        assert!(!ready(|stopped| order.wait_for_turn(2, stopped)));
        assert!(!ready(|stopped| order.wait_for_turn(3, stopped)));
        order.finish(&[0]);
        assert!(ready(|stopped| order.wait_for_turn(2, stopped)));
        assert!(!ready(|stopped| order.wait_for_turn(3, stopped)));
        order.finish(&[2]);
        order.finish(&[1]);
        assert!(ready(|stopped| order.wait_for_turn(3, stopped)));
    }

    #[test]
    fn the_front_always_has_room() {
        let order = CommitOrder::<()>::new(2, 100);
        assert!(ready(|stopped| order.admit(1, 80, stopped)));
        assert!(!ready(|stopped| order.admit(1, 80, stopped)));
        assert!(ready(|stopped| order.admit(0, 500, stopped)));
        order.release(500);
        order.finish(&[0]);
        assert!(ready(|stopped| order.admit(1, 500, stopped)));
    }

    fn group(order: &CommitOrder<&'static str>) -> Vec<usize> {
        let group = order.next_group(|| false).unwrap_or_default();
        group.into_iter().map(|(file, _)| file).collect()
    }

    #[test]
    fn a_group_has_the_files_whose_turn_it_is_in_path_order() {
        let order = CommitOrder::new(5, 100);
        while order.next(|| false).is_some() {}
        for (file, name) in [(0, "A"), (1, "B"), (2, "A"), (3, "B")] {
            order.announce(file, &ticker(name));
        }
        // File 0 is still read. File 4 has any ticker.
        for file in [4, 3, 2, 1] {
            order.queue(file, 1, "parsed");
        }
        assert_eq!(group(&order), [1, 3]);
        order.finish(&[1, 3]);
        assert!(group(&order).is_empty());
        order.queue(0, 1, "parsed");
        assert_eq!(group(&order), [0, 2, 4]);
        order.finish(&[0, 2, 4]);
        assert!(order.next_group(|| false).is_none());
        assert!(order.take_queue().is_empty());
    }

    #[test]
    fn files_after_a_stopped_one_stay_in_the_queue() {
        let order = CommitOrder::new(3, 100);
        while order.next(|| false).is_some() {}
        order.queue(0, 1, "parsed");
        order.queue(2, 1, "parsed");
        assert_eq!(group(&order), [0]);
        order.finish(&[0]);
        assert!(order.next_group(|| false).is_none());
        let left: Vec<usize> = order.take_queue().iter().map(|(file, _)| *file).collect();
        assert_eq!(left, [2]);
    }

    #[test]
    fn a_group_ends_at_its_limit_of_rows() {
        let order = CommitOrder::new(4, 100);
        while order.next(|| false).is_some() {}
        for file in 0..4 {
            order.queue(file, 20, "parsed");
        }
        assert_eq!(group(&order), [0, 1]);
        order.finish(&[0, 1]);
        assert_eq!(group(&order), [2, 3]);
    }
}
