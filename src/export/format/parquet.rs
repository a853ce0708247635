//! Parquet: row groups are encoded apart from the file, so that many threads can do it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;

use super::file::{EXPORT_KEY, Encoded, FileFormat, FileOptions, FileWriter, Out};
use crate::export::Error;
use crate::export::columns::ROW_SCHEMA;
use crate::model::columns::COLUMNS;
use crate::store::columns::FIRST_VALUE;
use crate::store::lake::encoding::{self, Choice};

/// Bytes of a data page before compression; the prices of a row group fit into one.
const PAGE_BYTES: usize = 1 << 20;

pub(super) struct Parquet {
    options: FileOptions,
}

struct Writer {
    path: PathBuf,
    writer: SerializedFileWriter<Out>,
}

impl Parquet {
    pub fn new(options: FileOptions) -> Self {
        Self { options }
    }
}

impl FileFormat for Parquet {
    fn encode(&self, rows: &RecordBatch, path: &Path) -> Result<Encoded, Error> {
        encode(rows)
            .map(Encoded::ColumnChunks)
            .map_err(Error::parquet(path))
    }

    fn begin(&self, path: &Path, out: Out) -> Result<Box<dyn FileWriter>, Error> {
        let writer = begin(out, self.options).map_err(Error::parquet(path))?;
        let path = path.to_owned();
        Ok(Box::new(Writer { path, writer }))
    }
}

impl FileWriter for Writer {
    fn append(&mut self, rows: Encoded) -> Result<(), Error> {
        let Encoded::ColumnChunks(chunks) = rows else {
            unreachable!("rows are encoded by the format of the file");
        };
        append(&mut self.writer, chunks).map_err(Error::parquet(&self.path))
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.writer
            .close()
            .map(|_| ())
            .map_err(Error::parquet(&self.path))
    }
}

/// Whether the file carries the mark of an export.
pub(super) fn is_exported(file: File) -> bool {
    SerializedFileReader::new(file).is_ok_and(|reader| {
        let metadata = reader.metadata().file_metadata();
        let mut pairs = metadata.key_value_metadata().into_iter().flatten();
        pairs.any(|pair| pair.key == EXPORT_KEY)
    })
}

static PARQUET_SCHEMA: LazyLock<Result<TypePtr, String>> = LazyLock::new(|| {
    ArrowSchemaConverter::new()
        .convert(&ROW_SCHEMA)
        .map(|schema| schema.root_schema_ptr())
        .map_err(|error| error.to_string())
});

fn parquet_schema() -> Result<TypePtr, ParquetError> {
    PARQUET_SCHEMA.clone().map_err(ParquetError::General)
}

/// The properties of every row group.
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

fn begin(out: Out, options: FileOptions) -> Result<SerializedFileWriter<Out>, ParquetError> {
    let pairs = options
        .minutes
        .map(|minutes| vec![KeyValue::new(EXPORT_KEY.to_owned(), minutes.to_string())]);
    let mut properties = properties()
        .set_key_value_metadata(Some(pairs.unwrap_or_default()))
        .build();
    // With an Arrow schema in the footer, readers see its types instead of Parquet's own.
    if options.in_ticker_folder {
        add_encoded_arrow_schema_to_metadata(&ROW_SCHEMA, &mut properties);
    }
    SerializedFileWriter::new(out, parquet_schema()?, Arc::new(properties))
}

/// Encodes one row group, each column in the encoding that suits its values.
fn encode(batch: &RecordBatch) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
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
    // A writer that discards its bytes: only this way can a row group have other properties than
    // its file.
    let discarding =
        SerializedFileWriter::new(io::sink(), parquet_schema()?, Arc::new(builder.build()))?;
    let factory = ArrowRowGroupWriterFactory::new(&discarding, ROW_SCHEMA.clone());
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
fn append(
    writer: &mut SerializedFileWriter<Out>,
    chunks: Vec<ArrowColumnChunk>,
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for chunk in chunks {
        chunk.append_to_row_group(&mut group)?;
    }
    group.close()?;
    Ok(())
}
