//! Segments: hot bars of one commit of many series, in one Parquet file.
//!
//! A day of ten thousand tickers has 390 rows per series. These are too few for partitions, and too
//! many for DuckDB's table, where appending them costs more than reading the CSV file. Such a
//! commit writes its rows to a segment, as one *part* for each series and UTC year, and the catalog
//! lists the parts. A segment is written once and never changed. When its last part is sealed, it
//! is removed.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use crate::model::Bars;

use super::columns::{BAR_COLUMNS, bar_fields, bars_from_batch, bars_into_arrays};
use super::durable::{self, Digest, HashedFile};
use super::error::{Damage, Error, IoContext};
use super::layout::Layout;
use super::run::RunId;

/// The most rows in a row group.
const ROW_GROUP_ROWS: usize = 131_072;
/// The most rows in a data page, which a reader of one part decodes whole.
const PAGE_ROWS: usize = 8_192;
/// The most rows that are encoded at once.
const BATCH_ROWS: usize = 131_072;

/// The column with the part that a row belongs to.
pub(super) const PART_COLUMN: &str = "part_id";

fn schema() -> SchemaRef {
    let mut fields = bar_fields();
    fields.push(Field::new(PART_COLUMN, DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

/// Rows of one series and UTC year for a segment.
pub(super) struct PartRows<'a> {
    pub part_id: i64,
    pub bars: &'a Bars,
    /// The rows of `bars`.
    pub range: Range<usize>,
}

/// The start of the names of files that contain conflicts, not bars.
pub(super) const CONFLICTS_PREFIX: &str = "conflicts-";
/// What follows it if the file has the commits of the conflicts. Older files lack them.
const WITH_COMMITS: &str = "2-";
/// Length of the random part at the end of such a name.
const RANDOM_LEN: usize = "-00000000000000000000000000000000.parquet".len();

/// A name for the conflicts of a run.
pub(super) fn conflicts_name(run: &RunId) -> String {
    let random = Uuid::new_v4().simple();
    format!("{CONFLICTS_PREFIX}{WITH_COMMITS}{run}-{random}.parquet")
}

/// The run whose conflicts are in a listed file; `None` for a segment of bars.
pub(super) fn run_of_conflicts(name: &str) -> Option<&str> {
    let name = name.strip_prefix(CONFLICTS_PREFIX)?;
    let name = name.strip_prefix(WITH_COMMITS).unwrap_or(name);
    name.get(..name.len().checked_sub(RANDOM_LEN)?)
}

/// Whether a file of conflicts has the commits of its conflicts.
pub(super) fn has_commits(name: &str) -> bool {
    let rest = name.strip_prefix(CONFLICTS_PREFIX);
    rest.is_some_and(|rest| rest.starts_with(WITH_COMMITS))
}

/// Writes parts, in the given order, to a new file at `path`, and flushes it.
pub(super) fn write(path: &Path, parts: &[PartRows<'_>]) -> Result<Digest, Error> {
    let mut left = parts.iter().peekable();
    let batches = std::iter::from_fn(|| {
        left.peek()?;
        let (mut bars, mut part_ids) = (Bars::default(), Vec::new());
        while let Some(part) = left
            .next_if(|part| part_ids.is_empty() || part_ids.len() + part.range.len() <= BATCH_ROWS)
        {
            bars.extend_from(part.bars, part.range.clone());
            part_ids.resize(bars.len(), part.part_id);
        }
        let mut columns: Vec<ArrayRef> = bars_into_arrays(bars);
        columns.push(Arc::new(Int64Array::from(part_ids)));
        Some(columns)
    });
    write_file(path, &schema(), batches)
}

/// Writes batches of columns to a new file at `path`, and flushes it.
pub(super) fn write_file(
    path: &Path,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Vec<ArrayRef>>,
) -> Result<Digest, Error> {
    let encode = |error: ParquetError| match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => Error::io(path, *io),
            Err(other) => unwritable(path, other),
        },
        other => unwritable(path, other),
    };
    let file = HashedFile::create(path).at(path)?;
    let buffered = std::io::BufWriter::with_capacity(1 << 18, file);
    let properties = properties(schema);
    let mut writer =
        ArrowWriter::try_new(buffered, schema.clone(), Some(properties)).map_err(encode)?;
    for columns in batches {
        let batch = RecordBatch::try_new(schema.clone(), columns)
            .map_err(|error| unwritable(path, error))?;
        writer.write(&batch).map_err(encode)?;
    }
    let buffered = writer.into_inner().map_err(encode)?;
    let file = buffered
        .into_inner()
        .map_err(|error| Error::io(path, error.into_error()))?;
    file.finish().at(path)
}

/// The properties of a segment. It exists until its parts are sealed, so writing must be fast.
fn properties(schema: &SchemaRef) -> WriterProperties {
    let zstd = ZstdLevel::try_new(1).map_or(Compression::UNCOMPRESSED, Compression::ZSTD);
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("backfill ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(zstd)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for field in schema.fields() {
        let name = ColumnPath::from(field.name().as_str());
        builder = match field.data_type() {
            DataType::Int32 | DataType::Int64 | DataType::Timestamp(..) => {
                builder.set_column_encoding(name, Encoding::DELTA_BINARY_PACKED)
            }
            DataType::Utf8 => builder.set_column_dictionary_enabled(name, true),
            _ => builder,
        };
    }
    builder.build()
}

/// A segment's footer, read once for many reads of a few parts each.
#[derive(Clone, Debug)]
pub(super) struct Footer(ArrowReaderMetadata);

impl Footer {
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = fs::File::open(path).at(path)?;
        let options = ArrowReaderOptions::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_schema(schema());
        ArrowReaderMetadata::load(&file, options)
            .map(Self)
            .map_err(|error| unreadable(path, error))
    }
}

