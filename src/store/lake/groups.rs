//! Row groups that a new partition takes over from the old one as they are.
//!
//! A partition that grows by a day isn't encoded again: its first row groups are copied byte by
//! byte. Only row groups in which rows change, and small ones at the end, are decoded and encoded
//! with the new rows.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::writer::SerializedFileWriter;

use super::footer::GroupHash;

/// The most rows in a row group, which a reader decodes at once.
pub(super) const ROW_GROUP_ROWS: usize = 131_072;
/// A row group of at least this many rows isn't encoded again only because rows follow it.
const WHOLE_GROUP_ROWS: u64 = 32_768;
/// A smaller one stays if it has at least this many times the rows that follow it. So each has
/// twice the rows of the next one, and a bar is encoded again once per doubling.
const ROWS_PER_FOLLOWING: u64 = 2;

/// The first row groups of a partition whose file is as it was written.
pub(crate) struct Kept {
    /// The whole file.
    pub(super) bytes: Bytes,
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) groups: Vec<GroupHash>,
    /// First and last timestamp.
    pub(super) bounds: (i64, i64),
}

impl Kept {
    /// Appends the row groups to another file.
    pub(super) fn append_to<W: Write + Send>(
        &self,
        writer: &mut SerializedFileWriter<W>,
    ) -> Result<()> {
        let groups = self.metadata.row_groups().iter().take(self.groups.len());
        for (index, group) in groups.enumerate() {
            let mut to = writer.next_row_group()?;
            for (column, chunk) in group.columns().iter().enumerate() {
                let pages = (self.metadata.offset_index())
                    .and_then(|all| all.get(index)?.get(column))
                    .cloned();
                let close = ColumnCloseResult {
                    bytes_written: unsigned(chunk.compressed_size())?,
                    rows_written: unsigned(group.num_rows())?,
                    metadata: chunk.clone(),
                    bloom_filter: None,
                    // Partitions have statistics of row groups only.
                    column_index: None,
                    offset_index: pages,
                };
                to.append_column(&self.bytes, close)?;
            }
            to.close()?;
        }
        Ok(())
    }
}

fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|error| ParquetError::External(Box::new(error)))
}

/// How many of the first row groups stay as they are if `new_rows` rows are added, the first of
/// them at the timestamp `first_new`. `groups` are the number of rows and the last timestamp of
/// each.
pub(super) fn kept(groups: &[(u64, i64)], first_new: i64, new_rows: u64) -> usize {
    let mut count = groups.partition_point(|(_, last)| *last < first_new);
    let mut following = new_rows + groups[count..].iter().map(|(rows, _)| rows).sum::<u64>();
    while let Some((rows, _)) = groups[..count].last() {
        if *rows >= WHOLE_GROUP_ROWS || *rows >= ROWS_PER_FOLLOWING * following {
            break;
        }
        following += rows;
        count -= 1;
    }
    count
}

/// How many sealed rows are encoded again, on average, when `added` rows follow them: about as many
/// as are added, for each doubling up to the size at which row groups stay.
pub(crate) fn rows_encoded(added: u64) -> u64 {
    let doublings = (WHOLE_GROUP_ROWS / added.max(1)).checked_ilog2();
    added * u64::from(doublings.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_before_the_first_new_row_stay_unless_they_are_small() {
        let year = [(97_500, 100)];
        assert_eq!(kept(&year, 101, 390), 1, "appended");
        assert_eq!(kept(&year, 100, 390), 0, "its last row changes");
        let grown = [(97_500, 100), (780, 110), (390, 120)];
        assert_eq!(kept(&grown, 121, 390), 1, "small ones are merged");
        assert_eq!(kept(&grown, 121, 10), 3);
        assert_eq!(kept(&grown, 115, 10), 1, "390 and 10 rows follow 780");
        assert_eq!(kept(&grown, 50, 10), 0);
        assert_eq!(kept(&[], 50, 10), 0);
    }

    #[test]
    fn a_year_of_single_rows_has_few_row_groups_and_encodes_each_row_a_few_times() {
        let (mut groups, mut encoded) = (Vec::<(u64, i64)>::new(), 0);
        let rows = 366 * 1_440;
        for ts in 0..rows {
            let count = kept(&groups, ts, 1);
            let following = groups.drain(count..).map(|(rows, _)| rows).sum::<u64>();
            groups.push((following + 1, ts));
            encoded += following + 1;
            assert!(groups.len() <= 31, "{}", groups.len());
        }
        assert!(encoded < 16 * rows as u64, "{encoded}");
    }
}
