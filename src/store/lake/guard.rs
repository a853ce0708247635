//! A partition from elsewhere, looked over before anything of it is decoded.
//!
//! Parquet's own reader takes what a file declares: it reserves memory for a page of two gigabytes when the page's header
//! says so, and unpacks it. A partition holds the bars of one series in one year, so all its sizes have limits, and
//! **nothing is unpacked before each page's size, row count and place is known to lie inside them.**

use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use crate::store::columns::SCAN_COLUMNS;

use super::footer::Footer;
use super::thrift::{Kind, Refused, Thrift};
use super::write::{CREATED_BY, sorting_columns};

/// Minutes in a leap year: the rows that a partition can hold.
pub(crate) const PARTITION_ROWS_MAX: u64 = 366 * 1_440;
/// The largest file that is taken for a partition. Ten columns of eight bytes, not packed at all, are 42 MB.
pub(crate) const PARTITION_BYTES_MAX: u64 = 64 << 20;
/// Columns of a partition.
const COLUMNS: usize = SCAN_COLUMNS;
/// The footer of five row groups has 10 KB.
const FOOTER_BYTES_MAX: usize = 1 << 20;
/// Row groups at most; a partition has five.
const ROW_GROUPS_MAX: usize = 64;
/// A page unpacked; a partition's are a quarter of a megabyte.
const PAGE_BYTES_MAX: i64 = 4 << 20;
const MAGIC: &[u8] = b"PAR1";

/// Checks the footer's form, before it is read: its size, its schema's, its lists'.
pub(super) fn footer(bytes: &[u8]) -> Result<(), Refused> {
    let length = bytes.len();
    if length < 12 || &bytes[..4] != MAGIC || &bytes[length - 4..] != MAGIC {
        return Err("it is no Parquet file");
    }
    let mut declared = [0; 4];
    declared.copy_from_slice(&bytes[length - 8..length - 4]);
    let declared = u32::from_le_bytes(declared) as usize;
    if declared > FOOTER_BYTES_MAX || declared > length - 12 {
        return Err("its footer is too long");
    }
    let mut walk = Thrift::new(&bytes[length - 8 - declared..length - 8]);
    let mut last = 0;
    while let Some((number, kind)) = walk.field(&mut last)? {
        match (number, kind) {
            (2, Kind::List) => schema(&mut walk)?,
            _ => walk.skip(kind)?,
        }
    }
    Ok(())
}

/// The schema: a root and its ten columns, which hold nothing more.
fn schema(walk: &mut Thrift<'_>) -> Result<(), Refused> {
    let (elements, kind) = walk.list()?;
    if kind != Kind::Struct || elements != COLUMNS as u64 + 1 {
        return Err("its columns are not those of a partition");
    }
    for element in 0..elements {
        let (mut last, mut children) = (0, 0);
        while let Some((number, kind)) = walk.field(&mut last)? {
            match (number, kind) {
                (5, Kind::Int) => children = walk.int()?,
                _ => walk.skip(kind)?,
            }
        }
        if children != if element == 0 { COLUMNS as i64 } else { 0 } {
            return Err("its columns are not those of a partition");
        }
    }
    Ok(())
}

/// Checks row groups, columns and every page's header, once the footer is read.
pub(super) fn pages(bytes: &[u8], metadata: &ParquetMetaData) -> Result<(), Refused> {
    let mut rows = 0_i64;
    if metadata.num_row_groups() > ROW_GROUPS_MAX {
        return Err("it has too many row groups");
    }
    for group in metadata.row_groups() {
        if group.num_rows() < 1 || group.num_columns() != COLUMNS {
            return Err("a row group has no rows, or other columns");
        }
        rows = rows.saturating_add(group.num_rows());
        if rows > PARTITION_ROWS_MAX as i64 {
            return Err("it has more rows than a year has minutes");
        }
        for column in group.columns() {
            chunk(bytes, column, group.num_rows())?;
        }
    }
    if rows < 1 || metadata.file_metadata().num_rows() != rows {
        return Err("its row groups do not add up to its rows");
    }
    Ok(())
}

