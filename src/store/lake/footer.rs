//! The metadata of a partition, in its Parquet footer.
//!
//! With it a partition can be identified, checked and listed in a new catalog without any other
//! file.

use parquet::file::metadata::KeyValue;
use uuid::Uuid;

use crate::model::{Basis, Hours, Provenance};

/// The format of partitions that this program writes, and the newest that it reads.
pub const PARTITION_FORMAT: u32 = 1;

/// The metadata in a partition's footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The store that wrote the file.
    pub store_id: Uuid,
    /// Format of the store that wrote it.
    pub schema_version: u32,
    /// The last commit with rows in the file, which also has all earlier rows of the partition.
    pub commit_seq: u64,
    /// That commit's id.
    pub commit_id: Uuid,
    /// Number of rows in the file.
    pub rows: u64,
    /// [`RowHasher`](super::hash::RowHasher) over the rows, in hexadecimal.
    pub row_hash: String,
    /// Provenance of the series.
    pub provenance: Provenance,
}

/// The footer lacks metadata.
#[derive(Debug, thiserror::Error)]
#[error("the footer lacks a readable {0:?}")]
pub struct BadFooter(pub &'static str);

const STORE_ID: &str = "backfill.store_id";
const VERSION: &str = "backfill.schema_version";
const COMMIT_SEQ: &str = "backfill.commit_seq";
const COMMIT_ID: &str = "backfill.commit_id";
const ROWS: &str = "backfill.rows";
const ROW_HASH: &str = "backfill.row_hash";
const EXCHANGE: &str = "backfill.exchange";
const BASIS: &str = "backfill.basis";
const HOURS: &str = "backfill.hours";

impl Footer {
    /// The footer as key-value pairs of the Parquet file.
    #[must_use]
    pub fn to_key_values(&self) -> Vec<KeyValue> {
        [
            (STORE_ID, self.store_id.to_string()),
            (VERSION, self.schema_version.to_string()),
            (COMMIT_SEQ, self.commit_seq.to_string()),
            (COMMIT_ID, self.commit_id.to_string()),
            (ROWS, self.rows.to_string()),
            (ROW_HASH, self.row_hash.clone()),
            (EXCHANGE, self.provenance.exchange.clone()),
            (BASIS, self.provenance.basis.to_string()),
            (HOURS, self.provenance.hours.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| KeyValue::new(key.to_owned(), value))
        .collect()
    }

    /// Reads the footer back.
    pub fn from_key_values(pairs: Option<&Vec<KeyValue>>) -> Result<Self, BadFooter> {
        let text = |key: &'static str| {
            pairs
                .into_iter()
                .flatten()
                .find(|pair| pair.key == key)
                .and_then(|pair| pair.value.as_deref())
                .ok_or(BadFooter(key))
        };
        fn read<T: std::str::FromStr>(text: &str, key: &'static str) -> Result<T, BadFooter> {
            text.parse().map_err(|_| BadFooter(key))
        }
        Ok(Self {
            store_id: read(text(STORE_ID)?, STORE_ID)?,
            schema_version: read(text(VERSION)?, VERSION)?,
            commit_seq: read(text(COMMIT_SEQ)?, COMMIT_SEQ)?,
            commit_id: read(text(COMMIT_ID)?, COMMIT_ID)?,
            rows: read(text(ROWS)?, ROWS)?,
            row_hash: text(ROW_HASH)?.to_owned(),
            provenance: Provenance {
                exchange: text(EXCHANGE)?.to_owned(),
                basis: read::<Basis>(text(BASIS)?, BASIS)?,
                hours: read::<Hours>(text(HOURS)?, HOURS)?,
            },
        })
    }
}
