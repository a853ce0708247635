//! The hot tier: bars of small commits, until they are sealed. They are in a table, or in a segment
//! if their commit has many bars of many series ([`segments`]).

pub(super) mod segments;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int16Array, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use duckdb::params;

use crate::model::{Bars, DAY_MICROS, Source, TimeRange, Timestamp, year_start_micros};
use crate::store::columns::{
    BAR_COLUMNS, COMMIT_SEQ, FIRST_VALUE, SCAN_COLUMNS, SOURCE, TIMESTAMP, bars_from_arrays,
    bars_into_arrays, sql_list,
};
use crate::store::error::Error;
use crate::store::rows::StagedRows;

use super::Catalog;

/// Counts of the hot bars of one series and UTC year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HotYear {
    pub rows: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    pub max_commit_seq: u64,
}

impl HotYear {
    /// Whether some of its rows may be in `range`.
    pub fn overlaps(&self, range: TimeRange) -> bool {
        self.first.micros() < range.end && range.start <= self.last.micros()
    }

    /// Adds the rows of a commit. For a commit that only replaced rows, `rows` is 0.
    pub fn add(&mut self, rows: u64, first: Timestamp, last: Timestamp, commit_seq: u64) {
        self.rows += rows;
        self.first = self.first.min(first);
        self.last = self.last.max(last);
        self.max_commit_seq = self.max_commit_seq.max(commit_seq);
    }
}

/// Hot rows of several series, each sorted by timestamp.
pub(crate) type HotRows = HashMap<i32, StagedRows>;

/// The most rows in a batch of an append, except for a single larger commit: a row group of DuckDB.
const APPEND_ROWS: usize = 122_880;

/// The hot tier with its sources by name.
const HOT: &str = "hot JOIN sources USING (source_id)";

/// The SELECT list of hot rows: the columns of a scan, the timestamp as an integer, and the series.
fn select_list() -> String {
    format!(
        "epoch_us(timestamp), {}, source, commit_seq, series_id",
        sql_list("")
    )
}

/// Rows to be appended to the hot tier.
#[derive(Default)]
struct HotBatch {
    series_id: Vec<i32>,
    bars: Bars,
    source_id: Vec<i16>,
    commit_seq: Vec<i64>,
}

impl HotBatch {
    fn has_room_for(&self, rows: &StagedRows) -> bool {
        self.series_id.is_empty() || self.series_id.len() + rows.len() <= APPEND_ROWS
    }

    fn push(&mut self, series_id: i32, rows: &StagedRows, ids: &HashMap<&str, i16>) {
        self.series_id
            .resize(self.series_id.len() + rows.len(), series_id);
        self.bars.extend_from(&rows.bars, 0..rows.len());
        let of_rows: Vec<i16> = rows.sources.iter().map(|name| ids[name.as_str()]).collect();
        self.source_id
            .extend(rows.source.iter().map(|source| of_rows[*source as usize]));
        self.commit_seq.extend_from_slice(&rows.commit_seq);
    }

    fn into_columns(self) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(self.series_id))];
        columns.extend(bars_into_arrays(self.bars));
        columns.push(Arc::new(Int16Array::from(self.source_id)));
        columns.push(Arc::new(Int64Array::from(self.commit_seq)));
        columns
    }
}

impl Catalog {
    /// Adds rows of any number of series to the hot tier, through one appender.
    pub fn insert_hot<'a>(
        &self,
        parts: impl Iterator<Item = (i32, &'a StagedRows)> + Clone,
    ) -> Result<(), Error> {
        let names: BTreeSet<&str> = parts
            .clone()
            .flat_map(|(_, rows)| rows.sources.iter().map(Source::as_str))
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let ids = self.source_ids(&names)?;
        let mut parts = parts.peekable();
        self.append_all(
            "hot",
            std::iter::from_fn(|| {
                parts.peek()?;
                let mut batch = HotBatch::default();
                while let Some((series_id, rows)) =
                    parts.next_if(|(_, rows)| batch.has_room_for(rows))
                {
                    batch.push(series_id, rows, &ids);
                }
                Some(batch.into_columns())
            }),
        )
    }

