//! The numbers of a run.

use std::iter::Sum;
use std::ops::AddAssign;

use serde::Serialize;

/// What became of the rows of a ticker, a file or a run.
///
/// `fetched = prepared + rejected + held`, and
/// `prepared = committed + skipped_identical + skipped_restated +` the rows of refused batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows that came in.
    pub fetched: u64,
    /// Bars held back because they were still forming or just closed.
    pub held: u64,
    /// Rows that could not become a bar.
    pub rejected: u64,
    /// Valid bars offered to the store.
    pub prepared: u64,
    /// Bars durably taken, updated ones among them.
    pub committed: u64,
    /// Restated bars that replaced what was staged.
    pub updated: u64,
    /// Offered bars that were staged already, equal.
    pub skipped_identical: u64,
    /// Offered bars that were staged already, with other values, and left as they were.
    pub skipped_restated: u64,
    /// Conflicting rows of refused batches.
    pub conflicts: u64,
    /// Requests sent, retries among them.
    #[serde(skip)]
    pub requests: u64,
    /// Requests sent again after a failure.
    #[serde(skip)]
    pub retries: u64,
}

impl Counts {
    /// All conflicts that were skipped: what the log lines call `skip`.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped_identical + self.skipped_restated
    }

    /// Rows that came with other values than the staged ones, skipped or updated: what the log lines call `restated`.
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
