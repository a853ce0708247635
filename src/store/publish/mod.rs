//! Publish: replacing partitions of the lake, by a redo log.
//!
//! 1. Every new partition is written to `tmp/`, absorbing all hot rows of that partition, and flushed.
//! 2. One DuckDB transaction records the *intents* together with what the publish commits. From here
//!    on it is durable.
//! 3. Each file is renamed into the lake; the folders are flushed.
//! 4. A second transaction deletes the absorbed hot rows and the intents. It only cleans up.

mod encode;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, RwLockReadGuard};

use crate::model::{SeriesKey, TimeRange, year_start_micros};

use super::catalog::{Intent, PartitionMeta};
use super::durable::{self, Flush};
use super::error::{Damage, Error, IoContext};
use super::handle::Store;
use super::lake::read::Partition;
use super::layout::{Layout, PartitionKey};
pub(super) use encode::{encode, encode_seal, encode_without};

/// Taken from before the transaction that records intents until they are applied: while it is
/// held, no snapshot is made.
pub(super) fn begin(store: &Store) -> RwLockReadGuard<'_, ()> {
    let publishing = store.shared.publishing.read();
    publishing.unwrap_or_else(PoisonError::into_inner)
}

/// A new partition in `tmp/`, not yet recorded.
pub(super) struct Planned {
    pub key: PartitionKey,
    pub temporary: PathBuf,
    pub new: PartitionMeta,
    pub old: Option<PartitionMeta>,
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
    meta: &PartitionMeta,
) -> Result<Partition, Error> {
    let key = PartitionKey::new(series, year);
    let partition = Partition::open(&layout.partition(&key))?;
    match differs(&partition, meta) {
        None => Ok(partition),
        Some(how) => Err(Error::Damaged {
            dir: layout.root().to_path_buf(),
            what: Damage::PartitionDiffers(key, how),
            more: 0,
        }),
    }
}

/// How a partition's footer differs from the catalog, if it does.
pub(super) fn differs(partition: &Partition, meta: &PartitionMeta) -> Option<String> {
    let footer = &partition.footer;
    if footer.commit_seq != meta.commit_seq || footer.commit_id != meta.commit_id {
        return Some(format!(
            "its last commit is {} {}, the catalog's {} {}",
            footer.commit_seq, footer.commit_id, meta.commit_seq, meta.commit_id
        ));
    }
    if footer.rows != meta.rows {
        return Some(format!(
            "it holds {} rows, the catalog says {}",
            footer.rows, meta.rows
        ));
    }
    if footer.row_hash != meta.row_hash || footer.store_id != meta.store_id {
        return Some("its hash or store id is not the catalog's".to_owned());
    }
    None
}

/// Removes a partition's file, and the folders above it that become empty.
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

/// Removes the files of new partitions that no transaction will record.
pub(super) fn abort_unrecorded(store: &Store, planned: &[Planned]) {
    for one in planned.iter().filter(|one| one.new.rows > 0) {
        let _ = durable::remove_file(&store.layout.tmp().join(&one.temporary));
    }
}

/// Removes the files of new partitions whose transaction failed with `why`.
pub(super) fn abort_recorded(store: &Store, pending: &[Pending], why: &Error) {
    if matches!(why, Error::InDoubt { .. }) {
        // The intents may be recorded: then the next opening needs the files, otherwise it removes
        // them.
        store.shared.broken.store(true, Ordering::SeqCst);
        return;
    }
    for one in pending.iter().filter(|one| !one.intent.is_removal()) {
        let _ = durable::remove_file(&store.layout.tmp().join(&one.intent.temporary));
    }
}

/// Steps 3 and 4, after the transaction that recorded the intents.
pub(super) fn apply_intents(store: &Store, pending: Vec<Pending>) -> Result<(), Error> {
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
            if let Some(meta) = inner.series.get_mut(&one.key.series) {
                meta.hot.remove(&one.key.year);
                if one.intent.is_removal() {
                    meta.partitions.remove(&one.key.year);
                } else {
                    meta.partitions.insert(one.key.year, one.intent.new);
                }
            }
        }
        // A file that can't be removed now is removed later.
        let _ = store.sweep_segments(&inner);
        Ok(())
    });
    crate::crash_point!("publish.after-settle");
    // If this failed, the commit is durable, and the next opening finishes it. This process must write
    // nothing more.
    done.inspect_err(|_| store.shared.broken.store(true, Ordering::SeqCst))
}

/// Step 3: renames each temporary file over its target, and flushes every folder that changed, up to
/// `lake/`.
pub(super) fn rename_all(layout: &Layout, pending: &[Pending]) -> Result<(), Error> {
    let lake = layout.lake();
    // Each has two folders, of its year and of its ticker, and sometimes a new one above.
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

/// Adds the folders that must be flushed for a rename to be durable. For a new partition these are
/// all folders up to the lake: a killed process may have made any of them without flushing it.
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

/// Flushes the folders of partitions that a killed process may have renamed without flushing.
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
