//! Many bars, column by column.
//!
//! Bars stay in columns from the parser to the Parquet file: no stage turns them into rows and
//! back. An optional column takes no memory while no bar has a value in it.

use std::ops::Range;

use super::columns::{COLUMN_COUNT, COLUMNS, Kind, Optional, Value};
use super::{Bar, Timestamp};

/// Bars of one series, in the order in which they were pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    timestamps: Vec<i64>,
    columns: [ColumnValues; COLUMN_COUNT],
}

/// The values of one column: one for each bar, or none at all while an optional column has no
/// value.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValues {
    /// Of a [`Kind::Double`] column.
    Double(Vec<f64>),
    /// Of a [`Kind::Integer`] column.
    Integer(Vec<i64>),
}

impl ColumnValues {
    /// No values.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        match kind {
            Kind::Double => Self::Double(Vec::new()),
            Kind::Integer => Self::Integer(Vec::new()),
        }
    }

    /// Number of values: that of the bars, or 0.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Double(values) => values.len(),
            Self::Integer(values) => values.len(),
        }
    }

    /// Whether no bar has a value here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of one bar.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> Value {
        match self {
            Self::Double(values) => Value::double(values.get(row).copied()),
            Self::Integer(values) => Value::integer(values.get(row).copied()),
        }
    }

    fn reserve(&mut self, capacity: usize) {
        match self {
            Self::Double(values) => values.reserve(capacity),
            Self::Integer(values) => values.reserve(capacity),
        }
    }

    fn reverse(&mut self) {
        match self {
            Self::Double(values) => values.reverse(),
            Self::Integer(values) => values.reverse(),
        }
    }

    /// Adds the value of bar number `row`.
    #[inline]
    fn push(&mut self, row: usize, value: Value, optional: bool) {
        match (self, value) {
            (Self::Double(values), Value::Double(value)) => push(values, row, value, optional),
            (Self::Integer(values), Value::Integer(value)) => push(values, row, value, optional),
            _ => unreachable!("a value has the kind of its column"),
        }
    }

    /// Adds the values of `range` in `other` to the `rows` bars that are there.
    fn extend_from(&mut self, rows: usize, other: &Self, range: Range<usize>) {
        match (self, other) {
            (Self::Double(values), Self::Double(other)) => extend(values, rows, other, range),
            (Self::Integer(values), Self::Integer(other)) => extend(values, rows, other, range),
            _ => unreachable!("both are the same column"),
        }
    }

    fn select(&self, rows: &[usize]) -> Self {
        fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
            if values.is_empty() {
                return Vec::new();
            }
            rows.iter().map(|&row| values[row]).collect()
        }
        match self {
            Self::Double(values) => Self::Double(pick(values, rows)),
            Self::Integer(values) => Self::Integer(pick(values, rows)),
        }
    }
}

/// An optional column stays empty until its first value.
#[inline]
fn push<T: Optional>(values: &mut Vec<T>, row: usize, value: T, optional: bool) {
    if optional && values.is_empty() {
        if value.is_missing() {
            return;
        }
        values.resize(row, T::MISSING);
    }
    values.push(value);
}

fn extend<T: Optional>(values: &mut Vec<T>, rows: usize, other: &[T], range: Range<usize>) {
    if !other.is_empty() {
        values.resize(rows, T::MISSING);
        values.extend_from_slice(&other[range]);
    } else if !values.is_empty() {
        values.resize(rows + range.len(), T::MISSING);
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self {
            timestamps: Vec::new(),
            columns: COLUMNS.map(|column| ColumnValues::new(column.kind)),
        }
    }
}

impl Bars {
    /// No bars, with room for `capacity`.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bars = Self {
            timestamps: Vec::with_capacity(capacity),
            ..Self::default()
        };
        for (values, column) in bars.columns.iter_mut().zip(&COLUMNS) {
            if !column.optional {
                values.reserve(capacity);
            }
        }
        bars
    }

    /// Number of bars.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Adds one bar at the end.
    #[inline]
    pub fn push(&mut self, bar: &Bar) {
        let row = self.len();
        let values = bar.values();
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.push(row, values[index], COLUMNS[index].optional);
        }
        self.timestamps.push(bar.timestamp.micros());
    }

    /// The bar at `index`.
    ///
    /// # Panics
    ///
    /// If `index` isn't below [`len`](Self::len).
    #[must_use]
    pub fn get(&self, index: usize) -> Bar {
        let timestamp = Timestamp::from_micros(self.timestamps[index]);
        let values = std::array::from_fn(|column| self.columns[column].get(index));
        Bar::from_values(timestamp, values)
    }

    /// The bars one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Bar> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Adds the bars of `range` in `other` at the end.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        let rows = self.len();
        for (values, other) in self.columns.iter_mut().zip(&other.columns) {
            values.extend_from(rows, other, range.clone());
        }
        self.timestamps.extend_from_slice(&other.timestamps[range]);
    }

    /// Adds all bars of `other` at the end; takes its columns without a copy if there were no bars.
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
        Self {
            timestamps: indices
                .iter()
                .map(|&index| self.timestamps[index])
                .collect(),
            columns: std::array::from_fn(|column| self.columns[column].select(indices)),
        }
    }

    /// Turns the order round.
    pub fn reverse(&mut self) {
        self.timestamps.reverse();
        self.columns.iter_mut().for_each(ColumnValues::reverse);
    }

    /// Whether the timestamps grow strictly: each key is there once, in order.
    #[must_use]
    pub fn is_sorted_unique(&self) -> bool {
        self.timestamps.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// Timestamps in microseconds since 1970, UTC.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    /// Timestamps to be changed in place: files may label bars by their close, or with local times
    /// that occur twice.
    pub fn timestamps_mut(&mut self) -> &mut [i64] {
        &mut self.timestamps
    }

    /// Whether any bar may have an optional value.
    #[must_use]
    pub fn has_optional_values(&self) -> bool {
        let mut columns = self.columns.iter().zip(&COLUMNS);
        columns.any(|(values, column)| column.optional && !values.is_empty())
    }

    /// The values of one column, by its index in [`COLUMNS`].
    #[must_use]
    pub fn column(&self, index: usize) -> &ColumnValues {
        &self.columns[index]
    }

    /// Timestamps and columns, to be built into Arrow arrays without a copy.
    #[must_use]
    pub fn into_columns(self) -> (Vec<i64>, [ColumnValues; COLUMN_COUNT]) {
        (self.timestamps, self.columns)
    }

    /// Bars from timestamps and columns in the order of [`COLUMNS`].
    ///
    /// # Panics
    ///
    /// If the columns differ in length; an optional column may also be empty.
    #[must_use]
    pub fn from_columns(timestamps: Vec<i64>, columns: [ColumnValues; COLUMN_COUNT]) -> Self {
        let rows = timestamps.len();
        for (values, column) in columns.iter().zip(&COLUMNS) {
            assert!(
                values.len() == rows || column.optional && values.is_empty(),
                "columns of bars differ in length"
            );
        }
        Self {
            timestamps,
            columns,
        }
    }
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
            vwap,
            trades,
            ..Bar::new(
                Timestamp::from_micros(minute * 60_000_000),
                [1.0, 2.0, 0.5, 1.5],
                10.0,
            )
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
        let (timestamps, columns) = bars.clone().into_columns();
        assert_eq!(
            Bars::from_columns(timestamps, columns)
                .iter()
                .collect::<Vec<_>>(),
            rows
        );
    }
}
