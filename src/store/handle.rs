//! The open store: the one writer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use uuid::Uuid;

use crate::model::{SeriesKey, Timestamp};

use super::coverage::CoverageEntry;
use super::durable;
use super::error::{Error, IoContext};
use super::layout::Layout;
use super::lock::WriteLock;
use super::options::OpenOptions;
use super::run::RunId;
use super::segment;
use super::series_locks::SeriesLocks;
use super::snapshot::{CopiedStore, Publisher};
use super::state::{Inner, Shared};

/// The open store, held by the one process that writes into it.
///
/// It can be used from many threads; every call blocks, so keep them off async threads. Dropping it
/// releases the lock.
pub struct Store {
    pub(super) layout: Layout,
    pub(super) store_id: Uuid,
    pub(super) options: OpenOptions,
    pub(super) shared: Arc<Shared>,
    pub(super) next_seq: AtomicU64,
    pub(super) locks: SeriesLocks,
    pub(super) notices: Vec<String>,
    /// Each reader made here has a clone: while there is one, no segment is removed.
    pub(super) readers: Arc<()>,
    /// Rows that this process has committed.
    pub(super) rows_committed: Arc<AtomicU64>,
    /// `None` while snapshots are off, and once the store closes.
    pub(super) publisher: Option<Publisher>,
    /// Held for as long as the store is open; declared after `shared`, so that DuckDB closes first.
    pub(super) lock: Mutex<WriteLock>,
    /// The folder, if the store is a copy that only this process uses.
    pub(super) copy: Option<CopiedStore>,
}

impl Drop for Store {
    /// Moves DuckDB's log into its database. If that fails, the log still has everything.
    fn drop(&mut self) {
        self.publisher = None;
        let inner = self.inner();
        let _ = self.sweep_segments(&inner);
        let _ = inner.catalog.checkpoint(true);
    }
}

impl Store {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner()
    }

    /// Removes the files of segments that the catalog no longer lists. While a reader of this process is
    /// open it removes none, because the reader may need them; a later call does.
    pub(super) fn sweep_segments(&self, inner: &Inner) -> Result<(), Error> {
        // After a COMMIT in doubt only the next opening knows what is listed.
        let broken = self.shared.broken.load(Ordering::SeqCst);
        if broken || !inner.catalog.may_have_segments() || Arc::strong_count(&self.readers) > 1 {
            return Ok(());
        }
        let listed: BTreeSet<String> = inner.catalog.segments()?.into_keys().collect();
        for path in segment::unlisted(&self.layout, &listed)? {
            durable::remove_file(&path).at(&path)?;
        }
        inner.catalog.forget_footers(&listed);
        inner.catalog.look_for_segments()
    }

    pub(super) fn check_whole(&self) -> Result<(), Error> {
        if self.shared.broken.load(Ordering::SeqCst) {
            return Err(Error::Interrupted {
                dir: self.layout.root().to_path_buf(),
            });
        }
        Ok(())
    }

    pub(super) fn take_seq(&self) -> u64 {
        self.next_seq.fetch_add(1, Ordering::SeqCst)
    }

    /// Records outside the catalog that commits up to `seq` were acknowledged, so that opening can
    /// detect an older catalog.
    pub(super) fn acknowledge(&self, seq: u64) {
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .acknowledge(seq);
    }

    /// The store's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.layout.root()
    }

    /// The store's id; a repair gives it a new one.
    #[must_use]
    pub fn store_id(&self) -> Uuid {
        self.store_id
    }

    /// What opening found and repaired, as messages.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The file with a run's rejects.
    #[must_use]
    pub fn rejects_path(&self, run: &RunId) -> PathBuf {
        self.layout.rejects().join(format!("{run}.csv"))
    }

    /// Records that the runs without an end were killed. Call it before this process begins a run.
    pub fn record_killed_runs(&self) -> Result<(), Error> {
        self.check_whole()?;
        self.inner().catalog.end_killed_runs()
    }

    /// Records that a run began.
    pub fn begin_run(&self, command: &str, started_at: Timestamp) -> Result<RunId, Error> {
        self.check_whole()?;
        let run = RunId::new(started_at);
        self.inner().catalog.insert_run(&run, command, started_at)?;
        Ok(run)
    }

    /// Records how a run ended.
    pub fn finish_run(
        &self,
        run: &RunId,
        finished_at: Timestamp,
        status: &str,
        summary_json: &str,
    ) -> Result<(), Error> {
        let mut inner = self.inner();
        (inner.catalog).finish_run(run, finished_at, status, summary_json)?;
        inner.fold_coverage()
    }

    /// Records coverage without bars. Coverage with bars is recorded in their commit.
    pub fn record_coverage(&self, run: &RunId, answers: &[CoverageEntry]) -> Result<(), Error> {
        self.check_whole()?;
        if answers.is_empty() {
            return Ok(());
        }
        let mut inner = self.inner();
        let planned = inner.plan_coverage(run, answers.to_vec());
        (inner.catalog).transaction(|catalog| catalog.insert_coverage(run, &planned))?;
        inner.open_entries.recorded(planned);
        Ok(())
    }

    /// Requests spent on a day under one fingerprint of a provider's key, by all runs.
    pub fn requests_spent(&self, fingerprint: &str, day: NaiveDate) -> Result<u64, Error> {
        self.inner().catalog.requests_spent(fingerprint, day)
    }

    /// Adds to the requests spent on a day.
    pub fn add_requests(&self, fingerprint: &str, day: NaiveDate, count: u64) -> Result<(), Error> {
        self.check_whole()?;
        self.inner().catalog.add_requests(fingerprint, day, count)
    }

    /// Records how far sync targets have come, for `status`: the target, the series, and the last
    /// commit of it that the target has.
    pub fn record_targets_seen(
        &self,
        seen: &[(String, &SeriesKey, u64)],
        seen_at: Timestamp,
    ) -> Result<(), Error> {
        self.check_whole()?;
        self.inner().catalog.record_targets_seen(seen, seen_at)
    }
}
