//! What the steps of a commit pass on: the offer, what is prepared, and the proof.

use uuid::Uuid;

use crate::model::{Bars, BasisChange, OnConflict, Provenance, SeriesKey, Source};
use crate::store::conflicts::Conflicts;
use crate::store::coverage::CoverageEntry;
use crate::store::rows::StagedRows;

/// A batch offered to the store.
#[derive(Clone, Debug)]
pub struct Offer {
    pub series: SeriesKey,
    pub provenance: Provenance,
    pub source: Source,
    /// In the order of the file or the response.
    pub bars: Bars,
    pub on_conflict: OnConflict,
    /// The program itself requested these bars again. Under `fail`, identical rows aren't a
    /// conflict then.
    pub is_repeated_request: bool,
    /// What was requested to get these bars. It is recorded with them.
    pub coverage: Vec<CoverageEntry>,
}

/// What a commit did with the rows of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows written, including updated ones.
    pub committed: u64,
    /// Rows that replaced stored values.
    pub updated: u64,
    /// Rows that were stored already with the same values.
    pub skipped_identical: u64,
    /// Rows that were stored already with other values, which were kept.
    pub skipped_restated: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.committed += other.committed;
        self.updated += other.updated;
        self.skipped_identical += other.skipped_identical;
        self.skipped_restated += other.skipped_restated;
    }
}

/// Proof that a batch is durable. Only the store makes one, after its transaction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Committed {
    /// The commit's number and id; `None` if there was nothing to write. Batches of one series that
    /// were committed together share them.
    pub commit: Option<(u64, Uuid)>,
    pub counts: Tally,
    /// Set if the offered bars have another price basis than the stored ones with the same keys.
    pub basis_change: Option<BasisChange>,
}

impl Committed {
    /// A warning that the series now has bars of two price bases.
    #[must_use]
    pub fn basis_warning(&self, ticker: &str) -> Option<String> {
        self.basis_change.map(|change| {
            format!(
                "[{ticker}] stored closes are {:.4} times the offered ones: this series may now have bars of two price bases",
                change.factor()
            )
        })
    }
}

/// A batch of a [`Prepared`] commit.
pub(in crate::store) struct PreparedBatch {
    /// Its index among the offers of the call.
    pub index: usize,
    pub counts: Tally,
    pub basis_change: Option<BasisChange>,
}

/// What the accepted batches of a series add and replace.
pub(in crate::store) struct Prepared {
    pub series: SeriesKey,
    pub series_id: i32,
    pub is_new_series: bool,
    pub provenance: Provenance,
    pub demo: bool,
    pub commit_seq: u64,
    pub commit_id: Uuid,
    /// New and restated rows, sorted, all from one source.
    pub rows: StagedRows,
    /// The keys in `rows` that are stored, sorted.
    pub replaced: Vec<i64>,
    pub conflicts: Conflicts,
    /// The keys in `rows` that aren't stored, sorted.
    pub new_timestamps: Vec<i64>,
    pub coverage: Vec<CoverageEntry>,
    /// The sum of the batches.
    pub counts: Tally,
    pub batches: Vec<PreparedBatch>,
    /// Whether the rows go into the lake at once.
    pub publishes: bool,
}

impl Prepared {
    /// Whether it writes bars.
    pub fn has_rows(&self) -> bool {
        self.counts.committed > 0
    }

    /// Whether it writes anything.
    pub fn has_records(&self) -> bool {
        self.has_rows() || !self.coverage.is_empty() || !self.conflicts.is_empty()
    }

    /// The proof of each batch, with its index. Only for use after the transaction.
    pub(super) fn into_committed(self) -> impl Iterator<Item = (usize, Committed)> {
        let commit = (self.commit_seq, self.commit_id);
        self.batches.into_iter().map(move |batch| {
            let committed = Committed {
                commit: (batch.counts.committed > 0).then_some(commit),
                counts: batch.counts,
                basis_change: batch.basis_change,
            };
            (batch.index, committed)
        })
    }
}
