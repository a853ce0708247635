//! Whose turn it is to commit: files that may have the same series commit in path order, so threads
//! don't change the result.

use std::collections::BTreeSet;

use crate::model::Ticker;

/// The files of a run. The *front* is the first that isn't done.
pub(super) struct Turns {
    files: Vec<FileState>,
    next: usize,
    front: usize,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FileState {
    /// Its tickers aren't known, or it has several.
    AnyTicker,
    OneTicker(Ticker),
    Done,
}

impl Turns {
    pub(super) fn new(files: usize) -> Self {
        Self {
            files: vec![FileState::AnyTicker; files],
            next: 0,
            front: 0,
        }
    }

    pub(super) const fn front(&self) -> usize {
        self.front
    }

    pub(super) const fn is_last_started(&self) -> bool {
        self.next >= self.files.len()
    }

    /// How many files from the front on were started.
    pub(super) const fn ahead(&self) -> usize {
        self.next - self.front
    }

    /// Starts the next file; `None` after the last.
    pub(super) fn start_next(&mut self) -> Option<usize> {
        if self.is_last_started() {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// Records that a file has one ticker only.
    pub(super) fn announce(&mut self, file: usize, ticker: &Ticker) {
        self.files[file] = FileState::OneTicker(ticker.clone());
    }

    /// Records that files are done.
    pub(super) fn finish(&mut self, files: &[usize]) {
        for file in files {
            self.files[*file] = FileState::Done;
        }
        while self.files.get(self.front) == Some(&FileState::Done) {
            self.front += 1;
        }
    }

    /// Whether all earlier files that may have the file's series are done.
    pub(super) fn is_turn(&self, file: usize) -> bool {
        let mut earlier = Earlier::default();
        let before = &self.files[self.front.min(file)..file];
        before.iter().for_each(|state| earlier.add(state));
        earlier.allow(&self.files[file])
    }

    /// Takes files that can commit together, in path order: each earlier file that may have the series
    /// of one is done or taken, too. `take` returns `None` for a file that isn't ready.
    pub(super) fn take_together<T>(
        &self,
        mut take: impl FnMut(usize) -> Option<T>,
    ) -> Vec<(usize, T)> {
        let mut earlier = Earlier::default();
        let mut taken = Vec::new();
        for file in self.front..self.next {
            if earlier.any {
                break;
            }
            let state = &self.files[file];
            match earlier.allow(state).then(|| take(file)).flatten() {
                Some(parsed) => taken.push((file, parsed)),
                None => earlier.add(state),
            }
        }
        taken
    }
}

/// The tickers of earlier files that aren't done.
#[derive(Default)]
struct Earlier<'s> {
    tickers: BTreeSet<&'s Ticker>,
    /// Whether one may have any ticker.
    any: bool,
}

impl<'s> Earlier<'s> {
    fn add(&mut self, state: &'s FileState) {
        match state {
            FileState::AnyTicker => self.any = true,
            FileState::OneTicker(ticker) => drop(self.tickers.insert(ticker)),
            FileState::Done => {}
        }
    }

    /// Whether a file may commit before them.
    fn allow(&self, state: &FileState) -> bool {
        match state {
            FileState::OneTicker(ticker) => !self.any && !self.tickers.contains(ticker),
            FileState::AnyTicker => !self.any && self.tickers.is_empty(),
            FileState::Done => true,
        }
    }
}
