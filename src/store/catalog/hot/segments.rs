//! The segments of the hot tier, and the parts that are in each.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int16Array, Int32Array, Int64Array};
use duckdb::params;

use crate::model::{Source, TimeRange, Timestamp};
use crate::store::catalog::Catalog;
use crate::store::catalog::records::{instants, texts};
use crate::store::durable::Digest;
use crate::store::error::{Damage, Error};
use crate::store::layout::Layout;
use crate::store::rows::StagedRows;
use crate::store::segment::{self, Footer};

use super::{HotRows, bounds, listed};

/// The most parts in memory while rows are removed from them.
const PARTS_AT_ONCE: usize = 512;

/// Key of the next free part id in `meta`.
const NEXT_PART_ID: &str = "next_part_id";

/// Rows of one series, commit and UTC year in a new segment.
pub(crate) struct NewPart {
    pub part_id: i64,
    /// Rows of the segment.
    pub range: Range<usize>,
    pub year: i32,
    pub first: Timestamp,
    pub last: Timestamp,
    pub source: Source,
    pub commit_seq: u64,
}

/// A part as the catalog lists it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub part_id: i64,
    pub segment: String,
    /// Rows of the segment.
    pub range: Range<usize>,
    pub series_id: i32,
    pub year: i32,
    pub first: Timestamp,
    pub last: Timestamp,
    pub source: Source,
    pub commit_seq: u64,
}

impl Catalog {
    /// Finds out whether there are segments at all. If not, queries for parts are skipped.
    pub fn look_for_segments(&self) -> Result<(), Error> {
        let table = self.rows(
            "SELECT 1 FROM information_schema.tables WHERE table_name = 'segments'",
            [],
            |row| row.get::<_, i32>(0),
        )?;
        if table.is_empty() {
            self.any_segments.set(false);
            return Ok(());
        }
        let found = self.rows("SELECT 1 FROM segments LIMIT 1", [], |row| {
            row.get::<_, i32>(0)
        })?;
        self.any_segments.set(!found.is_empty());
        Ok(())
    }

    /// Whether there may be segments; `false` is certain.
    pub fn may_have_segments(&self) -> bool {
        self.any_segments.get()
    }

    /// The next free part id: one that isn't in any file, not even for rows that are no longer
    /// listed.
    pub fn next_part_id(&self) -> Result<i64, Error> {
        let next = self.meta(NEXT_PART_ID)?;
        Ok(next.and_then(|text| text.parse().ok()).unwrap_or(1))
    }

