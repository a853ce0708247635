//! A Parquet file of any program that is in memory.
//!
//! Parquet's reader allocates what a file declares, so the footer and the header of each page are
//! checked before anything is decoded.

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, RowGroupMetaData};

use super::guard::{any_footer, page_sizes};
use super::untrusted::Invalid;

const MAGIC: &[u8] = b"PAR1";
/// The maximum size of the footer.
const FOOTER_BYTES_MAX: usize = 64 << 20;
/// The maximum size of a page when it is unpacked.
const PAGE_BYTES_MAX: i64 = 256 << 20;
/// The most that all pages may unpack to.
const FILE_BYTES_MAX: i64 = 4 << 30;

/// Opens a file after its structure is checked. Call it inside `guarded`, and read inside it too.
pub(crate) fn open(bytes: &Bytes) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, Invalid> {
    any_footer(footer_of(bytes)?)?;
    // Parquet's own types show what is an instant, so the stored Arrow schema isn't needed.
    let options = ArrowReaderOptions::new()
        .with_skip_arrow_metadata(true)
        .with_page_index_policy(PageIndexPolicy::Skip);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options)
        .map_err(|error| error.to_string())?;
    let groups = builder.metadata().row_groups().iter();
    let mut unpacked = 0;
    for column in groups.flat_map(RowGroupMetaData::columns) {
        unpacked += check_pages(bytes, column)?;
        if unpacked > FILE_BYTES_MAX {
            return Err("it would unpack to too many bytes".to_owned());
        }
    }
    Ok(builder)
}

fn footer_of(bytes: &[u8]) -> Result<&[u8], Invalid> {
    let cut = || "it is cut off or damaged: its end isn't that of a Parquet file".to_owned();
    let whole = bytes
        .strip_suffix(MAGIC)
        .filter(|_| bytes.starts_with(MAGIC));
    let (rest, length) = whole.and_then(<[u8]>::split_last_chunk).ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > FOOTER_BYTES_MAX || length + MAGIC.len() > rest.len() {
        return Err(cut());
    }
    Ok(&rest[rest.len() - length..])
}

/// Checks the header of each page of a column. Returns what the pages unpack to.
fn check_pages(bytes: &[u8], column: &ColumnChunkMetaData) -> Result<i64, Invalid> {
    let outside = || "a column is outside the file".to_owned();
    let start = column
        .dictionary_page_offset()
        .filter(|offset| *offset > 0)
        .unwrap_or(column.data_page_offset());
    let start = usize::try_from(start).map_err(|_| outside())?;
    let length = usize::try_from(column.compressed_size()).map_err(|_| outside())?;
    let end = start.checked_add(length).ok_or_else(outside)?;
    let mut pages = bytes.get(start..end).ok_or_else(outside)?;
    let mut total = 0;
    while !pages.is_empty() {
        let (page, unpacked) = page_sizes(pages)?;
        if !(0..=PAGE_BYTES_MAX).contains(&unpacked) {
            return Err("a page of it would unpack to too many bytes".to_owned());
        }
        total += unpacked;
        let page = usize::try_from(page).map_err(|_| outside())?;
        pages = pages.get(page..).ok_or_else(outside)?;
    }
    Ok(total)
}
