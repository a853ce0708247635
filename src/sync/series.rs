//! One series: its passes, chunk by chunk, through lost connections and other syncs.
//!
//! The next step is decided from the target's progress whenever that may have changed, so that
//! continuing after a failure and starting are the same thing.

use std::time::Duration;

use super::ahead::{PassBars, ReadAhead, StartReading};
use super::chunk::Chunk;
use super::context::{RunContext, SeriesTask};
use super::error::{Error, ErrorKind, Retry};
use super::plan::{State, SyncPass, UnknownCommit};
use super::target::{Connection, Mark, Progress, Table, Tally, Target, Write, Written};
use crate::model::OnConflict;
use crate::report::{Counts, Event};

/// A thread that syncs series after series over one connection.
pub(super) struct Worker<'a, 'r, T: Target + 'a> {
    pub context: &'a RunContext<'a>,
    pub target: &'a T,
    pub read: &'r StartReading<'r>,
    pub connection: Option<T::Connection<'a>>,
}

/// How the sync of a series ended.
pub(super) struct SeriesEnd {
    /// What was done, also if it failed.
    pub counts: Counts,
    /// The progress when it was last known.
    pub progress: Progress,
    pub result: Result<(), Error>,
}

impl<T: Target> Worker<'_, '_, T> {
    /// Brings a series to the target. `ahead` may read its first pass already.
    pub(super) async fn sync(
        &mut self,
        table: &T::Table,
        task: &SeriesTask,
        ahead: Option<ReadAhead>,
    ) -> SeriesEnd {
        let state = State::new(&task.probe, table.epoch(), self.context.settings.full);
        let mut series = SeriesSync {
            worker: self,
            table,
            task,
            state,
            ahead,
        };
        let result = series.run().await;
        SeriesEnd {
            counts: series.state.counts,
            progress: series.state.last_seen,
            result,
        }
    }
}

struct SeriesSync<'w, 'a, 'r, T: Target + 'a> {
    worker: &'w mut Worker<'a, 'r, T>,
    table: &'w T::Table,
    task: &'w SeriesTask,
    state: State,
    /// The bars that are probably wanted next.
    ahead: Option<ReadAhead>,
}

/// The bars that a series' first pass will send, if its progress stays as it was found.
pub(super) fn first_bars(
    context: &RunContext<'_>,
    table: &impl Table,
    task: &SeriesTask,
) -> Option<PassBars> {
    let mut state = State::new(&task.probe, table.epoch(), context.settings.full);
    let progress = state.last_seen;
    let pass = next_pass(context, task, &mut state, &progress);
    Some(PassBars::new(task, &pass.ok()??))
}

/// The next pass of a series, if there is anything to do.
fn next_pass(
    context: &RunContext<'_>,
    task: &SeriesTask,
    state: &mut State,
    progress: &Progress,
) -> Result<Option<SyncPass>, Error> {
    let (settings, info) = (context.settings, &task.info);
    let has = |mark: Mark| Ok::<_, Error>(context.mark(mark.seq)? == mark);
    let is_ours = has(progress.base)? && has(progress.pass)?;
    let newest = context.mark(info.max_commit_seq)?;
    let date_filtered = settings.is_date_filtered();
    let pass = state.next_pass(&info.key, progress, is_ours, newest, date_filtered)?;
    Ok(pass.map(|pass| SyncPass {
        through: match settings.dry_run {
            true => pass.through.max(state.unrecorded_through),
            false => pass.through,
        },
        ..pass
    }))
}

impl<'a, T: Target> SeriesSync<'_, 'a, '_, T> {
    fn context(&self) -> &'a RunContext<'a> {
        self.worker.context
    }

