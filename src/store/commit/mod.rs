//! Commit: one batch, or the batches of many series, durably taken in one transaction.
//!
//! ```text
//! Offer ──sort──> Draft ──compare with staged──> Prepared ──transaction──> Committed
//!                                   └──────────> Refusal
//! ```
//!
//! Each step takes the one before by value, and only the transaction makes a [`Committed`]: what is not durable cannot
//! be counted.

mod batch;
mod prepare;
mod segment;
mod write;

use std::collections::BTreeSet;

use crate::model::SeriesKey;

use super::error::{Error, Refusal};
use super::handle::Store;
use super::merge;
use super::run::RunId;
pub(super) use batch::Prepared;
pub use batch::{Committed, Offer, Tally};
use prepare::Draft;
pub(super) use prepare::merge_provenance;

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
