//! Stored bars in memory: each row with its source and its commit.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;

use crate::model::{Bars, Source, TimeRange};

use super::columns::{bars_from_batch, bars_into_arrays, commit_seqs, scan_schema, sources};

/// Stored bars of one series, sorted by timestamp.
///
/// For each row, `source` is an index into `sources`, and `commit_seq` is the commit that wrote it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StagedRows {
    pub bars: Bars,
    pub source: Vec<i32>,
    pub sources: Vec<Source>,
    pub commit_seq: Vec<i64>,
}

impl StagedRows {
    /// The bars of one commit from one source.
    pub fn of_commit(bars: Bars, source: &Source, commit_seq: u64) -> Self {
        let rows = bars.len();
        Self {
            bars,
            source: vec![0; rows],
            sources: vec![source.clone()],
            commit_seq: vec![commit_seq as i64; rows],
        }
    }

    pub fn len(&self) -> usize {
        self.bars.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }

    /// The index of the source called `name`, which is added if it is new.
    pub fn source_index(&mut self, name: &str) -> i32 {
        let known = self
            .sources
            .iter()
            .position(|source| source.as_str() == name);
        known.unwrap_or_else(|| {
            self.sources.push(Source::new(name));
            self.sources.len() - 1
        }) as i32
    }

    /// Adds the rows of `range` in `other` at the end.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        let indices: Vec<i32> = other
            .sources
            .iter()
            .map(|source| self.source_index(source.as_str()))
            .collect();
        self.source.extend(
            other.source[range.clone()]
                .iter()
                .map(|&index| indices[index as usize]),
        );
        self.commit_seq
            .extend_from_slice(&other.commit_seq[range.clone()]);
        self.bars.extend_from(&other.bars, range);
    }

    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.extend_from(&other, 0..other.len());
        }
    }

    /// The rows of `range`.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut out = Self::default();
        out.extend_from(self, range);
        out
    }

    /// The indices of the rows in `range`.
    pub fn range(&self, range: TimeRange) -> Range<usize> {
        let timestamps = self.bars.timestamps();
        let start = timestamps.partition_point(|ts| *ts < range.start);
        start..start + timestamps[start..].partition_point(|ts| *ts < range.end)
    }

    /// The rows of both, sorted. For a key in both, the row of `newer` is kept.
    pub fn merge(self, newer: Self) -> Self {
        let (old, new) = (self.bars.timestamps(), newer.bars.timestamps());
        let is_after = || old.last() < new.first();
        if self.is_empty() || newer.is_empty() || is_after() {
            let mut out = self;
            out.append(newer);
            return out;
        }
        let mut out = Self {
            bars: Bars::with_capacity(old.len() + new.len()),
            ..Self::default()
        };
        let (mut i, mut j) = (0, 0);
        while i < old.len() && j < new.len() {
            // Whole runs at once. There are few, because new bars mostly come after the old ones.
            let run_old = old[i..].partition_point(|ts| *ts < new[j]);
            if run_old > 0 {
                out.extend_from(&self, i..i + run_old);
                i += run_old;
                continue;
            }
            let limit = old[i];
            let run_new = new[j..].partition_point(|ts| *ts < limit);
            if run_new > 0 {
                out.extend_from(&newer, j..j + run_new);
                j += run_new;
                continue;
            }
            out.extend_from(&newer, j..j + 1);
            i += 1;
            j += 1;
        }
        out.extend_from(&self, i..old.len());
        out.extend_from(&newer, j..new.len());
        out
    }

    /// The bars of each source, sorted.
    pub fn by_source(self) -> Vec<(Source, Bars)> {
        if let [source] = self.sources.as_slice() {
            return vec![(source.clone(), self.bars)];
        }
        let mut rows: Vec<Vec<usize>> = vec![Vec::new(); self.sources.len()];
        for (row, source) in self.source.iter().enumerate() {
            rows[*source as usize].push(row);
        }
        let of_source = |(source, rows): (Source, Vec<usize>)| (source, self.bars.select(&rows));
        self.sources
            .into_iter()
            .zip(rows)
            .filter(|(_, rows)| !rows.is_empty())
            .map(of_source)
            .collect()
    }

    /// The highest commit of the rows, 0 without rows.
    pub fn max_commit_seq(&self) -> u64 {
        self.commit_seq.iter().copied().max().unwrap_or(0) as u64
    }

    /// The rows as an Arrow batch of [`scan_schema`], without copying the columns.
    pub fn into_batch(self) -> RecordBatch {
        let dictionary: StringArray = self
            .sources
            .iter()
            .map(|source| Some(source.as_str()))
            .collect();
        let mut arrays = bars_into_arrays(self.bars);
        arrays.push(Arc::new(DictionaryArray::<Int32Type>::new(
            Int32Array::from(self.source),
            Arc::new(dictionary),
        )));
        arrays.push(Arc::new(Int64Array::from(self.commit_seq)));
        RecordBatch::try_new(scan_schema(), arrays)
            .expect("columns of one length and the schema's types")
    }

    /// The rows of an Arrow batch of [`scan_schema`]; `None` if it has other columns.
    pub fn from_batch(batch: &RecordBatch) -> Option<Self> {
        let (source, names) = sources(batch)?;
        Some(Self {
            bars: bars_from_batch(batch)?,
            source: source.to_vec(),
            sources: names
                .iter()
                .map(|name| Source::new(name.unwrap_or("")))
                .collect(),
            commit_seq: commit_seqs(batch)?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bar, Timestamp};

    fn rows(minutes: &[i64], close: f64, seq: u64) -> StagedRows {
        let bars = minutes
            .iter()
            .map(|minute| Bar {
                vwap: (minute % 2 == 0).then_some(close),
                trades: (minute % 3 == 0).then_some(*minute),
                ..Bar::new(
                    Timestamp::from_micros(minute * 60_000_000),
                    [close, close, close, close],
                    1.0,
                )
            })
            .collect();
        StagedRows::of_commit(bars, &Source::new(if seq == 1 { "a" } else { "b" }), seq)
    }

    #[test]
    fn merging_keeps_every_key_once_and_the_newer_value() {
        let merged = rows(&[1, 3, 5, 9], 1.0, 1).merge(rows(&[0, 3, 4, 10, 11], 2.0, 2));
        let minutes: Vec<i64> = merged
            .bars
            .timestamps()
            .iter()
            .map(|ts| ts / 60_000_000)
            .collect();
        assert_eq!(minutes, [0, 1, 3, 4, 5, 9, 10, 11]);
        assert_eq!(merged.commit_seq, [2, 1, 2, 2, 1, 1, 2, 2]);
        assert_eq!(merged.bars.get(2).close, 2.0);
        let sources: Vec<&str> = merged
            .source
            .iter()
            .map(|s| merged.sources[*s as usize].as_str())
            .collect();
        assert_eq!(sources, ["b", "a", "b", "b", "a", "a", "b", "b"]);
    }

    #[test]
    fn rows_survive_the_way_through_arrow() {
        let before = rows(&[1, 2, 3, 4, 6], 1.5, 1);
        let after = StagedRows::from_batch(&before.clone().into_batch()).unwrap();
        assert!(before.bars.iter().eq(after.bars.iter()));
        assert_eq!(before.commit_seq, after.commit_seq);
    }
}
