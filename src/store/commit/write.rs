//! The one transaction that makes prepared batches durable.

use std::collections::BTreeMap;

use crate::model::{SeriesKey, Timestamp};
use crate::store::catalog::{CommitRecord, ConflictRecord, HotYear, SeriesMeta, years};
use crate::store::coverage::CoverageEntry;
use crate::store::error::Error;
use crate::store::handle::Store;
use crate::store::publish::{self, Planned};
use crate::store::run::RunId;
use crate::store::sessions;
use crate::store::state::Inner;

use super::segment::Written;
use super::{Committed, Prepared};

impl Store {
    /// Writes what was prepared: partitions first, then the one transaction, then the renames.
    pub(super) fn write(
        &self,
        run: &RunId,
        mut prepared: Vec<Prepared>,
    ) -> Result<Vec<Committed>, Error> {
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        let new_partitions: Vec<Planned> = publish::encode(self, &mut prepared)?;
        let segment = match self.write_segment(&prepared) {
            Ok(segment) => segment,
            Err(error) => {
                publish::abort_unrecorded(self, &new_partitions);
                return Err(error);
            }
        };
        let publishing = publish::begin(self);
        let mut inner = self.inner();
        let before = inner.next_series_id;
        let result = self.transact(
            &mut inner,
            run,
            &mut prepared,
            new_partitions,
            segment.as_ref(),
        );
        let intents = match result {
            Ok(intents) => intents,
            Err(error) => {
                inner.next_series_id = before;
                return Err(error);
            }
        };
        drop(inner);
        crate::crash_point!("commit.after-transaction");
        let written = prepared.iter().filter(|ready| ready.counts.committed > 0);
        if let Some(last) = written.map(|ready| ready.commit_seq).max() {
            self.acknowledge(last);
        }
        publish::apply_intents(self, intents)?;
        drop(publishing);
        Ok(prepared
            .into_iter()
            .map(|ready| Committed {
                commit: (ready.counts.committed > 0).then_some((ready.commit_seq, ready.commit_id)),
                counts: ready.counts,
                basis_change: ready.basis_change,
            })
            .collect())
    }

    fn transact(
        &self,
        inner: &mut Inner,
        run: &RunId,
        prepared: &mut [Prepared],
        partitions: Vec<Planned>,
        segment: Option<&Written>,
    ) -> Result<Vec<publish::Pending>, Error> {
        for ready in prepared.iter_mut().filter(|ready| ready.is_new_series) {
            // An offer that adds no bars makes no series.
            if ready.counts.committed > 0 {
                ready.series_id = inner.next_series_id;
                inner.next_series_id += 1;
            }
        }
        for ready in prepared.iter_mut() {
            let id = ready.series_id;
            ready
                .conflicts
                .iter_mut()
                .for_each(|row| row.series_id = id);
        }
        let mut session_rows = Vec::new();
        for ready in prepared.iter() {
            let calendar = inner.calendar(&ready.provenance.exchange);
            session_rows.extend(sessions::count(
                ready.series_id,
                &ready.new_timestamps,
                calendar.as_ref(),
            ));
        }
        let commits: Vec<CommitRecord> = prepared
            .iter()
            .filter(|ready| ready.counts.committed > 0)
            .map(|ready| CommitRecord {
                commit_seq: ready.commit_seq,
                commit_id: ready.commit_id,
                series_id: ready.series_id,
                rows: ready.counts.committed,
                updated: ready.counts.updated,
            })
            .collect();
        let conflicts: Vec<ConflictRecord> = prepared
            .iter()
            .flat_map(|ready| ready.conflicts.iter().cloned())
            .collect();
        let coverage: Vec<CoverageEntry> = prepared
            .iter()
            .flat_map(|ready| ready.coverage.iter().cloned())
            .collect();
        let coverage = inner.plan_coverage(run, coverage);
        let ids: BTreeMap<&SeriesKey, i32> =
            prepared.iter().map(|r| (&r.series, r.series_id)).collect();
        let pending: Vec<publish::Pending> = partitions
            .into_iter()
            .map(|planned| {
                let id = ids.get(&planned.key.series).copied().unwrap_or_default();
                planned.with_series_id(id)
            })
            .collect();

        let mark_kind =
            inner.demo.is_none() && prepared.iter().any(|ready| ready.counts.committed > 0);
        let demo = prepared.iter().any(|ready| ready.demo);
        if let Some(segment) = segment {
            let is_first = !inner.catalog.may_have_segments();
            segment
                .put_in_place(&self.layout, is_first)
                .inspect_err(|error| {
                    segment.discard(&self.layout);
                    publish::abort_recorded(self, &pending, error);
                })?;
        }
        crate::crash_point!("commit.before-transaction");
        let result = inner.catalog.transaction(|catalog| {
            if mark_kind {
                catalog.set_meta("bars", if demo { "demo" } else { "real" })?;
            }
            let new_series: Vec<_> = prepared
                .iter()
                .filter(|ready| ready.counts.committed > 0 && ready.is_new_series)
                .map(|ready| (ready.series_id, &ready.series, &ready.provenance))
                .collect();
            catalog.insert_all_series(&new_series)?;
            for ready in prepared.iter().filter(|ready| ready.counts.committed > 0) {
                if inner
                    .series
                    .get(&ready.series)
                    .is_some_and(|f| f.provenance != ready.provenance)
                {
                    catalog.update_series(ready.series_id, &ready.provenance)?;
                }
            }
            let replaced: Vec<(i32, &[i64])> = prepared
                .iter()
                .filter(|ready| ready.counts.committed > 0 && !ready.publishes)
                .map(|ready| (ready.series_id, ready.replaced.as_slice()))
                .collect();
            catalog.delete_hot(&replaced)?;
            if let Some(segment) = segment {
                catalog.insert_segment(&segment.new, &segment.series(prepared))?;
            } else {
                let hot = prepared
                    .iter()
                    .filter(|ready| !ready.publishes && !ready.rows.is_empty());
                catalog.insert_hot(hot.map(|ready| (ready.series_id, &ready.rows)))?;
            }
            catalog.insert_commits(run, &commits)?;
            catalog.insert_conflicts(run, &conflicts)?;
            catalog.insert_sessions(&session_rows)?;
            catalog.insert_coverage(run, &coverage)?;
            catalog.insert_intents(&pending.iter().map(|one| &one.intent))
        });
        if let Err(error) = result {
            publish::abort_recorded(self, &pending, &error);
            if let (Some(segment), false) = (segment, matches!(error, Error::InDoubt { .. })) {
                segment.discard(&self.layout);
            }
            return Err(error);
        }
        inner.open_entries.recorded(coverage);
        if mark_kind {
            inner.demo = Some(demo);
        }
        for ready in prepared.iter().filter(|ready| ready.counts.committed > 0) {
            let meta = inner
                .series
                .entry(ready.series.clone())
                .or_insert_with(|| SeriesMeta::new(ready.series_id, ready.provenance.clone()));
            meta.provenance = ready.provenance.clone();
            if !ready.publishes {
                note_hot(meta, ready);
            }
        }
        Ok(pending)
    }
}

/// Counts a commit's rows into the hot tier's facts.
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
