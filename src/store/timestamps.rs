//! Reads timestamps without the bars' values.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::thread;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};

use crate::model::{SeriesKey, TimeRange};

use super::error::Error;
use super::lake::read::Partition;
use super::layout::PartitionKey;
use super::reader::Reader;

/// Series whose hot keys are read by one query.
const SERIES_A_QUERY: usize = 64;
/// Threads that read partitions.
const THREADS_MAX: usize = 4;

/// A series, and the ranges (in order, not overlapping) whose keys are wanted.
pub type Wanted = (SeriesKey, Vec<TimeRange>);

impl Reader {
    /// The timestamps of many series inside their ranges, sorted, in the order of `wanted`. Each
    /// partition is opened once, and no other column of it is read.
    pub fn timestamps(&self, wanted: &[Wanted]) -> Result<Vec<Vec<i64>>, Error> {
        let mut found = self.sealed_timestamps(wanted)?;
        self.add_hot_timestamps(wanted, &mut found)?;
        for timestamps in &mut found {
            timestamps.sort_unstable();
            // A publish since this reader was made may have put hot rows into the file too.
            timestamps.dedup();
        }
        Ok(found)
    }

    fn sealed_timestamps(&self, wanted: &[Wanted]) -> Result<Vec<Vec<i64>>, Error> {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = wanted.len().div_ceil(threads.min(THREADS_MAX)).max(1);
        let read = |part: &[Wanted]| -> Result<Vec<Vec<i64>>, Error> {
            (part.iter())
                .map(|(series, ranges)| self.sealed_of(series, ranges))
                .collect()
        };
        let parts: Vec<Result<_, Error>> = thread::scope(|scope| {
            let workers: Vec<_> = (wanted.chunks(share))
                .map(|part| scope.spawn(move || read(part)))
                .collect();
            (workers.into_iter())
                .map(|worker| {
                    worker
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let mut all = Vec::with_capacity(wanted.len());
        for part in parts {
            all.extend(part?);
        }
        Ok(all)
    }

    fn sealed_of(&self, series: &SeriesKey, ranges: &[TimeRange]) -> Result<Vec<i64>, Error> {
        let mut found = Vec::new();
        let Some(meta) = self.series.get(series) else {
            return Ok(found);
        };
        let meta = self.with_overlay(series, meta);
        for (year, partition) in &meta.partitions {
            let (first, last) = (partition.first.micros(), partition.last.micros());
            if !(ranges.iter()).any(|range| first < range.end && range.start <= last) {
                continue;
            }
            let key = PartitionKey::new(series, *year);
            let overlay = self.overlay.get(&key).map(|(path, _)| path.clone());
            let path = overlay.unwrap_or_else(|| self.layout.partition(&key));
            let timestamps = Partition::open(&path)?.timestamps()?;
            for range in ranges {
                let start = timestamps.partition_point(|at| *at < range.start);
                let end = timestamps.partition_point(|at| *at < range.end);
                found.extend_from_slice(&timestamps[start..end.max(start)]);
            }
        }
        Ok(found)
    }

    /// Reads the hot keys of many series with one query, because the table has no index. Of segments the
    /// whole bars are read; few callers need them.
    fn add_hot_timestamps(&self, wanted: &[Wanted], found: &mut [Vec<i64>]) -> Result<(), Error> {
        let mut hot: Vec<(i32, usize)> = Vec::new();
        for (place, (series, ranges)) in wanted.iter().enumerate() {
            let Some(meta) = self.series.get(series) else {
                continue;
            };
            let meta = self.with_overlay(series, meta);
            let overlaps = (meta.hot.values()).any(|hot| {
                (ranges.iter())
                    .any(|range| hot.first.micros() < range.end && range.start <= hot.last.micros())
            });
            if overlaps {
                hot.push((meta.id, place));
            }
        }
        for some in hot.chunks(SERIES_A_QUERY) {
            let places: HashMap<i32, usize> = some.iter().copied().collect();
            let ids: Vec<String> = some.iter().map(|(id, _)| id.to_string()).collect();
            let ranges = || some.iter().flat_map(|(_, place)| &wanted[*place].1);
            let start = ranges().map(|range| range.start).min().unwrap_or(0);
            let end = ranges().map(|range| range.end).max().unwrap_or(0);
            let sql = format!(
                "SELECT series_id, epoch_us(timestamp) FROM hot WHERE series_id IN ({})
                   AND timestamp >= make_timestamptz({start}::BIGINT) AND timestamp < make_timestamptz({end}::BIGINT)",
                ids.join(", ")
            );
            let catalog = self.catalog()?;
            let failed = |error| catalog.failed(error);
            let mut keep = |id: i32, at: i64| {
                let Some(place) = places.get(&id) else {
                    return;
                };
                let ranges = &wanted[*place].1;
                let before = ranges.partition_point(|range| range.end <= at);
                if ranges.get(before).is_some_and(|range| range.contains(at)) {
                    found[*place].push(at);
                }
            };
            let mut statement = catalog.connection.prepare(&sql).map_err(failed)?;
            for batch in statement.query_arrow([]).map_err(failed)? {
                let ids = batch.column(0).as_primitive::<Int32Type>().values();
                let timestamps = batch.column(1).as_primitive::<Int64Type>().values();
                for (id, at) in ids.iter().zip(timestamps) {
                    keep(*id, *at);
                }
            }
            drop(statement);
            let ids: Vec<i32> = some.iter().map(|(id, _)| *id).collect();
            for (id, rows) in catalog.segment_rows(&ids, TimeRange { start, end })? {
                for at in rows.bars.timestamps() {
                    keep(id, *at);
                }
            }
        }
        Ok(())
    }
}
