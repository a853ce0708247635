//! A hash over the values of rows, independent of how they are encoded.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use xxhash_rust::xxh3::Xxh3;

use crate::model::columns::{COLUMNS, Kind};
use crate::store::columns::{COMMIT_SEQ, FIRST_VALUE, SCAN_COLUMNS, SOURCE, TIMESTAMP, sources};

/// Hashes rows of [`scan_schema`](crate::store::scan_schema) batch by batch. How the rows are cut
/// into batches makes no difference.
pub struct RowHasher {
    columns: [Xxh3; SCAN_COLUMNS],
    rows: u64,
    run: (String, u64),
}

impl Default for RowHasher {
    fn default() -> Self {
        Self {
            columns: std::array::from_fn(|column| Xxh3::with_seed(column as u64)),
            rows: 0,
            run: (String::new(), 0),
        }
    }
}

impl RowHasher {
    /// Adds the rows of one batch; `None` if its columns have other types.
    #[must_use]
    pub fn update(&mut self, batch: &RecordBatch) -> Option<()> {
        self.required::<TimestampMicrosecondType>(batch, TIMESTAMP)?;
        for (index, column) in COLUMNS.iter().enumerate() {
            let index = FIRST_VALUE + index;
            match (column.kind, column.optional) {
                (Kind::Double, false) => self.required::<Float64Type>(batch, index)?,
                (Kind::Integer, false) => self.required::<Int64Type>(batch, index)?,
                (Kind::Double, true) => {
                    self.optional::<Float64Type>(batch, index, f64::to_le_bytes)?;
                }
                (Kind::Integer, true) => {
                    self.optional::<Int64Type>(batch, index, i64::to_le_bytes)?;
                }
            }
        }
        let (keys, names) = sources(batch)?;
        for run in keys.chunk_by(|a, b| a == b) {
            self.source(names.value(usize::try_from(run[0]).ok()?), run.len() as u64);
        }
        self.required::<Int64Type>(batch, COMMIT_SEQ)?;
        self.rows += batch.num_rows() as u64;
        Some(())
    }

    fn required<T: ArrowPrimitiveType>(&mut self, batch: &RecordBatch, index: usize) -> Option<()> {
        let column = batch.column(index).as_primitive_opt::<T>()?;
        self.columns[index].update(column.values().inner().as_slice());
        Some(())
    }

    /// Hashes only values that are present, each with its row number: a column of nulls costs
    /// nothing.
    fn optional<T: ArrowPrimitiveType>(
        &mut self,
        batch: &RecordBatch,
        index: usize,
        bytes: impl Fn(T::Native) -> [u8; 8],
    ) -> Option<()> {
        let column: &PrimitiveArray<T> = batch.column(index).as_primitive_opt()?;
        if column.null_count() == column.len() {
            return Some(());
        }
        let hash = &mut self.columns[index];
        for (row, value) in column.iter().enumerate() {
            if let Some(value) = value {
                hash.update(&(self.rows + row as u64).to_le_bytes());
                hash.update(&bytes(value));
            }
        }
        Some(())
    }

    fn source(&mut self, name: &str, rows: u64) {
        if self.run.0 != name {
            self.end_run();
            name.clone_into(&mut self.run.0);
        }
        self.run.1 += rows;
    }

    fn end_run(&mut self) {
        if self.run.1 > 0 {
            self.columns[SOURCE].update(self.run.0.as_bytes());
            self.columns[SOURCE].update(&self.run.1.to_le_bytes());
            self.run.1 = 0;
        }
    }

    /// Number of rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The hash, in hexadecimal.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.end_run();
        let mut all = Xxh3::new();
        all.update(&self.rows.to_le_bytes());
        for column in &self.columns {
            all.update(&column.digest128().to_le_bytes());
        }
        format!("{:032x}", all.digest128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bar, Source, Timestamp};
    use crate::store::rows::StagedRows;

    fn rows() -> StagedRows {
        let bars = (0..100)
            .map(|minute| Bar {
                vwap: (minute % 7 == 0).then_some(1.25),
                ..Bar::new(
                    Timestamp::from_micros(minute * 60_000_000),
                    [1.0, 2.0, 0.5, 1.0 + minute as f64 / 1000.0],
                    5.0,
                )
            })
            .collect();
        let mut rows = StagedRows::of_commit(bars, &Source::csv(), 3);
        rows.sources.push(Source::new("fmp"));
        rows.source[40..60].fill(1);
        rows
    }

    fn hash(parts: &[RecordBatch]) -> String {
        let mut hasher = RowHasher::default();
        for part in parts {
            hasher.update(part).unwrap();
        }
        hasher.finish()
    }

    #[test]
    fn every_value_changes_the_hash_and_the_cut_into_batches_does_not() {
        let whole = hash(&[rows().into_batch()]);
        for cut in [1, 39, 41, 99] {
            assert_eq!(
                whole,
                hash(&[
                    rows().slice(0..cut).into_batch(),
                    rows().slice(cut..100).into_batch()
                ])
            );
        }
        let mut other_source = rows();
        other_source.source[40] = 0;
        let mut other_seq = rows();
        other_seq.commit_seq[99] = 4;
        for other in [other_source, other_seq, rows().slice(0..99)] {
            assert_ne!(whole, hash(&[other.into_batch()]));
        }
    }
}
