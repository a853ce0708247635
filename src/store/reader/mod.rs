//! Reading a store: both tiers as one, each key once.

mod detach;
mod prefetch;
mod records;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::model::{Provenance, SeriesKey, TimeRange, Timestamp};

use super::catalog::{Catalog, PartitionMeta, SeriesMeta, use_utc};
use super::error::Error;
use super::folder::is_there;
use super::handle::{OpenOptions, Store};
use super::lake::read::Partition;
use super::layout::{Layout, PartitionKey};
use super::lock::{ReadAccess, ReadLock, read_access};
use super::recover::{self, Overlay, Place};
use super::scan::{Part, Scan};
use super::snapshot::Snapshot;
use super::spill::Spill;
use prefetch::Prefetch;
pub use records::{ConflictRow, RunRow, TargetRow};

/// A view of a store as it was when the reader was made.
///
/// While another process writes, a reader sees the lake alone ([`is_lake_only`](Self::is_lake_only)).
pub struct Reader {
    /// The store's folder.
    dir: PathBuf,
    /// Where the catalog, partitions and segments are: in the store, or in a snapshot.
    pub(super) layout: Layout,
    store_id: Uuid,
    pub(super) catalog: Option<Mutex<Catalog>>,
    pub(super) series: BTreeMap<SeriesKey, SeriesMeta>,
    pub(super) overlay: Overlay,
    writer: Option<Option<u32>>,
    max_commit_seq: u64,
    notices: Vec<String>,
    /// Keeps writers out.
    lock: Option<ReadLock>,
    /// Keeps the files of `layout` if they are a snapshot's. Declared after the catalog, which is
    /// closed first.
    snapshot: Option<Snapshot>,
    /// Keeps the writer in this process from removing segments.
    _pin: Option<Arc<()>>,
    prefetch: Mutex<Prefetch>,
}

/// One series, as [`Reader::series`] tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// Interval and ticker.
    pub key: SeriesKey,
    /// Exchange, price basis and hours.
    pub provenance: Provenance,
    /// Bars in both tiers.
    pub rows: u64,
    /// Bars not yet sealed.
    pub hot_rows: u64,
    /// First bar.
    pub first: Timestamp,
    /// Last bar.
    pub last: Timestamp,
    /// Highest commit that wrote into the series.
    pub max_commit_seq: u64,
}

/// Bars of one session, as the commits counted them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCount {
    /// The trading date.
    pub session: NaiveDate,
    /// Bars of that date.
    pub bars: u32,
    /// Bars among them inside the regular session.
    pub regular: u32,
    /// First bar.
    pub first: Timestamp,
    /// Last bar.
    pub last: Timestamp,
}
impl Store {
    /// A reader beside the writer: what is committed now, both tiers.
    pub fn reader(&self) -> Result<Reader, Error> {
        self.check_whole()?;
        let keys = self.inner().series.keys().cloned().collect();
        // No publish of a known series is half carried out while their locks are held.
        let held = self.locks.lock(keys);
        let inner = self.inner();
        let catalog = inner.catalog.second()?;
        catalog.run("BEGIN TRANSACTION")?;
        use_utc(&catalog.connection).map_err(|error| catalog.failed(error))?;
        let max_commit_seq = catalog.max_commit_seq()?;
        let reader = Reader {
            dir: self.layout.root().to_path_buf(),
            layout: self.layout.clone(),
            store_id: self.store_id,
            catalog: Some(Mutex::new(catalog)),
            series: inner.series.clone(),
            overlay: BTreeMap::new(),
            writer: None,
            max_commit_seq,
            notices: Vec::new(),
            lock: None,
            snapshot: None,
            _pin: Some(Arc::clone(&self.readers)),
            prefetch: Mutex::default(),
        };
        drop(inner);
        drop(held);
        Ok(reader)
    }
}

