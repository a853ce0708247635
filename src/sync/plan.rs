//! Decides what to do next with a series, from its recorded progress alone.

use super::error::{Error, ErrorKind};
use super::target::{Epoch, Mark, Probe, Progress, Tally, TransactionId};
use crate::advice::SyncAdvice;
use crate::model::SeriesKey;
use crate::report::Counts;

/// How often a series starts again because its progress names commits that the store doesn't have.
const RESETS_MAX: u32 = 4;

/// What is known of a series while it is synced.
pub(super) struct State {
    pub counts: Counts,
    /// The recorded progress, if it is known to be current.
    pub progress: Option<Progress>,
    /// The progress when it was last known.
    pub last_seen: Progress,
    /// Ignore the progress and compare every row, until the first chunk is committed.
    pub full: bool,
    pub epoch: Epoch,
    /// The last instant that is done, in a run that doesn't record progress.
    pub unrecorded_through: Option<i64>,
    /// Whether such a run has finished the series.
    pub unrecorded_done: bool,
    pub unknown: Option<UnknownCommit>,
    pub resets: u32,
    /// Failures since the last committed chunk.
    pub failures: u32,
}

/// A chunk whose commit was sent without a reply.
#[derive(Clone, Copy)]
pub(super) struct UnknownCommit {
    pub transaction: TransactionId,
    pub tally: Tally,
    pub rows: u64,
    pub next: Option<Progress>,
    pub through: Option<i64>,
}

/// A pass over the commits after `base` up to `pass`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyncPass {
    pub base: Mark,
    pub pass: Mark,
    /// The last instant that is done already.
    pub through: Option<i64>,
}

impl SyncPass {
    /// Whether it compares every row and starts at the first.
    pub(super) fn is_full_start(&self) -> bool {
        self.base == Mark::default() && self.through.is_none()
    }
}

impl State {
    pub(super) fn new(probe: &Probe, epoch: Epoch, full: bool) -> Self {
        let is_known = probe.progress.is_some_and(|progress| !progress.is_new());
        Self {
            counts: Counts::default(),
            progress: probe.progress,
            last_seen: probe.progress.unwrap_or_default(),
            full: full || (is_known && probe.edges_changed),
            epoch,
            unrecorded_through: None,
            unrecorded_done: false,
            unknown: None,
            resets: 0,
            failures: 0,
        }
    }

    /// The next pass, if there is anything to do.
    ///
    /// `is_ours` is whether the store has the commits that `progress` names. `newest` is the newest
    /// commit of the series. `date_filtered` runs don't record progress.
    pub(super) fn next_pass(
        &mut self,
        series: &SeriesKey,
        progress: &Progress,
        is_ours: bool,
        newest: Mark,
        date_filtered: bool,
    ) -> Result<Option<SyncPass>, Error> {
        if self.unrecorded_done || newest.seq == 0 {
            return Ok(None);
        }
        if !progress.is_new() && !self.full {
            if !is_ours {
                // A copied, restored or repaired store.
                self.resets += 1;
                if self.resets > RESETS_MAX {
                    return Err(contended(series));
                }
                self.full = true;
            } else if progress.epoch != self.epoch {
                self.full = true;
            }
        }
        if progress.is_unfinished() && !self.full && !date_filtered {
            return Ok(Some(SyncPass {
                base: progress.base,
                pass: progress.pass,
                through: progress.through,
            }));
        }
        let base = match self.full {
            true => Mark::default(),
            false => progress.base,
        };
        let pass = SyncPass {
            base,
            pass: newest,
            through: self.unrecorded_through.filter(|_| date_filtered),
        };
        Ok(Some(pass).filter(|pass| pass.base.seq < newest.seq))
    }
}

fn contended(series: &SeriesKey) -> Error {
    Error::new(
        ErrorKind::Contended,
        format!("a copy of the store, with other commits, is syncing {series} at the same time"),
    )
    .with_hint(SyncAdvice::SyncOneCopy)
}
