//! Commits pieces of files, and adds up the results.

use std::collections::HashSet;

use super::context::RunContext;
use super::error::Error;
use super::piece::{Group, Piece};
use crate::model::{Basis, Hours, Interval, Provenance, SeriesKey, Source, Ticker};
use crate::report::{Counts, Event};
use crate::store::{Committed, Offer, Refusal, RejectedRows, Tally};

/// What the commits of a file add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) counts: Counts,
    /// In file order.
    pub(super) refusals: Vec<Refusal>,
    /// Tickers with a refused batch. No more of their bars are offered.
    pub(super) refused: HashSet<Ticker>,
    /// Tickers with a warning about their price basis.
    warned: HashSet<Ticker>,
}

/// A piece to commit.
pub(super) struct Ready {
    pub(super) piece: Piece,
    pub(super) interval: Interval,
    pub(super) exchange: String,
    /// The file's ticker if it has only one; rejects count as its own.
    pub(super) ticker: Option<Ticker>,
}

/// A piece of a file whose turn it is, and what the earlier commits of the file add up to.
pub(super) struct FileCommit<'f> {
    /// The file's index among those of the run.
    pub(super) index: usize,
    pub(super) name: &'f str,
    pub(super) ready: Ready,
    pub(super) outcome: Outcome,
}

/// Commits pieces of several files in one transaction, with the results of commits one after
/// another, and adds the results to their outcomes. Takes the bars.
pub(super) fn commit(context: &RunContext<'_>, files: &mut [FileCommit<'_>]) -> Result<(), Error> {
    // First, so that no failure loses them.
    let rejects = files
        .iter()
        .map(|file| (file.index, file.name, &file.ready.piece.rejects[..]));
    context.rejects.add(rejects)?;
    let missing: Vec<RejectedRows> = files.iter_mut().flat_map(FileCommit::missing).collect();
    context.sink.record_rejected(&missing)?;
    let (mut offers, mut owners) = (Vec::new(), Vec::new());
    for (owner, file) in files.iter_mut().enumerate() {
        let from_file = file.offers(context)?;
        owners.resize(owners.len() + from_file.len(), owner);
        offers.extend(from_file);
    }
    if offers.is_empty() {
        return Ok(());
    }
    let tickers: Vec<Ticker> = offers
        .iter()
        .map(|offer: &Offer| offer.series.ticker.clone())
        .collect();
    let results = context.sink.commit(offers)?;
    for ((owner, ticker), result) in owners.into_iter().zip(tickers).zip(results) {
        files[owner].outcome.add(context, ticker, result);
    }
    Ok(())
}

impl FileCommit<'_> {
    /// The bars that are missing because of its rejects.
    fn missing(&mut self) -> Vec<RejectedRows> {
        let Ready {
            piece,
            interval,
            exchange,
            ..
        } = &mut self.ready;
        let refused = &self.outcome.refused;
        (std::mem::take(&mut piece.missing).into_iter())
            .filter(|(ticker, opens)| !(opens.is_empty() || refused.contains(ticker)))
            .map(|(ticker, opens)| RejectedRows {
                series: SeriesKey {
                    interval: *interval,
                    ticker,
                },
                exchange: exchange.clone(),
                opens,
            })
            .collect()
    }

    /// Counts the rows, and makes one offer per ticker.
    fn offers(&mut self, context: &RunContext<'_>) -> Result<Vec<Offer>, Error> {
        let Ready {
            piece,
            interval,
            exchange,
            ticker,
        } = &mut self.ready;
        let rejected = piece.rejects.len() as u64;
        let rejects = Counts {
            fetched: rejected,
            rejected,
            ..Counts::default()
        };
        self.outcome.counts += rejects;
        if let Some(ticker) = ticker {
            context.add_counts(ticker, rejects);
        }
        let provenance = Provenance {
            exchange: std::mem::take(exchange),
            basis: Basis::Unknown,
            hours: Hours::Unknown,
        };
        let mut offers = Vec::with_capacity(piece.groups.len());
        for Group { ticker, bars } in piece.groups.drain(..) {
            let rows = bars.len() as u64;
            let counts = Counts {
                fetched: rows,
                prepared: rows,
                ..Counts::default()
            };
            self.outcome.counts += counts;
            context.add_counts(&ticker, counts);
            if let Some(output) = &context.output {
                output.add(&ticker, bars.clone())?;
            }
            if self.outcome.refused.contains(&ticker) {
                continue;
            }
            offers.push(Offer {
                series: SeriesKey {
                    interval: *interval,
                    ticker,
                },
                provenance: provenance.clone(),
                source: Source::csv(),
                bars,
                on_conflict: context.settings.on_conflict,
                is_repeated_request: false,
                coverage: Vec::new(),
            });
        }
        Ok(offers)
    }
}

impl Outcome {
    /// Adds the result of an offer.
    fn add(
        &mut self,
        context: &RunContext<'_>,
        ticker: Ticker,
        result: Result<Option<Committed>, Refusal>,
    ) {
        match result {
            Ok(committed) => {
                let counts = self.accepted(context, &ticker, committed);
                self.counts += counts;
                context.add_counts(&ticker, counts);
            }
            Err(refusal) => {
                let counts = Counts {
                    conflicts: refusal.conflicts().unwrap_or_default(),
                    ..Counts::default()
                };
                self.counts += counts;
                context.add_counts(&ticker, counts);
                context.add_refusal(&ticker, &refusal);
                self.refused.insert(ticker);
                self.refusals.push(refusal);
            }
        }
    }

    /// The counts of an accepted batch. Warns once per ticker of another price basis.
    fn accepted(
        &mut self,
        context: &RunContext<'_>,
        ticker: &Ticker,
        committed: Option<Committed>,
    ) -> Counts {
        let warning = committed
            .as_ref()
            .and_then(|committed| committed.basis_warning(ticker.as_str()));
        if let Some(warning) = warning
            && self.warned.insert(ticker.clone())
        {
            context.observer.event(&Event::Warning(&warning));
        }
        let tally = committed.map_or_else(Tally::default, |committed| committed.counts);
        Counts {
            committed: tally.committed,
            updated: tally.updated,
            skipped_identical: tally.skipped_identical,
            skipped_restated: tally.skipped_restated,
            ..Counts::default()
        }
    }
}

/// One line for all refusals of a file.
pub(super) fn summarise(refusals: &[Refusal]) -> String {
    let [first, others @ ..] = refusals else {
        return String::new();
    };
    if others.is_empty() {
        return first.to_string();
    }
    format!(
        "{} batches were refused, the first: {first}",
        refusals.len()
    )
}
