//! Detects that the price basis of a series changed. A run never puts bars of two price bases into
//! one series without reporting it.
//!
//! | policy | what happens |
//! | --- | --- |
//! | `fail` | the batch conflicts and is refused anyway; the message names the change |
//! | `ignore` | its ticker stops: new bars would have the new basis, next to old ones with the old |
//! | `update` | continues with a warning if the run requests every stored date; else its ticker stops |
//!
//! A run sees the change in stored bars that it requests too: sessions that it requests again, the
//! session that is added to a window of one session, and the one that `comparison.rs` adds to the plan. If the provider
//! returns none of them, the run can't know, and warns.

use std::collections::{HashMap, HashSet};
use std::fmt;

use chrono::NaiveDate;

use super::Error;
use super::batch::{Batch, BatchOutcome, QueuedBatch, WriterContext};
use super::days::local_date;
use super::windows::date_range;
use crate::advice::{Advice, FetchAgain};
use crate::model::{Bars, BasisChange, OnConflict, SeriesKey, Timestamp};
use crate::report::Event;
use crate::store::Store;

/// No exchange is closed for longer.
const DAYS_CLOSED_MAX: usize = 20;

/// Without an identical bar, at least this many compared bars show the price basis.
const COMPARED_MIN: usize = 3;

/// Stored bars that the provider now returns with other values, all by one factor.
#[derive(Clone, Debug)]
pub(super) struct Restatement {
    change: BasisChange,
    /// How many of the bars are offered, not only compared.
    offered: u64,
    /// The last date on the old basis.
    last_old: NaiveDate,
    /// The next trading date, if the calendar knows it. The change may have come later: bars that
    /// are new don't show it.
    next: Option<NaiveDate>,
}

impl fmt::Display for Restatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.change, self.next) {
            (BasisChange::Split(split), Some(date)) => {
                write!(f, "this looks like a {split} split on {date} or later")
            }
            (BasisChange::Split(split), None) => {
                write!(f, "this looks like a {split} split after {}", self.last_old)
            }
            (BasisChange::Factor(factor), _) => {
                write!(
                    f,
                    "stored closes are {factor:.4} times those of the provider now"
                )
            }
        }
    }
}

/// Compares the bars that a run receives with the stored ones.
#[derive(Default)]
pub(super) struct BasisCheck {
    /// Whether a series held bars before this run wrote into it.
    stored_before: HashMap<SeriesKey, bool>,
    /// Series of which a stored bar was compared with what the provider returns now.
    compared: HashSet<SeriesKey>,
    /// Series whose stored bars are all requested again after a split.
    rewriting: HashSet<SeriesKey>,
}

impl BasisCheck {
    /// Compares the windows' bars with the stored ones, and so their *context bars*: extra bars of a
    /// response, from outside its window. Returns the change of the price basis that they show.
    pub(super) fn compare(
        &mut self,
        store: &Store,
        context: &WriterContext,
        series: &SeriesKey,
        windows: &[QueuedBatch],
    ) -> Result<Option<Restatement>, Error> {
        if !self.stored_before.contains_key(series) {
            let stored = store.time_bounds(series).is_some();
            self.stored_before.insert(series.clone(), stored);
        }
        // Bars of another basis differ by a split's factor too: the store refuses them with its own
        // message.
        if !store.accepts(series, &context.provenance) {
            return Ok(None);
        }
        let (mut bars, mut context_bars) = (Bars::default(), Bars::default());
        for QueuedBatch { batch, .. } in windows {
            bars.extend_from(&batch.bars, 0..batch.bars.len());
            context_bars.extend_from(&batch.context_bars, 0..batch.context_bars.len());
        }
        let of_bars = store.compare(series, &bars)?;
        let of_context = store.compare(series, &context_bars)?;
        let identical = of_bars.identical + of_context.identical;
        let mut pairs = of_bars.restated;
        let offered = pairs.len() as u64;
        pairs.extend(of_context.restated);
        if identical > 0 || pairs.len() >= COMPARED_MIN {
            self.compared.insert(series.clone());
        }
        let Some(change) = BasisChange::between(&pairs, identical) else {
            return Ok(None);
        };
        let last_old = pairs.iter().map(|(old, _)| old.timestamp.micros()).max();
        let last_old = local_date(&context.calendar, last_old.unwrap_or_default());
        let next = (last_old.iter_days().skip(1).take(DAYS_CLOSED_MAX))
            .find(|date| matches!(context.calendar.session_on(*date), Ok(Some(_))));
        Ok(Some(Restatement {
            change,
            offered,
            last_old,
            next,
        }))
    }

    /// Warns, once per series, if bars are about to join stored ones and none were compared.
    pub(super) fn warn_if_not_compared(&mut self, context: &WriterContext, series: &SeriesKey) {
        let joins = self.stored_before.get(series).copied().unwrap_or(false);
        if joins && self.compared.insert(series.clone()) {
            let text = format!(
                "[{}] the price basis could not be checked: the provider returned no stored bar to compare. \
                 A split since then would not show",
                series.ticker
            );
            context.observer.event(&Event::Warning(&text));
        }
    }

    /// Whether a batch is offered although the price basis changed.
    pub(super) fn may_continue(
        &mut self,
        store: &Store,
        context: &WriterContext,
        found: &Restatement,
        batch: &Batch,
    ) -> bool {
        match context.on_conflict {
            // The store refuses it, if it restates anything itself.
            OnConflict::Fail => found.offered > 0,
            OnConflict::Ignore => false,
            OnConflict::Update => {
                let date = |at: Timestamp| local_date(&context.calendar, at.micros());
                let bounds = store.time_bounds(&batch.series).zip(batch.full_range);
                let replaces_all = bounds.is_some_and(|((first, last), requested)| {
                    requested.contains(date(first)) && requested.contains(date(last))
                });
                if replaces_all && self.rewriting.insert(batch.series.clone()) {
                    let text = format!(
                        "[{}] {found}; all of its stored bars are requested again",
                        batch.series.ticker
                    );
                    context.observer.event(&Event::Warning(&text));
                }
                replaces_all
            }
        }
    }
}

impl Restatement {
    /// Stops a ticker whose series would have bars of two price bases.
    pub(super) fn stopped(
        &self,
        store: &Store,
        context: &WriterContext,
        batch: &Batch,
    ) -> BatchOutcome {
        BatchOutcome::SplitSuspected {
            restated: self.offered,
            error: format!(
                "{self}: stored bars have the old price basis, and new ones would have the new one"
            ),
            hint: Some(self.fetch_again(store, context, batch)),
        }
    }

    /// Advises to request all of a series again.
    pub(super) fn fetch_again(
        &self,
        store: &Store,
        context: &WriterContext,
        batch: &Batch,
    ) -> Advice {
        let date = |at: i64| local_date(&context.calendar, at);
        let bounds = store.time_bounds(&batch.series);
        let first = bounds.map_or(self.last_old, |(first, _)| date(first.micros()));
        let last = (batch.bars.timestamps().last().copied())
            .max(bounds.map(|(_, last)| last.micros()))
            .map_or(self.last_old, date);
        Advice::FetchAgain(Box::new(FetchAgain {
            store: store.dir().to_owned(),
            series: batch.series.clone(),
            provenance: context.provenance.clone(),
            source: context.source.clone(),
            dates: date_range(first, last),
        }))
    }
}
