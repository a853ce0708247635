//! Encodes one partition.

use std::io::Write;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use crate::model::columns::COLUMNS;
use crate::model::{Provenance, Timestamp};
use crate::store::columns::{FIRST_VALUE, TIMESTAMP};
use crate::store::durable::{Digest, Flush, HashedFile};
use crate::store::error::{Error, IoContext};
use crate::store::layout::PartitionKey;
use crate::store::rows::StagedRows;

use super::encoding;
use super::footer::{Footer, GroupHash, PARTITION_FORMAT};
use super::groups::{Kept, ROW_GROUP_ROWS};
use super::hash::RowHasher;
use super::schema;

/// The most rows in a data page, which a reader of one day decodes whole.
const PAGE_ROWS: usize = 32_768;
const ZSTD_LEVEL: i32 = 1;
/// The start of the writer's name in a footer; the version follows.
pub(super) const CREATED_BY: &str = "backfill ";

/// A partition that is written and flushed in the temporary folder, and not yet in the lake.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub footer: Footer,
    pub digest: Digest,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// The metadata that a new partition gets from its writer.
pub(crate) struct Stamp<'a> {
    pub store_id: Uuid,
    pub commit_seq: u64,
    pub commit_id: Uuid,
    pub provenance: &'a Provenance,
}

/// Writes a new file at `path` with the row groups of `kept` and `rows` (sorted, unique, of one UTC
/// year, after those of `kept`), and flushes it according to `flush`.
pub(crate) fn write_partition(
    path: &Path,
    key: &PartitionKey,
    kept: Option<Kept>,
    rows: StagedRows,
    stamp: &Stamp<'_>,
    flush: &Flush,
) -> Result<Written, Error> {
    let ready = Ready::new(path, key, kept, rows, stamp)?;
    let file = HashedFile::create(path).at(path)?;
    let buffered = std::io::BufWriter::with_capacity(1 << 18, file);
    let buffered = ready.encode(path, buffered)?;
    let file = buffered
        .into_inner()
        .map_err(|error| Error::io(path, error.into_error()))?;
    let digest = file.finish_in(flush).at(path)?;
    Ok(Written {
        footer: ready.footer,
        digest,
        first: ready.first,
        last: ready.last,
    })
}

/// The bytes that [`write_partition`] would write without kept row groups. The same rows and stamp
/// give the same bytes.
pub(crate) fn partition_bytes(
    key: &PartitionKey,
    rows: StagedRows,
    stamp: &Stamp<'_>,
) -> Result<Vec<u8>, Error> {
    let path = crate::store::layout::Layout::partition_relative(key);
    Ready::new(&path, key, None, rows, stamp)?.encode(&path, Vec::new())
}

/// Rows that are checked and hashed, ready to be encoded.
struct Ready {
    kept: Option<Kept>,
    /// One batch for each row group after the kept ones.
    batches: Vec<RecordBatch>,
    properties: WriterProperties,
    footer: Footer,
    first: Timestamp,
    last: Timestamp,
}