impl Reader {
    /// Opens the store in `dir` for reading. What a killed writer left is finished first, where
    /// that is possible. Catalog and lake are then compared as they are for a writer, and a store
    /// in which they differ is refused: bars that one of them lacks would go missing, or count
    /// twice.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let mut reader = Self::open_unchecked(dir, options)?;
        if reader.catalog.is_some() {
            let segments = reader.catalog()?.segments()?;
            let stranger =
                recover::compare(&reader.layout, &reader.series, &reader.overlay, &segments)?;
            let new = stranger.filter(|notice| !reader.notices.contains(notice));
            reader.notices.extend(new);
        }
        Ok(reader)
    }

    /// As [`open`](Self::open), with catalog and lake not compared: for `verify`, which names every
    /// difference.
    pub(super) fn open_unchecked(dir: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let layout = Layout::new(dir);
        if !is_there(dir)? {
            return Err(Error::Missing {
                dir: dir.to_path_buf(),
            });
        }
        let lock = match read_access(&layout)? {
            ReadAccess::LakeOnly(pid) => return Self::lake_only(layout, pid),
            ReadAccess::Full(lock) => lock,
        };
        if !layout.database().exists() {
            if !recover::catalog_is_lost(&layout, lock.acknowledged())? {
                return Err(Error::Missing {
                    dir: dir.to_path_buf(),
                });
            }
            let what = super::error::Damage::NoCatalog;
            return Err(recover::damaged(&layout, vec![what]));
        }
        let needs_recovery = Catalog::needs_mending(&layout)
            || match Catalog::open_read_only(&layout, options.memory_limit_mib, options.threads) {
                Ok(opened) => !opened.catalog.intents()?.is_empty(),
                Err(error @ Error::Newer { .. }) => return Err(error),
                Err(_) => true,
            };
        let mut notices = Vec::new();
        let mut lock = Some(lock);
        if needs_recovery {
            lock = None;
            let now = OpenOptions {
                wait_for_readers: Duration::ZERO,
                ..options.clone()
            };
            match Store::open(dir, &now) {
                Ok(store) => notices = store.notices().to_vec(),
                // Read-only media, or other readers: the overlay below still reads every key once.
                Err(Error::Io { .. } | Error::ReadersStay { .. } | Error::WriterRuns { .. }) => {}
                Err(Error::Catalog { source, .. })
                    if source.to_string().contains("ermission denied") => {}
                Err(error) => return Err(error),
            }
        }
        if lock.is_none() {
            lock = match read_access(&layout)? {
                ReadAccess::LakeOnly(pid) => return Self::lake_only(layout, pid),
                ReadAccess::Full(lock) => Some(lock),
            };
        }
        let opened = Catalog::open_read_only(&layout, options.memory_limit_mib, options.threads)?;
        let series = opened.catalog.series()?;
        let by_id: BTreeMap<i32, SeriesKey> = series
            .iter()
            .map(|(key, meta)| (meta.id, key.clone()))
            .collect();
        let mut overlay = Overlay::new();
        for intent in opened.catalog.intents()? {
            let Some(key) = by_id.get(&intent.series_id) else {
                continue;
            };
            let key = PartitionKey::new(key, intent.year);
            let path = match recover::place_of(&layout, &key, &intent)? {
                Place::Target => layout.partition(&key),
                Place::Temporary => layout.tmp().join(&intent.temporary),
                Place::Nowhere if intent.is_seal => continue,
                Place::Nowhere => {
                    let what = super::error::Damage::IntentLost(key);
                    return Err(recover::damaged(&layout, vec![what]));
                }
            };
            overlay.insert(key, (path, intent));
        }
        let max_commit_seq = opened.catalog.max_commit_seq()?;
        if notices.is_empty() {
            let acknowledged = lock.as_ref().map_or(0, ReadLock::acknowledged);
            notices.extend(recover::missing_commits(acknowledged, max_commit_seq));
        }
        Ok(Self {
            dir: layout.root().to_path_buf(),
            layout,
            store_id: opened.store_id,
            catalog: Some(Mutex::new(opened.catalog)),
            series,
            overlay,
            writer: None,
            max_commit_seq,
            notices,
            lock,
            snapshot: None,
            _pin: None,
            prefetch: Mutex::default(),
        })
    }

    /// The lake alone, as its footers tell of it.
    fn lake_only(layout: Layout, pid: Option<u32>) -> Result<Self, Error> {
        let mut series: BTreeMap<SeriesKey, SeriesMeta> = BTreeMap::new();
        let mut store_id = Uuid::nil();
        let walked = recover::walk_lake(&layout)?;
        let notices = walked.notice(&layout).into_iter().collect();
        for (key, (bytes, modified_ns)) in walked.partitions {
            let partition = match Partition::open(&layout.partition(&key)) {
                Ok(partition) => partition,
                // Replaced or dropped since the folder was listed.
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some((first, last)) = partition.bounds() else {
                continue;
            };
            let footer = partition.footer;
            store_id = footer.store_id;
            let meta = PartitionMeta {
                rows: footer.rows,
                first,
                last,
                commit_seq: footer.commit_seq,
                commit_id: footer.commit_id,
                row_hash: footer.row_hash,
                digest: super::durable::Digest {
                    checksum: String::new(),
                    bytes,
                    modified_ns,
                },
                store_id: footer.store_id,
            };
            series
                .entry(key.series)
                .or_insert_with(|| SeriesMeta::new(0, footer.provenance))
                .partitions
                .insert(key.year, meta);
        }
        let max_commit_seq = series
            .values()
            .map(SeriesMeta::max_commit_seq)
            .max()
            .unwrap_or(0);
        Ok(Self {
            dir: layout.root().to_path_buf(),
            layout,
            store_id,
            catalog: None,
            series,
            overlay: BTreeMap::new(),
            writer: Some(pid),
            max_commit_seq,
            notices,
            lock: None,
            snapshot: None,
            _pin: None,
            prefetch: Mutex::default(),
        })
    }

    /// The store's id.
    #[must_use]
    pub fn store_id(&self) -> Uuid {
        self.store_id
    }

    /// The store's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder that has the lake and the segments as this reader sees them: the store's, or
    /// that of a snapshot.
    #[must_use]
    pub fn files_dir(&self) -> &Path {
        self.layout.root()
    }

    /// Makes a folder for a query to spill into, and removes those that killed queries left. It is
    /// in the store; if the store can't be written, it is in `elsewhere`. `None` if neither can be.
    #[must_use]
    pub fn spill(&self, elsewhere: &Path) -> Option<Spill> {
        Spill::make(&Layout::new(&self.dir), elsewhere)
    }

    /// What opening found and mended, in words for a person.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// `Some` while another process writes, with its pid where it is known: then only the lake is seen.
    #[must_use]
    pub fn is_lake_only(&self) -> Option<Option<u32>> {
        self.writer
    }

    /// The highest commit that this reader sees.
    #[must_use]
    pub fn max_commit_seq(&self) -> u64 {
        self.max_commit_seq
    }

    pub(super) fn catalog(&self) -> Result<MutexGuard<'_, Catalog>, Error> {
        match &self.catalog {
            Some(catalog) => Ok(catalog.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Err(Error::CatalogBusy {
                dir: self.dir.clone(),
                pid: self.writer.flatten(),
            }),
        }
    }

    /// All series that hold bars, by interval and ticker.
    pub fn series(&self) -> Result<Vec<SeriesRow>, Error> {
        let mut rows = Vec::with_capacity(self.series.len());
        for (key, meta) in &self.series {
            let meta = self.with_overlay(key, meta);
            let (Some(first), Some(last)) = (meta.first(), meta.last()) else {
                continue;
            };
            rows.push(SeriesRow {
                key: key.clone(),
                provenance: meta.provenance.clone(),
                rows: meta.sealed_rows() + meta.hot_rows(),
                hot_rows: meta.hot_rows(),
                first,
                last,
                max_commit_seq: meta.max_commit_seq(),
            });
        }
        Ok(rows)
    }

    /// The facts as they are once the recorded publishes are carried out.
    pub(super) fn with_overlay(&self, key: &SeriesKey, meta: &SeriesMeta) -> SeriesMeta {
        let mut meta = meta.clone();
        for (partition, (_, intent)) in &self.overlay {
            if partition.series == *key {
                meta.hot.remove(&partition.year);
                if intent.is_removal() {
                    meta.partitions.remove(&partition.year);
                } else {
                    meta.partitions.insert(partition.year, intent.new.clone());
                }
            }
        }
        meta
    }

    /// The bars of a series inside `range`, sorted, streamed in Arrow batches.
    pub fn scan(&self, series: &SeriesKey, range: TimeRange) -> Result<Scan, Error> {
        self.scan_since(series, range, 0, u64::MAX)
    }

    /// The bars of a series inside `range` that commits after `after_seq` up to `through_seq` wrote.
    pub fn scan_since(
        &self,
        series: &SeriesKey,
        range: TimeRange,
        after_seq: u64,
        through_seq: u64,
    ) -> Result<Scan, Error> {
        let Some(meta) = self.series.get(series) else {
            return Ok(Scan::empty());
        };
        let meta = self.with_overlay(series, meta);
        let hot = if meta
            .hot
            .values()
            .any(|year| year.max_commit_seq > after_seq && year.overlaps(range))
        {
            self.hot_rows_of(series, &meta, range)?
        } else {
            super::rows::StagedRows::default()
        };
        let mut parts: BTreeMap<i32, Part> = BTreeMap::new();
        for (year, partition) in &meta.partitions {
            let inside =
                partition.first.micros() < range.end && partition.last.micros() >= range.start;
            if inside && partition.commit_seq > after_seq {
                let key = PartitionKey::new(series, *year);
                let overlay = self.overlay.get(&key).map(|(path, _)| path.clone());
                let path = overlay.unwrap_or_else(|| self.layout.partition(&key));
                parts.entry(*year).or_default().path = Some(path);
            }
        }
        for (year, places) in super::catalog::years(hot.bars.timestamps()) {
            parts.entry(year).or_default().hot = hot.slice(places);
        }
        Ok(Scan::new(
            parts.into_values().collect(),
            range,
            after_seq,
            through_seq,
        ))
    }
}
