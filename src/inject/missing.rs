//! The bars that are missing because their rows are rejects.

use std::collections::BTreeMap;

use super::block::{BadRow, MissingBar, Parsed};
use crate::model::{Interval, Ticker};

/// The last bar of a file so far, and how many rows without a readable time came after it. These
/// rows are taken for the bars that follow it.
#[derive(Default)]
pub(super) struct LastBar(Option<Last>);

struct Last {
    ticker: Ticker,
    time: i64,
    /// Whether the file goes back in time.
    is_backward: bool,
    rows_since: i64,
}

impl LastBar {
    /// The bar that the next row without a readable time would be.
    pub(super) fn following(&mut self) -> Option<MissingBar> {
        let last = self.0.as_mut()?;
        last.rows_since += 1;
        let direction = if last.is_backward { -1 } else { 1 };
        Some(MissingBar {
            ticker: last.ticker.clone(),
            time: last.time,
            steps: direction * last.rows_since,
        })
    }

    /// Finds the bars of the rejects in parsed blocks whose times can't be read. `ticker` has those
    /// of the blocks. Blocks come in file order, and their size doesn't matter.
    pub(super) fn place(&mut self, parsed: &mut Parsed, ticker: impl Fn(u32) -> Option<Ticker>) {
        let times = parsed.bars.timestamps();
        let mut runs = parsed.runs.iter();
        // The run before the row, as bars of the blocks.
        let mut run = None;
        let (mut start, mut end) = (0, 0);
        let mut seen = 0;
        for (reject, bars_before) in &parsed.unplaced {
            while end < *bars_before
                && let Some(next) = runs.next()
            {
                (start, end) = (end, end + next.len as usize);
                run = ticker(next.ticker);
            }
            if seen < *bars_before {
                self.set(run.as_ref(), &times[start..*bars_before], start == 0);
                seen = *bars_before;
            }
            parsed.rejects[*reject].bar = self.following();
        }
        if let Some(last) = parsed.runs.last()
            && seen < times.len()
        {
            let start = times.len() - last.len as usize;
            self.set(ticker(last.ticker).as_ref(), &times[start..], start == 0);
        }
    }

    /// Sets the last bar to the last of a run. Only `is_first` can continue the run before.
    fn set(&mut self, ticker: Option<&Ticker>, run: &[i64], is_first: bool) {
        let Some((ticker, time)) = ticker.zip(run.last()) else {
            return;
        };
        let before = match run {
            [.., before, _] => Some(*before),
            _ => (self.0.as_ref())
                .filter(|last| is_first && last.ticker == *ticker)
                .map(|last| last.time),
        };
        self.0 = Some(Last {
            ticker: ticker.clone(),
            time: *time,
            is_backward: before.is_some_and(|before| *time < before),
            rows_since: 0,
        });
    }
}

/// The times of the bars that are missing because of rejects, by ticker.
pub(super) fn missing(rejects: &[BadRow], interval: Interval) -> BTreeMap<Ticker, Vec<i64>> {
    let mut missing: BTreeMap<Ticker, Vec<i64>> = BTreeMap::new();
    for bar in rejects.iter().filter_map(|row| row.bar.as_ref()) {
        let times = missing.entry(bar.ticker.clone()).or_default();
        times.push(bar.time + bar.steps * interval.micros());
    }
    missing
}
