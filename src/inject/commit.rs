//! The way of a piece from its bars to the store, and what came of it.

use std::collections::HashSet;

use super::error::Error;
use super::piece::{Group, Piece};
use super::run::Shared;
use crate::model::{Basis, Hours, Interval, Provenance, SeriesKey, Source, Ticker};
use crate::report::{Counts, Event};
use crate::store::{Committed, Offer, Refusal, RunId, Store, Tally};

/// Where bars go.
#[derive(Clone, Copy)]
pub enum Sink<'a> {
    /// Into the store, as part of a run.
    Store {
        /// The store.
        store: &'a Store,
        /// The run.
        run: &'a RunId,
    },
    /// Nowhere: they are counted.
    Dry,
}

impl Sink<'_> {
    /// `None` for each offer of a dry run.
    fn commit(self, offers: Vec<Offer>) -> Result<Vec<Result<Option<Committed>, Refusal>>, Error> {
        match self {
            Self::Store { store, run } => Ok((store.commit(run, offers)?.into_iter())
                .map(|answer| answer.map(Some))
                .collect()),
            Self::Dry => Ok(offers.iter().map(|_| Ok(None)).collect()),
        }
    }
}

/// What came of a file so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) counts: Counts,
    /// Each refused batch, in the order of the file.
    pub(super) refusals: Vec<Refusal>,
    /// Whose batches were refused: nothing more of theirs is offered.
    pub(super) refused: HashSet<Ticker>,
    /// Tickers with a warning about their price basis.
    warned: HashSet<Ticker>,
}

/// A piece ready to be committed.
pub(super) struct Ready {
    pub(super) piece: Piece,
    pub(super) interval: Interval,
    pub(super) exchange: String,
    /// The file's only ticker, where it has one: the rejects are its own too.
    pub(super) ticker: Option<Ticker>,
}

/// Commits a piece of the file `name`, whose turn has come, and adds what came of it to `outcome`.
pub(super) fn commit(
    shared: &Shared<'_>,
    index: usize,
    name: &str,
    ready: Ready,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let Ready {
        piece,
        interval,
        exchange,
        ticker,
    } = ready;
    // Rejects first: whatever happens after, they are kept.
    shared.rejects.add(index, name, &piece.rejects)?;
    let rejected = piece.rejects.len() as u64;
    let rejects = Counts {
        fetched: rejected,
        rejected,
        ..Counts::default()
    };
    outcome.counts += rejects;
    if let Some(ticker) = &ticker {
        shared.add_ticker(ticker, rejects, None);
    }

    let provenance = Provenance {
        exchange,
        basis: Basis::Unknown,
        hours: Hours::Unknown,
    };
    let mut offers = Vec::with_capacity(piece.groups.len());
    for Group { ticker, bars } in piece.groups {
        let rows = bars.len() as u64;
        let counts = Counts {
            fetched: rows,
            prepared: rows,
            ..Counts::default()
        };
        outcome.counts += counts;
        shared.add_ticker(&ticker, counts, None);
        if let Some(output) = &shared.output {
            output.add(&ticker, bars.clone())?;
        }
        if outcome.refused.contains(&ticker) {
            continue;
        }
        offers.push(Offer {
            series: SeriesKey { interval, ticker },
            provenance: provenance.clone(),
            source: Source::csv(),
            bars,
            on_conflict: shared.settings.on_conflict,
            asked_again: false,
            coverage: Vec::new(),
        });
    }
    if offers.is_empty() {
        return Ok(());
    }
    let tickers: Vec<Ticker> = offers
        .iter()
        .map(|offer| offer.series.ticker.clone())
        .collect();
    let answers = shared.sink.commit(offers)?;
    for (ticker, answer) in tickers.into_iter().zip(answers) {
        match answer {
            Ok(committed) => {
                let warning = (committed.as_ref())
                    .and_then(|committed| committed.basis_warning(ticker.as_str()));
                if let Some(warning) = warning
                    && outcome.warned.insert(ticker.clone())
                {
                    shared.observer.event(&Event::Warning(&warning));
                }
                let tally = committed.map_or_else(Tally::default, |committed| committed.counts);
                let counts = Counts {
                    committed: tally.committed,
                    updated: tally.updated,
                    skipped_identical: tally.skipped_identical,
                    skipped_restated: tally.skipped_restated,
                    ..Counts::default()
                };
                outcome.counts += counts;
                shared.add_ticker(&ticker, counts, None);
            }
            Err(refusal) => {
                let counts = Counts {
                    conflicts: refusal.conflicts().unwrap_or_default(),
                    ..Counts::default()
                };
                outcome.counts += counts;
                shared.add_ticker(&ticker, counts, Some(&refusal));
                outcome.refused.insert(ticker);
                outcome.refusals.push(refusal);
            }
        }
    }
    Ok(())
}

/// One line for all refusals of a file.
pub(super) fn summed_up(refusals: &[Refusal]) -> String {
    let [first, others @ ..] = refusals else {
        return String::new();
    };
    if others.is_empty() {
        return first.to_string();
    }
    format!("{} batches are refused; the first: {first}", refusals.len())
}
