//! Step 1 of a publish: writing new partitions, and what each is made of.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rayon::prelude::*;
use uuid::Uuid;

use crate::model::{SeriesKey, TimeRange, year_start_micros};
use crate::store::catalog::{PartitionMeta, SeriesMeta, years};
use crate::store::commit::Prepared;
use crate::store::drop_bars::outside;
use crate::store::durable::{self, Flush};
use crate::store::error::{Error, IoContext};
use crate::store::handle::Store;
use crate::store::lake::read::Partition;
use crate::store::lake::write::{Stamp, write_partition};
use crate::store::layout::PartitionKey;
use crate::store::rows::StagedRows;

use super::{Planned, open_checked, year_range};

/// One new partition to write.
struct Job {
    key: PartitionKey,
    provenance: crate::model::Provenance,
    commit_seq: u64,
    commit_id: Uuid,
    old: Option<PartitionMeta>,
    hot: StagedRows,
    new: StagedRows,
    is_seal: bool,
}

/// Step 1 for commits: moves the rows out of the `prepared` batches that publish, and writes their
/// partitions.
pub(in crate::store) fn encode(
    store: &Store,
    prepared: &mut [Prepared],
) -> Result<Vec<Planned>, Error> {
    let mut jobs = Vec::new();
    {
        let inner = store.inner();
        for ready in prepared.iter_mut().filter(|ready| ready.publishes) {
            let rows = std::mem::take(&mut ready.rows);
            let meta = inner.series.get(&ready.series);
            let spans = years(rows.bars.timestamps());
            let whole = spans.len() == 1;
            let hot = match meta {
                Some(meta) if spans.iter().any(|(year, _)| meta.hot.contains_key(year)) => inner
                    .catalog
                    .hot_rows(&[meta.id], TimeRange::ALL)?
                    .remove(&meta.id)
                    .unwrap_or_default(),
                _ => StagedRows::default(),
            };
            let mut rows = Some(rows);
            for (year, range) in spans {
                let new = match &rows {
                    // One year: the columns move as they are.
                    Some(_) if whole => rows.take().unwrap_or_default(),
                    Some(all) => all.slice(range),
                    None => StagedRows::default(),
                };
                jobs.push(Job {
                    key: PartitionKey::new(&ready.series, year),
                    provenance: ready.provenance.clone(),
                    commit_seq: ready.commit_seq,
                    commit_id: ready.commit_id,
                    old: meta.and_then(|meta| meta.partitions.get(&year)).cloned(),
                    hot: of_year(&hot, year),
                    new,
                    is_seal: false,
                });
            }
        }
    }
    write_all(store, jobs)
}

fn of_year(rows: &StagedRows, year: i32) -> StagedRows {
    let range = year_range(year);
    let ts = rows.bars.timestamps();
    rows.slice(ts.partition_point(|t| *t < range.start)..ts.partition_point(|t| *t < range.end))
}

/// Step 1 for a seal: the hot rows of some partitions of locked series, merged with what is sealed
/// there.
pub(in crate::store) fn encode_seal(
    store: &Store,
    partitions: &[(PartitionKey, SeriesMeta)],
) -> Result<Vec<Planned>, Error> {
    let ids: BTreeSet<i32> = partitions.iter().map(|(_, meta)| meta.id).collect();
    let ids: Vec<i32> = ids.into_iter().collect();
    let (hot, commit_ids) = {
        let inner = store.inner();
        let wanted: Vec<u64> = partitions
            .iter()
            .filter_map(|(key, meta)| meta.hot.get(&key.year).map(|hot| hot.max_commit_seq))
            .collect();
        let first = partitions
            .iter()
            .map(|(key, _)| key.year)
            .min()
            .unwrap_or(0);
        let last = partitions
            .iter()
            .map(|(key, _)| key.year)
            .max()
            .unwrap_or(0);
        let range = TimeRange {
            start: year_start_micros(first),
            end: year_start_micros(last + 1),
        };
        (
            inner.catalog.hot_rows(&ids, range)?,
            inner.catalog.commit_ids(&wanted)?,
        )
    };
    let mut jobs = Vec::new();
    for (key, meta) in partitions {
        let rows = hot
            .get(&meta.id)
            .map(|rows| of_year(rows, key.year))
            .unwrap_or_default();
        let old = meta.partitions.get(&key.year);
        let hot_seq = rows.max_commit_seq();
        if rows.is_empty() {
            continue;
        }
        let (commit_seq, commit_id) = match old {
            Some(old) if old.commit_seq > hot_seq => (old.commit_seq, old.commit_id),
            _ => (
                hot_seq,
                commit_ids.get(&hot_seq).copied().unwrap_or(Uuid::nil()),
            ),
        };
        jobs.push(Job {
            key: key.clone(),
            provenance: meta.provenance.clone(),
            commit_seq,
            commit_id,
            old: old.cloned(),
            hot: rows,
            new: StagedRows::default(),
            is_seal: true,
        });
    }
    write_all(store, jobs)
}

