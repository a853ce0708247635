//! The hot rows of a commit of many series, as one segment.

use std::path::PathBuf;

use uuid::Uuid;

use crate::model::Timestamp;
use crate::store::catalog::{NewPart, NewSegment, years};
use crate::store::durable;
use crate::store::error::{Error, IoContext};
use crate::store::handle::Store;
use crate::store::layout::Layout;
use crate::store::segment::{self, PartRows};

use super::Prepared;

/// A flushed segment in `tmp/`, not yet recorded.
pub(super) struct Written {
    pub new: NewSegment,
    temporary: PathBuf,
    /// For each part, the index of its series in the prepared commit.
    owners: Vec<usize>,
}

impl Store {
    /// Writes the hot rows of `prepared` into a segment if they are many rows of many series.
    /// Otherwise they go into the table.
    pub(super) fn write_segment(&self, prepared: &[Prepared]) -> Result<Option<Written>, Error> {
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
        let tmp = self.layout.tmp();
        durable::create_dirs(self.layout.root(), &tmp).at(&tmp)?;
        let temporary = tmp.join(&name);
        let digest = segment::write(&temporary, &rows_of_parts)
            .inspect_err(|_| drop(durable::remove_file(&temporary)))?;
        crate::crash_point!("segment.after-write");
        Ok(Some(Written {
            new: NewSegment {
                name,
                digest,
                parts,
            },
            temporary,
            owners,
        }))
    }
}

impl Written {
    /// Renames the file into the folder of segments and flushes the folder. If the transaction that
    /// lists it fails, the file is removed at the next opening.
    pub fn put_in_place(&self, layout: &Layout, is_first: bool) -> Result<(), Error> {
        let dir = layout.segments();
        durable::create_dirs(layout.root(), &dir).at(&dir)?;
        // A process that made the folder may have been killed before it flushed it.
        if is_first {
            durable::sync_dir(layout.root()).at(layout.root())?;
        }
        let target = layout.segment(&self.new.name);
        durable::rename(&self.temporary, &target).at(&target)?;
        durable::sync_dir(&dir).at(&dir)?;
        crate::crash_point!("segment.after-rename");
        Ok(())
    }

    /// The series of each part.
    pub fn series(&self, prepared: &[Prepared]) -> Vec<i32> {
        self.owners
            .iter()
            .map(|index| prepared[*index].series_id)
            .collect()
    }

    /// Removes the file of a transaction that failed.
    pub fn discard(&self, layout: &Layout) {
        drop(durable::remove_file(&self.temporary));
        drop(durable::remove_file(&layout.segment(&self.new.name)));
    }
}
