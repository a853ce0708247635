//! A partition from an untrusted file, such as a bundle: nothing in it is used before it is
//! checked.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

use crate::model::{Bars, TimeRange, Timestamp};
use crate::store::columns::{bars_from_batch, commit_seqs, scan_schema};
use crate::store::layout::PartitionKey;
use crate::store::rows::StagedRows;

use super::check::RowCheck;
use super::footer::Footer;
use super::guard::{self, PARTITION_BYTES_MAX};
use super::read::BATCH_ROWS;
use super::schema;

/// The longest name of a source or an exchange.
const NAME_BYTES_MAX: usize = 64;
/// The most sources in one partition.
pub(crate) const SOURCES_MAX: usize = 16;

/// The bytes of a partition whose structure is checked. Its values aren't: see
/// [`check`](Self::check).
pub(crate) struct UntrustedPartition {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    pub footer: Footer,
}

/// What a partition holds, from reading all of it.
#[derive(Clone, Debug)]
pub(crate) struct PartitionSummary {
    pub first: Timestamp,
    pub last: Timestamp,
    /// The lowest and the highest commit among the rows.
    pub commits: (u64, u64),
    pub sources: BTreeSet<String>,
}

/// Why bytes are not a valid partition.
pub(crate) type Invalid = String;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is decoding untrusted bytes. A panic then is how the Parquet reader reports
/// invalid bytes, and not an internal error.
pub(crate) fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs `read`, and turns a panic of the Parquet or Arrow reader into an error. Forged bytes can
/// provoke one.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, Invalid>) -> Result<T, Invalid> {
    GUARDED.set(true);
    let answer = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    answer.unwrap_or_else(|_| Err("the Parquet reader can't read it".to_owned()))
}

impl UntrustedPartition {
    /// Checks the structure of the bytes and reads the footer.
    pub fn open(bytes: Bytes) -> Result<Self, Invalid> {
        if bytes.len() as u64 > PARTITION_BYTES_MAX {
            return Err("it is larger than any partition".to_owned());
        }
        guard::footer(&bytes)?;
        guarded(|| {
            let metadata = ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Skip)
                .parse_and_finish(&bytes)
                .map_err(|error| error.to_string())?;
            guard::pages(&bytes, &metadata)?;
            let footer = Footer::of(&metadata).map_err(|error| error.to_string())?;
            guard::writer(&metadata, &footer)?;
            let options =
                ArrowReaderOptions::new().with_schema(schema::of_format(footer.schema_version));
            let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)
                .map_err(|error| error.to_string())?;
            Ok(Self {
                bytes,
                metadata,
                footer,
            })
        })
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Reads all rows, batch by batch.
    fn each(
        &self,
        mut take: impl FnMut(&RecordBatch) -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        guarded(|| {
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.bytes.clone(),
                self.metadata.clone(),
            )
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| error.to_string())?;
            for batch in reader {
                let batch = batch.and_then(|batch| schema::without_ids(&batch));
                take(&batch.map_err(|error| error.to_string())?)?;
            }
            Ok(())
        })
    }

    /// Reads and checks all rows: valid bars of the partition's year, each key once and in order,
    /// with the row hash of the footer.
    pub fn check(&self, key: &PartitionKey) -> Result<PartitionSummary, Invalid> {
        let year = crate::store::publish::year_range(key.year);
        let mut check = RowCheck::new(&self.footer);
        let (mut first, mut last) = (None, i64::MIN);
        let mut commits = (u64::MAX, 0);
        let mut sources = BTreeSet::new();
        self.each(|batch| {
            let (bars, seqs) = columns(batch)?;
            check.update(batch).ok_or("its columns have other types")?;
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
                return Err(format!(
                    "the row {} isn't a valid bar: {}",
                    bad.0.timestamp, bad.1
                ));
            }
            for seq in seqs {
                let seq = u64::try_from(*seq).map_err(|_| "a row has no valid commit number")?;
                commits = (commits.0.min(seq), commits.1.max(seq));
            }
            sources_of(batch, &mut sources)
        })?;
        let Some(first) = first else {
            return Err("it has no rows".to_owned());
        };
        if !check.passes() {
            return Err("its values fail its hash".to_owned());
        }
        // The footer's commit may be later than those of all rows: dropped bars leave it there.
        if commits.0 == 0 || commits.1 > self.footer.commit_seq {
            return Err("a row has a later commit than its footer".to_owned());
        }
        let provenance = &self.footer.provenance;
        if !is_name(&provenance.exchange) {
            return Err("its footer has no valid exchange".to_owned());
        }
        Ok(PartitionSummary {
            first: Timestamp::from_micros(first),
            last: Timestamp::from_micros(last),
            commits,
            sources,
        })
    }

    /// The rows inside `range` of commits after `after_seq`.
    pub fn rows(&self, range: TimeRange, after_seq: u64) -> Result<StagedRows, Invalid> {
        let mut rows = StagedRows::default();
        self.each(|batch| {
            let part = StagedRows::from_batch(batch).ok_or("its columns have other types")?;
            let timestamps = part.bars.timestamps();
            let end = timestamps.partition_point(|ts| *ts < range.end);
            let mut at = timestamps.partition_point(|ts| *ts < range.start);
            while at < end {
                // Whole runs at once: rows of one commit are next to each other.
                let wanted = |row: usize| part.commit_seq[row] as u64 > after_seq;
                let run = (at..end)
                    .take_while(|row| wanted(*row) == wanted(at))
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

/// Whether a name may be in a catalog and on a terminal.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

/// Bars and commits of a batch. Refuses nulls in the columns that every bar has.
fn columns(batch: &RecordBatch) -> Result<(Bars, &[i64]), Invalid> {
    let schema = scan_schema();
    let mut columns = schema.fields().iter().zip(batch.columns());
    let full = columns.all(|(field, array)| field.is_nullable() || array.logical_null_count() == 0);
    match (bars_from_batch(batch), commit_seqs(batch)) {
        (Some(bars), Some(seqs)) if full => Ok((bars, seqs)),
        _ => Err("its columns have other types".to_owned()),
    }
}

/// Adds the sources of the batch's rows to `sources`.
fn sources_of(batch: &RecordBatch, sources: &mut BTreeSet<String>) -> Result<(), Invalid> {
    let types = "its columns have other types";
    let (keys, names) = crate::store::columns::sources(batch).ok_or(types)?;
    for run in keys.chunk_by(|a, b| a == b) {
        let name = names.value(usize::try_from(run[0]).map_err(|_| types)?);
        if !is_name(name) {
            return Err("a row has no valid source".to_owned());
        }
        if !sources.contains(name) {
            if sources.len() == SOURCES_MAX {
                return Err("it has more sources than a partition can have".to_owned());
            }
            sources.insert(name.to_owned());
        }
    }
    Ok(())
}
