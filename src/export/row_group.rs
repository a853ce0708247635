//! Row groups of a Parquet file, encoded apart from the file so that many threads can.

use std::io;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;

use super::columns::ROW_SCHEMA;
use crate::model::columns::COLUMNS;
use crate::store::columns::FIRST_VALUE;
use crate::store::lake::encoding::{self, Choice};

/// Rows of a row group.
pub(super) const ROW_GROUP_ROWS: usize = 1 << 17;
/// Bytes of a data page before compression; the prices of a row group fit one.
const PAGE_BYTES: usize = 1 << 20;

static PARQUET_SCHEMA: LazyLock<Result<TypePtr, String>> = LazyLock::new(|| {
    ArrowSchemaConverter::new()
        .convert(&ROW_SCHEMA)
        .map(|schema| schema.root_schema_ptr())
        .map_err(|error| error.to_string())
});

fn parquet_schema() -> Result<TypePtr, ParquetError> {
    PARQUET_SCHEMA.clone().map_err(ParquetError::General)
}

/// What holds for all row groups.
fn properties() -> WriterPropertiesBuilder {
    let ascending = |column_idx| SortingColumn {
        column_idx,
        descending: false,
        nulls_first: false,
    };
    let mut builder = WriterProperties::builder();
    for name in encoding::delta_columns() {
        builder = builder.set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED);
    }
    builder
        .set_created_by(concat!("backfill ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(usize::MAX)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled("ticker".into(), true)
        .set_sorting_columns(Some(vec![ascending(0), ascending(1)]))
}

/// Begins a file in `out`. `arrow` is written into the footer where readers shall see other types than Parquet's own.
pub(super) fn begin<W: io::Write + Send>(
    out: W,
    arrow: Option<&SchemaRef>,
    metadata: Vec<KeyValue>,
) -> Result<SerializedFileWriter<W>, ParquetError> {
    let mut properties = properties().set_key_value_metadata(Some(metadata)).build();
    if let Some(schema) = arrow {
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    }
    SerializedFileWriter::new(out, parquet_schema()?, Arc::new(properties))
}

/// Encodes one row group of [`ROW_SCHEMA`] columns, each the way its values ask for.
pub(super) fn encode(batch: &RecordBatch) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let mut builder = properties();
    for (column, array) in COLUMNS.iter().zip(&batch.columns()[1 + FIRST_VALUE..]) {
        let Some(values) = array.as_primitive_opt::<Float64Type>() else {
            continue;
        };
        let choice = if values.null_count() == values.len() {
            Choice::Plain
        } else {
            encoding::choose(column.packing, values.values())
        };
        builder = encoding::apply(builder, column.name, choice);
    }
    // A writer into nowhere: the only way to a row group whose properties are not those of its file.
    let nowhere =
        SerializedFileWriter::new(io::sink(), parquet_schema()?, Arc::new(builder.build()))?;
    let factory = ArrowRowGroupWriterFactory::new(&nowhere, ROW_SCHEMA.clone());
    let writers = factory.create_column_writers(0)?;
    let mut chunks = Vec::with_capacity(writers.len());
    for ((mut writer, field), column) in writers
        .into_iter()
        .zip(ROW_SCHEMA.fields())
        .zip(batch.columns())
    {
        for leaf in compute_leaves(field, column)? {
            writer.write(&leaf)?;
        }
        chunks.push(writer.close()?);
    }
    Ok(chunks)
}

/// Adds an encoded row group to a file.
pub(super) fn append<W: io::Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    chunks: Vec<ArrowColumnChunk>,
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for chunk in chunks {
        chunk.append_to_row_group(&mut group)?;
    }
    group.close()?;
    Ok(())
}
