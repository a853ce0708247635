//! Rows of a Parquet file of any program.

use std::io::{BufReader, Read};

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::columnar::{Batches, Invalid, Rows, columns_of};
use crate::inject::file_reader::FileReader;
use crate::store::lake::guard::{any_footer, page_sizes};
use crate::store::lake::untrusted::guarded;

/// The first bytes of a file, and the last.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// The last bytes of a file with an encrypted footer.
const ENCRYPTED: &[u8] = b"PARE";

const BATCH_ROWS: usize = 4096;
/// The maximum size of a page when it is unpacked, of which each column has one in memory. Most
/// programs write pages of 1 MiB.
const PAGE_BYTES_MAX: i64 = 256 << 20;
/// The bytes in which the header of a page ends.
const PAGE_HEADER_BYTES: usize = 64 * 1024;
/// The maximum size of the footer. That of a hundred columns in a thousand row groups has 10 MB.
const FOOTER_BYTES_MAX: u32 = 64 << 20;

/// Opens the rows of a file.
pub(super) fn open(
    file: &FileReader,
    constants: &[(String, String)],
) -> Result<Rows<ParquetBatches>, Invalid> {
    check_ends(file)?;
    let (batches, schema) = guarded(|| {
        // The stored Arrow schema isn't needed: Parquet's own types show what is an instant.
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_page_index_policy(PageIndexPolicy::Skip);
        let builder =
            ParquetRecordBatchReaderBuilder::try_new_with_options(Chunks(file.clone()), options)
                .map_err(plain)?;
        check_pages(file, builder.metadata())?;
        let schema = builder.schema().clone();
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns_of(&schema));
        let batches = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(plain)?;
        let schema = arrow::array::RecordBatchReader::schema(&batches);
        Ok((ParquetBatches(batches), schema))
    })?;
    Ok(Rows::new(batches, &schema, constants))
}

/// Checks that the file is whole, and its footer, before it is parsed.
fn check_ends(file: &FileReader) -> Result<(), Invalid> {
    let bytes = file.size();
    let cut = || "it is cut off or damaged: its end isn't that of a Parquet file".to_owned();
    let mut end = [0; 8];
    if bytes < 12 {
        return Err(cut());
    }
    file.read_exact_at(&mut end, bytes - 8).map_err(|_| cut())?;
    let (length, magic) = end.split_at(4);
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
    match magic {
        magic if magic == ENCRYPTED => Err("it is encrypted".to_owned()),
        magic if magic != MAGIC || u64::from(length) > bytes - 12 => Err(cut()),
        _ if length > FOOTER_BYTES_MAX => Err("its footer is too long".to_owned()),
        _ => {
            let mut footer = vec![0; length as usize];
            file.read_exact_at(&mut footer, bytes - 8 - u64::from(length))
                .map_err(|error| error.to_string())?;
            Ok(any_footer(&footer)?)
        }
    }
}

/// Checks what each page unpacks to, before any is unpacked: the reader allocates what a header
/// declares.
fn check_pages(file: &FileReader, metadata: &ParquetMetaData) -> Result<(), Invalid> {
    let columns = metadata
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns);
    let mut header = vec![0; PAGE_HEADER_BYTES];
    for column in columns {
        if let codec @ (Compression::BROTLI(_) | Compression::LZO) = column.compression() {
            let codec = codec.to_string();
            let codec = codec.split('(').next().unwrap_or_default();
            return Err(format!(
                "it is compressed with {codec}; write it with another compression"
            ));
        }
        let outside = || "a column is outside the file".to_owned();
        let start = column
            .dictionary_page_offset()
            .filter(|offset| *offset > 0)
            .unwrap_or(column.data_page_offset());
        let start = u64::try_from(start).map_err(|_| outside())?;
        let length = u64::try_from(column.compressed_size()).map_err(|_| outside())?;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= file.size())
            .ok_or_else(outside)?;
        let mut at = start;
        while at < end {
            let part = (PAGE_HEADER_BYTES as u64).min(file.size() - at) as usize;
            file.read_exact_at(&mut header[..part], at)
                .map_err(|error| error.to_string())?;
            let (bytes, unpacked) = page_sizes(&header[..part])?;
            if !(0..=PAGE_BYTES_MAX).contains(&unpacked) {
                return Err(format!(
                    "a page of it would unpack to more than {} MiB",
                    PAGE_BYTES_MAX >> 20
                ));
            }
            at += bytes;
        }
    }
    Ok(())
}

fn plain(error: ParquetError) -> Invalid {
    match error {
        ParquetError::General(text) | ParquetError::NYI(text) | ParquetError::ArrowError(text) => {
            text
        }
        other => other.to_string(),
    }
}

/// The batches of a file.
pub(super) struct ParquetBatches(ParquetRecordBatchReader);

impl Batches for ParquetBatches {
    fn next(&mut self) -> Result<Option<RecordBatch>, Invalid> {
        guarded(|| {
            let batch = self.0.next().transpose();
            batch.map_err(|error| error.to_string())
        })
    }
}

/// Parts of a file, at any position.
struct Chunks(FileReader);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<FileReader>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(self.0.from(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        // A length that isn't true must not allocate memory.
        let mut bytes = Vec::new();
        let read = self
            .0
            .from(start)
            .take(length as u64)
            .read_to_end(&mut bytes)?;
        if read < length {
            return Err(ParquetError::EOF("it is cut off".to_owned()));
        }
        Ok(bytes.into())
    }
}
