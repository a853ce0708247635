//! What one series has in common in both stores: the sum of its sessions.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::factor::{self, Factor};
use super::session::{Counts, SessionComparison};
use crate::model::{Provenance, SeriesKey};

/// A series in both stores, or in one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesComparison {
    pub series: SeriesKey,
    /// Exchange, price basis and hours here; `None` if the series isn't in this store.
    pub here: Option<Provenance>,
    /// The same in the other store.
    pub there: Option<Provenance>,
    pub counts: Counts,
    /// The one factor between most of the closes that differ.
    pub close_factor: Option<Factor>,
    /// The one shift of most of the bars in sessions that disagree.
    pub shift: Option<Shift>,
}

/// A shift in time, and where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The minutes that bars there are later than the bars here with the same prices.
    pub minutes: i32,
    /// Sessions with this shift.
    pub sessions: u64,
    /// First session with this shift.
    pub first: NaiveDate,
    /// Last session with this shift.
    pub last: NaiveDate,
}

/// Adds up the sessions of a series.
#[derive(Debug, Default)]
pub(super) struct Sum {
    counts: Counts,
    differing_closes: u64,
    factors: Vec<factor::OfSession>,
    /// Bars here in sessions that disagree.
    disagreeing_bars: u64,
    /// The shifts found, each with the bars of its sessions.
    shifts: BTreeMap<i32, (u64, Shift)>,
}

impl Sum {
    pub fn add(&mut self, session: &SessionComparison) {
        self.counts += session.counts;
        self.differing_closes += session.differing_closes;
        if let Some(factor) = session.close_factor {
            self.factors.push(factor::OfSession {
                session: session.session,
                factor,
                closes: session.differing_closes,
            });
        }
        if !session.disagrees {
            return;
        }
        let bars = session.counts.both + session.counts.only_here;
        self.disagreeing_bars += bars;
        if let Some(minutes) = session.shift_minutes {
            let (known, shift) = self.shifts.entry(minutes).or_insert((
                0,
                Shift {
                    minutes,
                    sessions: 0,
                    first: session.session,
                    last: session.session,
                },
            ));
            *known += bars;
            shift.sessions += 1;
            shift.last = session.session;
        }
    }

    pub fn finish(
        self,
        series: SeriesKey,
        here: Option<Provenance>,
        there: Option<Provenance>,
    ) -> SeriesComparison {
        let most = self.shifts.into_values().max_by_key(|(bars, _)| *bars);
        let shift = most.filter(|(bars, _)| bars * 2 > self.disagreeing_bars);
        SeriesComparison {
            series,
            here,
            there,
            counts: self.counts,
            close_factor: factor::of_series(self.factors, self.differing_closes),
            shift: shift.map(|(_, shift)| shift),
        }
    }
}

impl SeriesComparison {
    /// What the two series can't agree on, in words.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let (here, there) = match (&self.here, &self.there) {
            (Some(here), Some(there)) => (here, there),
            (Some(_), None) => return vec!["only in this store".to_owned()],
            _ => return vec!["only in the other store".to_owned()],
        };
        let mut notes = Vec::new();
        let mut add = |what: &str, here: &str, there: &str| {
            // What isn't known doesn't differ.
            if here != there && here != "unknown" && there != "unknown" {
                notes.push(format!("{what} is {here} here and {there} there"));
            }
        };
        add("exchange", &here.exchange, &there.exchange);
        add("price basis", here.basis.as_str(), there.basis.as_str());
        add("hours", here.hours.as_str(), there.hours.as_str());
        notes
    }
}
