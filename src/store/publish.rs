//! Publish: replacing partitions of the lake, by a redo log.
//!
//! 1. Every new partition is written to `tmp/`, absorbing all hot rows of that partition, and flushed.
//! 2. One DuckDB transaction records the *intent*, and with it whatever the publish commits. This is the durable point.
//! 3. Each file is renamed into the lake; the folders are flushed.
//! 4. A second transaction drops the hot rows that were absorbed, and the intent. Pure clean-up.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use uuid::Uuid;

use crate::model::{SeriesKey, TimeRange, year_start_micros};

use super::catalog::{Intent, PartitionFacts, SeriesFacts, years};
use super::commit::Prepared;
use super::drop_bars::outside;
use super::durable::{self, Flush};
use super::error::{Damage, Error, IoContext};
use super::handle::Store;
use super::lake::read::Partition;
use super::lake::write::{Stamp, write_partition};
use super::layout::{Layout, PartitionKey};
use super::rows::StagedRows;

/// A new partition in `tmp/`, not yet recorded.
pub(super) struct Planned {
    pub key: PartitionKey,
    pub temporary: PathBuf,
    pub new: PartitionFacts,
    pub old: Option<PartitionFacts>,
    pub is_seal: bool,
}

/// A new partition whose intent is recorded, or about to be.
pub(super) struct Pending {
    pub key: PartitionKey,
    pub intent: Intent,
}

impl Planned {
    pub fn with_series_id(self, series_id: i32) -> Pending {
        Pending {
            intent: Intent {
                series_id,
                year: self.key.year,
                new: self.new,
                temporary: self.temporary,
                old_checksum: self.old.map(|old| old.digest.checksum),
                is_seal: self.is_seal,
            },
            key: self.key,
        }
    }
}

/// The instants of a UTC year.
pub(super) fn year_range(year: i32) -> TimeRange {
    TimeRange {
        start: year_start_micros(year),
        end: year_start_micros(year + 1),
    }
}

/// Opens a partition and checks that it is the one that the catalog describes.
pub(super) fn open_checked(
    layout: &Layout,
    series: &SeriesKey,
    year: i32,
    facts: &PartitionFacts,
) -> Result<Partition, Error> {
    let key = PartitionKey {
        series: series.clone(),
        year,
    };
    let partition = Partition::open(&layout.partition(&key))?;
    match differs(&partition, facts) {
        None => Ok(partition),
        Some(how) => Err(Error::Damaged {
            dir: layout.root().to_path_buf(),
            what: Damage::PartitionDiffers(key, how),
            more: 0,
        }),
    }
}

/// How a partition's footer differs from the catalog, if it does.
pub(super) fn differs(partition: &Partition, facts: &PartitionFacts) -> Option<String> {
    let footer = &partition.footer;
    if footer.commit_seq != facts.commit_seq || footer.commit_id != facts.commit_id {
        return Some(format!(
            "its last commit is {} {}, the catalog's {} {}",
            footer.commit_seq, footer.commit_id, facts.commit_seq, facts.commit_id
        ));
    }
    if footer.rows != facts.rows
        || footer.row_hash != facts.row_hash
        || footer.store_id != facts.store_id
    {
        return Some(format!(
            "it holds {} rows, the catalog says {}",
            footer.rows, facts.rows
        ));
    }
    None
}

/// What one new partition is made of, beside the sealed and hot rows that it absorbs.
struct Job {
    key: PartitionKey,
    provenance: crate::model::Provenance,
    commit_seq: u64,
    commit_id: Uuid,
    old: Option<PartitionFacts>,
    hot: StagedRows,
    new: StagedRows,
    is_seal: bool,
}

/// Step 1 for commits: takes the rows out of those `prepared` that publish, and writes their partitions.
pub(super) fn encode(store: &Store, prepared: &mut [Prepared]) -> Result<Vec<Planned>, Error> {
    let mut jobs = Vec::new();
    {
        let inner = store.inner();
        for ready in prepared.iter_mut().filter(|ready| ready.publishes) {
            let rows = std::mem::take(&mut ready.rows);
            let facts = inner.series.get(&ready.series);
            let spans = years(rows.bars.timestamps());
            let whole = spans.len() == 1;
            let mut hot = match facts {
                Some(facts) if spans.iter().any(|(year, _)| facts.hot.contains_key(year)) => inner
                    .catalog
                    .hot_rows(&[facts.id], TimeRange::ALL)?
                    .remove(&facts.id)
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
                    key: PartitionKey {
                        series: ready.series.clone(),
                        year,
                    },
                    provenance: ready.provenance.clone(),
                    commit_seq: ready.commit_seq,
                    commit_id: ready.commit_id,
                    old: facts.and_then(|facts| facts.partitions.get(&year)).cloned(),
                    hot: of_year(&hot, year),
                    new,
                    is_seal: false,
                });
            }
            hot = StagedRows::default();
            drop(hot);
        }
    }
    write_all(store, jobs)
}

