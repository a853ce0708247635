//! What is to be done with a series next: read off its progress, whatever happened before.

use super::errors::Error;
use super::progress::{Mark, Progress};
use super::series::Worker;
use super::source::SeriesInfo;
use super::transfer::InDoubt;
use crate::report::Counts;

/// Times that a series starts from its beginning because its progress speaks of commits that the store does not have.
const RESETS_MAX: u32 = 4;

/// What is known of the series while it is being synced.
pub(super) struct State {
    pub counts: Counts,
    /// The progress, where it is known to be current.
    pub progress: Option<Progress>,
    /// The progress when it was last known.
    pub last_seen: Progress,
    /// Compare all, whatever the progress says; until a chunk of that pass is there.
    pub full: bool,
    /// The table's object id and file.
    pub identity: (i64, i64),
    /// The last instant that is there, of a run whose progress does not move.
    pub narrow_through: Option<i64>,
    pub narrow_done: bool,
    pub in_doubt: Option<InDoubt>,
    pub resets: u32,
    pub failures: u32,
}

/// How the sync of a series ended.
pub(super) struct Synced {
    /// True even where it failed.
    pub counts: Counts,
    /// All commits up to this one were there when the target was last seen.
    pub base_seq: u64,
    /// Restated rows that earlier syncs left in the target.
    pub kept: u64,
    pub result: Result<(), Error>,
}

impl State {
    pub(super) fn synced(self, result: Result<(), Error>) -> Synced {
        Synced {
            counts: self.counts,
            base_seq: self.last_seen.base.seq,
            kept: self.last_seen.kept.try_into().unwrap_or(0),
            result,
        }
    }
}

/// A pass over the commits after `base` up to `pass`.
pub(super) struct Pass {
    pub base: Mark,
    pub pass: Mark,
    /// The last instant that is there already.
    pub through: Option<i64>,
}

impl Worker<'_> {
    /// What is to be done next, if anything.
    pub(super) fn plan(
        &self,
        info: &SeriesInfo,
        progress: &Progress,
        state: &mut State,
    ) -> Result<Option<Pass>, Error> {
        if state.narrow_done || info.max_commit_seq == 0 {
            return Ok(None);
        }
        let is_ours =
            |mark: Mark| -> Result<bool, Error> { Ok(self.shared.commit_id(mark.seq)? == mark.id) };
        if !progress.is_new() && !state.full {
            if !is_ours(progress.base)? || !is_ours(progress.pass)? {
                // A copied, restored or repaired store: what the progress speaks of never happened here.
                state.resets += 1;
                if state.resets > RESETS_MAX {
                    return Err(Error::Contended {
                        series: info.key.clone(),
                    });
                }
                state.full = true;
            } else if (progress.oid, progress.filenode) != state.identity {
                state.full = true;
            }
        }
        let newest = || -> Result<Mark, Error> {
            Ok(Mark {
                seq: info.max_commit_seq,
                id: self.shared.commit_id(info.max_commit_seq)?,
            })
        };
        if self.shared.settings.is_narrowed() {
            let base = if state.full {
                Mark::default()
            } else {
                progress.base
            };
            if base.seq >= info.max_commit_seq {
                return Ok(None);
            }
            return Ok(Some(Pass {
                base,
                pass: newest()?,
                through: state.narrow_through,
            }));
        }
        if state.full {
            return Ok(Some(Pass {
                base: Mark::default(),
                pass: newest()?,
                through: None,
            }));
        }
        if progress.is_under_way() {
            return Ok(Some(Pass {
                base: progress.base,
                pass: progress.pass,
                through: progress.through,
            }));
        }
        if progress.base.seq >= info.max_commit_seq {
            return Ok(None);
        }
        Ok(Some(Pass {
            base: progress.base,
            pass: newest()?,
            through: None,
        }))
    }
}
