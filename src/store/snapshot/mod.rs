//! Snapshots: a state of the store in files of its own, which no writer changes.
//!
//! The folder of a snapshot is in `tmp/`. It has a copy of the catalog, and hard links to the
//! partitions and segments that the catalog lists ([`Layout::flat`]). A writer replaces and removes
//! names in the lake but never changes bytes, so the links still have the old contents. A snapshot costs
//! the bytes of the catalog, and a directory entry for each file.
//!
//! There are two kinds:
//!
//! - `snapshot-…` belongs to one reader, which made it under its lock on the store. With it, the
//!   reader needs that lock no longer.
//! - `published-…` is made by the writer for all readers ([`Publisher`]), since no other process can
//!   open the catalog while it writes. The folder gets this name when it is complete. The writer
//!   keeps a lock on the file `writer` inside it for as long as it is current.
//!
//! The last process that uses a folder removes it (`held_dir.rs`). Nothing in it is flushed to the
//! disk: after a power failure no process uses it.

mod publisher;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;

use crate::model::{SeriesKey, Timestamp};

use super::catalog::SeriesMeta;
use super::durable::Digest;
use super::held_dir::{self, HeldDir};
use super::layout::{Layout, PartitionKey};
pub(super) use publisher::Publisher;
#[cfg(test)]
pub(super) use publisher::publish_now;

/// The start of a folder's name while one process uses it.
const PREFIX: &str = "snapshot-";
/// The start of a folder's name once every reader may use it.
const PREFIX_PUBLISHED: &str = "published-";
/// The file that the writer keeps locked while its snapshot is current.
const WRITER: &str = "writer";

/// When a writer publishes snapshots, and how long a reader waits for the first one.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotRule {
    /// How long after opening the store the first snapshot is made; `None`: the writer publishes none.
    /// A shorter run costs nothing: its readers wait for its end.
    pub first_after: Option<Duration>,
    /// Least time between two snapshots. If nothing changed, no snapshot is made.
    pub every: Duration,
    /// How long a reader waits for a writer's first snapshot.
    pub wait: Duration,
}

impl Default for SnapshotRule {
    fn default() -> Self {
        Self {
            first_after: Some(Duration::from_millis(200)),
            every: Duration::from_secs(30),
            wait: Duration::from_secs(5),
        }
    }
}

/// What a reader in another process sees while a writer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterSnapshot {
    /// The writer's process id, if its lock file shows it.
    pub pid: Option<u32>,
    /// The store is read as of this time.
    pub as_of: Timestamp,
}

/// The folders of published snapshots, sorted.
pub(super) fn published_folders(layout: &Layout) -> Vec<PathBuf> {
    let entries = fs::read_dir(layout.tmp()).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .filter(|entry| held_dir::starts_with(&entry.file_name(), PREFIX_PUBLISHED))
        .map(|entry| entry.path())
        .collect();
    folders.sort_unstable();
    folders
}

/// A snapshot in use by this process.
#[derive(Debug)]
pub(super) struct Snapshot {
    layout: Layout,
    _dir: HeldDir,
}

impl Snapshot {
    /// Makes one of the store in `from`. The caller keeps writers out and has the catalog closed.
    pub fn of_unlocked(
        from: &Layout,
        series: &BTreeMap<SeriesKey, SeriesMeta>,
        segments: &BTreeMap<String, Digest>,
    ) -> io::Result<Self> {
        // A copy of a store may lack its empty folders.
        let _ = fs::create_dir(from.tmp());
        let dir = HeldDir::make(&from.tmp(), PREFIX)?;
        let to = Layout::flat(dir.path());
        copy_catalog(from, &to)?;
        make_folders(&to, series)?;
        series.par_iter().try_for_each(|(key, meta)| {
            let mut keys = meta.partitions.keys();
            keys.try_for_each(|year| link(from, &to, &PartitionKey::new(key, *year)))
        })?;
        link_segments(from, &to, segments)?;
        crate::crash_point!("snapshot.after-copy");
        Ok(Self {
            layout: to,
            _dir: dir,
        })
    }

