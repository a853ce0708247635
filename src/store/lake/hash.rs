//! A hash over the values of rows, whatever encoding they are stored in.

use arrow::array::{Array, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::array::{ArrowPrimitiveType, PrimitiveArray, TimestampMicrosecondArray};
use arrow::datatypes::Int32Type;
use xxhash_rust::xxh3::Xxh3;

/// Hashes rows of [`scan_schema`](crate::store::scan_schema) batch by batch; how they are cut into batches does not count.
pub struct RowHasher {
    columns: [Xxh3; 10],
    rows: u64,
    run: (String, u64),
}

impl Default for RowHasher {
    fn default() -> Self {
        Self {
            columns: std::array::from_fn(|place| Xxh3::with_seed(place as u64)),
            rows: 0,
            run: (String::new(), 0),
        }
    }
}

impl RowHasher {
    /// Takes in the rows of one batch; `None` when its columns are of other types.
    #[must_use]
    pub fn update(&mut self, batch: &RecordBatch) -> Option<()> {
        self.dense(
            0,
            batch
                .column(0)
                .as_any()
                .downcast_ref::<TimestampMicrosecondArray>()?,
        );
        for place in 1..=5 {
            self.dense(
                place,
                batch
                    .column(place)
                    .as_any()
                    .downcast_ref::<Float64Array>()?,
            );
        }
        let vwap = batch.column(6).as_any().downcast_ref::<Float64Array>()?;
        let trades = batch.column(7).as_any().downcast_ref::<Int64Array>()?;
        self.sparse(6, vwap, f64::to_le_bytes);
        self.sparse(7, trades, i64::to_le_bytes);
        let source = batch
            .column(8)
            .as_any()
            .downcast_ref::<DictionaryArray<Int32Type>>()?;
        let names = source.values().as_any().downcast_ref::<StringArray>()?;
        let mut row = 0;
        let keys = source.keys().values();
        while row < keys.len() {
            let key = keys[row];
            let run = keys[row..]
                .iter()
                .take_while(|other| **other == key)
                .count();
            self.source(names.value(usize::try_from(key).ok()?), run as u64);
            row += run;
        }
        self.dense(9, batch.column(9).as_any().downcast_ref::<Int64Array>()?);
        self.rows += batch.num_rows() as u64;
        Some(())
    }

    fn dense<T: ArrowPrimitiveType>(&mut self, place: usize, column: &PrimitiveArray<T>) {
        self.columns[place].update(column.values().inner().as_slice());
    }

    /// Only values that are there count, each with its place, so that a column of nulls costs nothing.
    fn sparse<T: ArrowPrimitiveType>(
        &mut self,
        place: usize,
        column: &PrimitiveArray<T>,
        bytes: impl Fn(T::Native) -> [u8; 8],
    ) {
        if column.null_count() == column.len() {
            return;
        }
        let hash = &mut self.columns[place];
        for (row, value) in column.iter().enumerate() {
            if let Some(value) = value {
                hash.update(&(self.rows + row as u64).to_le_bytes());
                hash.update(&bytes(value));
            }
        }
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
            self.columns[8].update(self.run.0.as_bytes());
            self.columns[8].update(&self.run.1.to_le_bytes());
            self.run.1 = 0;
        }
    }

    /// Rows taken in so far.
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
                timestamp: Timestamp::from_micros(minute * 60_000_000),
                open: 1.0,
                high: 2.0,
                low: 0.5,
                close: 1.0 + minute as f64 / 1000.0,
                volume: 5.0,
                vwap: (minute % 7 == 0).then_some(1.25),
                trades: None,
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
    fn the_cut_into_batches_does_not_count_and_every_value_does() {
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
