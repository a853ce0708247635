//! What the requests of one window returned.

use std::collections::HashSet;

use crate::model::{Bars, Timestamp};
use crate::provider::{BadRow, FetchError, Rows};
use crate::store::CoverageEntry;

/// What the requests of one window returned.
#[derive(Default)]
pub struct FetchedWindow {
    /// Bars of the window, oldest first.
    pub bars: Bars,
    /// Rows that can't become bars.
    pub rejects: Vec<BadRow>,
    /// How many bars were left out because they can still change.
    pub withheld: u64,
    /// How each of the window's days was answered.
    pub coverage: Vec<CoverageEntry>,
    /// Why not all of the window could be requested.
    pub error: Option<FetchError>,
    /// Extra bars in the response, outside the window: used only to detect restated history.
    pub context_bars: Bars,
}

impl FetchedWindow {
    /// When its rows open, bars and rejects, in order.
    pub(super) fn opens(&self) -> Vec<i64> {
        opens(&self.bars, &self.rejects)
    }

    /// Adds the bars whose keys are new, and the rejects that no earlier response had.
    pub(super) fn add(&mut self, rows: Rows) {
        let before = self.rejects.len();
        for row in rows.rejects {
            let is_known = |known: &BadRow| known.reject.raw == row.reject.raw;
            if !self.rejects[..before].iter().any(is_known) {
                self.rejects.push(row);
            }
        }
        if self.bars.is_empty() {
            self.bars = rows.bars;
            return;
        }
        if rows.bars.is_empty() {
            return;
        }
        let known: HashSet<i64> = self.bars.timestamps().iter().copied().collect();
        let new = retain(&rows.bars, |at| !known.contains(at));
        self.bars.append(new);
        let mut order: Vec<usize> = (0..self.bars.len()).collect();
        order.sort_by_key(|&row| self.bars.timestamps()[row]);
        self.bars = self.bars.select(&order);
    }
}

/// When rows open, in order. A reject without a time is left out.
pub(super) fn opens(bars: &Bars, rejects: &[BadRow]) -> Vec<i64> {
    let rejects = rejects.iter().filter_map(|row| row.at);
    let mut opens: Vec<i64> = bars.timestamps().to_vec();
    opens.extend(rejects.map(Timestamp::micros));
    opens.sort_unstable();
    opens
}

/// The bars whose timestamps `keep` accepts.
pub(super) fn retain(bars: &Bars, keep: impl Fn(&i64) -> bool) -> Bars {
    let timestamps = bars.timestamps().iter().enumerate();
    let kept: Vec<usize> = timestamps
        .filter(|(_, at)| keep(at))
        .map(|(row, _)| row)
        .collect();
    bars.select(&kept)
}
