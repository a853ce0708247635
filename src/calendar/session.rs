//! One trading day.

use chrono::NaiveDate;

use crate::model::{Interval, Timestamp};

/// The share of the usual bars that a complete session has at least. Minutes without trades have no
/// bars, so the length of a session alone doesn't show how many it should have.
pub const COMPLETE_SHARE_MIN: f64 = 0.9;

/// One trading day of an exchange. The close is the first instant after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The trading date.
    pub date: NaiveDate,
    /// The first instant of trading.
    pub open: Timestamp,
    /// The first instant after trading.
    pub close: Timestamp,
    /// A break, such as lunch: its first instant, and the first after it.
    pub pause: Option<(Timestamp, Timestamp)>,
}

impl Session {
    /// Whether an instant is between open and close, and not in the break.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.open <= at
            && at < self.close
            && self
                .pause
                .is_none_or(|(start, end)| at < start || end <= at)
    }

    /// The parts before and after the break; the whole session if there is none.
    pub fn parts(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let (first, second) = match self.pause {
            Some((start, end)) => ((self.open, start), Some((end, self.close))),
            None => ((self.open, self.close), None),
        };
        std::iter::once(first).chain(second)
    }

    /// The trading time before an instant, without the break, in microseconds.
    #[must_use]
    pub fn trading_before(&self, micros: i64) -> i64 {
        self.parts()
            .map(|(start, end)| (micros.min(end.micros()) - start.micros()).max(0))
            .sum()
    }

    /// The opens of the expected bars. Each part has its own grid, from its open. The last bar of a
    /// part is short if the interval doesn't divide the part.
    #[must_use]
    pub fn grid(&self, interval: Interval) -> Vec<Timestamp> {
        let mut opens = Vec::with_capacity(self.expected(interval));
        for (start, end) in self.parts() {
            let mut at = start.micros();
            while at < end.micros() {
                opens.push(Timestamp::from_micros(at));
                at += interval.micros();
            }
        }
        opens
    }

    /// The last open of [`grid`](Self::grid).
    #[must_use]
    pub fn last_open(&self, interval: Interval) -> Option<Timestamp> {
        let parts = self.parts().filter(|(start, end)| start < end);
        let (start, end) = parts.last()?;
        let before = (end.micros() - start.micros() - 1) / interval.micros();
        Some(Timestamp::from_micros(
            start.micros() + before * interval.micros(),
        ))
    }

    /// The number of expected bars: the length of [`grid`](Self::grid).
    #[must_use]
    pub fn expected(&self, interval: Interval) -> usize {
        self.parts()
            .map(|(start, end)| {
                let micros = end.micros() - start.micros();
                usize::try_from((micros + interval.micros() - 1) / interval.micros()).unwrap_or(0)
            })
            .sum()
    }
}