fn of_year(rows: &StagedRows, year: i32) -> StagedRows {
    let range = year_range(year);
    let ts = rows.bars.timestamps();
    rows.slice(ts.partition_point(|t| *t < range.start)..ts.partition_point(|t| *t < range.end))
}

/// Step 1 for a seal: the hot rows of some partitions of locked series, merged with what is sealed there.
pub(super) fn encode_seal(
    store: &Store,
    partitions: &[(PartitionKey, SeriesFacts)],
) -> Result<Vec<Planned>, Error> {
    let ids: BTreeSet<i32> = partitions.iter().map(|(_, facts)| facts.id).collect();
    let ids: Vec<i32> = ids.into_iter().collect();
    let (mut hot, commit_ids) = {
        let inner = store.inner();
        let wanted: Vec<u64> = partitions
            .iter()
            .filter_map(|(key, facts)| facts.hot.get(&key.year).map(|hot| hot.max_commit_seq))
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
    for (key, facts) in partitions {
        let rows = hot
            .get(&facts.id)
            .map(|rows| of_year(rows, key.year))
            .unwrap_or_default();
        let old = facts.partitions.get(&key.year);
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
            provenance: facts.provenance.clone(),
            commit_seq,
            commit_id,
            old: old.cloned(),
            hot: rows,
            new: StagedRows::default(),
            is_seal: true,
        });
    }
    hot.clear();
    write_all(store, jobs)
}

/// Step 1 for a drop: the partitions that hold bars inside `range`, without them. One that would be empty goes.
pub(super) fn encode_without(
    store: &Store,
    series: &SeriesKey,
    facts: &SeriesFacts,
    hot: &StagedRows,
    range: TimeRange,
) -> Result<Vec<Planned>, Error> {
    let (mut jobs, mut removals) = (Vec::new(), Vec::new());
    for (year, old) in &facts.partitions {
        if old.first.micros() >= range.end || old.last.micros() < range.start {
            continue;
        }
        let key = PartitionKey {
            series: series.clone(),
            year: *year,
        };
        let sealed = open_checked(&store.layout, series, *year, old)?.sound_rows()?;
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
                new: PartitionFacts {
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
                provenance: facts.provenance.clone(),
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

/// Removes a partition's file, and its folders where nothing else stands in them.
pub(super) fn remove_partition(layout: &Layout, key: &PartitionKey) -> Result<(), Error> {
    let target = layout.partition(key);
    durable::remove_file(&target).at(&target)?;
    let mut dir = target.parent();
    while let Some(at) = dir.filter(|at| *at != layout.lake()) {
        if at.exists() {
            durable::sync_dir(at).at(at)?;
        }
        // A folder that still holds something stays, and so do those above it.
        if !durable::remove_empty_dir(at).at(at)? {
            return Ok(());
        }
        dir = at.parent();
    }
    dir.map_or(Ok(()), |at| durable::sync_dir(at).at(at))
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
        for one in &planned {
            drop(durable::remove_file(
                &store.layout.tmp().join(&one.temporary),
            ));
        }
        return Err(error);
    }
    flush.end([tmp.as_path()].into_iter()).at(&tmp)?;
    crate::crash_point!("publish.after-encode");
    Ok(planned)
}

fn write_one(store: &Store, job: Job, flush: &Flush) -> Result<Planned, Error> {
    let mut rows = StagedRows::default();
    if let Some(old) = &job.old {
        rows = open_checked(&store.layout, &job.key.series, job.key.year, old)?.sound_rows()?;
    }
    let rows = rows.merge(job.hot).merge(job.new);
    let temporary = PathBuf::from(format!("{}.parquet", Uuid::new_v4().simple()));
    let path = store.layout.tmp().join(&temporary);
    let stamp = Stamp {
        store_id: store.store_id,
        commit_seq: job.commit_seq,
        commit_id: job.commit_id,
        provenance: &job.provenance,
    };
    let written = write_partition(&path, &job.key, rows, &stamp, flush)
        .inspect_err(|_| drop(durable::remove_file(&path)))?;
    // The other half of the check in write_partition: what the disk gives back.
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
        new: PartitionFacts::from(&written),
        old: job.old,
        is_seal: job.is_seal,
    })
}

