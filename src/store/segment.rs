//! Segments: hot bars of one commit of many series, in one Parquet file.
//!
//! A day of ten thousand tickers is 390 rows a series: too few for partitions, and many for DuckDB's table, whose append
//! costs more than reading the file did. Such a commit writes its rows here, one *part* a series and UTC year, and the
//! catalog lists the parts. A segment is written once and never changed; sealing its last part removes it.

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

use crate::model::Bars;

use super::columns::{BAR_COLUMNS, bar_fields, bars_from_batch, bars_into_arrays};
use super::durable::{self, Digest, HashedFile};
use super::error::{Damage, Error, IoContext};
use super::lake::encoding;
use super::layout::Layout;

/// Rows in a row group at most.
const ROW_GROUP_ROWS: usize = 131_072;
/// Rows in a data page at most: what a reader of one part decodes.
const PAGE_ROWS: usize = 8_192;
/// Rows that stand encoded side by side while a segment is written.
const BATCH_ROWS: usize = 131_072;

/// The column that tells rows of one part from those of another.
pub(super) const PART_COLUMN: &str = "part_id";

fn schema() -> SchemaRef {
    let mut fields = bar_fields();
    fields.push(Field::new(PART_COLUMN, DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

/// Rows of one series and UTC year on their way into a segment.
pub(super) struct PartRows<'a> {
    pub part_id: i64,
    pub bars: &'a Bars,
    pub places: Range<usize>,
}

/// Writes parts, in their order, into a new file at `path`, and flushes it.
pub(super) fn write(path: &Path, parts: &[PartRows<'_>]) -> Result<Digest, Error> {
    let encode = |error: ParquetError| match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => Error::io(path, *io),
            Err(other) => unwritable(path, other),
        },
        other => unwritable(path, other),
    };
    let file = HashedFile::create(path).at(path)?;
    let buffered = std::io::BufWriter::with_capacity(1 << 18, file);
    let mut writer =
        ArrowWriter::try_new(buffered, schema(), Some(properties())).map_err(encode)?;
    let mut waiting = parts.iter().peekable();
    while waiting.peek().is_some() {
        let (mut bars, mut part_ids) = (Bars::default(), Vec::new());
        while let Some(part) = waiting
            .next_if(|part| part_ids.is_empty() || part_ids.len() + part.places.len() <= BATCH_ROWS)
        {
            bars.extend_from(part.bars, part.places.clone());
            part_ids.resize(bars.len(), part.part_id);
        }
        let mut columns: Vec<ArrayRef> = bars_into_arrays(bars);
        columns.push(Arc::new(Int64Array::from(part_ids)));
        let batch =
            RecordBatch::try_new(schema(), columns).map_err(|error| unwritable(path, error))?;
        writer.write(&batch).map_err(encode)?;
    }
    let buffered = writer.into_inner().map_err(encode)?;
    let file = buffered
        .into_inner()
        .map_err(|error| Error::io(path, error.into_error()))?;
    file.finish().at(path)
}

/// A segment lives until its parts are sealed: what counts is how fast it is written.
fn properties() -> WriterProperties {
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
    for name in encoding::delta_columns().chain([PART_COLUMN]) {
        builder =
            builder.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    builder.build()
}

/// A segment's footer: read once, for many readings of a few parts each.
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

/// The bars of some parts, in the order of `places`, which are sorted and do not overlap.
pub(super) fn read(
    path: &Path,
    footer: &Footer,
    places: &[Range<usize>],
) -> Result<Vec<Bars>, Error> {
    let file = fs::File::open(path).at(path)?;
    let rows = footer.0.metadata().file_metadata().num_rows() as usize;
    if places.last().is_some_and(|last| last.end > rows) {
        return Err(unreadable(path, format_args!("it holds {rows} rows only")));
    }
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.0.clone());
    let mask = ProjectionMask::roots(builder.parquet_schema(), 0..BAR_COLUMNS);
    let (groups, selection) = selected(footer.0.metadata(), places);
    let wanted: usize = places.iter().map(Range::len).sum();
    let reader = builder
        .with_projection(mask)
        .with_row_groups(groups)
        .with_row_selection(selection)
        .with_batch_size(wanted.clamp(1, ROW_GROUP_ROWS))
        .build()
        .map_err(|error| unreadable(path, error))?;
    let mut out: Vec<Bars> = Vec::with_capacity(places.len());
    let mut lengths = places.iter().map(Range::len);
    let mut missing = 0;
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(path, error))?;
        let bars = bars_from_batch(&batch)
            .ok_or_else(|| unreadable(path, "its columns are of other types"))?;
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
    if missing > 0 || out.len() != places.len() {
        return Err(unreadable(path, "it holds fewer rows than it says"));
    }
    Ok(out)
}

/// For each row, the part that it is of.
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
            .ok_or_else(|| unreadable(path, "its columns are of other types"))?;
        ids.extend_from_slice(column.values());
    }
    Ok(ids)
}

/// The row groups that hold some of `places`, and those rows of them.
fn selected(metadata: &ParquetMetaData, places: &[Range<usize>]) -> (Vec<usize>, RowSelection) {
    let (mut groups, mut ranges) = (Vec::new(), Vec::new());
    // Where the group begins in the file, and among the groups taken.
    let (mut start, mut taken) = (0, 0);
    for (group, rows) in metadata.row_groups().iter().enumerate() {
        let rows = rows.num_rows() as usize;
        let first = places.partition_point(|place| place.end <= start);
        let inside: Vec<Range<usize>> = (places[first..].iter())
            .take_while(|place| place.start < start + rows)
            .map(|place| {
                let from = place.start.max(start) - start;
                let to = place.end.min(start + rows) - start;
                taken + from..taken + to
            })
            .collect();
        if !inside.is_empty() {
            groups.push(group);
            ranges.extend(inside);
            taken += rows;
        }
        start += rows;
    }
    let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), taken);
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

/// How a listed segment differs from what was written, if it does: every byte is read.
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

/// As [`check`], but a file whose size and modification time are as recorded is believed.
pub(super) fn glance(
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

/// The files in the folder of segments that are not among `listed`.
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
