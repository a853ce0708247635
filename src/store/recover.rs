//! Opening a store: the lock, what a killed process left, and whether catalog and lake agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::model::SeriesKey;

use super::catalog::{Catalog, Intent, Opened};
use super::durable;
use super::error::{Damage, Error, IoContext};
use super::folder::check_folder;
use super::handle::Store;
use super::lake_files::{self, Overlay};
use super::layout::{Layout, PartitionKey};
use super::lock::WriteLock;
use super::options::OpenOptions;
use super::progress;
use super::publish::{self, Pending};
use super::quarantine;
use super::segment;
use super::series_locks::SeriesLocks;
use super::snapshot::{self, Publisher};
use super::spill;
use super::state::{Inner, Shared};

impl Store {
    /// Opens the store in `dir` for writing, and creates it if there is none. What a killed process
    /// left is finished first.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self, Error> {
        check_folder(dir)?;
        let layout = Layout::new(dir);
        let lock = make_folders(&layout)
            .and_then(|()| WriteLock::acquire(&layout, options.wait_for_readers))
            .map_err(|error| read_only(dir, error))?;
        progress::sweep(&layout);
        if catalog_is_lost(&layout, lock.acknowledged())? {
            return Err(lake_files::damaged(&layout, vec![Damage::NoCatalog]));
        }
        let Opened {
            catalog,
            store_id,
            log,
        } = Catalog::open(&layout, options.memory_limit_mib, options.threads)?;
        let mut notices = Vec::new();
        redo(&layout, &catalog)?;
        let mut inner = Inner::new(catalog, options.calendars.clone())?;
        inner.forget_empty_series(None)?;
        let segments = inner.catalog.segments()?;
        notices.extend(lake_files::compare(
            &layout,
            &inner.series,
            &Overlay::new(),
            &segments,
        )?);
        // Only now is it certain that no recorded publish needs them.
        remove_temporaries(&layout)?;
        spill::sweep(&layout.tmp());
        snapshot::sweep(&layout);

        let known = inner.catalog.max_commit_seq()?;
        let is_older =
            lock.acknowledged() > known || log.as_ref().is_some_and(|log| !log.broke_off);
        let listed = segments.into_keys().collect();
        notices.extend(sweep_unlisted(&layout, &listed, is_older)?);
        match log {
            // As a kill during a commit leaves it: no acknowledged commit is missing.
            Some(log) if log.broke_off && lock.acknowledged() <= known => log.forget(),
            Some(log) => notices.push(format!(
                "the catalog's log was damaged and has been cut at byte {}; copies are in {}",
                log.cut_at,
                layout.quarantine().display()
            )),
            None => {}
        }
        notices.extend(missing_commits(lock.acknowledged(), known));
        let shared = Arc::new(Shared::new(layout.clone(), inner));
        Ok(Self {
            // No number is used twice, not even that of a lost commit.
            next_seq: AtomicU64::new(known.max(lock.acknowledged()) + 1),
            publisher: Publisher::start(Arc::clone(&shared), options.snapshots),
            shared,
            layout,
            store_id,
            options: options.clone(),
            locks: SeriesLocks::default(),
            notices,
            readers: Arc::default(),
            rows_committed: Arc::default(),
            lock: Mutex::new(lock),
            copy: None,
        })
    }
}

/// Names the store where the medium can't be written, instead of the first file that was tried.
fn read_only(dir: &Path, error: Error) -> Error {
    match error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
            Error::ReadOnly {
                dir: dir.to_path_buf(),
                source,
            }
        }
        error => error,
    }
}

/// Removes the files of segments that a kill left unlisted. If the catalog `is_older` than the last
/// acknowledged commit, they may have missing commits, so they are moved to quarantine. Returns a
/// notice about a file that stays.
fn sweep_unlisted(
    layout: &Layout,
    listed: &BTreeSet<String>,
    is_older: bool,
) -> Result<Option<String>, Error> {
    let mut stays = None;
    for path in segment::unlisted(layout, listed)? {
        let swept = if is_older {
            quarantine::move_aside(layout, &path).map(drop)
        } else {
            durable::remove_file(&path).at(&path)
        };
        if let Err(error) = swept {
            stays = Some(format!(
                "a file that nothing needs can't be removed: {error}"
            ));
        }
    }
    Ok(stays)
}

/// Whether the catalog is lost: there is none, and bars are sealed or commits were acknowledged. A
/// store that was killed while it was made has neither.
pub(super) fn catalog_is_lost(layout: &Layout, acknowledged: u64) -> Result<bool, Error> {
    let gone = !layout.database().exists();
    Ok(gone && (acknowledged > 0 || !lake_files::walk_lake(layout)?.partitions.is_empty()))
}

