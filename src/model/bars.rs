//! Many bars, column by column.
//!
//! Bars travel as columns from the parser to the Parquet file: no stage turns them into rows and back, and a column
//! that no bar fills (vwap, trades) costs nothing.

use std::ops::Range;

use super::{Bar, Timestamp};

/// Stands in the trades column for a bar without a number of trades.
pub const NO_TRADES: i64 = i64::MIN;

/// Bars of one series, column by column, in the order in which they were pushed.
///
/// All columns have the same length, but for vwap and trades, which are empty while no bar has one. A missing vwap is
/// NaN, a missing number of trades [`NO_TRADES`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    timestamp: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
    vwap: Vec<f64>,
    trades: Vec<i64>,
}

impl Bars {
    /// No bars, with room for `capacity`.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            timestamp: Vec::with_capacity(capacity),
            open: Vec::with_capacity(capacity),
            high: Vec::with_capacity(capacity),
            low: Vec::with_capacity(capacity),
            close: Vec::with_capacity(capacity),
            volume: Vec::with_capacity(capacity),
            vwap: Vec::new(),
            trades: Vec::new(),
        }
    }

    /// How many bars.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamp.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamp.is_empty()
    }

    /// Adds one bar at the end.
    pub fn push(&mut self, bar: &Bar) {
        let before = self.len();
        match bar.vwap {
            Some(vwap) => {
                self.vwap.resize(before, f64::NAN);
                self.vwap.push(vwap);
            }
            None if !self.vwap.is_empty() => self.vwap.push(f64::NAN),
            None => {}
        }
        match bar.trades {
            Some(trades) => {
                self.trades.resize(before, NO_TRADES);
                self.trades.push(trades);
            }
            None if !self.trades.is_empty() => self.trades.push(NO_TRADES),
            None => {}
        }
        self.timestamp.push(bar.timestamp.micros());
        self.open.push(bar.open);
        self.high.push(bar.high);
        self.low.push(bar.low);
        self.close.push(bar.close);
        self.volume.push(bar.volume);
    }

    /// The bar at `index`.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn get(&self, index: usize) -> Bar {
        Bar {
            timestamp: Timestamp::from_micros(self.timestamp[index]),
            open: self.open[index],
            high: self.high[index],
            low: self.low[index],
            close: self.close[index],
            volume: self.volume[index],
            vwap: self.vwap.get(index).copied().filter(|v| !v.is_nan()),
            trades: self.trades.get(index).copied().filter(|n| *n != NO_TRADES),
        }
    }

    /// The bars one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Bar> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Adds the bars of `range` in `other` at the end.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        let before = self.len();
        let added = range.len();
        if !other.vwap.is_empty() {
            self.vwap.resize(before, f64::NAN);
            self.vwap.extend_from_slice(&other.vwap[range.clone()]);
        } else if !self.vwap.is_empty() {
            self.vwap.resize(before + added, f64::NAN);
        }
        if !other.trades.is_empty() {
            self.trades.resize(before, NO_TRADES);
            self.trades.extend_from_slice(&other.trades[range.clone()]);
        } else if !self.trades.is_empty() {
            self.trades.resize(before + added, NO_TRADES);
        }
        self.timestamp
            .extend_from_slice(&other.timestamp[range.clone()]);
        self.open.extend_from_slice(&other.open[range.clone()]);
        self.high.extend_from_slice(&other.high[range.clone()]);
        self.low.extend_from_slice(&other.low[range.clone()]);
        self.close.extend_from_slice(&other.close[range.clone()]);
        self.volume.extend_from_slice(&other.volume[range]);
    }

    /// Adds all bars of `other` at the end; takes its columns as they are where there were none before.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.extend_from(&other, 0..other.len());
        }
    }

    /// The bars of `range`.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut out = Self::with_capacity(range.len());
        out.extend_from(self, range);
        out
    }

    /// The bars at `indices`, in that order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        fn pick<T: Copy>(column: &[T], indices: &[usize]) -> Vec<T> {
            if column.is_empty() {
                return Vec::new();
            }
            indices.iter().map(|&index| column[index]).collect()
        }
        Self {
            timestamp: pick(&self.timestamp, indices),
            open: pick(&self.open, indices),
            high: pick(&self.high, indices),
            low: pick(&self.low, indices),
            close: pick(&self.close, indices),
            volume: pick(&self.volume, indices),
            vwap: pick(&self.vwap, indices),
            trades: pick(&self.trades, indices),
        }
    }

    /// Whether timestamps only grow, so that no key stands twice.
    #[must_use]
    pub fn is_sorted_unique(&self) -> bool {
        self.timestamp.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// Timestamps in microseconds since 1970, UTC.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamp
    }

    /// Moves every timestamp by `micros`; for dumps that label a bar's close.
    pub fn shift(&mut self, micros: i64) {
        for timestamp in &mut self.timestamp {
            *timestamp += micros;
        }
    }

    /// Changes timestamps in place; for callers that settle local times after the whole file is known.
    pub fn timestamps_mut(&mut self) -> &mut [i64] {
        &mut self.timestamp
    }

    /// The columns, to be built into Arrow arrays without a copy.
    #[must_use]
    pub fn into_columns(self) -> Columns {
        Columns {
            timestamp: self.timestamp,
            prices: [self.open, self.high, self.low, self.close],
            volume: self.volume,
            vwap: self.vwap,
            trades: self.trades,
        }
    }

    /// The bars of `columns`.
    ///
    /// # Panics
    ///
    /// When the columns differ in length.
    #[must_use]
    pub fn from_columns(columns: Columns) -> Self {
        let len = columns.timestamp.len();
        let [open, high, low, close] = columns.prices;
        assert!(
            [&open, &high, &low, &close, &columns.volume]
                .iter()
                .all(|column| column.len() == len)
                && (columns.vwap.is_empty() || columns.vwap.len() == len)
                && (columns.trades.is_empty() || columns.trades.len() == len),
            "columns of bars differ in length"
        );
        Self {
            timestamp: columns.timestamp,
            open,
            high,
            low,
            close,
            volume: columns.volume,
            vwap: columns.vwap,
            trades: columns.trades,
        }
    }

    /// Open, high, low and close, then volume.
    #[must_use]
    pub fn values(&self) -> [&[f64]; 5] {
        [&self.open, &self.high, &self.low, &self.close, &self.volume]
    }

    /// The vwap column: empty, or one entry a bar, NaN where it is missing.
    #[must_use]
    pub fn vwap(&self) -> &[f64] {
        &self.vwap
    }

    /// The trades column: empty, or one entry a bar, [`NO_TRADES`] where it is missing.
    #[must_use]
    pub fn trades(&self) -> &[i64] {
        &self.trades
    }
}

