//! Readers that work for long and must not keep writers waiting.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use crate::store::catalog::Catalog;
use crate::store::durable::Digest;
use crate::store::error::{Error, IoContext};
use crate::store::handle::Store;
use crate::store::layout::Layout;
use crate::store::options::OpenOptions;
use crate::store::snapshot::Snapshot;

use super::Reader;

impl Reader {
    /// Opens the store in `dir` as [`open`](Self::open) does, for work that takes long: the reader
    /// then reads a snapshot, and holds no lock that a writer would have to wait for.
    ///
    /// If no snapshot can be made (the store can't be written, the disk is full, or the file system
    /// has no hard links), the reader holds its lock as an ordinary one does.
    pub fn open_detached(dir: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let mut reader = Self::open(dir, options)?;
        if reader.lock.is_none() || !reader.overlay.is_empty() {
            return Ok(reader);
        }
        let segments = reader.catalog()?.segments()?;
        // Before its file is copied: closing the copy's descriptor would drop DuckDB's own lock.
        reader.catalog = None;
        let catalog = match reader.copy(&segments, options) {
            Ok((snapshot, catalog)) => {
                reader.layout = snapshot.layout().clone();
                reader.snapshot = Some(snapshot);
                reader.lock = None;
                catalog
            }
            Err(_) => open_catalog(&reader.layout, options)?,
        };
        reader.catalog = Some(Mutex::new(catalog));
        Ok(reader)
    }

    /// A store with what this reader sees, all of it sealed. It is a copy, removed when it is
    /// dropped, and no other process uses it; the files that it has in common with the store take
    /// no room.
    pub fn into_sealed_copy(mut self, options: &OpenOptions) -> Result<Store, Error> {
        let Some(snapshot) = self.snapshot.take() else {
            return Err(Error::CatalogBusy {
                dir: self.dir.clone(),
                pid: self.is_lake_only().flatten(),
            });
        };
        let segments = self.catalog()?.segments()?;
        let tmp = Layout::new(&self.dir).tmp();
        let copy = snapshot
            .copy_as_store(&tmp, &self.series, &segments)
            .at(&tmp)?;
        drop(self);
        let mut options = options.clone();
        options.snapshots.first_after = None;
        let mut store = Store::open(copy.path(), &options)?;
        store.copy = Some(copy);
        store.seal()?;
        Ok(store)
    }

    fn copy(
        &self,
        segments: &BTreeMap<String, Digest>,
        options: &OpenOptions,
    ) -> Result<(Snapshot, Catalog), Error> {
        let snapshot =
            Snapshot::of_unlocked(&self.layout, &self.series, segments).at(self.layout.root())?;
        let catalog = open_catalog(snapshot.layout(), options)?;
        Ok((snapshot, catalog))
    }
}

fn open_catalog(layout: &Layout, options: &OpenOptions) -> Result<Catalog, Error> {
    Catalog::open_read_only(layout, options.memory_limit_mib, options.threads)
        .map(|opened| opened.catalog)
}