/// The notice if acknowledged commits aren't in the catalog.
pub(super) fn missing_commits(acknowledged: u64, known: u64) -> Option<String> {
    (acknowledged > known).then(|| {
        format!(
            "{} commits after number {known} were acknowledged and are not in the catalog; request or inject their bars again",
            acknowledged - known
        )
    })
}

fn make_folders(layout: &Layout) -> Result<(), Error> {
    let root = layout.root();
    let fresh = !layout.database().exists();
    let mut changed = durable::create_dirs(Path::new(""), root).at(root)?;
    for dir in [layout.lake(), layout.tmp()] {
        changed.extend(durable::create_dirs(root, &dir).at(&dir)?);
    }
    if fresh {
        // A process that was killed here may have made them, and flushed nothing.
        changed.extend([root.to_path_buf()]);
        changed.extend(root.parent().map(Path::to_path_buf));
    }
    changed.sort_unstable();
    changed.dedup();
    for dir in changed.iter().rev() {
        let at = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        match durable::sync_dir(at) {
            // A folder above the store may be one that we may pass but not read.
            Err(error)
                if error.kind() == std::io::ErrorKind::PermissionDenied
                    && !dir.starts_with(root) => {}
            flushed => flushed.at(at)?,
        }
    }
    Ok(())
}

/// The recorded intents, and where the new file of each is.
pub(super) fn recorded(layout: &Layout, catalog: &Catalog) -> Result<Vec<(Pending, Place)>, Error> {
    let intents = catalog.intents()?;
    if intents.is_empty() {
        return Ok(Vec::new());
    }
    let series: BTreeMap<i32, SeriesKey> = catalog
        .series()?
        .into_iter()
        .map(|(key, meta)| (meta.id, key))
        .collect();
    let mut found = Vec::with_capacity(intents.len());
    for intent in intents {
        if let Some(series) = series.get(&intent.series_id) {
            let key = PartitionKey::new(series, intent.year);
            let place = place_of(layout, &key, &intent)?;
            found.push((Pending { key, intent }, place));
        }
    }
    Ok(found)
}

/// Applies every intent that was recorded: the redo of the redo log.
pub(super) fn redo(layout: &Layout, catalog: &Catalog) -> Result<(), Error> {
    let recorded = recorded(layout, catalog)?;
    if recorded.is_empty() {
        return Ok(());
    }
    let (mut to_rename, mut to_settle, mut to_drop) = (Vec::new(), Vec::new(), Vec::new());
    let mut renamed = Vec::new();
    let mut lost = Vec::new();
    for (one, place) in recorded {
        match place {
            Place::Target => {
                to_settle.push(one.intent.clone());
                renamed.push(one);
            }
            Place::Temporary => {
                to_settle.push(one.intent.clone());
                to_rename.push(one);
            }
            Place::Nowhere if one.intent.is_seal => to_drop.push(one.intent),
            Place::Nowhere => lost.push(Damage::IntentLost(one.key)),
        }
    }
    if !lost.is_empty() {
        return Err(lake_files::damaged(layout, lost));
    }
    for one in renamed.iter().filter(|one| one.intent.is_removal()) {
        publish::remove_partition(layout, &one.key)?;
    }
    crate::crash_point!("recover.before-rename");
    publish::rename_all(layout, &to_rename)?;
    publish::flush_renamed(layout, &renamed)?;
    crate::crash_point!("recover.after-rename");
    catalog.transaction(|catalog| {
        catalog.settle_intents(&to_settle)?;
        to_drop
            .iter()
            .try_for_each(|intent| catalog.drop_intent(intent))
    })?;
    crate::crash_point!("recover.after-settle");
    Ok(())
}

/// Where the new file of an intent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Target,
    Temporary,
    Nowhere,
}

fn place_of(layout: &Layout, key: &PartitionKey, intent: &Intent) -> Result<Place, Error> {
    if intent.is_removal() {
        return Ok(Place::Target);
    }
    let target = layout.partition(key);
    let temporary = layout.tmp().join(&intent.temporary);
    let is_new = |path: &Path| {
        durable::checksum(path)
            .at(path)
            .map(|found| found.is_some_and(|digest| digest.checksum == intent.new.digest.checksum))
    };
    if is_new(&target)? {
        Ok(Place::Target)
    } else if is_new(&temporary)? {
        Ok(Place::Temporary)
    } else {
        Ok(Place::Nowhere)
    }
}

fn remove_temporaries(layout: &Layout) -> Result<(), Error> {
    let tmp = layout.tmp();
    for entry in fs::read_dir(&tmp).at(&tmp)? {
        let path = entry.at(&tmp)?.path();
        if path.is_file() {
            durable::remove_file(&path).at(&path)?;
        }
    }
    Ok(())
}
