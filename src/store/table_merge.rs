//! Merges a partition with files that a shared table has for it.

use bytes::Bytes;
use uuid::Uuid;

use crate::model::{OnConflict, Provenance, TimeRange, Timestamp};

use super::lake::foreign;
use super::lake::untrusted::UntrustedPartition;
use super::lake::write::{Stamp, partition_bytes};
use super::layout::PartitionKey;
use super::merge::compare;
use super::rows::StagedRows;

/// What the rows of a partition are, compared with those of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableTally {
    /// Rows that the table lacks.
    pub new: u64,
    /// Rows that it has with the same values.
    pub identical: u64,
    /// Rows that it has with other values.
    pub restated: u64,
    /// Rows of the table that the partition lacks.
    pub theirs: u64,
    /// Rows of the table whose timestamp a newer row has too.
    pub repeated: u64,
    /// The first row that the table lacks or has with other values.
    pub first: Option<Timestamp>,
}

/// The rows of both.
#[derive(Debug)]
pub struct MergedFile {
    pub bytes: Vec<u8>,
    pub rows: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// A partition of this store next to the table's rows.
pub struct TableMerge {
    key: PartitionKey,
    own: StagedRows,
    theirs: StagedRows,
    stamp: (Uuid, u64, Uuid),
    provenance: Provenance,
    restated: Vec<(usize, usize)>,
    new: Vec<usize>,
    tally: TableTally,
}

/// Why files can't be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTableFile {
    /// The store's own partition is damaged.
    Own(String),
    /// A file of the table, by its index.
    Theirs(usize, String),
    /// The file's bars have another provenance.
    OtherProvenance(usize, Provenance),
}

impl TableMerge {
    /// Compares the partition `own` with the files of the table, oldest first. Of rows that these
    /// repeat, the newest counts.
    pub fn new(key: &PartitionKey, own: Bytes, files: Vec<Bytes>) -> Result<Self, BadTableFile> {
        let own = UntrustedPartition::open(own).map_err(BadTableFile::Own)?;
        own.check(key).map_err(BadTableFile::Own)?;
        let footer = own.footer.clone();
        let own = own.rows(TimeRange::ALL, 0).map_err(BadTableFile::Own)?;
        let (mut theirs, mut rows_read) = (StagedRows::default(), 0);
        for (index, bytes) in files.into_iter().enumerate() {
            let bad = |why| BadTableFile::Theirs(index, why);
            let rows = match UntrustedPartition::open(bytes.clone()) {
                Ok(partition) => {
                    partition.check(key).map_err(bad)?;
                    let provenance = &partition.footer.provenance;
                    if *provenance != footer.provenance {
                        let provenance = provenance.clone();
                        return Err(BadTableFile::OtherProvenance(index, provenance));
                    }
                    partition.rows(TimeRange::ALL, 0).map_err(bad)?
                }
                Err(_) => foreign::rows(&bytes, key, footer.commit_seq).map_err(bad)?,
            };
            rows_read += rows.len() as u64;
            theirs = theirs.merge(last_of_each(rows));
        }
        let compared = compare(&own.bars, &theirs);
        let (new, restated) = (compared.new.len() as u64, compared.restated.len() as u64);
        let first_new = compared.new.first().map(|row| own.bars.get(*row).timestamp);
        let tally = TableTally {
            new,
            restated,
            identical: compared.identical,
            theirs: theirs.len() as u64 - compared.identical - restated,
            repeated: rows_read - theirs.len() as u64,
            first: first_new.into_iter().chain(compared.first_restated).min(),
        };
        Ok(Self {
            key: key.clone(),
            own,
            theirs,
            stamp: (footer.store_id, footer.commit_seq, footer.commit_id),
            provenance: footer.provenance,
            restated: compared.restated,
            new: compared.new,
            tally,
        })
    }

    #[must_use]
    pub fn tally(&self) -> TableTally {
        self.tally
    }

    /// The file with the rows of both. Of rows with two values it has the store's under `update`, else
    /// the table's.
    pub fn merged(self, on_conflict: OnConflict) -> Result<MergedFile, String> {
        let mut ours = self.new;
        if on_conflict == OnConflict::Update {
            ours.extend(self.restated.iter().map(|(own, _)| *own));
            ours.sort_unstable();
        }
        let rows = self.theirs.merge(rows_at(&self.own, &ours));
        let (Some(first), Some(last)) = (
            rows.bars.timestamps().first(),
            rows.bars.timestamps().last(),
        ) else {
            return Err("it would have no rows".to_owned());
        };
        let (first, last) = (
            Timestamp::from_micros(*first),
            Timestamp::from_micros(*last),
        );
        let (store_id, commit_seq, commit_id) = self.stamp;
        let stamp = Stamp {
            store_id,
            // Commits of other stores are in the file too, and none may be later than its footer's.
            commit_seq: commit_seq.max(rows.max_commit_seq()),
            commit_id,
            provenance: &self.provenance,
        };
        let count = rows.len() as u64;
        let bytes = partition_bytes(&self.key, rows, &stamp).map_err(|error| error.to_string())?;
        Ok(MergedFile {
            bytes,
            rows: count,
            first,
            last,
        })
    }
}

/// The rows with these indices, which ascend.
fn rows_at(rows: &StagedRows, indices: &[usize]) -> StagedRows {
    let mut out = StagedRows::default();
    for run in indices.chunk_by(|a, b| a + 1 == *b) {
        out.extend_from(rows, run[0]..run[0] + run.len());
    }
    out
}

/// Sorted rows with each key once: the last row of each.
fn last_of_each(rows: StagedRows) -> StagedRows {
    if rows.bars.is_sorted_unique() {
        return rows;
    }
    let timestamps = rows.bars.timestamps();
    let is_last = |row: &usize| timestamps.get(row + 1) != Some(&timestamps[*row]);
    let kept: Vec<usize> = (0..rows.len()).filter(is_last).collect();
    rows_at(&rows, &kept)
}
