//! Snapshots: a state of the store in files of its own, which no writer changes.
//!
//! The folder `tmp/snapshot-…/` is laid out like a store. It has a copy of the catalog, and hard
//! links to the partitions and segments that the catalog lists. A writer replaces and removes names
//! in the lake but never changes bytes, so the links keep what they name. A snapshot costs the
//! bytes of the catalog, and a directory entry for each file.
//!
//! The last process that uses the folder removes it (`held_dir.rs`). Nothing in it is flushed to the
//! disk: after a power failure no process uses it.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use rayon::prelude::*;

use crate::model::SeriesKey;

use super::catalog::SeriesMeta;
use super::durable::Digest;
use super::held_dir::{self, HeldDir};
use super::layout::{Layout, PartitionKey};

/// The start of the folder's name.
const PREFIX: &str = "snapshot-";

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
        let to = Layout::new(dir.path());
        fs::copy(from.database(), to.database())?;
        if from.database_log().exists() {
            fs::copy(from.database_log(), to.database_log())?;
        }
        series
            .par_iter()
            .try_for_each(|(key, meta)| link_series(from, &to, key, meta))?;
        link_segments(from, &to, segments)?;
        crate::crash_point!("snapshot.after-copy");
        Ok(Self {
            layout: to,
            _dir: dir,
        })
    }

    /// The paths of its files.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// Removes the snapshots that killed processes left in a store's `tmp/`.
pub(super) fn sweep(layout: &Layout) {
    held_dir::sweep(&layout.tmp(), PREFIX);
}

fn link_series(
    from: &Layout,
    to: &Layout,
    series: &SeriesKey,
    meta: &SeriesMeta,
) -> io::Result<()> {
    for year in meta.partitions.keys() {
        let key = PartitionKey::new(series, *year);
        let target = to.partition(&key);
        fs::create_dir_all(target.parent().unwrap_or(to.root()))?;
        fs::hard_link(from.partition(&key), target)?;
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
