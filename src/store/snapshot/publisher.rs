//! The thread of a writer that publishes snapshots for readers in other processes.
//!
//! What a reader sees is one state of the whole store: the catalog is copied, and the last links
//! are made, while no publish is under way and no transaction runs. Most links are made before
//! that, so writers wait for little more than the copy. A partition that was published again in
//! between is known by its metadata, and linked again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rayon::prelude::*;

use crate::model::SeriesKey;
use crate::store::catalog::SeriesMeta;
use crate::store::durable;
use crate::store::error::{Error, IoContext};
use crate::store::held_dir::HeldDir;
use crate::store::layout::{Layout, PartitionKey};
use crate::store::state::Shared;

use super::{PREFIX, SnapshotRule};

/// Room that a snapshot leaves on the disk for the writer.
#[cfg(target_os = "linux")]
const ROOM_LEFT_MIN: u64 = 64 << 20;

/// The publishing thread of an open store. Dropping it ends the thread and removes its snapshot.
pub(in crate::store) struct Publisher {
    ending: Arc<AtomicBool>,
    wake: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The snapshot that readers find now. The lock is released before the folder is removed.
struct Current {
    _writer: File,
    _dir: HeldDir,
    changes: u64,
}

impl Publisher {
    /// Starts the thread, if the rule allows snapshots.
    pub fn start(shared: Arc<Shared>, rule: SnapshotRule) -> Option<Self> {
        let first_after = rule.first_after?;
        let ending = Arc::new(AtomicBool::new(false));
        let (wake, woken) = mpsc::channel();
        let is_ending = Arc::clone(&ending);
        let work = move || {
            let mut current: Option<Current> = None;
            let mut wait = first_after;
            while woken.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let began = Instant::now();
                // A failed attempt keeps the current snapshot: the next attempt may have room.
                if let Ok(Some(next)) = publish(&shared, current.as_ref(), &is_ending) {
                    current = Some(next);
                }
                wait = rule.every.saturating_sub(began.elapsed());
            }
        };
        let thread = std::thread::Builder::new().name("snapshots".to_owned());
        Some(Self {
            ending,
            wake: Some(wake),
            thread: thread.spawn(work).ok(),
        })
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Publishes a snapshot now, for tests that can't wait for a thread.
#[cfg(test)]
pub(in crate::store) fn publish_now(shared: &Shared) -> Result<impl Sized + use<>, Error> {
    publish(shared, None, &AtomicBool::new(false))
}

/// Publishes a snapshot; `None` if nothing changed since `current`, or the store is closing.
fn publish(
    shared: &Shared,
    current: Option<&Current>,
    ending: &AtomicBool,
) -> Result<Option<Current>, Error> {
    let (before, changes) = {
        let inner = shared.inner();
        (inner.series.clone(), inner.catalog.changes())
    };
    let is_broken = shared.broken.load(Ordering::SeqCst);
    if is_broken || current.is_some_and(|current| current.changes == changes) {
        return Ok(None);
    }
    let from = &shared.layout;
    super::sweep(from);
    check_room(from).at(from.root())?;
    let mut dir = HeldDir::make(&from.tmp(), PREFIX).at(&from.tmp())?;
    let to = Layout::flat(dir.path());
    super::make_folders(&to, &before).at(dir.path())?;
    let linked = link_early(from, &to, &before, ending);
    if ending.load(Ordering::SeqCst) {
        return Ok(None);
    }
    let changes = {
        let _no_publish = (shared.publishing.write()).unwrap_or_else(PoisonError::into_inner);
        let inner = shared.inner();
        if shared.broken.load(Ordering::SeqCst) {
            return Ok(None);
        }
        super::make_folders(&to, &inner.series).at(dir.path())?;
        link_rest(from, &to, &before, &linked, &inner.series).at(from.root())?;
        super::link_segments(from, &to, &inner.catalog.segments()?).at(from.root())?;
        inner.catalog.copy_to(&to)?;
        inner.catalog.changes()
    };
    let writer = super::mark_current(dir.path()).at(dir.path())?;
    crate::crash_point!("snapshot.before-publish");
    let target = super::published_path(dir.path());
    dir.share_as(&target).at(&target)?;
    crate::crash_point!("snapshot.after-publish");
    Ok(Some(Current {
        _writer: writer,
        _dir: dir,
        changes,
    }))
}

/// Refuses a snapshot that would take the last room on the disk.
#[cfg(target_os = "linux")]
fn check_room(layout: &Layout) -> io::Result<()> {
    let bytes = |path| fs::metadata(path).map_or(0, |found| found.len());
    let catalog = bytes(layout.database()) + bytes(layout.database_log());
    let disk = rustix::fs::statvfs(layout.root())?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < catalog + ROOM_LEFT_MIN {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn check_room(_: &Layout) -> io::Result<()> {
    Ok(())
}

type Linked = BTreeMap<SeriesKey, Vec<i32>>;

/// Links what it can while writers work. A partition may be replaced or removed meanwhile.
fn link_early(
    from: &Layout,
    to: &Layout,
    series: &BTreeMap<SeriesKey, SeriesMeta>,
    ending: &AtomicBool,
) -> Linked {
    (series.par_iter())
        .map(|(key, meta)| {
            let years = meta.partitions.keys().copied();
            let linked = years.filter(|year| {
                !ending.load(Ordering::Relaxed)
                    && super::link(from, to, &PartitionKey::new(key, *year)).is_ok()
            });
            (key.clone(), linked.collect())
        })
        .collect()
}

/// Makes the links those of `now`, while nothing is published.
fn link_rest(
    from: &Layout,
    to: &Layout,
    before: &BTreeMap<SeriesKey, SeriesMeta>,
    linked: &Linked,
    now: &BTreeMap<SeriesKey, SeriesMeta>,
) -> io::Result<()> {
    let stale = |key: &SeriesKey, year: &i32| {
        let at = |series: &BTreeMap<SeriesKey, SeriesMeta>| {
            (series.get(key)).and_then(|meta| meta.partitions.get(year).cloned())
        };
        at(before) != at(now)
    };
    for (key, years) in linked {
        for year in years.iter().filter(|year| stale(key, year)) {
            durable::remove_file(&to.partition(&PartitionKey::new(key, *year)))?;
        }
    }
    for (key, meta) in now {
        let linked = linked.get(key).map_or(&[][..], Vec::as_slice);
        for year in meta.partitions.keys() {
            if !linked.contains(year) || stale(key, year) {
                super::link(from, to, &PartitionKey::new(key, *year))?;
            }
        }
    }
    Ok(())
}
