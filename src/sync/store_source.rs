//! The store as a source.

use std::collections::HashMap;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use uuid::Uuid;

use super::source::{Batches, SeriesInfo, Source, SourceError};
use crate::model::{SeriesKey, Source as BarSource, TimeRange};
use crate::store::{Reader, SeriesRow, bars_from_batch};

/// A store, read through a reader.
pub struct StoreSource {
    reader: Reader,
}

impl StoreSource {
    /// The store that `reader` reads.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self { reader }
    }

    /// The reader.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Whether the store's bars are the simulator's. A store has one kind, so one bar is enough.
    fn is_demo(&self, row: &SeriesRow) -> Result<bool, SourceError> {
        let first = TimeRange {
            start: row.first.micros(),
            end: row.first.micros() + 1,
        };
        for batch in self.reader.scan(&row.key, first)? {
            let batch = batch?;
            let sources = batch
                .column_by_name("source")
                .and_then(|column| column.as_dictionary_opt::<Int32Type>())
                .ok_or("a batch has no column source")?;
            let names = sources.values().as_string::<i32>();
            if let Some(name) = sources.keys().iter().flatten().next() {
                return Ok(BarSource::new(names.value(name as usize)).is_demo());
            }
        }
        Ok(false)
    }
}

impl Source for StoreSource {
    fn store_id(&self) -> Uuid {
        self.reader.store_id()
    }

    fn series(&self) -> Result<Vec<SeriesInfo>, SourceError> {
        let rows = self.reader.series()?;
        let demo = match rows.first() {
            Some(row) => self.is_demo(row)?,
            None => false,
        };
        Ok(rows
            .into_iter()
            .map(|row| SeriesInfo {
                exchange: row.provenance.exchange,
                rows: row.rows,
                first: row.first,
                max_commit_seq: row.max_commit_seq,
                key: row.key,
                demo,
            })
            .collect())
    }

    fn commit_ids(&self, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, SourceError> {
        Ok(self.reader.commit_ids(seqs)?)
    }

    fn scan_since(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        after_seq: u64,
        through_seq: u64,
    ) -> Result<Batches<'_>, SourceError> {
        let scan = self.reader.scan_since(key, range, after_seq, through_seq)?;
        Ok(Box::new(scan.map(|batch| {
            let bars = bars_from_batch(&batch?);
            bars.ok_or_else(|| "a batch has no bars".into())
        })))
    }
}
