//! The numbers of a run.

use std::iter::Sum;
use std::ops::AddAssign;

use serde::Serialize;

/// How many rows of a ticker, file or run were fetched, rejected, committed and so on.
///
/// `fetched = prepared + rejected + held`, and
/// `prepared = committed + skipped_identical + skipped_restated +` the rows of refused batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows that were read or came from a provider.
    pub fetched: u64,
    /// Bars withheld because they were still forming or just closed; in a push, hot rows that were left
    /// out.
    pub held: u64,
    /// Rows that can't become bars.
    pub rejected: u64,
    /// Valid bars offered to the store.
    pub prepared: u64,
    /// Committed bars, including updated ones.
    pub committed: u64,
    /// Bars that replaced stored ones with other values.
    pub updated: u64,
    /// Bars that were stored already with the same values.
    pub skipped_identical: u64,
    /// Bars that were stored already with other values, which were kept.
    pub skipped_restated: u64,
    /// Conflicting rows of refused batches.
    pub conflicts: u64,
    /// Files that a push added to its table.
    #[serde(skip)]
    pub files: u64,
    /// Bytes of these files.
    #[serde(skip)]
    pub bytes: u64,
    /// Partitions that the table of a push has already.
    #[serde(skip)]
    pub unchanged: u64,
    /// Requests sent, including retries.
    #[serde(skip)]
    pub requests: u64,
    /// Requests sent again after a failure.
    #[serde(skip)]
    pub retries: u64,
}

impl Counts {
    /// All skipped conflicts: `skip` in log lines.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped_identical + self.skipped_restated
    }

    /// Bars that were stored with other values, skipped or updated: `restated` in log lines.
    #[must_use]
    pub const fn restated(&self) -> u64 {
        self.skipped_restated + self.updated
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.fetched += other.fetched;
        self.held += other.held;
        self.rejected += other.rejected;
        self.prepared += other.prepared;
        self.committed += other.committed;
        self.updated += other.updated;
        self.skipped_identical += other.skipped_identical;
        self.skipped_restated += other.skipped_restated;
        self.conflicts += other.conflicts;
        self.files += other.files;
        self.bytes += other.bytes;
        self.unchanged += other.unchanged;
        self.requests += other.requests;
        self.retries += other.retries;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut total = Self::default();
        for part in parts {
            total += part;
        }
        total
    }
}