impl Ready {
    fn new(
        path: &Path,
        key: &PartitionKey,
        kept: Option<Kept>,
        rows: StagedRows,
        stamp: &Stamp<'_>,
    ) -> Result<Self, Error> {
        let timestamps = rows.bars.timestamps();
        let (Some(&start), Some(&last)) = (timestamps.first(), timestamps.last()) else {
            return Err(unwritable(path, "it would have no rows"));
        };
        let first = kept.as_ref().map_or(start, |kept| kept.bounds.0);
        let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
        // Checked here and again when it is read: only the order keeps keys unique.
        if !rows.bars.is_sorted_unique()
            || kept.as_ref().is_some_and(|kept| kept.bounds.1 >= start)
            || first.year() != key.year
            || last.year() != key.year
        {
            return Err(unwritable(
                path,
                "its rows are not sorted, unique and of its year",
            ));
        }
        let batch = rows.into_batch();
        let batches: Vec<RecordBatch> = (0..batch.num_rows())
            .step_by(ROW_GROUP_ROWS)
            .map(|at| batch.slice(at, ROW_GROUP_ROWS.min(batch.num_rows() - at)))
            .collect();
        let mut groups = kept
            .as_ref()
            .map_or_else(Vec::new, |kept| kept.groups.clone());
        for batch in &batches {
            let mut hasher = RowHasher::default();
            hasher
                .update(batch)
                .ok_or_else(|| unwritable(path, "its columns have other types"))?;
            groups.push(GroupHash {
                rows: hasher.rows(),
                row_hash: hasher.finish(),
            });
        }
        let footer = Footer {
            store_id: stamp.store_id,
            schema_version: PARTITION_FORMAT,
            commit_seq: stamp.commit_seq,
            commit_id: stamp.commit_id,
            rows: groups.iter().map(|group| group.rows).sum(),
            row_hash: Footer::hash_of(&groups),
            groups,
            provenance: stamp.provenance.clone(),
        };
        Ok(Self {
            kept,
            properties: properties(&batch, footer.to_key_values()),
            batches,
            footer,
            first,
            last,
        })
    }

    fn encode<W: Write + Send>(&self, path: &Path, out: W) -> Result<W, Error> {
        self.write_to(out).map_err(|error| match error {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(io) => Error::io(path, *io),
                Err(other) => unwritable(path, &other.to_string()),
            },
            other => unwritable(path, &other.to_string()),
        })
    }

    fn write_to<W: Write + Send>(&self, out: W) -> Result<W, ParquetError> {
        // Without an Arrow schema in the footer, readers see the sources as plain text, not as a
        // dictionary.
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(out, schema::with_ids(), options)?;
        let (mut writer, factory) = writer.into_serialized_writer()?;
        if let Some(kept) = &self.kept {
            kept.append_to(&mut writer)?;
            crate::crash_point!("publish.after-copy");
        }
        for batch in &self.batches {
            append_encoded(&mut writer, &factory, batch)?;
        }
        writer.into_inner()
    }
}

/// Encodes a batch as one row group.
fn append_encoded<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    factory: &ArrowRowGroupWriterFactory,
    batch: &RecordBatch,
) -> Result<(), ParquetError> {
    let mut columns = factory.create_column_writers(writer.flushed_row_groups().len())?;
    let fields = schema::with_ids();
    let arrays = fields.fields().iter().zip(batch.columns());
    for (column, (field, array)) in columns.iter_mut().zip(arrays) {
        for leaf in compute_leaves(field, array)? {
            column.write(&leaf)?;
        }
    }
    let mut group = writer.next_row_group()?;
    for column in columns {
        column.close()?.append_to_row_group(&mut group)?;
    }
    group.close()?;
    Ok(())
}

fn unwritable(path: &Path, reason: &str) -> Error {
    Error::ReadBack {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    }
}

/// The order of rows that a footer declares for each row group: by timestamp, ascending.
pub(super) fn sorting_columns() -> Vec<SortingColumn> {
    vec![SortingColumn {
        column_idx: TIMESTAMP as i32,
        descending: false,
        nulls_first: false,
    }]
}

/// Encodings by column: deltas for timestamps and counts, otherwise according to the values.
fn properties(batch: &RecordBatch, footer: Vec<KeyValue>) -> WriterProperties {
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).map_or(Compression::UNCOMPRESSED, Compression::ZSTD);
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(format!("{CREATED_BY}{}", env!("CARGO_PKG_VERSION")))
        .set_compression(zstd)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(Some(sorting_columns()))
        .set_key_value_metadata(Some(footer));
    for name in encoding::delta_columns() {
        builder =
            builder.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["source", "commit_seq"] {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
    }
    for (column, array) in COLUMNS.iter().zip(&batch.columns()[FIRST_VALUE..]) {
        if let Some(values) = array.as_primitive_opt::<Float64Type>() {
            let choice = encoding::choose(column.packing, values.values());
            builder = encoding::apply(builder, column.name, choice);
        }
    }
    builder.build()
}
