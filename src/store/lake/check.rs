//! Whether the rows of a partition are those that were written.

use arrow::array::RecordBatch;

use super::footer::Footer;
use super::hash::RowHasher;

/// Compares rows of a partition with the hashes in its footer, batch by batch.
pub(crate) struct RowCheck<'a> {
    footer: &'a Footer,
    hasher: RowHasher,
    /// The index of the hash that covers the next row.
    group: usize,
    differs: bool,
}

impl<'a> RowCheck<'a> {
    /// A check of all rows.
    pub fn new(footer: &'a Footer) -> Self {
        Self::from_group(footer, 0)
    }

    /// A check of the rows from this row group on.
    pub fn from_group(footer: &'a Footer, group: usize) -> Self {
        Self {
            footer,
            hasher: RowHasher::default(),
            group,
            differs: false,
        }
    }

    /// Adds the rows of one batch; `None` if its columns have other types.
    #[must_use]
    pub fn update(&mut self, batch: &RecordBatch) -> Option<()> {
        let mut at = 0;
        while at < batch.num_rows() {
            let Some(expected) = self.footer.groups.get(self.group) else {
                // More rows than the footer has hashes for.
                self.differs = true;
                return Some(());
            };
            let left = expected.rows.saturating_sub(self.hasher.rows());
            let part = (batch.num_rows() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.hasher.update(&batch.slice(at, part))?;
            at += part;
            if self.hasher.rows() == expected.rows {
                self.differs |= std::mem::take(&mut self.hasher).finish() != expected.row_hash;
                self.group += 1;
            }
        }
        Some(())
    }

    /// Whether all rows came, with the values that were hashed.
    #[must_use]
    pub fn passes(&self) -> bool {
        !self.differs && self.group == self.footer.groups.len()
    }
}
