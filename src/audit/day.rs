//! The bars of one trading date.

use std::ops::Range;

use crate::calendar::Session;
use crate::model::columns::{CLOSE, OPEN, VOLUME};
use crate::model::{Bars, ColumnValues};

/// When the exchange trades on a date.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Trading {
    Session(Session),
    /// It is closed.
    Closed,
    /// There is no calendar for the exchange or the date.
    Unknown,
}

/// The bars of one trading date of a series.
#[derive(Clone, Debug)]
pub(super) struct Day {
    pub trading: Trading,
    pub bars: Bars,
    /// The bars inside each part of the session; all bars if the session isn't known.
    pub parts: Vec<Range<usize>>,
}

impl Day {
    pub fn new(trading: Trading, bars: Bars) -> Self {
        let times = bars.timestamps();
        let index = |micros: i64| times.partition_point(|at| *at < micros);
        let parts = match trading {
            Trading::Session(session) => session
                .parts()
                .map(|(open, close)| index(open.micros())..index(close.micros()))
                .filter(|part| !part.is_empty())
                .collect(),
            Trading::Closed => Vec::new(),
            Trading::Unknown => std::iter::once(0..times.len()).collect(),
        };
        Self {
            trading,
            bars,
            parts,
        }
    }

    pub fn session(&self) -> Option<Session> {
        match self.trading {
            Trading::Session(session) => Some(session),
            Trading::Closed | Trading::Unknown => None,
        }
    }

    pub fn times(&self) -> &[i64] {
        self.bars.timestamps()
    }

    pub fn open(&self) -> &[f64] {
        self.doubles(OPEN)
    }

    pub fn high(&self) -> &[f64] {
        self.doubles(OPEN + 1)
    }

    pub fn low(&self) -> &[f64] {
        self.doubles(OPEN + 2)
    }

    pub fn close(&self) -> &[f64] {
        self.doubles(CLOSE)
    }

    pub fn volume(&self) -> &[f64] {
        self.doubles(VOLUME)
    }

    fn doubles(&self, column: usize) -> &[f64] {
        match self.bars.column(column) {
            ColumnValues::Double(values) => values,
            ColumnValues::Integer(_) => &[],
        }
    }
}
