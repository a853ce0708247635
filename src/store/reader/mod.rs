//! Reading a store: both tiers as one, each key once.

mod as_of;
mod conflicts;
mod detach;
mod open;
mod prefetch;
mod records;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use uuid::Uuid;

use crate::model::{Provenance, SeriesKey, TimeRange, Timestamp};

use super::catalog::{Catalog, SeriesMeta, use_utc};
use super::error::Error;
use super::handle::Store;
use super::lake_files::Overlay;
use super::layout::{Layout, PartitionKey};
use super::lock::ReadLock;
use super::rows::StagedRows;
use super::scan::{Part, Scan};
use super::snapshot::{Snapshot, WriterSnapshot};
use super::spill::Spill;
pub use conflicts::{ConflictDay, ConflictRow};
use prefetch::Prefetch;
pub use records::{RunRow, TargetRow};

/// A view of a store as it was when the reader was made.
///
/// While another process writes, a reader sees the snapshot that the writer published last
/// ([`writer_snapshot`](Self::writer_snapshot)). If there is none, it sees the lake alone
/// ([`is_lake_only`](Self::is_lake_only)).
pub struct Reader {
    /// The store's folder.
    dir: PathBuf,
    /// Where the catalog, partitions and segments are: in the store, or in a snapshot.
    pub(super) layout: Layout,
    store_id: Uuid,
    pub(super) catalog: Option<Mutex<Catalog>>,
    pub(super) series: BTreeMap<SeriesKey, SeriesMeta>,
    pub(super) overlay: Overlay,
    writer: Writer,
    max_commit_seq: u64,
    /// Bars are seen as they were after this commit.
    pub(super) as_of: Option<u64>,
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

/// The writer that ran in another process when a reader was made.
#[derive(Clone, Copy, Debug)]
enum Writer {
    None,
    WithSnapshot(WriterSnapshot),
    WithoutSnapshot(Option<u32>),
}

/// One series, as [`Reader::series`] returns it.
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
    /// A reader of what is committed now, in both tiers, while this process writes.
    pub fn reader(&self) -> Result<Reader, Error> {
        self.check_whole()?;
        let keys = self.inner().series.keys().cloned().collect();
        // While these locks are held, no publish of a known series is half applied.
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
            writer: Writer::None,
            max_commit_seq,
            as_of: None,
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

    /// The folders that hold files of bars as this reader sees them: the store's, or those of a
    /// snapshot.
    #[must_use]
    pub fn bar_folders(&self) -> [PathBuf; 2] {
        [self.layout.lake(), self.layout.segments()]
    }

    /// The folder for the temporary files of a query. It is the one that the catalog's database has
    /// already, since a query runs in that database. If there is none, because there is no catalog or the
    /// store can't be written, one is created in the store, else in `elsewhere`. `None` if neither works.
    #[must_use]
    pub fn spill(&self, elsewhere: &Path) -> Option<Arc<Spill>> {
        let of_catalog = self.catalog().ok().and_then(|catalog| catalog.spill());
        of_catalog.or_else(|| Spill::make(&Layout::new(&self.dir), elsewhere).map(Arc::new))
    }

    /// What opening found and mended, in words for a person.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// `Some` if another process writes and has published no snapshot, with its pid if it is known:
    /// then only the lake is seen.
    #[must_use]
    pub fn is_lake_only(&self) -> Option<Option<u32>> {
        match self.writer {
            Writer::WithoutSnapshot(pid) => Some(pid),
            _ => None,
        }
    }

    /// The state that is seen if another process writes.
    #[must_use]
    pub fn writer_snapshot(&self) -> Option<WriterSnapshot> {
        match self.writer {
            Writer::WithSnapshot(snapshot) => Some(snapshot),
            _ => None,
        }
    }

    /// Whether a writer had the store open when this reader was made: another process, or this one.
    pub(super) fn has_writer(&self) -> bool {
        self._pin.is_some() || !matches!(self.writer, Writer::None)
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
                pid: self.is_lake_only().flatten(),
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

    /// The metadata as it will be once the recorded intents are applied.
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

    /// The hot rows of a series inside `range`, sorted.
    pub(super) fn hot_rows_of(
        &self,
        series: &SeriesKey,
        meta: &SeriesMeta,
        range: TimeRange,
    ) -> Result<StagedRows, Error> {
        let catalog = self.catalog()?;
        let mut prefetch = self.prefetch.lock().unwrap_or_else(PoisonError::into_inner);
        prefetch.rows(&catalog, &self.series, series, meta, range)
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
            StagedRows::default()
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
        let through_seq = match self.as_of {
            None => through_seq,
            Some(seq) => {
                let replaced = self.catalog()?.replaced_rows(meta.id, range, seq)?;
                for (year, places) in super::catalog::years(replaced.bars.timestamps()) {
                    parts.entry(year).or_default().replaced = replaced.slice(places);
                }
                through_seq.min(seq)
            }
        };
        Ok(Scan::new(
            parts.into_values().collect(),
            range,
            after_seq,
            through_seq,
        ))
    }
}
