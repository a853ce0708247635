//! Commits a piece of a file, and adds up the answers.

use std::collections::HashSet;

use super::context::RunContext;
use super::error::Error;
use super::piece::{Group, Piece};
use crate::model::{Basis, Hours, Interval, Provenance, SeriesKey, Source, Ticker};
use crate::report::{Counts, Event};
use crate::store::{Committed, Offer, Refusal, Tally};

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

/// Commits a piece of the file `name`, whose turn it is, and adds the answers to `outcome`.
pub(super) fn commit(
    context: &RunContext<'_>,
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
    // First, so that no failure loses them.
    context.rejects.add(index, name, &piece.rejects)?;
    let rejected = piece.rejects.len() as u64;
    let rejects = Counts {
        fetched: rejected,
        rejected,
        ..Counts::default()
    };
    outcome.counts += rejects;
    if let Some(ticker) = &ticker {
        context.add_counts(ticker, rejects);
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
        context.add_counts(&ticker, counts);
        if let Some(output) = &context.output {
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
            on_conflict: context.settings.on_conflict,
            is_repeated_request: false,
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
    let answers = context.sink.commit(offers)?;
    for (ticker, answer) in tickers.into_iter().zip(answers) {
        match answer {
            Ok(committed) => {
                let counts = outcome.accepted(context, &ticker, committed);
                outcome.counts += counts;
                context.add_counts(&ticker, counts);
            }
            Err(refusal) => {
                let counts = Counts {
                    conflicts: refusal.conflicts().unwrap_or_default(),
                    ..Counts::default()
                };
                outcome.counts += counts;
                context.add_counts(&ticker, counts);
                context.add_refusal(&ticker, &refusal);
                outcome.refused.insert(ticker);
                outcome.refusals.push(refusal);
            }
        }
    }
    Ok(())
}

impl Outcome {
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