/// Gives up partitions whose transaction failed with `why`.
pub(super) fn discard(store: &Store, pending: &[Pending], why: &Error) {
    if matches!(why, Error::InDoubt { .. }) {
        // The intents may be recorded: then the next opening needs the files, else it removes them.
        store.broken.store(true, Ordering::SeqCst);
        return;
    }
    for one in pending.iter().filter(|one| !one.intent.is_removal()) {
        drop(durable::remove_file(
            &store.layout.tmp().join(&one.intent.temporary),
        ));
    }
}

/// Steps 3 and 4, after the transaction that recorded the intents.
pub(super) fn carry_out(store: &Store, pending: Vec<Pending>) -> Result<(), Error> {
    if pending.is_empty() {
        return Ok(());
    }
    let done = rename_all(&store.layout, &pending).and_then(|()| {
        crate::crash_point!("publish.after-rename");
        let mut inner = store.inner();
        let intents: Vec<Intent> = pending.iter().map(|one| one.intent.clone()).collect();
        inner
            .catalog
            .transaction(|catalog| catalog.settle_intents(&intents))?;
        for one in pending {
            if let Some(facts) = inner.series.get_mut(&one.key.series) {
                facts.hot.remove(&one.key.year);
                if one.intent.is_removal() {
                    facts.partitions.remove(&one.key.year);
                } else {
                    facts.partitions.insert(one.key.year, one.intent.new);
                }
            }
        }
        Ok(())
    });
    crate::crash_point!("publish.after-settle");
    // What was committed stays committed: the next opening finishes it. This process must not go on beside it.
    done.inspect_err(|_| store.broken.store(true, Ordering::SeqCst))
}

/// Step 3: renames each temporary over its target and flushes every folder that changed, up to `lake/`.
pub(super) fn rename_all(layout: &Layout, pending: &[Pending]) -> Result<(), Error> {
    let lake = layout.lake();
    // The folders of each: of its year, of its ticker, and now and then one above.
    let flush = Flush::begin(layout.root(), 2 * pending.len()).at(layout.root())?;
    let mut dirs = BTreeSet::new();
    for one in pending {
        if one.intent.is_removal() {
            remove_partition(layout, &one.key)?;
            continue;
        }
        let target = layout.partition(&one.key);
        let dir = target.parent().unwrap_or(layout.root()).to_path_buf();
        durable::create_dirs(layout.root(), &dir).at(&dir)?;
        crate::crash_point!("publish.before-rename");
        durable::rename(&layout.tmp().join(&one.intent.temporary), &target).at(&target)?;
        crate::crash_point!("publish.between-renames");
        changed(layout, one, &mut dirs);
    }
    flush.end(dirs.iter().rev().map(PathBuf::as_path)).at(&lake)
}

/// The folders that must be flushed before a rename can be believed. For a partition that was not there before these
/// are all up to the lake: a process that was killed may have made any of them, and not flushed it.
fn changed(layout: &Layout, one: &Pending, dirs: &mut BTreeSet<PathBuf>) {
    let (target, lake) = (layout.partition(&one.key), layout.lake());
    let mut dir = target.parent();
    while let Some(at) = dir {
        dirs.insert(at.to_path_buf());
        if at == lake || one.intent.old_checksum.is_some() {
            return;
        }
        dir = at.parent();
    }
}

/// Flushes the folders of partitions that somebody renamed who may not have lived to do it.
pub(super) fn flush_renamed(layout: &Layout, pending: &[Pending]) -> Result<(), Error> {
    let mut dirs = BTreeSet::new();
    for one in pending.iter().filter(|one| !one.intent.is_removal()) {
        changed(layout, one, &mut dirs);
    }
    for dir in dirs.iter().rev() {
        durable::sync_dir(dir).at(dir)?;
    }
    Ok(())
}
