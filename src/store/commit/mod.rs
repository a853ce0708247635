//! Commit: the batches of any number of series, stored in one transaction.
//!
//! ```text
//! Offer ──sort──> Draft ──compare with stored bars──> SeriesBatches ──> Prepared ──transaction──> Committed
//!                                   └───────────────> Refusal
//! ```
//!
//! Each step takes the result of the one before by value, and only the transaction makes a
//! [`Committed`]: what isn't durable can't be counted.

mod batch;
mod prepare;
mod segment;
mod series;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::SeriesKey;

use super::error::{Error, Refusal};
use super::handle::Store;

use super::run::RunId;
pub(super) use batch::Prepared;
pub use batch::{Committed, Offer, Tally};
use prepare::SeriesDrafts;
use series::SeriesBatches;
pub(super) use series::merge_provenance;

/// Offers of one transaction by series, each with its index in the call.
type Round = BTreeMap<SeriesKey, Vec<(usize, Offer)>>;

/// The result of each offer of a call; `None` while it isn't known.
type Results = Vec<Option<Result<Committed, Refusal>>>;

impl Store {
    /// Stores offers, each completely or not at all, and returns one result per offer, in their
    /// order.
    ///
    /// Each offer has the result that it would have if the offers were committed one by one. All of
    /// them are in one transaction. If a series has offers of several sources, each further source gets a
    /// later transaction. After an error nothing of this call is known to
    /// be durable. Nothing of a refused offer is written.
    pub fn commit(
        &self,
        run: &RunId,
        offers: Vec<Offer>,
    ) -> Result<Vec<Result<Committed, Refusal>>, Error> {
        self.check_whole()?;
        crate::crash_point!("commit.begin");
        let mut results: Results = offers.iter().map(|_| None).collect();
        let mut waiting: Vec<(usize, Offer)> = offers.into_iter().enumerate().collect();
        while !waiting.is_empty() {
            let (round, later) = next_round(waiting);
            self.commit_round(run, round, &mut results)?;
            waiting = later;
        }
        Ok(results.into_iter().flatten().collect())
    }

    fn commit_round(&self, run: &RunId, round: Round, results: &mut Results) -> Result<(), Error> {
        let keys: BTreeSet<SeriesKey> = round.keys().cloned().collect();
        let drafts: Vec<SeriesDrafts> = round.into_iter().map(SeriesDrafts::new).collect();
        let held = self.locks.lock(keys.clone());
        let (meta, hot) = self.meta_of(&drafts)?;
        let mut prepared = Vec::new();
        for (drafts, meta) in drafts.into_iter().zip(&meta) {
            let stored = match meta {
                Some(meta) => {
                    self.staged_in(&drafts.series, meta, drafts.span(), hot.get(&meta.id))?
                }
                None => Default::default(),
            };
            let mut batches = SeriesBatches::new(&drafts.series, meta.as_ref(), &stored);
            for draft in drafts.drafts {
                let index = draft.index;
                if let Err(refusal) = batches.add(draft) {
                    results[index] = Some(Err(refusal));
                }
            }
            prepared.extend(batches.finish(|| self.take_seq(), &self.options.seal));
        }
        let (written, unchanged): (Vec<Prepared>, Vec<Prepared>) =
            prepared.into_iter().partition(Prepared::has_records);
        let unchanged = unchanged.into_iter().flat_map(Prepared::into_committed);
        for (index, committed) in self.write(run, written)?.into_iter().chain(unchanged) {
            results[index] = Some(Ok(committed));
        }
        drop(held);
        crate::crash_point!("commit.done");
        self.seal_where_due(&keys)
    }
}

/// The offers of the next transaction, and those of later ones. In one transaction, all offers of a
/// series have the same source, because they share a commit number.
fn next_round(offers: Vec<(usize, Offer)>) -> (Round, Vec<(usize, Offer)>) {
    let mut round = Round::new();
    let mut later: Vec<(usize, Offer)> = Vec::new();
    let mut delayed = BTreeSet::new();
    for (index, offer) in offers {
        let batches = round.entry(offer.series.clone()).or_default();
        let is_other = |(_, first): &(usize, Offer)| first.source != offer.source;
        if delayed.contains(&offer.series) || batches.first().is_some_and(is_other) {
            delayed.insert(offer.series.clone());
            later.push((index, offer));
        } else {
            batches.push((index, offer));
        }
    }
    (round, later)
}