    /// Records a segment; `series` are those of its parts, in their order.
    pub fn insert_segment(
        &self,
        name: &str,
        digest: &Digest,
        parts: &[NewPart],
        series: &[i32],
    ) -> Result<(), Error> {
        let names: BTreeSet<&str> = parts.iter().map(|part| part.source.as_str()).collect();
        let ids = self.source_ids(&names)?;
        let last = parts.iter().map(|part| part.part_id).max();
        let next = last.map_or(1, |last| last + 1).max(self.next_part_id()?);
        self.set_meta(NEXT_PART_ID, &next.to_string())?;
        self.insert_segment_file(name, digest)?;
        let parts = || parts.iter();
        let long = |of: &dyn Fn(&NewPart) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(parts().map(of)))
        };
        self.append(
            "segment_parts",
            vec![
                long(&|part| part.part_id),
                texts(parts().map(|_| name)),
                long(&|part| part.range.start as i64),
                long(&|part| part.range.len() as i64),
                Arc::new(Int32Array::from(series.to_vec())),
                Arc::new(Int32Array::from_iter_values(parts().map(|part| part.year))),
                instants(parts().map(|part| part.first)),
                instants(parts().map(|part| part.last)),
                Arc::new(Int16Array::from_iter_values(
                    parts().map(|part| ids[part.source.as_str()]),
                )),
                long(&|part| part.commit_seq as i64),
            ],
        )
    }

    /// Lists a file in the folder of segments.
    pub(in crate::store::catalog) fn insert_segment_file(
        &self,
        name: &str,
        digest: &Digest,
    ) -> Result<(), Error> {
        self.any_segments.set(true);
        self.execute(
            "INSERT INTO segments VALUES (?, ?, ?, ?)",
            params![name, digest.checksum, digest.bytes, digest.modified_ns],
        )?;
        Ok(())
    }

    /// All files in the folder of segments by name, including those of conflicts.
    pub fn segments(&self) -> Result<BTreeMap<String, Digest>, Error> {
        if !self.any_segments.get() {
            return Ok(BTreeMap::new());
        }
        let rows = self.rows(
            "SELECT name, checksum, bytes, modified_ns FROM segments",
            [],
            |row| {
                let digest = Digest {
                    checksum: row.get(1)?,
                    bytes: row.get(2)?,
                    modified_ns: row.get(3)?,
                };
                Ok((row.get(0)?, digest))
            },
        )?;
        Ok(rows.into_iter().collect())
    }

    /// The parts of a segment, in their order.
    pub fn parts_of(&self, name: &str) -> Result<Vec<Part>, Error> {
        self.select_parts("segment = ?", params![name])
    }

    /// Deletes a segment and all its parts from the catalog.
    pub fn delete_segment(&self, name: &str) -> Result<(), Error> {
        self.execute("DELETE FROM segment_parts WHERE segment = ?", params![name])?;
        self.execute("DELETE FROM segments WHERE name = ?", params![name])?;
        Ok(())
    }

    /// Deletes segments without parts, in the transaction that deleted their last part.
    pub(in crate::store::catalog) fn forget_empty_segments(&self) -> Result<(), Error> {
        self.run(&format!(
            "DELETE FROM segments WHERE name NOT IN (SELECT segment FROM segment_parts)
               AND NOT starts_with(name, '{}')",
            segment::CONFLICTS_PREFIX
        ))
    }

    /// The rows of some series in `range` that are in segments.
    pub fn segment_rows(&self, series: &[i32], range: TimeRange) -> Result<HotRows, Error> {
        let mut out = HotRows::new();
        self.add_segment_rows(series, range, &mut out)?;
        Ok(out)
    }

    /// Adds the rows of some series in `range` that are in segments.
    pub(super) fn add_segment_rows(
        &self,
        series: &[i32],
        range: TimeRange,
        out: &mut HotRows,
    ) -> Result<(), Error> {
        for (part, rows) in self.read_parts(self.parts(series, range)?)? {
            let timestamps = rows.bars.timestamps();
            let first = timestamps.partition_point(|ts| *ts < range.start);
            let end = timestamps.partition_point(|ts| *ts < range.end);
            let inside = if end - first == rows.len() {
                rows
            } else {
                rows.slice(first..end)
            };
            let known = out.remove(&part.series_id).unwrap_or_default();
            out.insert(part.series_id, known.merge(inside));
        }
        Ok(())
    }

    /// Deletes the parts of `series` that have rows in `range` for which `stays` is false. Their
    /// other rows move to the hot table. For use in a transaction.
    pub(super) fn take_from_parts(
        &self,
        series: &[i32],
        range: TimeRange,
        stays: impl Fn(i32, i64) -> bool,
    ) -> Result<(), Error> {
        let mut parts = self.parts(series, range)?.into_iter().peekable();
        let mut taken = Vec::new();
        while parts.peek().is_some() {
            let some: Vec<Part> = parts.by_ref().take(PARTS_AT_ONCE).collect();
            let mut left = Vec::new();
            for (part, rows) in self.read_parts(some)? {
                let timestamps = rows.bars.timestamps();
                let goes = timestamps.iter().any(|ts| !stays(part.series_id, *ts));
                if !goes {
                    continue;
                }
                taken.push(part.part_id);
                let mut staying = StagedRows::default();
                for (row, ts) in timestamps.iter().enumerate() {
                    if stays(part.series_id, *ts) {
                        staying.extend_from(&rows, row..row + 1);
                    }
                }
                if !staying.is_empty() {
                    left.push((part.series_id, staying));
                }
            }
            self.insert_hot(left.iter().map(|(id, rows)| (*id, rows)))?;
        }
        if taken.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = taken.iter().map(i64::to_string).collect();
        self.run(&format!(
            "DELETE FROM segment_parts WHERE part_id IN ({})",
            ids.join(", ")
        ))?;
        self.forget_empty_segments()
    }

    fn parts(&self, series: &[i32], range: TimeRange) -> Result<Vec<Part>, Error> {
        if series.is_empty() {
            return Ok(Vec::new());
        }
        let [start, end] = bounds(range);
        self.select_parts(
            &format!(
                "first < ? AND last >= ? AND series_id IN ({})",
                listed(series)
            ),
            params![end, start],
        )
    }

    fn select_parts(
        &self,
        condition: &str,
        parameters: impl duckdb::Params,
    ) -> Result<Vec<Part>, Error> {
        if !self.any_segments.get() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT part_id, segment, start, rows, series_id, year, epoch_us(first), epoch_us(last), source, commit_seq
             FROM segment_parts JOIN sources USING (source_id) WHERE {condition} ORDER BY segment, start"
        );
        let mut statement = self
            .connection
            .prepare(&sql)
            .map_err(|error| self.failed(error))?;
        let rows = statement
            .query_map(parameters, |row| {
                let (start, rows) = (
                    row.get::<_, u64>(2)? as usize,
                    row.get::<_, u64>(3)? as usize,
                );
                Ok(Part {
                    part_id: row.get(0)?,
                    segment: row.get(1)?,
                    range: start..start + rows,
                    series_id: row.get(4)?,
                    year: row.get(5)?,
                    first: Timestamp::from_micros(row.get(6)?),
                    last: Timestamp::from_micros(row.get(7)?),
                    source: Source::new(&row.get::<_, String>(8)?),
                    commit_seq: row.get(9)?,
                })
            })
            .map_err(|error| self.failed(error))?;
        rows.collect::<duckdb::Result<_>>()
            .map_err(|error| self.failed(error))
    }

    /// The rows of parts, which are sorted by segment and range.
    fn read_parts(&self, parts: Vec<Part>) -> Result<Vec<(Part, StagedRows)>, Error> {
        let layout = Layout::new(self.root());
        let mut out = Vec::with_capacity(parts.len());
        let mut waiting = parts.into_iter().peekable();
        while let Some(first) = waiting.next() {
            let name = first.segment.clone();
            let mut together = vec![first];
            while let Some(part) = waiting.next_if(|part| part.segment == name) {
                together.push(part);
            }
            let footer = self.check_segment(&name)?;
            let range: Vec<Range<usize>> = together.iter().map(|part| part.range.clone()).collect();
            let bars = segment::read(&layout.segment(&name), &footer, &range)?;
            out.extend(together.into_iter().zip(bars).map(|(part, bars)| {
                let rows = StagedRows::of_commit(bars, &part.source, part.commit_seq);
                (part, rows)
            }));
        }
        Ok(out)
    }

    /// Removes the cached footers of segments that aren't in `listed`.
    pub fn forget_footers(&self, listed: &BTreeSet<String>) {
        self.checked_segments
            .borrow_mut()
            .retain(|name, _| listed.contains(name));
    }

    /// The footer of a segment. Checks all bytes at the first use: sealing hashes the rows again,
    /// so that undetected damage would become permanent.
    pub(crate) fn check_segment(&self, name: &str) -> Result<Footer, Error> {
        if let Some(footer) = self.checked_segments.borrow().get(name) {
            return Ok(footer.clone());
        }
        let layout = Layout::new(self.root());
        let damage = match self.segments()?.get(name) {
            Some(digest) => segment::check(&layout, name, digest)?,
            None => Some(Damage::SegmentMissing(name.to_owned())),
        };
        if let Some(what) = damage {
            return Err(Error::Damaged {
                dir: layout.root().to_path_buf(),
                what,
                more: 0,
            });
        }
        let footer = Footer::read(&layout.segment(name))?;
        self.checked_segments
            .borrow_mut()
            .insert(name.to_owned(), footer.clone());
        Ok(footer)
    }
}