    /// The ids of sources by name. New names get an id in the open transaction.
    fn source_ids<'n>(&self, names: &BTreeSet<&'n str>) -> Result<HashMap<&'n str, i16>, Error> {
        let known: HashMap<String, i16> = self
            .rows("SELECT source, source_id FROM sources", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .into_iter()
            .collect();
        let mut next = known.values().max().map_or(0, |last| last + 1);
        let mut ids = HashMap::new();
        for name in names {
            let id = match known.get(*name) {
                Some(id) => *id,
                None => {
                    self.execute("INSERT INTO sources VALUES (?, ?)", params![next, name])?;
                    next += 1;
                    next - 1
                }
            };
            ids.insert(*name, id);
        }
        Ok(ids)
    }

    /// Removes rows of some series by their keys, which are sorted.
    pub fn delete_hot(&self, going: &[(i32, &[i64])]) -> Result<(), Error> {
        let keys: HashMap<i32, &[i64]> = going
            .iter()
            .filter(|(_, keys)| !keys.is_empty())
            .copied()
            .collect();
        let all = || keys.values().flat_map(|keys| keys.iter().copied());
        let (Some(first), Some(last)) = (all().min(), all().max()) else {
            return Ok(());
        };
        let range = TimeRange {
            start: first,
            end: last + 1,
        };
        // An update of a whole day replaces millions of rows, none of them in the table.
        if self.table_may_have(keys.keys().copied(), range)? {
            self.delete_from_table(&keys)?;
        }
        let series: Vec<i32> = keys.keys().copied().collect();
        self.take_from_parts(&series, range, |id, ts| {
            keys[&id].binary_search(&ts).is_err()
        })
    }

    /// Whether the table has rows of series between the first and the last of `ids`, in `range`.
    fn table_may_have(
        &self,
        ids: impl Iterator<Item = i32> + Clone,
        range: TimeRange,
    ) -> Result<bool, Error> {
        let (first, last) = (ids.clone().min(), ids.max());
        let [start, end] = bounds(range);
        let found = self.rows(
            "SELECT 1 FROM hot WHERE series_id BETWEEN ? AND ? AND timestamp >= ? AND timestamp < ? LIMIT 1",
            params![first, last, start, end],
            |row| row.get::<_, i32>(0),
        )?;
        Ok(!found.is_empty())
    }

    fn delete_from_table(&self, keys: &HashMap<i32, &[i64]>) -> Result<(), Error> {
        self.run("CREATE OR REPLACE TEMP TABLE going (series_id INTEGER, timestamp TIMESTAMPTZ)")?;
        let ids = keys
            .iter()
            .flat_map(|(id, keys)| std::iter::repeat_n(*id, keys.len()));
        let timestamps = keys.values().flat_map(|keys| keys.iter().copied());
        let column = TimestampMicrosecondArray::from_iter_values(timestamps).with_timezone("UTC");
        self.append(
            "going",
            vec![
                Arc::new(Int32Array::from_iter_values(ids)),
                Arc::new(column),
            ],
        )?;
        self.run(
            "DELETE FROM hot USING going WHERE hot.series_id = going.series_id AND hot.timestamp = going.timestamp;
             DROP TABLE going",
        )
    }

    /// Removes rows of one series inside `range`.
    pub fn delete_hot_range(&self, series_id: i32, range: TimeRange) -> Result<(), Error> {
        let [start, end] = bounds(range);
        self.execute(
            "DELETE FROM hot WHERE series_id = ? AND timestamp >= ? AND timestamp < ?",
            params![series_id, start, end],
        )?;
        self.take_from_parts(&[series_id], range, |_, ts| !range.contains(ts))
    }

    /// Hot rows of some series in `range`, each series sorted.
    pub fn hot_rows(&self, series: &[i32], range: TimeRange) -> Result<HotRows, Error> {
        let mut rows = self.table_rows(series, range)?;
        self.add_segment_rows(series, range, &mut rows)?;
        Ok(rows)
    }

    fn table_rows(&self, series: &[i32], range: TimeRange) -> Result<HotRows, Error> {
        let bounds = bounds(range);
        let by_range = "timestamp >= ? AND timestamp < ?";
        let columns = select_list();
        let mut out = HotRows::new();
        if let [one] = series {
            let sql = format!(
                "SELECT {columns} FROM {HOT} WHERE {by_range} AND series_id = {one} ORDER BY timestamp"
            );
            self.collect_hot(&sql, bounds, &mut out)?;
        } else if !series.is_empty() {
            let sql = format!(
                "SELECT {columns} FROM {HOT} WHERE {by_range} AND series_id IN ({}) ORDER BY series_id, timestamp",
                listed(series)
            );
            self.collect_hot(&sql, bounds, &mut out)?;
        }
        Ok(out)
    }

    fn collect_hot(
        &self,
        sql: &str,
        bounds: [duckdb::types::Value; 2],
        out: &mut HotRows,
    ) -> Result<(), Error> {
        let [start, end] = bounds;
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|error| self.failed(error))?;
        let batches = statement
            .query_arrow(params![start, end])
            .map_err(|error| self.failed(error))?;
        for batch in batches {
            collect_batch(&batch, out).ok_or_else(|| Error::Log {
                path: self
                    .connection
                    .path()
                    .map(std::path::Path::to_path_buf)
                    .unwrap_or_default(),
                reason: "the hot tier's columns have other types".to_owned(),
            })?;
        }
        Ok(())
    }

    /// Counts of all hot rows by series and UTC year.
    pub fn hot_years(&self) -> Result<Vec<(i32, i32, HotYear)>, Error> {
        let parts = if self.any_segments.get() {
            "UNION ALL SELECT series_id, year, rows, epoch_us(first), epoch_us(last), commit_seq FROM segment_parts"
        } else {
            ""
        };
        self.rows(
            &format!(
                "SELECT series_id, y, sum(n)::BIGINT, min(a), max(z), max(c) FROM (
                    SELECT series_id, CAST(year(make_timestamp(epoch_us(timestamp))) AS INTEGER) AS y, count(*) AS n,
                        min(epoch_us(timestamp)) AS a, max(epoch_us(timestamp)) AS z, max(commit_seq) AS c
                      FROM hot GROUP BY series_id, y {parts})
                 GROUP BY series_id, y"
            ),
            [],
            |row| {
                let year = HotYear {
                    rows: row.get::<_, i64>(2)? as u64,
                    first: Timestamp::from_micros(row.get(3)?),
                    last: Timestamp::from_micros(row.get(4)?),
                    max_commit_seq: row.get::<_, i64>(5)? as u64,
                };
                Ok((row.get(0)?, row.get(1)?, year))
            },
        )
    }
}

