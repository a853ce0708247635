//! A reader of bars as they were after an earlier commit.
//!
//! A bar that an earlier commit wrote is still stored, unless a later one replaced it; then the ledger of
//! conflicts has its values, with the numbers of both commits. So the bars after commit N are those that
//! commits up to N wrote, and the replaced values of later updates.

use crate::model::{SeriesKey, Timestamp};
use crate::store::error::Error;

use super::Reader;

/// The commits of one run.
struct RunCommits {
    started_at: i64,
    /// When it ended, or when the next run began; `None` if neither is known.
    ended_at: Option<i64>,
    first: Option<u64>,
    last: Option<u64>,
}

impl Reader {
    /// The same reader, which sees the bars that the store had after commit `seq`. An error if that isn't
    /// known: before the store recorded replaced values, and before a repair. For what a drop removed see
    /// [`forgotten`](Self::forgotten).
    ///
    /// Lists of series, sessions, coverage, conflicts and runs stay those of now.
    pub fn as_of(mut self, seq: u64) -> Result<Self, Error> {
        let newest = self.max_commit_seq;
        if seq == 0 || seq > newest {
            return Err(Error::NoCommit { seq, newest });
        }
        let from = self.catalog()?.history_from()?.unwrap_or(newest + 1);
        if seq < from {
            return Err(Error::NoHistory { seq, from });
        }
        if !self.catalog()?.has_commit(seq)? {
            return Err(Error::NoCommit { seq, newest });
        }
        self.as_of = Some(seq);
        Ok(self)
    }

    /// The series whose bars at the time of [`as_of`](Self::as_of) aren't known, because some were dropped
    /// since.
    pub fn forgotten(&self) -> Result<Vec<SeriesKey>, Error> {
        match self.as_of {
            Some(seq) => self.catalog()?.forgotten_since(seq),
            None => Ok(Vec::new()),
        }
    }

    /// The newest commit at an instant. An error if a run was writing then, because only the times of runs
    /// are recorded.
    pub fn commit_at(&self, at: Timestamp) -> Result<u64, Error> {
        let mut before = None;
        for run in self.run_commits()? {
            if run.started_at > at.micros() {
                break;
            }
            let is_over = run.ended_at.is_some_and(|end| end <= at.micros());
            match (run.first, run.last) {
                (Some(first), Some(last)) if !is_over => {
                    return Err(Error::RunAt { at, first, last });
                }
                // The writer's snapshot may lack commits that were made before `at`.
                (None, _) if run.ended_at.is_none() && self.has_writer() => {
                    return Err(Error::CatalogBusy {
                        dir: self.dir.clone(),
                        pid: self.writer_snapshot().and_then(|seen| seen.pid),
                    });
                }
                // Runs of one process can overlap.
                (_, last) => before = before.max(last),
            }
        }
        if let Some(seq) = before {
            return Ok(seq);
        }
        // A repair can have made the catalog again, without the runs.
        match self.catalog()?.history_from()? {
            Some(1) => Err(Error::NothingAt { at }),
            _ => Err(Error::UnknownAt { at }),
        }
    }

    fn run_commits(&self) -> Result<Vec<RunCommits>, Error> {
        let seq = |seq: Option<i64>| seq.map(|seq| seq as u64);
        self.catalog()?.rows(
            "SELECT epoch_us(r.started_at), epoch_us(coalesce(r.finished_at, lead(r.started_at) OVER (ORDER BY r.started_at, r.run_id))),
                 c.first, c.last
             FROM runs r LEFT JOIN (SELECT run_id, min(commit_seq) AS first, max(commit_seq) AS last FROM commits GROUP BY run_id) c
               ON c.run_id = r.run_id
             ORDER BY r.started_at, r.run_id",
            [],
            |row| {
                Ok(RunCommits {
                    started_at: row.get(0)?,
                    ended_at: row.get(1)?,
                    first: seq(row.get(2)?),
                    last: seq(row.get(3)?),
                })
            },
        )
    }
}