/// The columns of [`Bars`], bare.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Microseconds since 1970, UTC.
    pub timestamp: Vec<i64>,
    /// Open, high, low, close.
    pub prices: [Vec<f64>; 4],
    /// Volumes.
    pub volume: Vec<f64>,
    /// Empty, or NaN where missing.
    pub vwap: Vec<f64>,
    /// Empty, or [`NO_TRADES`] where missing.
    pub trades: Vec<i64>,
}

impl FromIterator<Bar> for Bars {
    fn from_iter<I: IntoIterator<Item = Bar>>(bars: I) -> Self {
        let mut out = Self::default();
        for bar in bars {
            out.push(&bar);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(minute: i64, vwap: Option<f64>, trades: Option<i64>) -> Bar {
        Bar {
            timestamp: Timestamp::from_micros(minute * 60_000_000),
            open: 1.0,
            high: 2.0,
            low: 0.5,
            close: 1.5,
            volume: 10.0,
            vwap,
            trades,
        }
    }

    #[test]
    fn optional_columns_stay_aligned_however_they_are_filled() {
        let rows = [
            bar(1, None, None),
            bar(2, Some(1.2), None),
            bar(3, None, Some(4)),
            bar(4, Some(1.3), Some(5)),
        ];
        let bars: Bars = rows.into_iter().collect();
        assert_eq!(bars.iter().collect::<Vec<_>>(), rows);
        for split in 0..=rows.len() {
            let mut joined = bars.slice(0..split);
            joined.append(bars.slice(split..rows.len()));
            assert_eq!(joined.iter().collect::<Vec<_>>(), rows, "split at {split}");
        }
        assert_eq!(
            bars.select(&[3, 0]).iter().collect::<Vec<_>>(),
            [rows[3], rows[0]]
        );
        assert_eq!(
            Bars::from_columns(bars.clone().into_columns())
                .iter()
                .collect::<Vec<_>>(),
            rows
        );
    }
}
