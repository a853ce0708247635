//! One series: its passes, chunk by chunk, through lost connections and other syncs.
//!
//! What is to be done is decided anew from the target's progress whenever that may have changed, so that going on after
//! a failure and starting are the same thing.

use std::time::Duration;

use super::chunk::{Chunk, Chunks};
use super::errors::{Class, Error, classify};
use super::link::Link;
use super::plan::{Pass, State, Synced};
use super::progress::{self, Mark, Probed, Progress, ProgressTable};
use super::read_back::{read_back, rows_that_are};
use super::run::{Shared, Stream};
use super::source::SeriesInfo;
use super::target::Target;
use super::transfer::{InDoubt, Job, Sent, Session, Tally};
use super::write::refuse_restated;
use crate::model::{OnConflict, TimeRange};
use crate::report::{Counts, Event};
use crate::sync::copy::Standing;

/// A connection's worth of work: series after series over one session.
pub(super) struct Worker<'a> {
    pub shared: &'a Shared<'a>,
    pub session: Option<Session<'a>>,
}

impl<'a> Worker<'a> {
    /// Brings a series to the target.
    pub(super) async fn sync(
        &mut self,
        stream: &Stream,
        info: &SeriesInfo,
        range: TimeRange,
        probed: Probed,
    ) -> Synced {
        let mut state = State {
            counts: Counts::default(),
            progress: probed.progress,
            last_seen: probed.progress.unwrap_or_default(),
            full: self.shared.settings.full
                || (probed.edges_changed && probed.progress.is_some_and(|p| !p.is_new())),
            identity: (stream.target.oid, stream.target.filenode),
            narrow_through: None,
            narrow_done: false,
            in_doubt: None,
            resets: 0,
            failures: 0,
        };
        loop {
            match self.attempt(stream, info, range, &mut state).await {
                Ok(()) => return state.synced(Ok(())),
                Err(error) => {
                    let class = classify(&error);
                    if class == Class::Never
                        || state.failures >= self.shared.settings.patience.failures_max
                        || self.shared.stop.is_set()
                        || self.shared.is_aborted()
                    {
                        if let Error::Restated { restated, rows, .. } = &error {
                            state.counts.conflicts += restated;
                            state.counts.fetched += rows;
                            state.counts.prepared += rows;
                        }
                        return state.synced(Err(error));
                    }
                    tracing::debug!("{}: {error}; trying again", info.key);
                    self.recover(class, &mut state).await;
                }
            }
        }
    }

