//! What the steps of a commit pass on: the offer, what is prepared, and the proof.

use uuid::Uuid;

use crate::model::{Bars, BasisChange, OnConflict, Provenance, SeriesKey, Source};
use crate::store::catalog::ConflictRecord;
use crate::store::coverage::CoverageEntry;
use crate::store::rows::StagedRows;

/// A batch offered to the store.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Whose bars.
    pub series: SeriesKey,
    /// What they are: exchange, price basis, hours.
    pub provenance: Provenance,
    /// Where they come from.
    pub source: Source,
    /// The bars, in the order of the file or the answer.
    pub bars: Bars,
    /// What to do with keys that are staged already.
    pub on_conflict: OnConflict,
    /// The program itself asks again: under `fail`, identical rows are no conflict then.
    pub asked_again: bool,
    /// What was asked to get these bars; recorded with them.
    pub coverage: Vec<CoverageEntry>,
}

/// What a commit did, row by row counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows written, updated ones too.
    pub committed: u64,
    /// Rows that replaced staged values.
    pub updated: u64,
    /// Rows skipped because they say what is staged.
    pub skipped_identical: u64,
    /// Rows skipped although they say otherwise than what is staged.
    pub skipped_restated: u64,
}

/// Proof that a batch is durable. Only the store makes one, after its transaction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Committed {
    /// The commit's place in the store's order; `None` when there was nothing to write.
    pub commit: Option<(u64, Uuid)>,
    /// What it did.
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

/// A draft that may be written: what it adds, what it replaces, and whereto.
pub(in crate::store) struct Prepared {
    pub series: SeriesKey,
    pub series_id: i32,
    pub is_new_series: bool,
    pub provenance: Provenance,
    pub demo: bool,
    pub commit_seq: u64,
    pub commit_id: Uuid,
    /// New and restated rows, sorted.
    pub rows: StagedRows,
    /// Keys among `rows` that replace a staged row.
    pub replaced: Vec<i64>,
    pub conflicts: Vec<ConflictRecord>,
    pub new_timestamps: Vec<i64>,
    pub coverage: Vec<CoverageEntry>,
    pub counts: Tally,
    pub basis_change: Option<BasisChange>,
    pub publishes: bool,
}
