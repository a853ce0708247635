//! Commits pieces of files, and adds up the results.

use std::collections::{HashMap, HashSet};

use super::context::{RunContext, Sink};
use super::contradict::Compared;
use super::error::Error;
use super::piece::{Group, Piece};
use crate::advice::{Advice, Hint};
use crate::model::{Basis, Hours, Interval, OnConflict, Provenance, SeriesKey, Source, Ticker};
use crate::report::{Counts, Event, UnitStatus};
use crate::store::{Committed, Offer, Refusal, RejectedRows, Tally};

/// What the commits of a file add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) counts: Counts,
    /// In file order.
    pub(super) refusals: Vec<Refused>,
    /// Tickers with a refused batch. No further bars of theirs are offered.
    pub(super) refused: HashSet<Ticker>,
    /// The bars of each ticker that earlier files have too.
    compared: HashMap<Ticker, Compared>,
    /// Tickers with a warning about their price basis.
    warned: HashSet<Ticker>,
}

/// Why a batch was refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: UnitStatus,
    pub(super) error: String,
    pub(super) hint: Option<Advice>,
}

impl Refused {
    /// Refused by the store. `contradiction` is what is wrong with the bars for any policy.
    fn by_store(refusal: &Refusal, contradiction: Option<String>) -> Self {
        let status = UnitStatus::refused(refusal.conflicts());
        match contradiction {
            Some(contradiction) => Self {
                status,
                error: format!("{refusal}; {contradiction}"),
                hint: Some(Advice::InjectApart),
            },
            None => Self {
                status,
                error: refusal.to_string(),
                hint: refusal.hint(),
            },
        }
    }

    /// `before` has the counts of the file's earlier pieces.
    fn by_contradiction(contradiction: String, on_conflict: OnConflict, before: &Counts) -> Self {
        Self {
            status: match on_conflict {
                OnConflict::Fail => UnitStatus::Conflict,
                OnConflict::Ignore | OnConflict::Update => UnitStatus::Failed,
            },
            error: match before.committed {
                0 => contradiction,
                _ => format!("{contradiction}; bars before them are stored"),
            },
            hint: Some(Advice::InjectApart),
        }
    }
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
        for (offer, contradiction) in file.offers(context)? {
            owners.push((owner, offer.series.ticker.clone(), contradiction));
            offers.push(offer);
        }
    }
    if offers.is_empty() {
        return Ok(());
    }
    let results = context.sink.commit(offers)?;
    for ((owner, ticker, contradiction), result) in owners.into_iter().zip(results) {
        let outcome = &mut files[owner].outcome;
        outcome.add(context, ticker, contradiction, result);
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

    /// Counts the rows, and makes one offer per ticker, with its contradiction to files before it.
    /// Bars that contradict these are offered only to a store that refuses them, and counts them.
    fn offers(&mut self, context: &RunContext<'_>) -> Result<Vec<(Offer, Option<String>)>, Error> {
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
            let series = SeriesKey {
                interval: *interval,
                ticker,
            };
            let outcome = &mut self.outcome;
            let is_refused = outcome.refused.contains(&series.ticker);
            let contradiction = match &context.prices {
                Some(prices) if !is_refused => {
                    prices.add(self.index, &series, &bars, &mut outcome.compared)
                }
                _ => None,
            };
            if contradiction.is_none()
                && let Some(output) = &context.output
            {
                output.add(&series.ticker, bars.clone())?;
            }
            if is_refused {
                continue;
            }
            let on_conflict = context.settings.on_conflict;
            let is_counted =
                on_conflict == OnConflict::Fail && matches!(context.sink, Sink::Store { .. });
            let contradiction = match contradiction {
                Some(contradiction) if !is_counted => {
                    let refused =
                        Refused::by_contradiction(contradiction, on_conflict, &outcome.counts);
                    outcome.refuse(context, series.ticker, refused);
                    continue;
                }
                contradiction => contradiction,
            };
            let offer = Offer {
                series,
                provenance: provenance.clone(),
                source: Source::csv(),
                bars,
                on_conflict,
                is_repeated_request: false,
                coverage: Vec::new(),
            };
            offers.push((offer, contradiction));
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
        contradiction: Option<String>,
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
                self.refuse(context, ticker, Refused::by_store(&refusal, contradiction));
            }
        }
    }

    fn refuse(&mut self, context: &RunContext<'_>, ticker: Ticker, refused: Refused) {
        let hint = refused.hint.as_ref();
        context.set_failed(&ticker, refused.status, &refused.error, hint);
        self.refused.insert(ticker);
        self.refusals.push(refused);
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
pub(super) fn summarise(refusals: &[Refused]) -> String {
    let [first, others @ ..] = refusals else {
        return String::new();
    };
    if others.is_empty() {
        return first.error.clone();
    }
    format!(
        "{} batches were refused, the first: {}",
        refusals.len(),
        first.error
    )
}
