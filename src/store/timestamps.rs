//! Keys without their bars.

use crate::model::{SeriesKey, TimeRange};

use super::error::Error;
use super::lake::read::Partition;
use super::layout::PartitionKey;
use super::reader::Reader;

impl Reader {
    /// The timestamps of a series inside any of `ranges` (in order, not overlapping), sorted. Each partition is opened
    /// once, and no other column of it is read.
    pub fn timestamps(&self, series: &SeriesKey, ranges: &[TimeRange]) -> Result<Vec<i64>, Error> {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
            return Ok(Vec::new());
        };
        let whole = TimeRange {
            start: first.start,
            end: last.end,
        };
        let Some(facts) = self.series.get(series) else {
            return Ok(Vec::new());
        };
        let facts = self.with_overlay(series, facts);
        let mut found = Vec::new();
        for (year, partition) in &facts.partitions {
            let (first, last) = (partition.first.micros(), partition.last.micros());
            if !(ranges.iter()).any(|range| first < range.end && range.start <= last) {
                continue;
            }
            let key = PartitionKey {
                series: series.clone(),
                year: *year,
            };
            let overlay = self.overlay.get(&key).map(|(path, _)| path.clone());
            let path = overlay.unwrap_or_else(|| self.layout.partition(&key));
            let timestamps = Partition::open(&path)?.timestamps()?;
            for range in ranges {
                let start = timestamps.partition_point(|at| *at < range.start);
                let end = timestamps.partition_point(|at| *at < range.end);
                found.extend_from_slice(&timestamps[start..end.max(start)]);
            }
        }
        let overlaps = facts
            .hot
            .values()
            .any(|hot| hot.first.micros() < whole.end && whole.start <= hot.last.micros());
        if overlaps {
            let hot = self.catalog()?.hot_rows(&[facts.id], whole)?;
            let hot = hot
                .get(&facts.id)
                .map_or(&[][..], |rows| rows.bars.timestamps());
            for range in ranges {
                let start = hot.partition_point(|at| *at < range.start);
                let end = hot.partition_point(|at| *at < range.end);
                found.extend_from_slice(&hot[start..end.max(start)]);
            }
        }
        found.sort_unstable();
        // A publish since this reader was made may have put hot rows into the file too.
        found.dedup();
        Ok(found)
    }
}
