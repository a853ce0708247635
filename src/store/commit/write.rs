//! The transaction that makes prepared batches durable.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::model::{SeriesKey, Timestamp};
use crate::store::catalog::{Catalog, CommitRecord, HotYear, SeriesMeta, SessionRow, years};
use crate::store::conflicts::Conflicts;
use crate::store::coverage::CoverageEntry;
use crate::store::coverage::compact::CoveragePlan;
use crate::store::error::Error;
use crate::store::handle::Store;
use crate::store::publish::{self, Planned};
use crate::store::run::RunId;
use crate::store::sessions;
use crate::store::state::Inner;

use super::segment::NewFiles;
use super::{Committed, Prepared};

/// What a transaction records.
struct Records<'a> {
    prepared: &'a [Prepared],
    files: &'a NewFiles,
    /// What the store's bars are, if these are its first: whether they are demo bars.
    first_demo: Option<bool>,
    commits: Vec<CommitRecord>,
    conflicts: Vec<(i32, &'a Conflicts)>,
    sessions: Vec<SessionRow>,
    coverage: CoveragePlan,
    pending: Vec<publish::Pending>,
}

impl Store {
    /// Writes what was prepared: first the partitions, then the transaction, then the renames.
    /// Returns the proof of each batch with its index.
    pub(super) fn write(
        &self,
        run: &RunId,
        mut prepared: Vec<Prepared>,
    ) -> Result<Vec<(usize, Committed)>, Error> {
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        let new_partitions: Vec<Planned> = publish::encode(self, &mut prepared)?;
        let files = self
            .write_files(run, &mut prepared)
            .inspect_err(|_| publish::abort_unrecorded(self, &new_partitions))?;
        let publishing = publish::begin(self);
        let mut inner = self.inner();
        let before = inner.next_series_id;
        let result = self.transact(&mut inner, run, &mut prepared, new_partitions, &files);
        let intents = result.inspect_err(|_| inner.next_series_id = before)?;
        drop(inner);
        crate::crash_point!("commit.after-transaction");
        let written = prepared.iter().filter(|ready| ready.has_rows());
        if let Some(last) = written.map(|ready| ready.commit_seq).max() {
            self.acknowledge(last);
        }
        publish::apply_intents(self, intents)?;
        drop(publishing);
        let committed = prepared.into_iter().flat_map(Prepared::into_committed);
        let committed: Vec<(usize, Committed)> = committed.collect();
        let rows = committed.iter().map(|(_, one)| one.counts.committed).sum();
        self.rows_committed.fetch_add(rows, Ordering::Relaxed);
        Ok(committed)
    }

    /// Writes the files of the transaction.
    fn write_files(&self, run: &RunId, prepared: &mut [Prepared]) -> Result<NewFiles, Error> {
        let mut files = NewFiles {
            segment: self.write_segment(prepared)?,
            conflicts: None,
        };
        let conflicts = self.write_conflicts(run, prepared);
        files.conflicts = conflicts.inspect_err(|_| files.discard(&self.layout))?;
        Ok(files)
    }

    /// Runs the transaction, and returns the intents that it recorded.
    fn transact(
        &self,
        inner: &mut Inner,
        run: &RunId,
        prepared: &mut [Prepared],
        partitions: Vec<Planned>,
        files: &NewFiles,
    ) -> Result<Vec<publish::Pending>, Error> {
        number_series(inner, prepared);
        let records = Records::new(inner, run, prepared, partitions, files);
        let is_first = !inner.catalog.may_have_segments();
        files
            .put_in_place(&self.layout, is_first)
            .inspect_err(|error| {
                files.discard(&self.layout);
                publish::abort_recorded(self, &records.pending, error);
            })?;
        crate::crash_point!("commit.before-transaction");
        let result = inner
            .catalog
            .transaction(|catalog| records.insert(catalog, run, &inner.series));
        if let Err(error) = result {
            publish::abort_recorded(self, &records.pending, &error);
            if !matches!(error, Error::InDoubt { .. }) {
                files.discard(&self.layout);
            }
            return Err(error);
        }
        inner.open_entries.recorded(records.coverage);
        inner.demo = inner.demo.or(records.first_demo);
        for ready in prepared.iter().filter(|ready| ready.has_rows()) {
            let meta = inner
                .series
                .entry(ready.series.clone())
                .or_insert_with(|| SeriesMeta::new(ready.series_id, ready.provenance.clone()));
            meta.provenance = ready.provenance.clone();
            if !ready.publishes {
                note_hot(meta, ready);
            }
        }
        Ok(records.pending)
    }
}

