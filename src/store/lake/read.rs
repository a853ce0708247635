//! Reads one partition.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::Encoding;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use xxhash_rust::xxh3::xxh3_128;

use crate::model::{Source, TimeRange, Timestamp};
use crate::store::columns::{self, TIMESTAMP};
use crate::store::error::{Error, IoContext};
use crate::store::rows::StagedRows;

use super::check::RowCheck;
use super::footer::{Footer, PARTITION_FORMAT};
use super::groups::{self, Kept};
use super::guard;
use super::schema;

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
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&file)
            .map_err(|error| unreadable(error.to_string()))?;
        guard::inside(&metadata, file.metadata().at(path)?.len())
            .map_err(|reason| unreadable(reason.to_owned()))?;
        let footer = Footer::of(&metadata).map_err(|error| unreadable(error.to_string()))?;
        let options =
            ArrowReaderOptions::new().with_schema(schema::of_format(footer.schema_version));
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)
            .map_err(|error| unreadable(error.to_string()))?;
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
        let first = bounds_of(groups.first()?)?.0;
        let last = bounds_of(groups.last()?)?.1;
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
        self.read(builder)
    }

    fn read(&self, builder: ParquetRecordBatchReaderBuilder<File>) -> Result<Batches, Error> {
        let reader = builder
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| self.unreadable(error))?;
        Ok(Batches {
            reader,
            path: self.path.clone(),
        })
    }

    /// What a new partition with `added` consists of: row groups that are copied, and the rows
    /// after them, without `added`. A new file gets new hashes, so that damage in it would be
    /// permanent: row groups are copied only if the whole file has this checksum, and rows must
    /// pass their hashes.
    pub fn split_for(
        &self,
        added: &StagedRows,
        checksum: &str,
    ) -> Result<(Option<Kept>, StagedRows), Error> {
        let kept = self.kept_for(added, checksum)?;
        let from = kept.as_ref().map_or(0, |kept| kept.groups.len());
        Ok((kept, self.verified_rows_from(from)?))
    }

    fn kept_for(&self, added: &StagedRows, checksum: &str) -> Result<Option<Kept>, Error> {
        let metadata = self.metadata.metadata();
        let bounds: Option<Vec<(i64, i64)>> = metadata.row_groups().iter().map(bounds_of).collect();
        let (Some(bounds), Some(first_added)) = (bounds, added.bars.timestamps().first()) else {
            return Ok(None);
        };
        // Older formats have one hash for all rows, and columns without ids.
        if self.footer.schema_version != PARTITION_FORMAT {
            return Ok(None);
        }
        let groups = self.footer.groups.iter().zip(&bounds);
        let groups: Vec<(u64, i64)> = groups
            .map(|(group, (_, last))| (group.rows, *last))
            .collect();
        let row_groups = metadata.row_groups();
        let copyable = row_groups.iter().take_while(|group| !is_split(group));
        let count = groups::kept(&groups, *first_added, added.len() as u64).min(copyable.count());
        let (Some((first, _)), Some((_, last))) = (bounds.first(), bounds[..count].last()) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).at(&self.path)?;
        file.read_to_end(&mut bytes).at(&self.path)?;
        if format!("{:032x}", xxh3_128(&bytes)) != checksum {
            return Ok(None);
        }
        Ok(Some(Kept {
            bytes: bytes.into(),
            metadata: Arc::clone(metadata),
            groups: self.footer.groups[..count].to_vec(),
            bounds: (*first, *last),
        }))
    }

    /// All rows, after their hashes are checked.
    pub fn verified_rows(&self) -> Result<StagedRows, Error> {
        self.verified_rows_from(0)
    }

    /// The rows from the row group with this index on, after their hashes are checked.
    fn verified_rows_from(&self, group: usize) -> Result<StagedRows, Error> {
        let mut rows = StagedRows::default();
        let mut check = RowCheck::from_group(&self.footer, group);
        let groups = (group..self.metadata.metadata().num_row_groups()).collect();
        for batch in self.read(self.builder()?.with_row_groups(groups))? {
            let batch = batch?;
            let types = || self.unreadable("its columns have other types");
            check.update(&batch).ok_or_else(types)?;
            rows.append(StagedRows::from_batch(&batch).ok_or_else(types)?);
        }
        if !check.passes() {
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
        let batch = batch.and_then(|batch| schema::without_ids(&batch));
        Some(batch.map_err(|error| Error::Unreadable {
            path: self.path.clone(),
            reason: error.to_string(),
        }))
    }
}

/// Whether a column has an encoding that earlier versions wrote, and that not every program reads.
fn is_split(group: &RowGroupMetaData) -> bool {
    let has = |column: &ColumnChunkMetaData| {
        let mut encodings = column.encodings();
        encodings.any(|encoding| encoding == Encoding::BYTE_STREAM_SPLIT)
    };
    group.columns().iter().any(has)
}

/// First and last timestamp of a row group, from its statistics.
fn bounds_of(group: &RowGroupMetaData) -> Option<(i64, i64)> {
    match group.column(TIMESTAMP).statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}
