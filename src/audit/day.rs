//! The bars of one trading date.

use std::ops::Range;

use chrono::NaiveDate;

use crate::calendar::{Calendar, Session};
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
    pub date: NaiveDate,
    pub trading: Trading,
    pub bars: Bars,
    /// The bars inside each part of the session; all bars if the session isn't known.
    pub parts: Vec<Range<usize>>,
}

impl Day {
    fn new(date: NaiveDate, trading: Trading, bars: Bars) -> Self {
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
            date,
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

/// The trading dates of a series in order, from its bars in pieces of any length.
pub(super) struct Days<I> {
    pieces: I,
    calendar: Calendar,
    /// Whether the calendar is that of the exchange.
    is_known: bool,
    /// Bars that aren't in a day yet, from `at` on.
    bars: Bars,
    at: usize,
    is_over: bool,
}

impl<E, I: Iterator<Item = Result<Bars, E>>> Days<I> {
    /// Splits `pieces` by the dates of `calendar`; `is_known` is false if it isn't that of the
    /// exchange.
    pub fn new(pieces: I, calendar: Calendar, is_known: bool) -> Self {
        Self {
            pieces,
            calendar,
            is_known,
            bars: Bars::default(),
            at: 0,
            is_over: false,
        }
    }

    /// The next date with bars.
    pub fn next(&mut self) -> Result<Option<Day>, E> {
        loop {
            let times = &self.bars.timestamps()[self.at..];
            let run = self.calendar.session_runs(times).next();
            // The next piece can have more bars of the last date.
            if let Some((date, run)) = run.filter(|(_, run)| self.is_over || run.end < times.len())
            {
                let range = self.at + run.start..self.at + run.end;
                self.at = range.end;
                let trading = match self.calendar.session_on(date) {
                    Ok(Some(session)) if self.is_known => Trading::Session(session),
                    Ok(None) if self.is_known => Trading::Closed,
                    _ => Trading::Unknown,
                };
                return Ok(Some(Day::new(date, trading, self.bars.slice(range))));
            }
            if self.is_over {
                return Ok(None);
            }
            self.bars = self.bars.slice(self.at..self.bars.len());
            self.at = 0;
            match self.pieces.next() {
                Some(piece) => self.bars.append(piece?),
                None => self.is_over = true,
            }
        }
    }
}