/// Gives new series their ids. Offers that add no bars make no series.
fn number_series(inner: &mut Inner, prepared: &mut [Prepared]) {
    for ready in prepared {
        if ready.is_new_series && ready.has_rows() {
            ready.series_id = inner.next_series_id;
            inner.next_series_id += 1;
        }
    }
}

impl<'a> Records<'a> {
    fn new(
        inner: &mut Inner,
        run: &RunId,
        prepared: &'a [Prepared],
        partitions: Vec<Planned>,
        files: &'a NewFiles,
    ) -> Self {
        let mut sessions = Vec::new();
        for ready in prepared {
            let calendar = inner.calendar(&ready.provenance.exchange);
            sessions.extend(sessions::count(
                ready.series_id,
                &ready.new_timestamps,
                calendar.as_ref(),
            ));
        }
        let with_rows = || prepared.iter().filter(|ready| ready.has_rows());
        let commits = with_rows().map(|ready| CommitRecord {
            commit_seq: ready.commit_seq,
            commit_id: ready.commit_id,
            series_id: ready.series_id,
            rows: ready.counts.committed,
            updated: ready.counts.updated,
        });
        let conflicts = prepared.iter();
        let conflicts = conflicts.map(|ready| (ready.series_id, &ready.conflicts));
        let coverage: Vec<CoverageEntry> = prepared
            .iter()
            .flat_map(|ready| ready.coverage.iter().cloned())
            .collect();
        let ids: BTreeMap<&SeriesKey, i32> =
            prepared.iter().map(|r| (&r.series, r.series_id)).collect();
        let with_id = |planned: Planned| {
            let id = ids.get(&planned.key.series).copied().unwrap_or_default();
            planned.with_series_id(id)
        };
        let is_first = inner.demo.is_none() && with_rows().next().is_some();
        Self {
            first_demo: is_first.then(|| prepared.iter().any(|ready| ready.demo)),
            commits: commits.collect(),
            conflicts: conflicts.collect(),
            sessions,
            coverage: inner.plan_coverage(run, coverage),
            pending: partitions.into_iter().map(with_id).collect(),
            prepared,
            files,
        }
    }

    /// Writes all records in the open transaction. `series` are those known before.
    fn insert(
        &self,
        catalog: &Catalog,
        run: &RunId,
        series: &BTreeMap<SeriesKey, SeriesMeta>,
    ) -> Result<(), Error> {
        if let Some(demo) = self.first_demo {
            catalog.set_meta("bars", if demo { "demo" } else { "real" })?;
        }
        let with_rows = || self.prepared.iter().filter(|ready| ready.has_rows());
        let new_series: Vec<_> = with_rows()
            .filter(|ready| ready.is_new_series)
            .map(|ready| (ready.series_id, &ready.series, &ready.provenance))
            .collect();
        catalog.insert_all_series(&new_series)?;
        for ready in with_rows() {
            let known = series.get(&ready.series);
            if known.is_some_and(|meta| meta.provenance != ready.provenance) {
                catalog.update_series(ready.series_id, &ready.provenance)?;
            }
        }
        let replaced: Vec<(i32, &[i64])> = with_rows()
            .filter(|ready| !ready.publishes)
            .map(|ready| (ready.series_id, ready.replaced.as_slice()))
            .collect();
        catalog.delete_hot(&replaced)?;
        self.files.insert(catalog, self.prepared)?;
        if self.files.segment.is_none() {
            let hot = self.prepared.iter();
            let hot = hot.filter(|ready| !ready.publishes && !ready.rows.is_empty());
            catalog.insert_hot(hot.map(|ready| (ready.series_id, &ready.rows)))?;
        }
        catalog.insert_commits(run, &self.commits)?;
        catalog.insert_conflicts(run, &self.conflicts)?;
        catalog.insert_sessions(&self.sessions)?;
        catalog.insert_coverage(run, &self.coverage)?;
        catalog.insert_intents(&self.pending.iter().map(|one| &one.intent))
    }
}

/// Adds the rows of a commit to the counts of hot rows.
fn note_hot(meta: &mut SeriesMeta, ready: &Prepared) {
    let timestamps = ready.rows.bars.timestamps();
    for (year, range) in years(timestamps) {
        let first = Timestamp::from_micros(timestamps[range.start]);
        let last = Timestamp::from_micros(timestamps[range.end - 1]);
        let replaced = ready
            .replaced
            .iter()
            .filter(|ts| Timestamp::from_micros(**ts).year() == year)
            .count();
        let added = (range.len() - replaced) as u64;
        meta.hot
            .entry(year)
            .or_insert(HotYear {
                rows: 0,
                first,
                last,
                max_commit_seq: 0,
            })
            .add(added, first, last, ready.commit_seq);
    }
}
