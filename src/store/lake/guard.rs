//! Checks a partition from an untrusted file before any of it is decoded.
//!
//! Parquet's reader trusts what a file declares: if a page header says two gigabytes, it allocates
//! them. A partition holds the bars of one series and year, so all its sizes have limits, and
//! **nothing is decompressed before the size, the row count and the position of every page are
//! known to be within them.** The parts of the file must follow one another without a gap, so that
//! no byte of it is outside the check.

use std::ops::Range;

use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use crate::store::columns::SCAN_COLUMNS;

use super::footer::Footer;
use super::thrift::{Kind, Refused, Thrift};
use super::write::{CREATED_BY, sorting_columns};

/// Minutes in a leap year: the most rows that a partition can hold.
pub(crate) const PARTITION_ROWS_MAX: u64 = 366 * 1_440;
/// The largest file that is accepted as a partition. Ten uncompressed columns of eight bytes are 42
/// MB.
pub(crate) const PARTITION_BYTES_MAX: u64 = 64 << 20;
/// A footer has up to 2 KB for each row group.
const FOOTER_BYTES_MAX: usize = 1 << 20;
/// A partition that grew by small commits has up to some 30 row groups (`groups`).
const ROW_GROUPS_MAX: usize = 64;
/// Size of a decompressed page; those of a partition have a quarter of a megabyte.
const PAGE_BYTES_MAX: i64 = 4 << 20;
const MAGIC: &[u8] = b"PAR1";
/// The footer's length, then the magic.
const TAIL_BYTES: usize = 8;

/// Checks the form of the footer before it is parsed: its length, its schema, its lists.
pub(super) fn footer(bytes: &[u8]) -> Result<(), Refused> {
    let start = footer_start(bytes)?;
    let mut walk = Thrift::new(&bytes[start..bytes.len() - TAIL_BYTES]);
    let mut last = 0;
    while let Some((number, kind)) = walk.field(&mut last)? {
        match (number, kind) {
            (2, Kind::List) => schema(&mut walk)?,
            // Version, rows, row groups, key-value pairs, writer, column orders.
            (1 | 3..=7, _) => walk.skip(kind)?,
            _ => return Err("its footer has a field that no partition has"),
        }
    }
    if start + walk.walked() != bytes.len() - TAIL_BYTES {
        return Err("its footer is shorter than its declared length");
    }
    Ok(())
}

/// Checks a footer of any program's file before it is parsed: all that it declares must be in it.
pub(crate) fn any_footer(bytes: &[u8]) -> Result<(), Refused> {
    Thrift::of_any(bytes).skip(Kind::Struct)
}

/// The length of a page in any program's file, header and body, and of what it unpacks to, from
/// `bytes`, which begin with its header.
pub(crate) fn page_sizes(bytes: &[u8]) -> Result<(u64, i64), Refused> {
    let mut walk = Thrift::of_any(bytes);
    let (mut last, mut unpacked, mut packed) = (0, -1, -1);
    while let Some((number, kind)) = walk.field(&mut last)? {
        match (number, kind) {
            (2, Kind::Int) => unpacked = walk.int()?,
            (3, Kind::Int) => packed = walk.int()?,
            _ => walk.skip(kind)?,
        }
    }
    let packed = u64::try_from(packed).map_err(|_| "a page of a negative length")?;
    let bytes = packed.checked_add(walk.walked() as u64);
    Ok((bytes.ok_or("a page ends after its column")?, unpacked))
}

/// The position of the footer, from the length that the end of the file declares.
fn footer_start(bytes: &[u8]) -> Result<usize, Refused> {
    let length = bytes.len();
    if length < MAGIC.len() + TAIL_BYTES || !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) {
        return Err("it isn't a Parquet file");
    }
    let mut declared = [0; 4];
    declared.copy_from_slice(&bytes[length - TAIL_BYTES..length - MAGIC.len()]);
    let declared = u32::from_le_bytes(declared) as usize;
    if declared > FOOTER_BYTES_MAX || declared > length - MAGIC.len() - TAIL_BYTES {
        return Err("its footer is too long");
    }
    Ok(length - TAIL_BYTES - declared)
}