    /// Copies the snapshot into a store in `tmp`, with the partitions in the folders of a lake.
    pub fn copy_as_store(
        &self,
        tmp: &Path,
        series: &BTreeMap<SeriesKey, SeriesMeta>,
        segments: &BTreeMap<String, Digest>,
    ) -> io::Result<CopiedStore> {
        let dir = HeldDir::make(tmp, PREFIX)?;
        let to = Layout::new(dir.path());
        copy_catalog(&self.layout, &to)?;
        for (key, meta) in series {
            for year in meta.partitions.keys() {
                let key = PartitionKey::new(key, *year);
                fs::create_dir_all(to.partition(&key).parent().unwrap_or(to.root()))?;
                link(&self.layout, &to, &key)?;
            }
        }
        link_segments(&self.layout, &to, segments)?;
        Ok(CopiedStore(dir))
    }

    /// The current snapshot of the writer that is running, if it has published one. The caller has
    /// seen that the store is locked by a writer.
    pub fn published(layout: &Layout) -> Option<Self> {
        let current = (published_folders(layout).into_iter())
            .filter(|dir| is_current(dir))
            .max_by_key(|dir| as_of(&Layout::flat(dir)))?;
        let dir = HeldDir::join(current).ok()?;
        // Otherwise its writer may have ended, and another one may have committed since.
        is_current(dir.path()).then(|| Self {
            layout: Layout::flat(dir.path()),
            _dir: dir,
        })
    }

    /// The paths of its files.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The time of the state that it shows.
    pub fn as_of(&self) -> Timestamp {
        Timestamp::from_micros(as_of(&self.layout))
    }
}

/// A copy of a store that only this process uses, and that is removed when dropped.
#[derive(Debug)]
pub(super) struct CopiedStore(HeldDir);

impl CopiedStore {
    /// The folder of the copy.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Copies a catalog that DuckDB doesn't have open for writing.
fn copy_catalog(from: &Layout, to: &Layout) -> io::Result<()> {
    fs::copy(from.database(), to.database())?;
    if from.database_log().exists() {
        fs::copy(from.database_log(), to.database_log())?;
    }
    Ok(())
}

/// Whether a running writer keeps the snapshot in `dir` current.
fn is_current(dir: &Path) -> bool {
    let lock = File::open(dir.join(WRITER));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// When the catalog was copied, in microseconds since 1970.
fn as_of(layout: &Layout) -> i64 {
    fs::metadata(layout.database())
        .and_then(|found| found.modified())
        .ok()
        .and_then(|time: SystemTime| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_micros() as i64)
}

/// Removes the snapshots that killed processes left in a store's `tmp/`.
pub(super) fn sweep(layout: &Layout) {
    held_dir::sweep(&layout.tmp(), PREFIX);
    held_dir::sweep(&layout.tmp(), PREFIX_PUBLISHED);
}

fn link(from: &Layout, to: &Layout, key: &PartitionKey) -> io::Result<()> {
    fs::hard_link(from.partition(key), to.partition(key))
}

/// Makes the folders of all partitions of `series`.
fn make_folders(to: &Layout, series: &BTreeMap<SeriesKey, SeriesMeta>) -> io::Result<()> {
    for (key, meta) in series {
        if let Some(year) = meta.partitions.keys().next() {
            let path = to.partition(&PartitionKey::new(key, *year));
            let dir = path.parent().unwrap_or(to.root());
            if !dir.is_dir() {
                fs::create_dir_all(dir)?;
            }
        }
    }
    Ok(())
}

fn link_segments(
    from: &Layout,
    to: &Layout,
    segments: &BTreeMap<String, Digest>,
) -> io::Result<()> {
    if segments.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(to.segments())?;
    (segments.keys()).try_for_each(|name| fs::hard_link(from.segment(name), to.segment(name)))
}

/// Makes and locks the file by which readers see that the snapshot in `dir` is current.
fn mark_current(dir: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(dir.join(WRITER))?;
    file.try_lock()?;
    Ok(file)
}

/// The name of the published folder that was built in `dir`.
fn published_path(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix(PREFIX).unwrap_or(&name);
    dir.with_file_name(format!("{PREFIX_PUBLISHED}{name}"))
}