    /// Waits, and leaves a connection behind that is lost.
    async fn recover(&mut self, class: Class, state: &mut State) {
        state.failures += 1;
        state.counts.retries += 1;
        if !self.shared.settings.dry_run {
            state.progress = None;
        }
        if let Some(session) = &mut self.session {
            state.in_doubt = session.in_doubt.take().or(state.in_doubt);
        }
        if class == Class::Reconnect {
            self.session = None;
        } else if let Some(session) = &self.session {
            session.link.rollback().await;
        }
        let patience = self.shared.settings.patience;
        let doubled = patience.wait_ms_min << (state.failures - 1).min(10);
        let delay = Duration::from_millis(doubled.min(patience.wait_ms_max));
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.shared.stop.wait() => {}
        }
    }

    async fn attempt(
        &mut self,
        stream: &Stream,
        info: &SeriesInfo,
        range: TimeRange,
        state: &mut State,
    ) -> Result<(), Error> {
        if self.session.is_none() {
            let shared: &'a Shared<'a> = self.shared;
            self.session = Some(Session::new(Link::connect(shared).await?));
        }
        if let Some(doubt) = state.in_doubt {
            self.settle_doubt(stream, info, doubt, state).await?;
            state.in_doubt = None;
        }
        loop {
            let progress = match state.progress {
                Some(progress) => progress,
                None => self.read_progress(stream, info, state).await?,
            };
            let Some(mut pass) = self.plan(info, &progress, state)? else {
                return Ok(());
            };
            if self.shared.settings.dry_run {
                pass.through = pass.through.max(state.narrow_through);
            }
            self.pass(stream, info, range, progress, &pass, state)
                .await?;
        }
    }

    /// Sends the chunks of a pass, until it is through or the progress turns out to be elsewhere.
    async fn pass(
        &mut self,
        stream: &Stream,
        info: &SeriesInfo,
        range: TimeRange,
        mut expected: Progress,
        pass: &Pass,
        state: &mut State,
    ) -> Result<(), Error> {
        let settings = self.shared.settings;
        let mut kept = expected.kept;
        let start = pass.through.map_or(range.start, |at| at + 1);
        let rest = TimeRange {
            start: start.max(range.start),
            end: range.end,
        };
        let batches = self
            .shared
            .source
            .scan_since(&info.key, rest, pass.base.seq, pass.pass.seq)
            .map_err(|source| Error::Source {
                series: info.key.clone(),
                source,
            })?;
        let mut chunks = Chunks::new(batches, settings.chunk_rows, &info.key, stream.target.clock);
        let mut next_chunk = chunks.next()?;
        if pass.base == Mark::default() && pass.through.is_none() {
            // All rows are compared again: what earlier ones left is counted anew.
            kept = 0;
        }
        loop {
            if self.shared.stop.is_set() || self.shared.is_aborted() {
                return Err(Error::Interrupted);
            }
            let (chunk, last) = match next_chunk.take() {
                Some((chunk, last)) => (chunk, last),
                None => (Chunk::default(), true),
            };
            self.check_ticker(stream, info)?;
            if chunk.len() == 0 && (settings.is_narrowed() || settings.dry_run) {
                state.narrow_done = true;
                return Ok(());
            }
            let through = chunk.instants.last().copied();
            let mut next = (!settings.is_narrowed()).then(|| Progress {
                base: if last { pass.pass } else { pass.base },
                pass: pass.pass,
                through: through.filter(|_| !last),
                oid: state.identity.0,
                filenode: state.identity.1,
                kept,
            });
            let job = Job {
                target: &stream.target,
                progress_table: &stream.progress,
                series: &info.key,
                chunk: &chunk,
                expected,
                next,
                identity: state.identity,
                on_conflict: settings.on_conflict,
                receipt: settings.receipt,
            };
            if settings.dry_run {
                self.compare_only(&job, state).await?;
            } else {
                let Some(session) = self.session.as_mut() else {
                    return Err(Error::Interrupted);
                };
                match session.send(&job).await? {
                    Sent::Committed(tally) => {
                        next = job.next_after(&tally);
                        self.take(state, tally, chunk.len() as u64, next, through);
                    }
                    Sent::Moved(found) => {
                        if found.is_none() {
                            stream
                                .make_rows(&session.link, &[info.key.ticker.as_str()])
                                .await?;
                        }
                        state.progress = found;
                        state.last_seen = found.unwrap_or_default();
                        return Ok(());
                    }
                    Sent::Replaced { oid, filenode } => {
                        if oid != stream.target.oid {
                            return Err(Error::Replaced {
                                table: stream.target.table.clone(),
                            });
                        }
                        state.identity = (oid, filenode);
                        state.full = true;
                        return Ok(());
                    }
                }
            }
            if last {
                state.narrow_done = settings.is_narrowed() || settings.dry_run;
                return Ok(());
            }
            expected = next.unwrap_or(expected);
            kept = expected.kept;
            next_chunk = chunks.next()?;
        }
    }

    /// Counts a chunk that is there.
    fn take(
        &self,
        state: &mut State,
        tally: Tally,
        rows: u64,
        next: Option<Progress>,
        through: Option<i64>,
    ) {
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
            None => state.narrow_through = through.or(state.narrow_through),
        }
        state.failures = 0;
        self.shared.observer.event(&Event::Progress {
            done: 0,
            bars: rows,
        });
    }

    /// A dry run's chunk: compared, not written.
    async fn compare_only(&mut self, job: &Job<'_>, state: &mut State) -> Result<(), Error> {
        let Some(session) = &self.session else {
            return Err(Error::Interrupted);
        };
        let standing = read_back(&session.link, job).await?;
        refuse_restated(job, &standing)?;
        let restated = rows_that_are(&standing, Standing::Restated).len() as u64;
        let rows = standing.len() as u64;
        let mut counts = Counts {
            fetched: rows,
            prepared: rows,
            skipped_identical: rows_that_are(&standing, Standing::Identical).len() as u64,
            ..Counts::default()
        };
        if job.on_conflict == OnConflict::Ignore {
            counts.skipped_restated = restated;
        }
        state.counts += counts;
        state.narrow_through = job.chunk.instants.last().copied();
        self.shared.observer.event(&Event::Progress {
            done: 0,
            bars: rows,
        });
        Ok(())
    }

    async fn read_progress(
        &mut self,
        stream: &Stream,
        info: &SeriesInfo,
        state: &mut State,
    ) -> Result<Progress, Error> {
        let Some(session) = &self.session else {
            return Err(Error::Interrupted);
        };
        if self.shared.settings.dry_run {
            return Ok(Progress::default());
        }
        let sql = stream.progress.read_sql(&stream.target, &info.key);
        let mut row = None;
        for _ in 0..2 {
            let found = session.link.opt(progress::READING, &sql, &[]).await;
            row = found.map_err(|error| stream.progress.explain(error))?;
            if row.is_some() {
                break;
            }
            stream
                .make_rows(&session.link, &[info.key.ticker.as_str()])
                .await?;
        }
        let progress = row.as_ref().and_then(progress::read).unwrap_or_default();
        state.progress = Some(progress);
        state.last_seen = progress;
        Ok(progress)
    }

    /// Finds out whether a COMMIT whose answer was lost took place. The lock waits for its ghost.
    async fn settle_doubt(
        &mut self,
        stream: &Stream,
        info: &SeriesInfo,
        doubt: InDoubt,
        state: &mut State,
    ) -> Result<(), Error> {
        let Some(session) = &self.session else {
            return Err(Error::Interrupted);
        };
        let link = &session.link;
        let doing = "finding out what became of a commit";
        link.begin().await?;
        let lock = stream.progress.lock_sql(&stream.target, &info.key);
        let row = link.opt(doing, &lock, &[]).await;
        let row = row.map_err(|error| stream.progress.explain(error))?;
        let asked = format!("SELECT txid_status({})", doubt.txid);
        let status: Option<String> = link.one(doing, &asked, &[]).await?.get(0);
        link.rollback().await;
        let progress = row.as_ref().and_then(progress::read);
        let committed = match status.as_deref() {
            Some("committed") => true,
            Some(_) => false,
            // So long ago that the server forgot: the progress tells.
            None => doubt.next.is_some() && progress == doubt.next,
        };
        if committed {
            self.take(state, doubt.tally, doubt.rows, doubt.next, doubt.through);
        }
        state.progress = progress;
        Ok(())
    }

    fn check_ticker(&self, stream: &Stream, info: &SeriesInfo) -> Result<(), Error> {
        let target: &Target = &stream.target;
        let chars = info.key.ticker.as_str().chars().count();
        match target.ticker_chars_max {
            Some(max) if chars > max => Err(Error::TickerTooLong {
                series: info.key.clone(),
                column: target.ticker.clone(),
                max,
            }),
            _ => Ok(()),
        }
    }
}

impl Stream {
    /// Makes progress rows for tickers that have none.
    pub(super) async fn make_rows(&self, link: &Link<'_>, tickers: &[&str]) -> Result<(), Error> {
        let table: &ProgressTable = &self.progress;
        table
            .make_rows(link, &self.target, self.interval, tickers)
            .await
    }
}
