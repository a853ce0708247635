//! What bundles and pushes read from a store: its partitions and its last commit, and which bundles were applied
//! to it.

use std::path::PathBuf;

use duckdb::params;
use uuid::Uuid;

use crate::model::Timestamp;

use super::catalog::instant;
use super::error::Error;
use super::handle::Store;
use super::layout::PartitionKey;
use super::reader::Reader;
use super::run::RunId;

/// The last commit that a bundle includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitMark {
    /// Its number in the store.
    pub seq: u64,
    pub id: Uuid,
    /// When the run that made it began; `None` if that isn't recorded.
    pub at: Option<Timestamp>,
}

/// A sealed partition.
#[derive(Clone, Debug)]
pub struct PartitionFile {
    pub key: PartitionKey,
    pub path: PathBuf,
    pub rows: u64,
    pub bytes: u64,
    /// xxh3 (128 bits) of its bytes, in hexadecimal.
    pub checksum: String,
    /// The commit in its footer: all earlier commits of these bars are in it.
    pub commit_seq: u64,
    pub commit_id: Uuid,
    /// The hash over its rows, in hexadecimal.
    pub row_hash: String,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// A bundle that was applied to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedBundle {
    /// The manifest's hash, in hexadecimal: the bundle's name.
    pub manifest: String,
    /// The store that it was made from.
    pub store_id: Uuid,
    /// The last commit of that store that it includes.
    pub commit_seq: u64,
    /// Tickers, interval and dates that it was limited to.
    pub filter: String,
    pub bars: u64,
    pub applied_at: Timestamp,
}

/// Made when the first bundle is applied. Programs that don't know the table work without it, so the
/// store's format stays the same.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS bundles (
    manifest VARCHAR NOT NULL, store_id VARCHAR NOT NULL, commit_seq BIGINT NOT NULL, filter VARCHAR NOT NULL, bars BIGINT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL, run_id VARCHAR NOT NULL)";

impl Store {
    /// Records that all of a bundle was applied. Recording it again changes nothing.
    pub fn record_bundle(&self, run: &RunId, bundle: &AppliedBundle) -> Result<(), Error> {
        self.check_whole()?;
        self.inner().catalog.transaction(|catalog| {
            catalog.run(TABLE)?;
            let known = catalog.rows(
                "SELECT 1 FROM bundles WHERE manifest = ?",
                params![bundle.manifest],
                |row| row.get::<_, i32>(0),
            )?;
            if known.is_empty() {
                catalog.execute(
                    "INSERT INTO bundles VALUES (?, ?, ?, ?, ?, ?, ?)",
                    params![
                        bundle.manifest,
                        bundle.store_id.to_string(),
                        bundle.commit_seq as i64,
                        bundle.filter,
                        bundle.bars as i64,
                        instant(bundle.applied_at.micros()),
                        run.to_string()
                    ],
                )?;
            }
            Ok(())
        })
    }
}

impl Reader {
    /// The bundles that were applied, oldest first.
    pub fn applied_bundles(&self) -> Result<Vec<AppliedBundle>, Error> {
        let catalog = self.catalog()?;
        let table = catalog.rows(
            "SELECT 1 FROM information_schema.tables WHERE table_name = 'bundles'",
            [],
            |row| row.get::<_, i32>(0),
        )?;
        if table.is_empty() {
            return Ok(Vec::new());
        }
        catalog.rows(
            "SELECT manifest, store_id, commit_seq, filter, bars, epoch_us(applied_at) FROM bundles ORDER BY applied_at, manifest",
            [],
            |row| {
                let store_id: String = row.get(1)?;
                Ok(AppliedBundle {
                    manifest: row.get(0)?,
                    store_id: Uuid::parse_str(&store_id).unwrap_or_default(),
                    commit_seq: row.get::<_, i64>(2)? as u64,
                    filter: row.get(3)?,
                    bars: row.get::<_, i64>(4)? as u64,
                    applied_at: Timestamp::from_micros(row.get(5)?),
                })
            },
        )
    }

    /// The last commit; `None` in a store that has none.
    pub fn last_commit(&self) -> Result<Option<CommitMark>, Error> {
        let rows = self.catalog()?.rows(
            "SELECT c.commit_seq, c.commit_id, epoch_us(r.started_at) FROM commits c LEFT JOIN runs r USING (run_id)
             ORDER BY c.commit_seq DESC, c.commit_id LIMIT 1",
            [],
            |row| {
                let (seq, id): (i64, String) = (row.get(0)?, row.get(1)?);
                Ok((seq as u64, id, row.get::<_, Option<i64>>(2)?))
            },
        )?;
        Ok(rows.into_iter().next().and_then(|(seq, id, at)| {
            Some(CommitMark {
                seq,
                id: Uuid::parse_str(&id).ok()?,
                at: at.map(Timestamp::from_micros),
            })
        }))
    }

    /// The sealed partitions, by interval, ticker and year. Hot bars are in none of them.
    #[must_use]
    pub fn partition_files(&self) -> Vec<PartitionFile> {
        let mut files = Vec::new();
        for (series, meta) in &self.series {
            for (year, partition) in &self.with_overlay(series, meta).partitions {
                let key = PartitionKey::new(series, *year);
                let overlay = self.overlay.get(&key).map(|(path, _)| path.clone());
                files.push(PartitionFile {
                    path: overlay.unwrap_or_else(|| self.layout.partition(&key)),
                    key,
                    rows: partition.rows,
                    bytes: partition.digest.bytes,
                    checksum: partition.digest.checksum.clone(),
                    commit_seq: partition.commit_seq,
                    commit_id: partition.commit_id,
                    row_hash: partition.row_hash.clone(),
                    first: partition.first,
                    last: partition.last,
                });
            }
        }
        files
    }
}
