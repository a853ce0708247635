//! Opening a store for reading: under a lock that keeps writers out, or, while one runs, from the
//! snapshot that it published.

use std::collections::BTreeMap;
use std::fs::OpenOptions as FileOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::model::SeriesKey;
use crate::store::catalog::{Catalog, Opened, PartitionMeta, SeriesMeta};
use crate::store::durable::Digest;
use crate::store::error::{Damage, Error};
use crate::store::folder::is_there;
use crate::store::handle::Store;
use crate::store::lake::read::Partition;
use crate::store::lake_files::{self, Overlay};
use crate::store::layout::Layout;
use crate::store::lock::{ReadAccess, ReadLock, read_access};
use crate::store::options::OpenOptions;
use crate::store::recover::{self, Place};
use crate::store::snapshot::{Snapshot, WriterSnapshot};

use super::{Prefetch, Reader, Writer};

/// How often a reader looks for a snapshot that a writer is about to publish.
const SNAPSHOT_POLL: Duration = Duration::from_millis(20);

impl Reader {
    /// Opens the store in `dir` for reading. What a killed writer left is finished first, where
    /// that is possible. Catalog and lake are then compared as they are for a writer, and a store
    /// in which they differ is refused: bars that one of them lacks would go missing, or count
    /// twice.
    ///
    /// While another process writes, its last snapshot is read.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let layout = existing(dir)?;
        let deadline = Instant::now() + options.snapshots.wait;
        loop {
            let pid = match read_access(&layout)? {
                ReadAccess::Full(lock) => match Self::locked(&layout, lock, options)? {
                    Ok(mut reader) => {
                        reader.compare()?;
                        return Ok(reader);
                    }
                    Err(pid) => pid,
                },
                ReadAccess::LakeOnly(pid) => pid,
            };
            if let Some(snapshot) = Snapshot::published(&layout) {
                return Self::of_snapshot(&layout, snapshot, pid, options);
            }
            if Instant::now() >= deadline {
                return Self::lake_only(layout, pid);
            }
            std::thread::sleep(SNAPSHOT_POLL);
        }
    }

    /// Opens the store itself without comparing catalog and lake: for `verify`, which names every
    /// difference.
    pub(in crate::store) fn open_unchecked(
        dir: &Path,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let layout = existing(dir)?;
        let opened = match read_access(&layout)? {
            ReadAccess::Full(lock) => Self::locked(&layout, lock, options)?,
            ReadAccess::LakeOnly(pid) => Err(pid),
        };
        opened.map_err(|pid| Error::CatalogBusy {
            dir: dir.to_path_buf(),
            pid,
        })
    }

    /// Opens the store under `lock`. `Err` with its pid if a writer took the store over while
    /// recovery was tried.
    fn locked(
        layout: &Layout,
        mut lock: ReadLock,
        options: &OpenOptions,
    ) -> Result<Result<Self, Option<u32>>, Error> {
        let dir = layout.root();
        if !layout.database().exists() {
            if !recover::catalog_is_lost(layout, lock.acknowledged())? {
                return Err(Error::Missing {
                    dir: dir.to_path_buf(),
                });
            }
            return Err(lake_files::damaged(layout, vec![Damage::NoCatalog]));
        }
        let mut notices = Vec::new();
        let whole = open_whole(layout, options)?;
        if whole.is_none() && can_be_written(layout) {
            drop(lock);
            notices = recover(dir, options)?;
            lock = match read_access(layout)? {
                ReadAccess::LakeOnly(pid) => return Ok(Err(pid)),
                ReadAccess::Full(lock) => lock,
            };
        }
        let opened = match whole {
            Some(opened) => opened,
            None => Catalog::open_read_only(layout, options.memory_limit_mib, options.threads)?,
        };
        let overlay = overlay(layout, &opened.catalog)?;
        let mut reader = Self::with(layout.clone(), opened, overlay)?;
        if notices.is_empty() {
            notices.extend(recover::missing_commits(
                lock.acknowledged(),
                reader.max_commit_seq,
            ));
        }
        reader.notices = notices;
        reader.lock = Some(lock);
        Ok(Ok(reader))
    }

    /// A state that the running writer published.
    fn of_snapshot(
        store: &Layout,
        snapshot: Snapshot,
        pid: Option<u32>,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let layout = snapshot.layout().clone();
        let opened = Catalog::open_read_only(&layout, options.memory_limit_mib, options.threads)?;
        let mut reader = Self::with(layout, opened, Overlay::new())?;
        reader.dir = store.root().to_path_buf();
        reader.writer = Writer::WithSnapshot(WriterSnapshot {
            pid,
            as_of: snapshot.as_of(),
        });
        reader.snapshot = Some(snapshot);
        Ok(reader)
    }

    fn with(layout: Layout, opened: Opened, overlay: Overlay) -> Result<Self, Error> {
        Ok(Self {
            dir: layout.root().to_path_buf(),
            layout,
            store_id: opened.store_id,
            series: opened.catalog.series()?,
            max_commit_seq: opened.catalog.max_commit_seq()?,
            as_of: None,
            catalog: Some(Mutex::new(opened.catalog)),
            overlay,
            writer: Writer::None,
            notices: Vec::new(),
            lock: None,
            snapshot: None,
            _pin: None,
            prefetch: Mutex::default(),
        })
    }

    /// Refuses a store in which catalog and lake differ.
    fn compare(&mut self) -> Result<(), Error> {
        let segments = self.catalog()?.segments()?;
        let foreign = lake_files::compare(&self.layout, &self.series, &self.overlay, &segments)?;
        let new = foreign.filter(|notice| !self.notices.contains(notice));
        self.notices.extend(new);
        Ok(())
    }

    /// The lake alone, from its footers.
    fn lake_only(layout: Layout, pid: Option<u32>) -> Result<Self, Error> {
        let mut series: BTreeMap<SeriesKey, SeriesMeta> = BTreeMap::new();
        let mut store_id = Uuid::nil();
        let walked = lake_files::walk_lake(&layout)?;
        let notices = walked.notice(&layout).into_iter().collect();
        for (key, (bytes, modified_ns)) in walked.partitions {
            let partition = match Partition::open(&layout.partition(&key)) {
                Ok(partition) => partition,
                // Replaced or dropped since the folder was listed.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let Some(bounds) = partition.bounds() else {
                continue;
            };
            let footer = partition.footer;
            store_id = footer.store_id;
            let digest = Digest {
                checksum: String::new(),
                bytes,
                modified_ns,
            };
            let meta = PartitionMeta::new(&footer, bounds, digest);
            series
                .entry(key.series)
                .or_insert_with(|| SeriesMeta::new(0, footer.provenance))
                .partitions
                .insert(key.year, meta);
        }
        let max_commit_seq = series.values().map(SeriesMeta::max_commit_seq).max();
        Ok(Self {
            dir: layout.root().to_path_buf(),
            layout,
            store_id,
            catalog: None,
            series,
            overlay: Overlay::new(),
            writer: Writer::WithoutSnapshot(pid),
            max_commit_seq: max_commit_seq.unwrap_or(0),
            as_of: None,
            notices,
            lock: None,
            snapshot: None,
            _pin: None,
            prefetch: Mutex::new(Prefetch::default()),
        })
    }
}