/// The ids of series for an `IN (…)`. A temporary table would need a writable database.
fn listed(series: &[i32]) -> String {
    let ids: Vec<String> = series.iter().map(i32::to_string).collect();
    ids.join(", ")
}

/// The ends of `range` as parameters, limited to DuckDB's range of timestamps.
fn bounds(range: TimeRange) -> [duckdb::types::Value; 2] {
    let limit = DAY_MICROS * 365 * 400;
    [
        super::instant(range.start.max(-limit)),
        super::instant(range.end.min(limit)),
    ]
}

/// Splits one batch of hot rows into runs of one series each.
fn collect_batch(batch: &RecordBatch, out: &mut HotRows) -> Option<()> {
    let integers = |column: usize| batch.column(column).as_primitive_opt::<Int64Type>();
    let timestamps = integers(TIMESTAMP)?.values().to_vec();
    let mut rows = StagedRows {
        bars: bars_from_arrays(timestamps, &batch.columns()[FIRST_VALUE..BAR_COLUMNS])?,
        source: Vec::with_capacity(batch.num_rows()),
        sources: Vec::new(),
        commit_seq: integers(COMMIT_SEQ)?.values().to_vec(),
    };
    for name in batch.column(SOURCE).as_string_opt::<i32>()? {
        let index = rows.source_index(name.unwrap_or_default());
        rows.source.push(index);
    }
    let series = batch.column(SCAN_COLUMNS).as_primitive_opt::<Int32Type>()?;
    let mut start = 0;
    for run in series.values().chunk_by(|a, b| a == b) {
        let end = start + run.len();
        out.entry(run[0])
            .or_default()
            .append(rows.slice(start..end));
        start = end;
    }
    Some(())
}

/// The UTC years of sorted timestamps, with the range of indices of each.
pub(crate) fn years(timestamps: &[i64]) -> Vec<(i32, std::ops::Range<usize>)> {
    let mut out = Vec::new();
    let mut start = 0;
    while start < timestamps.len() {
        let year = Timestamp::from_micros(timestamps[start]).year();
        let limit = year_start_micros(year + 1);
        let end = start + timestamps[start..].partition_point(|ts| *ts < limit);
        out.push((year, start..end));
        start = end;
    }
    out
}
