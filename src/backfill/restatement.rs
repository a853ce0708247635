//! What a run does when the price basis of a series changed: it never puts bars of two price bases into
//! one series without reporting it.
//!
//! | policy | what happens |
//! | --- | --- |
//! | `fail` | the batch conflicts and is refused anyway; the message names the change |
//! | `ignore` | its ticker stops: new bars would have the new basis, next to old ones with the old |
//! | `update` | continues with a warning if the run requests every stored date; else its ticker stops |
//!
//! A run sees the change in stored bars that it requests too: sessions that it requests again, the session
//! next to a lone one, and the one that `comparison.rs` adds to the plan. If the provider returns none of
//! them, the run can't know, and warns.

use std::fmt;

use chrono::NaiveDate;

use super::Error;
use super::days::local_date;
use super::writer::{Batch, BatchOutcome, Job, Worker};
use crate::model::{Bars, Basis, BasisChange, Hours, OnConflict, SeriesKey, Timestamp};
use crate::report::Event;
use crate::store::Store;

/// No exchange is closed for longer.
const DAYS_CLOSED_MAX: usize = 20;

/// Compared bars that show the price basis though all of them differ.
const COMPARED_MIN: usize = 3;

/// Bars that came with other values than the stored ones, all by one factor.
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

impl Worker {
    /// Compares the windows' bars, and those that came with them, with the stored ones, and returns the
    /// change of the price basis that they show.
    pub(super) fn restatement(
        &mut self,
        store: &Store,
        series: &SeriesKey,
        parts: &[Job],
    ) -> Result<Option<Restatement>, Error> {
        if !self.stored_before.contains_key(series) {
            let stored = store.time_bounds(series).is_some();
            self.stored_before.insert(series.clone(), stored);
        }
        // Bars of another basis differ by a split's factor too: the store refuses them, and says why.
        if !store.accepts(series, &self.context.provenance) {
            return Ok(None);
        }
        let (mut bars, mut context_bars) = (Bars::default(), Bars::default());
        for Job { batch, .. } in parts {
            bars.extend_from(&batch.bars, 0..batch.bars.len());
            context_bars.extend_from(&batch.context_bars, 0..batch.context_bars.len());
        }
        let offered = store.compare(series, &bars)?;
        let with_them = store.compare(series, &context_bars)?;
        let identical = offered.identical + with_them.identical;
        let mut pairs = offered.restated;
        let offered = pairs.len() as u64;
        pairs.extend(with_them.restated);
        if identical > 0 || pairs.len() >= COMPARED_MIN {
            self.compared.insert(series.clone());
        }
        let Some(change) = BasisChange::between(&pairs, identical) else {
            return Ok(None);
        };
        let date = |at: i64| local_date(&self.context.calendar, at);
        let last_old = pairs.iter().map(|(old, _)| old.timestamp.micros()).max();
        let last_old = date(last_old.unwrap_or_default());
        let next = (last_old.iter_days().skip(1).take(DAYS_CLOSED_MAX))
            .find(|date| matches!(self.context.calendar.session_on(*date), Ok(Some(_))));
        Ok(Some(Restatement {
            change,
            offered,
            last_old,
            next,
        }))
    }

    /// Warns, once a series, if bars are about to join stored ones that nothing was compared with.
    pub(super) fn warn_if_not_compared(&mut self, series: &SeriesKey) {
        let joins = self.stored_before.get(series).copied().unwrap_or(false);
        if joins && self.compared.insert(series.clone()) {
            let text = format!(
                "[{}] the price basis could not be checked: the provider returned no stored bar to compare. \
                 A split since then would not show",
                series.ticker
            );
            self.context.observer.event(&Event::Warning(&text));
        }
    }

    /// Whether a batch is offered although the price basis changed.
    pub(super) fn may_continue(
        &mut self,
        store: &Store,
        found: &Restatement,
        batch: &Batch,
    ) -> bool {
        match self.context.on_conflict {
            // The store refuses it, if it restates anything itself.
            OnConflict::Fail => found.offered > 0,
            OnConflict::Ignore => false,
            OnConflict::Update => {
                let date = |at: Timestamp| local_date(&self.context.calendar, at.micros());
                let is_whole = (store.time_bounds(&batch.series)).is_some_and(|(first, last)| {
                    (batch.full_range).is_some_and(|whole| {
                        whole.contains(date(first)) && whole.contains(date(last))
                    })
                });
                if is_whole && self.rewriting.insert(batch.series.clone()) {
                    let text = format!(
                        "[{}] {found}; all that is staged of it is asked for again",
                        batch.series.ticker
                    );
                    self.context.observer.event(&Event::Warning(&text));
                }
                is_whole
            }
        }
    }

    /// Stops a ticker whose bars would have two price bases.
    pub(super) fn refuse_split(&mut self, store: &Store, found: &Restatement, job: Job) {
        let hint = self.again(store, &job.batch, found);
        self.refused.insert(job.batch.series);
        let _ = job.kept.send(BatchOutcome::SplitSuspected {
            restated: found.offered,
            error: format!(
                "{found}: stored bars have the old price basis, and new ones would have the new one"
            ),
            hint,
        });
    }

    /// The command that asks for all of a series again.
    pub(super) fn again(&self, store: &Store, batch: &Batch, found: &Restatement) -> String {
        let date = |at: i64| local_date(&self.context.calendar, at);
        let ends = store.time_bounds(&batch.series);
        let first = ends.map_or(found.last_old, |(first, _)| date(first.micros()));
        let last = (batch.bars.timestamps().last().copied())
            .max(ends.map(|(_, last)| last.micros()))
            .map_or(found.last_old, date);
        let mut command = format!(
            "backfill specific --store {} --tickers {} --exchange {} --interval {} --start {first} --end {last} --on-conflict update",
            store.dir().display(),
            batch.series.ticker,
            self.context.provenance.exchange,
            batch.series.interval.minutes(),
        );
        if self.context.source.is_demo() {
            command += " --provider demo";
        }
        if self.context.provenance.hours == Hours::Extended {
            command += " --extended-hours";
        }
        if self.context.provenance.basis == Basis::Unadjusted {
            command += " --unadjusted";
        }
        format!("`{command}` asks for all of it again")
    }
}