/// Step 1 for a drop: the partitions that hold bars inside `range`, without them. One that would be
/// empty goes.
pub(in crate::store) fn encode_without(
    store: &Store,
    series: &SeriesKey,
    meta: &SeriesMeta,
    hot: &StagedRows,
    range: TimeRange,
) -> Result<Vec<Planned>, Error> {
    let (mut jobs, mut removals) = (Vec::new(), Vec::new());
    for (year, old) in &meta.partitions {
        if old.first.micros() >= range.end || old.last.micros() < range.start {
            continue;
        }
        let key = PartitionKey::new(series, *year);
        let sealed = open_checked(&store.layout, series, *year, old)?.verified_rows()?;
        let all = sealed.merge(of_year(hot, *year));
        let commit_seq = all.max_commit_seq().max(old.commit_seq);
        let commit_id = if commit_seq == old.commit_seq {
            old.commit_id
        } else {
            let ids = store.inner().catalog.commit_ids(&[commit_seq])?;
            ids.get(&commit_seq).copied().unwrap_or_default()
        };
        let kept = outside(&all, range);
        if kept.is_empty() {
            removals.push(Planned {
                key,
                temporary: PathBuf::new(),
                new: PartitionMeta {
                    rows: 0,
                    commit_seq,
                    commit_id,
                    ..old.clone()
                },
                old: Some(old.clone()),
                is_seal: false,
            });
        } else {
            jobs.push(Job {
                key,
                provenance: meta.provenance.clone(),
                commit_seq,
                commit_id,
                old: None,
                hot: StagedRows::default(),
                new: kept,
                is_seal: false,
            });
        }
    }
    let mut planned = write_all(store, jobs)?;
    planned.extend(removals);
    Ok(planned)
}

fn write_all(store: &Store, jobs: Vec<Job>) -> Result<Vec<Planned>, Error> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let tmp = store.layout.tmp();
    durable::create_dirs(store.layout.root(), &tmp).at(&tmp)?;
    let flush = Flush::begin(&tmp, jobs.len()).at(&tmp)?;
    let results: Vec<Result<Planned, Error>> = if jobs.len() == 1 {
        jobs.into_iter()
            .map(|job| write_one(store, job, &flush))
            .collect()
    } else {
        jobs.into_par_iter()
            .map(|job| write_one(store, job, &flush))
            .collect()
    };
    let mut planned = Vec::with_capacity(results.len());
    let mut failure = None;
    for result in results {
        match result {
            Ok(one) => planned.push(one),
            Err(error) => failure = Some(error),
        }
    }
    if let Some(error) = failure {
        super::abort_unrecorded(store, &planned);
        return Err(error);
    }
    flush.end([tmp.as_path()].into_iter()).at(&tmp)?;
    crate::crash_point!("publish.after-encode");
    Ok(planned)
}

fn write_one(store: &Store, job: Job, flush: &Flush) -> Result<Planned, Error> {
    let added = job.hot.merge(job.new);
    let (kept, rows) = match &job.old {
        Some(old) => {
            let sealed = open_checked(&store.layout, &job.key.series, job.key.year, old)?;
            let (kept, rows) = sealed.split_for(&added, &old.digest.checksum)?;
            (kept, rows.merge(added))
        }
        None => (None, added),
    };
    let temporary = PathBuf::from(format!("{}.parquet", Uuid::new_v4().simple()));
    let path = store.layout.tmp().join(&temporary);
    let stamp = Stamp {
        store_id: store.store_id,
        commit_seq: job.commit_seq,
        commit_id: job.commit_id,
        provenance: &job.provenance,
    };
    let written = write_partition(&path, &job.key, kept, rows, &stamp, flush)
        .inspect_err(|_| drop(durable::remove_file(&path)))?;
    // The other half of the check in write_partition: what the disk returns.
    let back = Partition::open(&path)?;
    if back.footer != written.footer {
        return Err(Error::ReadBack {
            path,
            reason: "its footer differs".to_owned(),
        });
    }
    Ok(Planned {
        key: job.key,
        temporary,
        new: PartitionMeta::from(&written),
        old: job.old,
        is_seal: job.is_seal,
    })
}