/// The schema must be a root with the columns of a partition as its direct children.
fn schema(walk: &mut Thrift<'_>) -> Result<(), Refused> {
    let (elements, kind) = walk.list()?;
    if kind != Kind::Struct || elements != SCAN_COLUMNS as u64 + 1 {
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
        if children != if element == 0 { SCAN_COLUMNS as i64 } else { 0 } {
            return Err("its columns are not those of a partition");
        }
    }
    Ok(())
}

/// Checks row groups, column chunks, every page header and the layout, once the footer is parsed.
pub(super) fn pages(bytes: &[u8], metadata: &ParquetMetaData) -> Result<(), Refused> {
    let mut rows = 0_i64;
    if metadata.num_row_groups() > ROW_GROUPS_MAX {
        return Err("it has too many row groups");
    }
    for group in metadata.row_groups() {
        if group.num_rows() < 1 || group.num_columns() != SCAN_COLUMNS {
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
    layout(bytes, metadata)
}

/// Checks that the parts of the file follow one another from the magic to the footer: column
/// chunks, Bloom filters and page indexes, without a gap or an overlap.
fn layout(bytes: &[u8], metadata: &ParquetMetaData) -> Result<(), Refused> {
    let mut parts = Vec::new();
    for column in metadata
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns)
    {
        parts.push(chunk_range(column)?);
        let others = [
            (column.bloom_filter_offset(), column.bloom_filter_length()),
            (column.column_index_offset(), column.column_index_length()),
            (column.offset_index_offset(), column.offset_index_length()),
        ];
        for (offset, length) in others {
            match (offset, length) {
                (Some(offset), Some(length)) => parts.push(range_of(offset, length.into())?),
                (None, None) => {}
                _ => return Err("an index has a position and no length, or the reverse"),
            }
        }
    }
    parts.sort_by_key(|part| part.start);
    let mut end = MAGIC.len();
    for part in parts {
        if part.start != end {
            return Err("its parts overlap, or there are bytes between them");
        }
        end = part.end;
    }
    if end != footer_start(bytes)? {
        return Err("there are bytes between its last part and its footer");
    }
    Ok(())
}

/// Checks that the file names this program as its writer, of this or an older version, and that its
/// key-value pairs and sort order are exactly those that this program writes. A file of another
/// program with the same bars is refused.
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

/// Checks that all columns are inside a file of this length: Parquet's reader panics at others.
pub(super) fn inside(metadata: &ParquetMetaData, length: u64) -> Result<(), Refused> {
    let groups = metadata.row_groups().iter();
    for column in groups.flat_map(RowGroupMetaData::columns) {
        if chunk_range(column)?.end as u64 > length {
            return Err("a column is outside the file");
        }
    }
    Ok(())
}

/// Where the pages of a column chunk are in the file.
fn chunk_range(column: &ColumnChunkMetaData) -> Result<Range<usize>, Refused> {
    let start = column
        .dictionary_page_offset()
        .unwrap_or(column.data_page_offset());
    range_of(start, column.compressed_size())
}

fn range_of(start: i64, length: i64) -> Result<Range<usize>, Refused> {
    let outside = "a part of it is outside the file";
    let start = usize::try_from(start).map_err(|_| outside)?;
    let length = usize::try_from(length).map_err(|_| outside)?;
    Ok(start..start.checked_add(length).ok_or(outside)?)
}

/// Checks one column of a row group: its pages fill it exactly, with one value for each row.
fn chunk(bytes: &[u8], column: &ColumnChunkMetaData, rows: i64) -> Result<(), Refused> {
    if !matches!(
        column.compression(),
        Compression::UNCOMPRESSED | Compression::ZSTD(_)
    ) || column.num_values() != rows
        || column.file_path().is_some()
    {
        return Err("a column is compressed or counted otherwise than in a partition");
    }
    let range = chunk_range(column)?;
    let end = range.end;
    let mut left = bytes.get(range).ok_or("a column is outside the file")?;
    let (mut values, mut first) = (0, true);
    let mut locations = Vec::new();
    while !left.is_empty() {
        let page = Page::read(left)?;
        if page.is_dictionary && !first {
            return Err("a dictionary isn't at the start of its column");
        }
        if !page.is_dictionary {
            let offset = (end - left.len()) as i64;
            locations.push([offset, page.bytes as i64, values]);
            values += page.values;
        }
        if page.values > rows || values > rows {
            return Err("a page holds more values than its row group has rows");
        }
        left = left
            .get(page.bytes..)
            .ok_or("a page ends after its column")?;
        first = false;
    }
    if values != rows {
        return Err("a column's pages do not add up to its rows");
    }
    match (column.offset_index_offset(), column.offset_index_length()) {
        (Some(offset), Some(length)) => {
            let index = bytes.get(range_of(offset, length.into())?);
            offset_index(index.ok_or("an index is outside the file")?, &locations)
        }
        _ => Ok(()),
    }
}

/// Checks that the index of a column's pages has exactly these: position, length and first row of
/// each.
fn offset_index(bytes: &[u8], locations: &[[i64; 3]]) -> Result<(), Refused> {
    let mut walk = Thrift::new(bytes);
    walk.skip(Kind::Struct)?;
    let differs = "an index does not have the positions of its pages";
    if walk.walked() != bytes.len() {
        return Err(differs);
    }
    // Field 1 is a list of structs, each of three integers. Sizes of texts may follow as field 2.
    let mut expected = vec![0x19];
    match locations.len() {
        short @ 0..15 => expected.push((short as u8) << 4 | 0x0c),
        long => {
            expected.push(0xfc);
            put_varint(long as u64, &mut expected);
        }
    }
    for location in locations {
        for (head, value) in [0x16, 0x15, 0x16].into_iter().zip(location) {
            expected.push(head);
            put_varint((*value as u64) << 1, &mut expected);
        }
        expected.push(0);
    }
    match bytes.strip_prefix(expected.as_slice()) {
        Some([0] | [0x19, ..]) => Ok(()),
        _ => Err(differs),
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Page {
    is_dictionary: bool,
    values: i64,
    /// Length in the file: header and body.
    bytes: usize,
}

impl Page {
    /// Parquet's numbers of the encodings: plain, two kinds of dictionary, run lengths, deltas,
    /// byte-stream split.
    const ENCODINGS: [i64; 5] = [0, 2, 8, 5, 9];

    fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let mut walk = Thrift::new(bytes);
        let (mut last, mut page_type, mut unpacked, mut packed) = (0, -1, -1, -1);
        // Count and encoding of a data page, a dictionary page, a data page of version 2.
        let mut inner: [Option<(i64, i64)>; 3] = [None; 3];
        while let Some((number, kind)) = walk.field(&mut last)? {
            match (number, kind) {
                (1, Kind::Int) => page_type = walk.int()?,
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
        let index = match page_type {
            0 => 0,
            2 => 1,
            3 => 2,
            _ => return Err("a page of an unknown type"),
        };
        let (count, encoding) = inner[index].ok_or("a page without the header of its type")?;
        if count < 0 || !Self::ENCODINGS.contains(&encoding) {
            return Err("a page in an encoding that no partition has");
        }
        let packed = usize::try_from(packed).map_err(|_| "a page of a negative length")?;
        Ok(Self {
            is_dictionary: index == 1,
            values: count,
            bytes: walk
                .walked()
                .checked_add(packed)
                .ok_or("a page ends after its column")?,
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
