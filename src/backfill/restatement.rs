//! What a run does where a split restated history: it does not put prices of one basis beside those of another.
//!
//! | policy | what happens |
//! | --- | --- |
//! | `fail` | the batch conflicts and is refused anyway; the message says that it looks like a split |
//! | `ignore` | its ticker stops: new bars would stand on the new basis beside old ones on the old |
//! | `update` | goes on where the run asks for all that is staged of the series, and says so; else its ticker stops |
//!
//! Bars that come beside those that a window is to bring (no request asks for one session alone) tell it too.

use std::fmt;

use chrono::NaiveDate;

use super::Error;
use super::days::local_date;
use super::shelf::{Batch, Job, Kept, Worker};
use super::split::Split;
use crate::model::{Bars, Basis, Hours, OnConflict, SeriesKey, Timestamp};
use crate::report::Event;
use crate::store::Store;

/// No exchange is closed for longer.
const DAYS_CLOSED_MAX: usize = 20;

/// Bars that came with other values than the staged ones, all by the factor of a split.
#[derive(Clone, Debug)]
pub(super) struct Restatement {
    split: Split,
    /// How many of the bars are offered, not only looked at.
    offered: u64,
    /// The last date on the old basis.
    last_old: NaiveDate,
    /// The trading date behind it, where the calendar knows it. The split may have come later: bars that are new say nothing.
    next: Option<NaiveDate>,
}

impl fmt::Display for Restatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = self.split;
        match self.next {
            Some(date) => write!(f, "this looks like a {split} split on {date} or later"),
            None => write!(f, "this looks like a {split} split after {}", self.last_old),
        }
    }
}

impl Worker {
    /// Whether the windows' bars, or those that came beside them, restate what is staged as a split does.
    pub(super) fn restatement(
        &self,
        store: &Store,
        series: &SeriesKey,
        parts: &[Job],
    ) -> Result<Option<Restatement>, Error> {
        // Bars of another basis differ by a split's factor too: the store refuses them, and says why.
        if !store.takes(series, &self.shelves.provenance) {
            return Ok(None);
        }
        let (mut bars, mut beside) = (Bars::default(), Bars::default());
        for Job { batch, .. } in parts {
            bars.extend_from(&batch.bars, 0..batch.bars.len());
            beside.extend_from(&batch.beside, 0..batch.beside.len());
        }
        let mut pairs = store.restated(series, &bars)?;
        let offered = pairs.len() as u64;
        pairs.extend(store.restated(series, &beside)?);
        let Some(split) = Split::between(&pairs) else {
            return Ok(None);
        };
        let date = |at: i64| local_date(&self.shelves.calendar, at);
        let last_old = pairs.iter().map(|(old, _)| old.timestamp.micros()).max();
        let last_old = date(last_old.unwrap_or_default());
        let next = (last_old.iter_days().skip(1).take(DAYS_CLOSED_MAX))
            .find(|date| matches!(self.shelves.calendar.session_on(*date), Ok(Some(_))));
        Ok(Some(Restatement {
            split,
            offered,
            last_old,
            next,
        }))
    }

    /// Whether a batch is offered though history was restated under it.
    pub(super) fn goes_on(&mut self, store: &Store, found: &Restatement, batch: &Batch) -> bool {
        match self.shelves.on_conflict {
            // The store refuses it, if it restates anything itself.
            OnConflict::Fail => found.offered > 0,
            OnConflict::Ignore => false,
            OnConflict::Update => {
                let date = |at: Timestamp| local_date(&self.shelves.calendar, at.micros());
                let is_whole = (store.ends_of(&batch.series)).is_some_and(|(first, last)| {
                    (batch.whole).is_some_and(|whole| {
                        whole.contains(date(first)) && whole.contains(date(last))
                    })
                });
                if is_whole && self.restating.insert(batch.series.clone()) {
                    let text = format!(
                        "[{}] {found}; all that is staged of it is asked for again",
                        batch.series.ticker
                    );
                    self.shelves.observer.event(&Event::Warning(&text));
                }
                is_whole
            }
        }
    }

    /// Stops a ticker whose bars would stand on two bases.
    pub(super) fn refuse_split(&mut self, store: &Store, found: &Restatement, job: Job) {
        let hint = self.again(store, &job.batch, found);
        self.refused.insert(job.batch.series);
        let _ = job.kept.send(Kept::Split {
            restated: found.offered,
            error: format!(
                "{found}: staged bars are on the old price basis, and new ones would be on the new"
            ),
            hint,
        });
    }

    /// The command that asks for all of a series again.
    pub(super) fn again(&self, store: &Store, batch: &Batch, found: &Restatement) -> String {
        let date = |at: i64| local_date(&self.shelves.calendar, at);
        let ends = store.ends_of(&batch.series);
        let first = ends.map_or(found.last_old, |(first, _)| date(first.micros()));
        let last = (batch.bars.timestamps().last().copied())
            .max(ends.map(|(_, last)| last.micros()))
            .map_or(found.last_old, date);
        let mut command = format!(
            "backfill specific --store {} --tickers {} --exchange {} --interval {} --start {first} --end {last} --on-conflict update",
            store.dir().display(),
            batch.series.ticker,
            self.shelves.provenance.exchange,
            batch.series.interval.minutes(),
        );
        if self.shelves.source.is_demo() {
            command += " --provider demo";
        }
        if self.shelves.provenance.hours == Hours::Extended {
            command += " --extended-hours";
        }
        if self.shelves.provenance.basis == Basis::Unadjusted {
            command += " --unadjusted";
        }
        format!("`{command}` asks for all of it again")
    }
}
