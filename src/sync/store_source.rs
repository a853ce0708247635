//! The store as a source.

use std::collections::HashMap;

use uuid::Uuid;

use super::source::{Batches, SeriesInfo, Source, SourceError};
use crate::model::{SeriesKey, TimeRange};
use crate::store::{Reader, bars_from_batch};

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
}

impl Source for StoreSource {
    fn store_id(&self) -> Uuid {
        self.reader.store_id()
    }

    fn series(&self) -> Result<Vec<SeriesInfo>, SourceError> {
        let rows = self.reader.series()?;
        let demo = match rows.first() {
            Some(row) => self.reader.is_demo(row)?,
            None => false,
        };
        Ok(rows
            .into_iter()
            .map(|row| SeriesInfo {
                exchange: row.provenance.exchange,
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
