//! Rows of a series, cut into trading dates.

use std::collections::VecDeque;
use std::ops::Range;

use chrono::NaiveDate;

use super::Calendar;
use crate::model::Bars;

/// Rows with a time each, in order.
pub trait Timed {
    /// When each row opens, in microseconds since 1970, UTC.
    fn times(&self) -> &[i64];
}

impl Timed for Bars {
    fn times(&self) -> &[i64] {
        self.timestamps()
    }
}

/// The trading dates of a series in order, from its rows in pieces of any length. One piece is in
/// memory.
pub struct Days<P, I> {
    pieces: I,
    calendar: Calendar,
    piece: Option<P>,
    /// The dates in `piece` that weren't read yet, with their rows.
    runs: VecDeque<(NaiveDate, Range<usize>)>,
}

impl<P: Timed, E, I: Iterator<Item = Result<P, E>>> Days<P, I> {
    /// Cuts `pieces` at the trading dates of `calendar`. Fails if the first piece does.
    pub fn new(pieces: I, calendar: Calendar) -> Result<Self, E> {
        let mut days = Self {
            pieces,
            calendar,
            piece: None,
            runs: VecDeque::new(),
        };
        days.fill()?;
        Ok(days)
    }

    /// The next date; `None` at the end.
    pub fn date(&self) -> Option<NaiveDate> {
        self.runs.front().map(|(date, _)| *date)
    }

    /// Passes the rows of the next date to `add`, one range for each piece that has some of them.
    pub fn read(&mut self, mut add: impl FnMut(&P, Range<usize>)) -> Result<(), E> {
        let Some(date) = self.date() else {
            return Ok(());
        };
        while let Some((_, run)) = self.runs.pop_front_if(|(next, _)| *next == date) {
            if let Some(piece) = &self.piece {
                add(piece, run);
            }
            if self.runs.is_empty() {
                self.fill()?;
            }
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), E> {
        while self.runs.is_empty() {
            let Some(piece) = self.pieces.next().transpose()? else {
                return Ok(());
            };
            self.runs.extend(self.calendar.session_runs(piece.times()));
            self.piece = Some(piece);
        }
        Ok(())
    }
}