/// The bars of some parts, by their ranges of rows, which are sorted and don't overlap.
pub(super) fn read(
    path: &Path,
    footer: &Footer,
    ranges: &[Range<usize>],
) -> Result<Vec<Bars>, Error> {
    let file = fs::File::open(path).at(path)?;
    let rows = footer.0.metadata().file_metadata().num_rows() as usize;
    if ranges.last().is_some_and(|last| last.end > rows) {
        return Err(unreadable(path, format_args!("it has only {rows} rows")));
    }
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.0.clone());
    let mask = ProjectionMask::roots(builder.parquet_schema(), 0..BAR_COLUMNS);
    let (groups, selection) = selected(footer.0.metadata(), ranges);
    let wanted: usize = ranges.iter().map(Range::len).sum();
    let reader = builder
        .with_projection(mask)
        .with_row_groups(groups)
        .with_row_selection(selection)
        .with_batch_size(wanted.clamp(1, ROW_GROUP_ROWS))
        .build()
        .map_err(|error| unreadable(path, error))?;
    let mut out: Vec<Bars> = Vec::with_capacity(ranges.len());
    let mut lengths = ranges.iter().map(Range::len);
    let mut missing = 0;
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(path, error))?;
        let bars = bars_from_batch(&batch)
            .ok_or_else(|| unreadable(path, "its columns have other types"))?;
        let mut at = 0;
        while at < bars.len() {
            if missing == 0 {
                missing = lengths.next().unwrap_or_default();
                out.push(Bars::with_capacity(missing));
            }
            let end = bars.len().min(at + missing.max(1));
            if let Some(part) = out.last_mut() {
                part.extend_from(&bars, at..end);
            }
            missing = missing.saturating_sub(end - at);
            at = end;
        }
    }
    if missing > 0 || out.len() != ranges.len() {
        return Err(unreadable(path, "it has fewer rows than its footer says"));
    }
    Ok(out)
}

/// The part of each row.
pub(super) fn part_ids(path: &Path, footer: &Footer) -> Result<Vec<i64>, Error> {
    let file = fs::File::open(path).at(path)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.0.clone());
    let mask = ProjectionMask::roots(builder.parquet_schema(), [BAR_COLUMNS]);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(ROW_GROUP_ROWS)
        .build()
        .map_err(|error| unreadable(path, error))?;
    let mut ids = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(path, error))?;
        let column = batch
            .column(0)
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| unreadable(path, "its columns have other types"))?;
        ids.extend_from_slice(column.values());
    }
    Ok(ids)
}

/// The row groups with rows in `ranges`, and the selection of these rows.
fn selected(metadata: &ParquetMetaData, ranges: &[Range<usize>]) -> (Vec<usize>, RowSelection) {
    let (mut groups, mut selection) = (Vec::new(), Vec::new());
    // First row of the group in the file, and among the selected groups.
    let (mut start, mut selected) = (0, 0);
    for (group, rows) in metadata.row_groups().iter().enumerate() {
        let rows = rows.num_rows() as usize;
        let first = ranges.partition_point(|range| range.end <= start);
        let inside: Vec<Range<usize>> = ranges[first..]
            .iter()
            .take_while(|range| range.start < start + rows)
            .map(|range| {
                let from = range.start.max(start) - start;
                let to = range.end.min(start + rows) - start;
                selected + from..selected + to
            })
            .collect();
        if !inside.is_empty() {
            groups.push(group);
            selection.extend(inside);
            selected += rows;
        }
        start += rows;
    }
    let selection = RowSelection::from_consecutive_ranges(selection.into_iter(), selected);
    (groups, selection)
}

fn unwritable(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::ReadBack {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Unreadable {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

/// The damage of a listed segment, if any. Reads every byte.
pub(super) fn check(layout: &Layout, name: &str, digest: &Digest) -> Result<Option<Damage>, Error> {
    let path = layout.segment(name);
    Ok(match durable::checksum(&path).at(&path)? {
        None => Some(Damage::SegmentMissing(name.to_owned())),
        Some(found) if found.checksum != digest.checksum => {
            Some(Damage::SegmentDamaged(name.to_owned()))
        }
        Some(_) => None,
    })
}

/// Like [`check`], but doesn't read a file with the recorded size and modification time.
pub(super) fn quick_check(
    layout: &Layout,
    name: &str,
    digest: &Digest,
) -> Result<Option<Damage>, Error> {
    let path = layout.segment(name);
    match fs::metadata(&path) {
        Ok(found)
            if found.len() == digest.bytes
                && durable::modified_ns(&found) == digest.modified_ns =>
        {
            Ok(None)
        }
        Ok(_) => check(layout, name, digest),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Some(Damage::SegmentMissing(name.to_owned())))
        }
        Err(error) => Err(Error::io(&path, error)),
    }
}

/// The files in the folder of segments that aren't in `listed`.
pub(super) fn unlisted(layout: &Layout, listed: &BTreeSet<String>) -> Result<Vec<PathBuf>, Error> {
    let dir = layout.segments();
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(&dir, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.at(&dir)?;
        let name = entry.file_name();
        if !entry.path().is_file() {
            continue;
        }
        if !name.to_str().is_some_and(|name| listed.contains(name)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