/// Checks that the file says it is this program's, of this or an older version, and says no more than that: its writer,
/// every pair in its footer, the order of its rows. Another program's file can hold the same bars, and still is not one that
/// this program wrote.
pub(super) fn writer(metadata: &ParquetMetaData, footer: &Footer) -> Result<(), Refused> {
    let file = metadata.file_metadata();
    let by = file.created_by().and_then(|by| by.strip_prefix(CREATED_BY));
    if by.is_none_or(|version| !version.starts_with(|c: char| c.is_ascii_digit())) {
        return Err("another program wrote it");
    }
    if file.key_value_metadata() != Some(&footer.to_key_values()) {
        return Err("its footer is not in the form in which it is written");
    }
    let sorted = |group: &RowGroupMetaData| group.sorting_columns() == Some(&sorting_columns());
    match metadata.row_groups().iter().all(sorted) {
        true => Ok(()),
        false => Err("its footer does not say how its rows are sorted"),
    }
}

/// One column of a row group: its pages fill it exactly, and hold a value a row.
fn chunk(bytes: &[u8], column: &ColumnChunkMetaData, rows: i64) -> Result<(), Refused> {
    if !matches!(
        column.compression(),
        Compression::UNCOMPRESSED | Compression::ZSTD(_)
    ) || column.num_values() != rows
        || column.file_path().is_some()
    {
        return Err("a column is packed or counted otherwise than in a partition");
    }
    let start = column
        .dictionary_page_offset()
        .unwrap_or(column.data_page_offset());
    let outside = "a column lies outside the file";
    let start = usize::try_from(start).map_err(|_| outside)?;
    let length = usize::try_from(column.compressed_size()).map_err(|_| outside)?;
    let end = start.checked_add(length).ok_or(outside)?;
    let mut left = bytes.get(start..end).ok_or(outside)?;
    let (mut values, mut first) = (0, true);
    while !left.is_empty() {
        let page = Page::read(left)?;
        if page.is_dictionary && !first {
            return Err("a dictionary stands behind its column's beginning");
        }
        if !page.is_dictionary {
            values += page.values;
        }
        if page.values > rows || values > rows {
            return Err("a page holds more values than its row group has rows");
        }
        left = left
            .get(page.bytes..)
            .ok_or("a page ends behind its column")?;
        first = false;
    }
    if values != rows {
        return Err("a column's pages do not add up to its rows");
    }
    Ok(())
}

struct Page {
    is_dictionary: bool,
    values: i64,
    /// Header and body, as they stand in the file.
    bytes: usize,
}

impl Page {
    /// Plain, two kinds of dictionary, runs of deltas, byte-stream split, as Parquet numbers them.
    const ENCODINGS: [i64; 5] = [0, 2, 8, 5, 9];

    fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let mut walk = Thrift::new(bytes);
        let (mut last, mut kind_of_page, mut unpacked, mut packed) = (0, -1, -1, -1);
        // Of a data page, a dictionary, and a data page of version 2.
        let mut inner: [Option<(i64, i64)>; 3] = [None; 3];
        while let Some((number, kind)) = walk.field(&mut last)? {
            match (number, kind) {
                (1, Kind::Int) => kind_of_page = walk.int()?,
                (2, Kind::Int) => unpacked = walk.int()?,
                (3, Kind::Int) => packed = walk.int()?,
                (5, Kind::Struct) => inner[0] = Some(values(&mut walk, 2)?),
                (7, Kind::Struct) => inner[1] = Some(values(&mut walk, 2)?),
                (8, Kind::Struct) => inner[2] = Some(values(&mut walk, 4)?),
                _ => walk.skip(kind)?,
            }
        }
        if !(0..=PAGE_BYTES_MAX).contains(&unpacked) {
            return Err("a page would unpack to more than a partition's pages have");
        }
        let place = match kind_of_page {
            0 => 0,
            2 => 1,
            3 => 2,
            _ => return Err("a page of an unknown kind"),
        };
        let (count, encoding) = inner[place].ok_or("a page without its own header")?;
        if count < 0 || !Self::ENCODINGS.contains(&encoding) {
            return Err("a page in an encoding that no partition has");
        }
        let packed = usize::try_from(packed).map_err(|_| "a page of a negative length")?;
        Ok(Self {
            is_dictionary: place == 1,
            values: count,
            bytes: walk
                .walked()
                .checked_add(packed)
                .ok_or("a page ends behind its column")?,
        })
    }
}

/// Number of values and encoding of a page, from the header of its kind.
fn values(walk: &mut Thrift<'_>, encoding_field: i16) -> Result<(i64, i64), Refused> {
    let (mut last, mut count, mut encoding) = (0, -1, -1);
    while let Some((number, kind)) = walk.field(&mut last)? {
        match (number, kind) {
            (1, Kind::Int) => count = walk.int()?,
            (field, Kind::Int) if field == encoding_field => encoding = walk.int()?,
            _ => walk.skip(kind)?,
        }
    }
    Ok((count, encoding))
}
