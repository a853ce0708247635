//! What a commit writes into the folder of segments: the hot rows of many series, and conflicts if
//! they are many.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::model::Timestamp;
use crate::store::catalog::{Catalog, NewPart, years};
use crate::store::conflicts::{self, Conflicts};
use crate::store::durable::{self, Digest};
use crate::store::error::{Error, IoContext};
use crate::store::handle::Store;
use crate::store::layout::Layout;
use crate::store::run::RunId;
use crate::store::segment::{self, PartRows};

use super::Prepared;

/// The files that a transaction lists in the folder of segments.
#[derive(Default)]
pub(super) struct NewFiles {
    pub segment: Option<WrittenSegment>,
    pub conflicts: Option<WrittenFile>,
}

/// A flushed file in `tmp/`, not yet listed.
pub(super) struct WrittenFile {
    pub name: String,
    pub digest: Digest,
    temporary: PathBuf,
}

/// A flushed segment in `tmp/`, not yet listed.
pub(super) struct WrittenSegment {
    file: WrittenFile,
    pub parts: Vec<NewPart>,
    /// For each part, the index of its series in the prepared commit.
    owners: Vec<usize>,
}

impl Store {
    /// Writes the hot rows of `prepared` into a segment if they are many rows of many series.
    /// Otherwise they go into the table.
    pub(super) fn write_segment(
        &self,
        prepared: &[Prepared],
    ) -> Result<Option<WrittenSegment>, Error> {
        let rule = &self.options.seal;
        let hot = || {
            (prepared.iter().enumerate())
                .filter(|(_, ready)| !ready.publishes && !ready.rows.is_empty())
        };
        let rows: u64 = hot().map(|(_, ready)| ready.rows.len() as u64).sum();
        if rows < rule.segment_rows_min || (hot().count() as u64) < rule.segment_series_min {
            return Ok(None);
        }
        let (mut owners, mut parts, mut rows_of_parts) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for (index, ready) in hot() {
            let timestamps = ready.rows.bars.timestamps();
            for (year, range) in years(timestamps) {
                owners.push(index);
                parts.push(NewPart {
                    part_id: 0,
                    range: start..start + range.len(),
                    year,
                    first: Timestamp::from_micros(timestamps[range.start]),
                    last: Timestamp::from_micros(timestamps[range.end - 1]),
                    source: ready.rows.sources[0].clone(),
                    commit_seq: ready.commit_seq,
                });
                start += range.len();
                rows_of_parts.push(PartRows {
                    part_id: 0,
                    bars: &ready.rows.bars,
                    range,
                });
            }
        }
        let first_id = {
            let mut inner = self.inner();
            let first_id = inner.next_part_id;
            inner.next_part_id += parts.len() as i64;
            first_id
        };
        for (id, (part, rows)) in (first_id..).zip(parts.iter_mut().zip(&mut rows_of_parts)) {
            part.part_id = id;
            rows.part_id = id;
        }
        let name = format!("{}.parquet", Uuid::new_v4().simple());
        let file = self.write_file(name, |path| segment::write(path, &rows_of_parts))?;
        crate::crash_point!("segment.after-write");
        Ok(Some(WrittenSegment {
            file,
            parts,
            owners,
        }))
    }

    /// Removes the conflicts that are recorded already. If many of known series are left, writes them
    /// into a file and removes them too: those that stay in `prepared` go into the table.
    pub(super) fn write_conflicts(
        &self,
        run: &RunId,
        prepared: &mut [Prepared],
    ) -> Result<Option<WrittenFile>, Error> {
        let of_known_series: Vec<usize> = (0..prepared.len())
            .filter(|index| !prepared[*index].is_new_series)
            .filter(|index| !prepared[*index].conflicts.is_empty())
            .collect();
        if of_known_series.is_empty() {
            return Ok(None);
        }
        let offered: Vec<(i32, &Conflicts)> = (of_known_series.iter())
            .map(|index| (prepared[*index].series_id, &prepared[*index].conflicts))
            .collect();
        let recorded = self.inner().catalog.known_conflicts(&offered)?;
        let mut rows = 0;
        for index in &of_known_series {
            let ready = &mut prepared[*index];
            let conflicts = std::mem::take(&mut ready.conflicts);
            ready.conflicts = conflicts.without(ready.series_id, &recorded);
            rows += ready.conflicts.len() as u64;
        }
        if rows < self.options.seal.conflict_rows_min {
            return Ok(None);
        }
        let mut new = Vec::with_capacity(of_known_series.len());
        for index in of_known_series {
            let ready = &mut prepared[index];
            new.push((ready.series_id, std::mem::take(&mut ready.conflicts)));
        }
        let series: Vec<(i32, &Conflicts)> = new.iter().map(|(id, one)| (*id, one)).collect();
        let name = segment::conflicts_name(run);
        let file = self.write_file(name, |path| conflicts::write(path, &series))?;
        crate::crash_point!("conflicts.after-write");
        Ok(Some(file))
    }

    fn write_file(
        &self,
        name: String,
        write: impl FnOnce(&Path) -> Result<Digest, Error>,
    ) -> Result<WrittenFile, Error> {
        let tmp = self.layout.tmp();
        durable::create_dirs(self.layout.root(), &tmp).at(&tmp)?;
        let temporary = tmp.join(&name);
        let digest = write(&temporary).inspect_err(|_| drop(durable::remove_file(&temporary)))?;
        Ok(WrittenFile {
            name,
            digest,
            temporary,
        })
    }
}

impl NewFiles {
    fn files(&self) -> impl Iterator<Item = &WrittenFile> {
        let segment = self.segment.as_ref().map(|segment| &segment.file);
        segment.into_iter().chain(&self.conflicts)
    }

    /// Renames the files into the folder of segments and flushes the folder. If the transaction that
    /// lists them fails, they are removed at the next opening.
    pub fn put_in_place(&self, layout: &Layout, is_first: bool) -> Result<(), Error> {
        if self.files().next().is_none() {
            return Ok(());
        }
        let dir = layout.segments();
        durable::create_dirs(layout.root(), &dir).at(&dir)?;
        // A process that made the folder may have been killed before it flushed it.
        if is_first {
            durable::sync_dir(layout.root()).at(layout.root())?;
        }
        for file in self.files() {
            let target = layout.segment(&file.name);
            durable::rename(&file.temporary, &target).at(&target)?;
        }
        durable::sync_dir(&dir).at(&dir)?;
        crate::crash_point!("segment.after-rename");
        Ok(())
    }

    /// Removes the files of a transaction that failed.
    pub fn discard(&self, layout: &Layout) {
        for file in self.files() {
            drop(durable::remove_file(&file.temporary));
            drop(durable::remove_file(&layout.segment(&file.name)));
        }
    }

    /// Lists the files in the open transaction.
    pub fn insert(&self, catalog: &Catalog, prepared: &[Prepared]) -> Result<(), Error> {
        if let Some(WrittenSegment {
            file,
            parts,
            owners,
        }) = &self.segment
        {
            let series = owners.iter().map(|index| prepared[*index].series_id);
            let series: Vec<i32> = series.collect();
            catalog.insert_segment(&file.name, &file.digest, parts, &series)?;
        }
        match &self.conflicts {
            Some(file) => catalog.insert_conflict_file(&file.name, &file.digest),
            None => Ok(()),
        }
    }
}
