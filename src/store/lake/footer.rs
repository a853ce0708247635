//! The metadata of a partition, in its Parquet footer.
//!
//! With it a partition can be identified, checked and listed in a new catalog without any other
//! file.

use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::model::{Basis, Hours, Provenance};

/// The format of partitions that this program writes, and the newest that it reads.
///
/// 1: one hash over all rows.
/// 2: a hash for each row group, and columns with ids.
pub const PARTITION_FORMAT: u32 = FORMAT_WITH_GROUPS;
/// The first format with a hash for each row group.
pub(super) const FORMAT_WITH_GROUPS: u32 = 2;

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
    /// A hash over the hashes of `groups`, in hexadecimal. In format 1 it is the hash of all rows.
    pub row_hash: String,
    /// The row groups in order. Format 1 has one entry for all rows, also if the file has several row groups.
    pub groups: Vec<GroupHash>,
    /// Provenance of the series.
    pub provenance: Provenance,
}

/// The rows of one row group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupHash {
    pub rows: u64,
    /// [`RowHasher`](super::hash::RowHasher) over them, in hexadecimal.
    pub row_hash: String,
}

impl GroupHash {
    fn to_text(&self) -> String {
        format!("{}:{}", self.rows, self.row_hash)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (rows, row_hash) = text.split_once(':')?;
        Some(Self {
            // A row group without rows would have no place in the file.
            rows: rows.parse().ok().filter(|rows| *rows > 0)?,
            row_hash: row_hash.to_owned(),
        })
    }
}

/// Why a footer isn't that of a partition.
#[derive(Debug, thiserror::Error)]
pub enum BadFooter {
    #[error("the footer lacks a readable {0:?}")]
    Lacks(&'static str),
    #[error("a newer version of this program wrote it, in format {0}")]
    Newer(u32),
    #[error("its footer says {0} rows, and it has {1}")]
    OtherRows(u64, i64),
    #[error("its row groups are not those that its footer lists")]
    OtherGroups,
}

const STORE_ID: &str = "backfill.store_id";
const VERSION: &str = "backfill.schema_version";
const COMMIT_SEQ: &str = "backfill.commit_seq";
const COMMIT_ID: &str = "backfill.commit_id";
const ROWS: &str = "backfill.rows";
const ROW_HASH: &str = "backfill.row_hash";
const ROW_GROUPS: &str = "backfill.row_groups";
const EXCHANGE: &str = "backfill.exchange";
const BASIS: &str = "backfill.basis";
const HOURS: &str = "backfill.hours";

impl Footer {
    /// The hash of a partition with these row groups.
    pub(super) fn hash_of(groups: &[GroupHash]) -> String {
        let mut all = Xxh3::new();
        for group in groups {
            all.update(&group.rows.to_le_bytes());
            all.update(group.row_hash.as_bytes());
        }
        format!("{:032x}", all.digest128())
    }

    /// The footer as key-value pairs of the Parquet file.
    #[must_use]
    pub fn to_key_values(&self) -> Vec<KeyValue> {
        let mut pairs = vec![
            (STORE_ID, self.store_id.to_string()),
            (VERSION, self.schema_version.to_string()),
            (COMMIT_SEQ, self.commit_seq.to_string()),
            (COMMIT_ID, self.commit_id.to_string()),
            (ROWS, self.rows.to_string()),
            (ROW_HASH, self.row_hash.clone()),
            (EXCHANGE, self.provenance.exchange.clone()),
            (BASIS, self.provenance.basis.to_string()),
            (HOURS, self.provenance.hours.to_string()),
        ];
        if self.schema_version >= FORMAT_WITH_GROUPS {
            let groups: Vec<String> = self.groups.iter().map(GroupHash::to_text).collect();
            pairs.push((ROW_GROUPS, groups.join(",")));
        }
        pairs
            .into_iter()
            .map(|(key, value)| KeyValue::new(key.to_owned(), value))
            .collect()
    }

    /// Reads the footer of a file. Its rows must be those that the file has.
    pub fn of(metadata: &ParquetMetaData) -> Result<Self, BadFooter> {
        let file = metadata.file_metadata();
        let footer = Self::from_key_values(file.key_value_metadata())?;
        if footer.rows as i64 != file.num_rows() {
            return Err(BadFooter::OtherRows(footer.rows, file.num_rows()));
        }
        let rows = metadata.row_groups().iter().map(RowGroupMetaData::num_rows);
        let hashed = footer.groups.iter().map(|group| group.rows as i64);
        if footer.schema_version >= FORMAT_WITH_GROUPS && !rows.eq(hashed) {
            return Err(BadFooter::OtherGroups);
        }
        Ok(footer)
    }

    fn from_key_values(pairs: Option<&Vec<KeyValue>>) -> Result<Self, BadFooter> {
        let text = |key: &'static str| {
            pairs
                .into_iter()
                .flatten()
                .find(|pair| pair.key == key)
                .and_then(|pair| pair.value.as_deref())
                .ok_or(BadFooter::Lacks(key))
        };
        fn read<T: std::str::FromStr>(text: &str, key: &'static str) -> Result<T, BadFooter> {
            text.parse().map_err(|_| BadFooter::Lacks(key))
        }
        let schema_version = read(text(VERSION)?, VERSION)?;
        if schema_version > PARTITION_FORMAT {
            return Err(BadFooter::Newer(schema_version));
        }
        let rows = read(text(ROWS)?, ROWS)?;
        let row_hash = text(ROW_HASH)?.to_owned();
        let groups = if schema_version >= FORMAT_WITH_GROUPS {
            let groups = text(ROW_GROUPS)?.split(',').map(GroupHash::from_text);
            let groups = groups.collect::<Option<Vec<_>>>();
            // The catalog has the hash of them all.
            groups
                .filter(|groups| Self::hash_of(groups) == row_hash)
                .ok_or(BadFooter::Lacks(ROW_GROUPS))?
        } else {
            let row_hash = row_hash.clone();
            vec![GroupHash { rows, row_hash }]
        };
        Ok(Self {
            store_id: read(text(STORE_ID)?, STORE_ID)?,
            schema_version,
            commit_seq: read(text(COMMIT_SEQ)?, COMMIT_SEQ)?,
            commit_id: read(text(COMMIT_ID)?, COMMIT_ID)?,
            rows,
            row_hash,
            groups,
            provenance: Provenance {
                exchange: text(EXCHANGE)?.to_owned(),
                basis: read::<Basis>(text(BASIS)?, BASIS)?,
                hours: read::<Hours>(text(HOURS)?, HOURS)?,
            },
        })
    }
}
