//! Reads one partition.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};

use crate::model::{Source, TimeRange, Timestamp};
use crate::store::columns::{self, TIMESTAMP, scan_schema};
use crate::store::error::{Error, IoContext};
use crate::store::rows::StagedRows;

use super::footer::Footer;
use super::hash::RowHasher;

/// The most rows in a batch.
pub const BATCH_ROWS: usize = 65_536;

/// An open partition. It stays readable while it is open, even if a publish replaces the file.
#[derive(Debug)]
pub(crate) struct Partition {
    file: File,
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    pub footer: Footer,
}

impl Partition {
    /// Opens the file and reads its footer.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).at(path)?;
        let unreadable = |reason: String| Error::Unreadable {
            path: path.to_path_buf(),
            reason,
        };
        let options = ArrowReaderOptions::new()
            .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Optional)
            .with_schema(scan_schema());
        let metadata = ArrowReaderMetadata::load(&file, options)
            .map_err(|error| unreadable(error.to_string()))?;
        let file_metadata = metadata.metadata().file_metadata();
        let footer = Footer::from_key_values(file_metadata.key_value_metadata())
            .map_err(|error| unreadable(error.to_string()))?;
        if file_metadata.num_rows() != footer.rows as i64 {
            return Err(unreadable(format!(
                "its footer says {} rows, and it has {}",
                footer.rows,
                file_metadata.num_rows()
            )));
        }
        Ok(Self {
            file,
            path: path.to_path_buf(),
            metadata,
            footer,
        })
    }

    /// A new reader of the same open file. All readers share one position, so only one can be used
    /// at a time.
    fn builder(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, Error> {
        let file = self.file.try_clone().at(&self.path)?;
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(
            file,
            self.metadata.clone(),
        ))
    }

    fn unreadable(&self, reason: impl std::fmt::Display) -> Error {
        Error::Unreadable {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }

    /// First and last timestamp, from the statistics of the row groups.
    pub fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        let groups = self.metadata.metadata().row_groups();
        let of = |group: &parquet::file::metadata::RowGroupMetaData| match group
            .column(TIMESTAMP)
            .statistics()?
        {
            parquet::file::statistics::Statistics::Int64(values) => {
                Some((*values.min_opt()?, *values.max_opt()?))
            }
            _ => None,
        };
        let first = of(groups.first()?)?.0;
        let last = of(groups.last()?)?.1;
        Some((Timestamp::from_micros(first), Timestamp::from_micros(last)))
    }

    /// All timestamps.
    pub fn timestamps(&self) -> Result<Vec<i64>, Error> {
        let builder = self.builder()?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), [TIMESTAMP]);
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| self.unreadable(error))?;
        let mut timestamps = Vec::with_capacity(self.footer.rows as usize);
        for batch in reader {
            let batch = batch.map_err(|error| self.unreadable(error))?;
            let some = columns::timestamps(&batch)
                .ok_or_else(|| self.unreadable("its timestamps have another type"))?;
            timestamps.extend_from_slice(some);
        }
        Ok(timestamps)
    }

    /// The rows of `range` as batches, in order.
    pub fn batches(&self, range: TimeRange) -> Result<Batches, Error> {
        let mut builder = self.builder()?;
        if range != TimeRange::ALL {
            let timestamps = self.timestamps()?;
            let first = timestamps.partition_point(|ts| *ts < range.start);
            let end = timestamps.partition_point(|ts| *ts < range.end);
            builder = builder.with_row_selection(RowSelection::from(vec![
                RowSelector::skip(first),
                RowSelector::select(end.saturating_sub(first)),
            ]));
        }
        let reader = builder
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| self.unreadable(error))?;
        Ok(Batches {
            reader,
            path: self.path.clone(),
        })
    }

    /// All rows, after their hash is checked. Rows that are merged into a new partition get a new
    /// hash, so that undetected damage would become permanent.
    pub fn verified_rows(&self) -> Result<StagedRows, Error> {
        let mut rows = StagedRows::default();
        let mut hasher = RowHasher::default();
        for batch in self.batches(TimeRange::ALL)? {
            let batch = batch?;
            let types = || self.unreadable("its columns have other types");
            hasher.update(&batch).ok_or_else(types)?;
            rows.append(StagedRows::from_batch(&batch).ok_or_else(types)?);
        }
        if hasher.rows() != self.footer.rows || hasher.finish() != self.footer.row_hash {
            return Err(self.unreadable("its values fail its hash"));
        }
        Ok(rows)
    }

    /// The source of the first row.
    pub fn first_source(&self) -> Result<Option<Source>, Error> {
        let Some(batch) = self.batches(TimeRange::ALL)?.next() else {
            return Ok(None);
        };
        let rows = StagedRows::from_batch(&batch?);
        Ok(rows.and_then(|rows| {
            let source = *rows.source.first()?;
            rows.sources.get(source as usize).cloned()
        }))
    }

    /// The rows of `range` at once: up to a year of one series.
    pub fn rows(&self, range: TimeRange) -> Result<StagedRows, Error> {
        let mut rows = StagedRows::default();
        for batch in self.batches(range)? {
            let part = StagedRows::from_batch(&batch?)
                .ok_or_else(|| self.unreadable("its columns have other types"))?;
            rows.append(part);
        }
        Ok(rows)
    }
}

/// The rows of a partition, batch by batch.
pub(crate) struct Batches {
    reader: ParquetRecordBatchReader,
    path: PathBuf,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|error| Error::Unreadable {
            path: self.path.clone(),
            reason: error.to_string(),
        }))
    }
}