    /// The connection; `connected` was called before.
    fn connection(&mut self) -> Result<&mut T::Connection<'a>, Error> {
        self.worker
            .connection
            .as_mut()
            .ok_or_else(Error::interrupted)
    }

    async fn connected(&mut self) -> Result<(), Error> {
        if self.worker.connection.is_none() {
            let signals = self.context().signals;
            self.worker.connection = Some(self.worker.target.connect(signals).await?);
        }
        Ok(())
    }

    /// Tries until an attempt succeeds, or another one can't help.
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let Err(error) = self.attempt().await else {
                return Ok(());
            };
            if error.retry() == Retry::Never
                || self.state.failures >= self.context().settings.retry.failures_max
                || self.context().is_stopping()
            {
                if let ErrorKind::Restated { restated, rows } = error.kind() {
                    self.state.counts.conflicts += restated;
                    self.state.counts.fetched += rows;
                    self.state.counts.prepared += rows;
                }
                return Err(error);
            }
            tracing::debug!("{}: {error}; trying again", self.task.info.key);
            self.recover(error.retry()).await;
        }
    }

    /// Drops a lost connection, and waits before the next attempt.
    async fn recover(&mut self, retry: Retry) {
        self.state.failures += 1;
        self.state.counts.retries += 1;
        let settings = self.context().settings;
        if !settings.dry_run {
            self.state.progress = None;
        }
        if retry == Retry::NewConnection {
            self.worker.connection = None;
        } else if let Some(connection) = &mut self.worker.connection {
            connection.reset().await;
        }
        let doubled = settings.retry.wait_ms_min << (self.state.failures - 1).min(10);
        let wait = Duration::from_millis(doubled.min(settings.retry.wait_ms_max));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.context().signals.stop.wait() => {}
        }
    }

    /// Passes until the target has all commits.
    async fn attempt(&mut self) -> Result<(), Error> {
        self.connected().await?;
        self.settle_unknown().await?;
        loop {
            let progress = self.progress().await?;
            let pass = next_pass(self.context(), self.task, &mut self.state, &progress)?;
            let Some(pass) = pass else {
                return Ok(());
            };
            self.pass(progress, &pass).await?;
        }
    }

    /// The recorded progress.
    async fn progress(&mut self) -> Result<Progress, Error> {
        if let Some(progress) = self.state.progress {
            return Ok(progress);
        }
        if self.context().settings.dry_run {
            return Ok(Progress::default());
        }
        let (table, series) = (self.table, &self.task.info.key);
        let progress = self.connection()?.progress(table, series).await?;
        self.state.progress = Some(progress);
        self.state.last_seen = progress;
        Ok(progress)
    }

    /// Sends the chunks of a pass until it is complete, or until another sync has changed the progress.
    async fn pass(&mut self, mut expected: Progress, pass: &SyncPass) -> Result<(), Error> {
        let context = self.context();
        let (settings, info) = (context.settings, &self.task.info);
        let records = !settings.is_date_filtered();
        let bars = PassBars::new(self.task, pass);
        let ahead = self.ahead.take().filter(|ahead| ahead.reads(&bars));
        let mut chunks = ahead.unwrap_or_else(|| (self.worker.read)(bars));
        let mut kept = match pass.is_full_start() {
            true => 0,
            false => expected.kept,
        };
        loop {
            if context.is_stopping() {
                return Err(Error::interrupted());
            }
            let Chunk {
                bars: chunk,
                is_last: last,
            } = chunks.next()?.unwrap_or_default();
            if chunk.is_empty() && (!records || settings.dry_run) {
                self.state.unrecorded_done = true;
                return Ok(());
            }
            let through = chunk.timestamps().last().copied();
            let next = records.then(|| Progress {
                base: if last { pass.pass } else { pass.base },
                pass: pass.pass,
                through: through.filter(|_| !last),
                epoch: self.state.epoch,
                kept,
            });
            let write = Write {
                series: &info.key,
                chunk: &chunk,
                epoch: self.state.epoch,
                expected,
                next,
                on_conflict: settings.on_conflict,
                check: settings.check,
            };
            if settings.dry_run {
                self.compare(&write).await?;
            } else {
                match self.write(&write).await? {
                    Some(next) => (expected, kept) = (next, next.kept),
                    None => return Ok(()),
                }
            }
            if last {
                self.state.unrecorded_done = !records || settings.dry_run;
                return Ok(());
            }
        }
    }

    /// Writes a chunk. Returns the progress after it; `None` if the next pass must be
    /// decided again.
    async fn write(&mut self, write: &Write<'_>) -> Result<Option<Progress>, Error> {
        let table = self.table;
        let (rows, through) = (
            write.chunk.len() as u64,
            write.chunk.timestamps().last().copied(),
        );
        match self.connection()?.write(table, write).await? {
            Written::Committed(tally) => {
                let next = write.next_after(&tally);
                self.count(tally, rows, next, through);
                Ok(Some(next.unwrap_or(write.expected)))
            }
            Written::Moved(progress) => {
                self.state.progress = progress;
                Ok(None)
            }
            Written::Emptied(epoch) => {
                self.state.epoch = epoch;
                self.state.full = true;
                Ok(None)
            }
            Written::Unknown {
                transaction,
                tally,
                error,
            } => {
                self.state.unknown = Some(UnknownCommit {
                    transaction,
                    tally,
                    rows,
                    next: write.next_after(&tally),
                    through,
                });
                Err(error)
            }
        }
    }

    /// Counts a committed chunk.
    fn count(&mut self, tally: Tally, rows: u64, next: Option<Progress>, through: Option<i64>) {
        let state = &mut self.state;
        state.counts += Counts {
            fetched: rows,
            prepared: rows,
            committed: tally.inserted + tally.updated,
            updated: tally.updated,
            skipped_identical: tally.identical,
            skipped_restated: tally.restated,
            ..Counts::default()
        };
        match next {
            Some(next) => {
                state.progress = Some(next);
                state.last_seen = next;
                state.full = false;
            }
            None => state.unrecorded_through = through.or(state.unrecorded_through),
        }
        state.failures = 0;
        self.report(rows);
    }

    /// Compares a chunk in a dry run.
    async fn compare(&mut self, write: &Write<'_>) -> Result<(), Error> {
        let table = self.table;
        let tally = self.connection()?.compare(table, write).await?;
        let rows = write.chunk.len() as u64;
        self.state.counts += Counts {
            fetched: rows,
            prepared: rows,
            skipped_identical: tally.identical,
            skipped_restated: match write.on_conflict {
                OnConflict::Ignore => tally.restated,
                OnConflict::Fail | OnConflict::Update => 0,
            },
            ..Counts::default()
        };
        self.state.unrecorded_through = write.chunk.timestamps().last().copied();
        self.report(rows);
        Ok(())
    }

    fn report(&self, rows: u64) {
        let observer = self.context().signals.observer;
        observer.event(&Event::Progress {
            done: 0,
            bars: rows,
        });
    }

    /// Finds out whether a commit whose reply was lost succeeded, and counts it if so.
    async fn settle_unknown(&mut self) -> Result<(), Error> {
        let Some(unknown) = self.state.unknown else {
            return Ok(());
        };
        let (table, series) = (self.table, &self.task.info.key);
        let outcome = self
            .connection()?
            .outcome(table, series, unknown.transaction)
            .await?;
        // If the target has forgotten the transaction, its progress shows whether it was committed.
        let committed = outcome
            .committed
            .unwrap_or(unknown.next.is_some() && outcome.progress == unknown.next);
        if committed {
            self.count(unknown.tally, unknown.rows, unknown.next, unknown.through);
        }
        self.state.progress = outcome.progress;
        self.state.unknown = None;
        Ok(())
    }
}
