//! The redo log's records: partitions that are being replaced.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, StringArray};
use duckdb::params;

use crate::model::{Timestamp, year_start_micros};
use crate::store::error::Error;

use super::Catalog;
use super::meta::{PARTITION_COLUMNS, PartitionMeta, read_partition};
use super::records::{instants, texts};

/// A partition being replaced.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    pub series_id: i32,
    pub year: i32,
    pub new: PartitionMeta,
    /// Name of the temporary file, inside `tmp/`.
    pub temporary: PathBuf,
    pub old_checksum: Option<String>,
    pub is_seal: bool,
}

impl Intent {
    /// Whether the partition is removed without a replacement, because all its bars were dropped.
    pub fn is_removal(&self) -> bool {
        self.new.rows == 0
    }
}

impl Catalog {
    /// Publishes that are recorded and not yet finished.
    pub fn intents(&self) -> Result<Vec<Intent>, Error> {
        self.rows(
            &format!("SELECT {PARTITION_COLUMNS}, temporary, old_checksum, is_seal FROM intents"),
            [],
            |row| {
                let (series_id, year, new) = read_partition(row)?;
                let temporary: String = row.get(12)?;
                Ok(Intent {
                    series_id,
                    year,
                    new,
                    temporary: temporary.into(),
                    old_checksum: row.get(13)?,
                    is_seal: row.get(14)?,
                })
            },
        )
    }

    /// Records that partitions are about to be replaced.
    pub fn insert_intents<'a>(
        &self,
        intents: &(impl Iterator<Item = &'a Intent> + Clone),
    ) -> Result<(), Error> {
        let metas = || intents.clone().map(|intent| &intent.new);
        let owned = |text: fn(&Intent) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(intents.clone().map(text)))
        };
        self.append(
            "intents",
            vec![
                Arc::new(Int32Array::from_iter_values(
                    intents.clone().map(|intent| intent.series_id),
                )),
                Arc::new(Int32Array::from_iter_values(
                    intents.clone().map(|intent| intent.year),
                )),
                Arc::new(Int64Array::from_iter_values(
                    metas().map(|new| new.rows as i64),
                )),
                instants(metas().map(|new| new.first)),
                instants(metas().map(|new| new.last)),
                Arc::new(Int64Array::from_iter_values(
                    metas().map(|new| new.commit_seq as i64),
                )),
                owned(|intent| intent.new.commit_id.to_string()),
                texts(metas().map(|new| new.row_hash.as_str())),
                texts(metas().map(|new| new.digest.checksum.as_str())),
                Arc::new(Int64Array::from_iter_values(
                    metas().map(|new| new.digest.bytes as i64),
                )),
                Arc::new(Int64Array::from_iter_values(
                    metas().map(|new| new.digest.modified_ns),
                )),
                owned(|intent| intent.new.store_id.to_string()),
                owned(|intent| intent.temporary.to_string_lossy().into_owned()),
                Arc::new(
                    intents
                        .clone()
                        .map(|intent| intent.old_checksum.as_deref())
                        .collect::<StringArray>(),
                ),
                Arc::new(
                    intents
                        .clone()
                        .map(|intent| Some(intent.is_seal))
                        .collect::<BooleanArray>(),
                ),
            ],
        )
    }

    /// Finishes publishes after their renames: lists the new partitions, and deletes their hot rows
    /// and intents. One statement each for all.
    pub fn settle_intents(&self, intents: &[Intent]) -> Result<(), Error> {
        if intents.is_empty() {
            return Ok(());
        }
        self.run("CREATE OR REPLACE TEMP TABLE settling (series_id INTEGER, year INTEGER, checksum VARCHAR, first_of_year TIMESTAMPTZ, end_of_year TIMESTAMPTZ)")?;
        let year_starts = |after: i32| {
            let of_year = |intent: &Intent| year_start_micros(intent.year + after);
            instants(intents.iter().map(of_year).map(Timestamp::from_micros))
        };
        self.append(
            "settling",
            vec![
                Arc::new(Int32Array::from_iter_values(
                    intents.iter().map(|intent| intent.series_id),
                )),
                Arc::new(Int32Array::from_iter_values(
                    intents.iter().map(|intent| intent.year),
                )),
                texts(
                    intents
                        .iter()
                        .map(|intent| intent.new.digest.checksum.as_str()),
                ),
                year_starts(0),
                year_starts(1),
            ],
        )?;
        if self.any_segments.get() {
            self.run(
                "DELETE FROM segment_parts USING intents i, settling s
                 WHERE s.series_id = i.series_id AND s.year = i.year AND s.checksum = i.checksum AND segment_parts.series_id = i.series_id
                   AND segment_parts.year = s.year AND segment_parts.commit_seq <= i.commit_seq",
            )?;
            self.forget_empty_segments()?;
        }
        self.run(
            "DELETE FROM hot USING intents i, settling s
             WHERE s.series_id = i.series_id AND s.year = i.year AND s.checksum = i.checksum AND hot.series_id = i.series_id
               AND hot.timestamp >= s.first_of_year AND hot.timestamp < s.end_of_year AND hot.commit_seq <= i.commit_seq;
             DELETE FROM partitions USING settling s WHERE partitions.series_id = s.series_id AND partitions.year = s.year;
             INSERT INTO partitions SELECT i.series_id, i.year, i.rows, i.first, i.last, i.commit_seq, i.commit_id, i.row_hash,
                 i.checksum, i.bytes, i.modified_ns, i.store_id
               FROM intents i JOIN settling s ON s.series_id = i.series_id AND s.year = i.year AND s.checksum = i.checksum WHERE i.rows > 0;
             DELETE FROM intents USING settling s
               WHERE intents.series_id = s.series_id AND intents.year = s.year AND intents.checksum = s.checksum;
             DROP TABLE settling",
        )
    }

    /// Deletes the intent of a seal that didn't happen. Its rows are still hot.
    pub fn drop_intent(&self, intent: &Intent) -> Result<(), Error> {
        self.execute(
            "DELETE FROM intents WHERE series_id = ? AND year = ? AND checksum = ?",
            params![intent.series_id, intent.year, intent.new.digest.checksum],
        )?;
        Ok(())
    }
}