/// The paths of the store in `dir`; an error if there is none.
fn existing(dir: &Path) -> Result<Layout, Error> {
    if is_there(dir)? {
        Ok(Layout::new(dir))
    } else {
        Err(Error::Missing {
            dir: dir.to_path_buf(),
        })
    }
}

/// Opens the catalog; `None` if a killed writer left something to finish.
fn open_whole(layout: &Layout, options: &OpenOptions) -> Result<Option<Opened>, Error> {
    if Catalog::needs_mending(layout) {
        return Ok(None);
    }
    match Catalog::open_read_only(layout, options.memory_limit_mib, options.threads) {
        Ok(opened) if opened.catalog.intents()?.is_empty() => Ok(Some(opened)),
        Err(error @ Error::Newer { .. }) => Err(error),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Whether this user may write the catalog. Not called while DuckDB has it open.
fn can_be_written(layout: &Layout) -> bool {
    let logs = layout.database_logs().into_iter();
    (logs.filter(|log| log.exists()).chain([layout.database()]))
        .all(|path| FileOptions::new().append(true).open(path).is_ok())
}

/// Opens the store for writing, without waiting for another process, and closes it. Returns the
/// notices. If it can't be opened, the intents show from which file each partition is read.
fn recover(dir: &Path, options: &OpenOptions) -> Result<Vec<String>, Error> {
    let mut at_once = options.clone();
    at_once.wait_for_readers = Duration::ZERO;
    at_once.snapshots.first_after = None;
    match Store::open(dir, &at_once) {
        Ok(store) => Ok(store.notices().to_vec()),
        Err(
            Error::Io { .. }
            | Error::ReadOnly { .. }
            | Error::ReadersStay { .. }
            | Error::WriterRuns { .. },
        ) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Where the partitions of recorded intents are to be read.
fn overlay(layout: &Layout, catalog: &Catalog) -> Result<Overlay, Error> {
    let mut overlay = Overlay::new();
    for (one, place) in recover::recorded(layout, catalog)? {
        let path = match place {
            Place::Target => layout.partition(&one.key),
            Place::Temporary => layout.tmp().join(&one.intent.temporary),
            Place::Nowhere if one.intent.is_seal => continue,
            Place::Nowhere => {
                return Err(lake_files::damaged(
                    layout,
                    vec![Damage::IntentLost(one.key)],
                ));
            }
        };
        overlay.insert(one.key, (path, one.intent));
    }
    Ok(overlay)
}
