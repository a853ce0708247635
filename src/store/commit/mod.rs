//! Commit: one batch, or the batches of many series, durably taken in one transaction.
//!
//! ```text
//! Offer ──sort──> Draft ──compare with staged──> Prepared ──transaction──> Committed
//!                                   └──────────> Refusal
//! ```
//!
//! Each step takes the one before by value, and only the transaction makes a [`Committed`]: what is not durable cannot
//! be counted.

mod prepare;
mod segment;
mod write;

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::model::{Bars, BasisChange, OnConflict, Provenance, SeriesKey, Source};

use super::catalog::ConflictRecord;
use super::coverage::CoverageEntry;
use super::error::{Error, Refusal};
use super::handle::Store;
use super::merge;
use super::rows::StagedRows;
use super::run::RunId;
use prepare::Draft;
pub(super) use prepare::merge_provenance;

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
pub(super) struct Prepared {
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

impl Store {
    /// Takes the offers, each whole or not at all, in one transaction; one answer an offer, in their order.
    ///
    /// Offers of one series in the same call are taken one after another. An error means that nothing more than what
    /// was answered before it is known to be durable; a refusal means that nothing of that offer was written.
    pub fn commit(
        &self,
        run: &RunId,
        offers: Vec<Offer>,
    ) -> Result<Vec<Result<Committed, Refusal>>, Error> {
        self.check_whole()?;
        crate::crash_point!("commit.begin");
        let mut answers: Vec<Option<Result<Committed, Refusal>>> =
            offers.iter().map(|_| None).collect();
        let mut waiting: Vec<(usize, Offer)> = offers.into_iter().enumerate().collect();
        while !waiting.is_empty() {
            let mut seen = BTreeSet::new();
            let (wave, rest): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|(_, offer)| seen.insert(offer.series.clone()));
            waiting = rest;
            let (places, offers): (Vec<usize>, Vec<Offer>) = wave.into_iter().unzip();
            for (place, answer) in places
                .into_iter()
                .zip(self.commit_wave(run, offers, &seen)?)
            {
                answers[place] = Some(answer);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn commit_wave(
        &self,
        run: &RunId,
        offers: Vec<Offer>,
        keys: &BTreeSet<SeriesKey>,
    ) -> Result<Vec<Result<Committed, Refusal>>, Error> {
        let drafts: Vec<Draft> = offers
            .into_iter()
            .map(|mut offer| {
                let offered = offer.bars.len() as u64;
                let sorted = merge::sort(std::mem::take(&mut offer.bars), offer.on_conflict);
                Draft {
                    offer,
                    sorted,
                    offered,
                }
            })
            .collect();

        let held = self.locks.lock(keys.clone());
        let (meta, hot) = self.meta_of(&drafts)?;
        let mut answers = Vec::with_capacity(drafts.len());
        let mut prepared = Vec::new();
        for (draft, meta) in drafts.into_iter().zip(meta) {
            let staged_hot = meta.as_ref().and_then(|meta| hot.get(&meta.id));
            match self.prepare(draft, meta.as_ref(), staged_hot)? {
                Ok(ready)
                    if ready.rows.is_empty()
                        && ready.coverage.is_empty()
                        && ready.conflicts.is_empty() =>
                {
                    answers.push(Some(Ok(Committed {
                        commit: None,
                        counts: ready.counts,
                        basis_change: ready.basis_change,
                    })));
                }
                Ok(ready) => {
                    answers.push(None);
                    prepared.push(ready);
                }
                Err(refusal) => answers.push(Some(Err(refusal))),
            }
        }
        let mut committed = self.write(run, prepared)?.into_iter();
        drop(held);
        crate::crash_point!("commit.done");
        self.seal_where_due(keys)?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| answer.or_else(|| committed.next().map(Ok)))
            .collect())
    }
}
