//! A partition's file in memory, as a bundle carries it: looked over, read, believed only then.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::PageIndexPolicy;

use crate::model::{Bars, TimeRange, Timestamp};
use crate::store::columns::{bars_from_batch, commit_seqs, scan_schema};
use crate::store::layout::PartitionKey;
use crate::store::rows::StagedRows;

use super::footer::Footer;
use super::guard::{self, PARTITION_BYTES_MAX};
use super::hash::RowHasher;
use super::read::BATCH_ROWS;

/// The longest name of a source or an exchange that is taken.
const NAME_BYTES_MAX: usize = 64;
/// Sources in one partition at most.
pub(crate) const SOURCES_MAX: usize = 16;

/// The bytes of a partition whose structure is sound. Its values are not looked at yet: [`check`](Self::check).
pub(crate) struct Image {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    pub footer: Footer,
}

/// What a partition holds, found by reading all of it.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub first: Timestamp,
    pub last: Timestamp,
    /// The lowest and the highest commit among the rows.
    pub commits: (u64, u64),
    pub sources: BTreeSet<String>,
}

/// Why bytes are no sound partition.
pub(crate) type Unsound = String;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread decodes bytes from elsewhere just now: a panic then is Parquet's answer to them, not a fault of the
/// program.
pub(crate) fn is_guarded() -> bool {
    GUARDED.get()
}

/// Parquet's reader finds some faults by a panic, in bytes that were made to provoke one. That is an answer too.
fn guarded<T>(read: impl FnOnce() -> Result<T, Unsound>) -> Result<T, Unsound> {
    GUARDED.set(true);
    let answer = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    answer.unwrap_or_else(|_| Err("the Parquet reader cannot make sense of it".to_owned()))
}

impl Image {
    /// Looks the bytes over and reads the footer.
    pub fn open(bytes: Bytes) -> Result<Self, Unsound> {
        if bytes.len() as u64 > PARTITION_BYTES_MAX {
            return Err("it is larger than any partition".to_owned());
        }
        guard::footer(&bytes)?;
        guarded(|| {
            let options = ArrowReaderOptions::new()
                .with_page_index_policy(PageIndexPolicy::Skip)
                .with_schema(scan_schema());
            let metadata =
                ArrowReaderMetadata::load(&bytes, options).map_err(|error| error.to_string())?;
            guard::pages(&bytes, metadata.metadata())?;
            let file = metadata.metadata().file_metadata();
            let footer = Footer::from_key_values(file.key_value_metadata())
                .map_err(|error| error.to_string())?;
            guard::writer(metadata.metadata(), &footer)?;
            if footer.rows != file.num_rows() as u64 {
                return Err(format!(
                    "its footer says {} rows, and it holds {}",
                    footer.rows,
                    file.num_rows()
                ));
            }
            Ok(Self {
                bytes,
                metadata,
                footer,
            })
        })
    }

    /// The file as it stands.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Reads every row batch by batch.
    fn each(
        &self,
        mut take: impl FnMut(&RecordBatch) -> Result<(), Unsound>,
    ) -> Result<(), Unsound> {
        guarded(|| {
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.bytes.clone(),
                self.metadata.clone(),
            )
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| error.to_string())?;
            for batch in reader {
                take(&batch.map_err(|error| error.to_string())?)?;
            }
            Ok(())
        })
    }

    /// Reads all of it: valid bars of the partition's year, each key once and in order, values as the footer's hash says.
    pub fn check(&self, key: &PartitionKey) -> Result<Contents, Unsound> {
        let year = crate::store::publish::year_range(key.year);
        let mut hasher = RowHasher::default();
        let (mut first, mut last) = (None, i64::MIN);
        let mut commits = (u64::MAX, 0);
        let mut sources = BTreeSet::new();
        self.each(|batch| {
            let (bars, seqs) = columns(batch)?;
            hasher
                .update(batch)
                .ok_or("its columns are of other types")?;
            for timestamp in bars.timestamps() {
                if *timestamp <= last || !year.contains(*timestamp) {
                    return Err("its rows are not in order, unique and of its year".to_owned());
                }
                last = *timestamp;
            }
            first = first.or(bars.timestamps().first().copied());
            if let Some(bad) = bars
                .iter()
                .find_map(|bar| bar.check().err().map(|why| (bar, why)))
            {
                return Err(format!("the row {} is no bar: {}", bad.0.timestamp, bad.1));
            }
            for seq in seqs {
                let seq = u64::try_from(*seq).map_err(|_| "a row names no commit")?;
                commits = (commits.0.min(seq), commits.1.max(seq));
            }
            sources_of(batch, &mut sources)
        })?;
        let Some(first) = first else {
            return Err("it holds no rows".to_owned());
        };
        if hasher.rows() != self.footer.rows || hasher.finish() != self.footer.row_hash {
            return Err("its values fail its hash".to_owned());
        }
        // The footer's commit may be later than every row's: its rows may have been dropped since.
        if commits.0 == 0 || commits.1 > self.footer.commit_seq {
            return Err("a row is of a commit that its footer does not know".to_owned());
        }
        let provenance = &self.footer.provenance;
        if !is_name(&provenance.exchange) {
            return Err("its footer names no exchange".to_owned());
        }
        Ok(Contents {
            first: Timestamp::from_micros(first),
            last: Timestamp::from_micros(last),
            commits,
            sources,
        })
    }

    /// The rows inside `range` of commits after `after_seq`.
    pub fn rows(&self, range: TimeRange, after_seq: u64) -> Result<StagedRows, Unsound> {
        let mut rows = StagedRows::default();
        self.each(|batch| {
            let part = StagedRows::from_batch(batch).ok_or("its columns are of other types")?;
            let timestamps = part.bars.timestamps();
            let end = timestamps.partition_point(|ts| *ts < range.end);
            let mut at = timestamps.partition_point(|ts| *ts < range.start);
            while at < end {
                // Whole runs at a time: rows of one commit stand together.
                let wanted = |place: usize| part.commit_seq[place] as u64 > after_seq;
                let run = (at..end)
                    .take_while(|place| wanted(*place) == wanted(at))
                    .count();
                if wanted(at) {
                    rows.extend_from(&part, at..at + run);
                }
                at += run;
            }
            Ok(())
        })?;
        Ok(rows)
    }
}

/// A name that may stand in a catalog and on a terminal.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

/// Bars and commits of a batch whose columns are all there and full.
fn columns(batch: &RecordBatch) -> Result<(Bars, &[i64]), Unsound> {
    let schema = scan_schema();
    let mut columns = schema.fields().iter().zip(batch.columns());
    let full = columns.all(|(field, array)| field.is_nullable() || array.logical_null_count() == 0);
    match (bars_from_batch(batch), commit_seqs(batch)) {
        (Some(bars), Some(seqs)) if full => Ok((bars, seqs)),
        _ => Err("its columns are of other types".to_owned()),
    }
}

/// Adds the sources that rows of the batch have.
fn sources_of(batch: &RecordBatch, sources: &mut BTreeSet<String>) -> Result<(), Unsound> {
    let types = "its columns are of other types";
    let (keys, names) = crate::store::columns::sources(batch).ok_or(types)?;
    for run in keys.chunk_by(|a, b| a == b) {
        let name = names.value(usize::try_from(run[0]).map_err(|_| types)?);
        if !is_name(name) {
            return Err("a row names no source".to_owned());
        }
        if !sources.contains(name) {
            if sources.len() == SOURCES_MAX {
                return Err("it names more sources than any partition".to_owned());
            }
            sources.insert(name.to_owned());
        }
    }
    Ok(())
}
