//! A few bars in columns: what a comparison needs of them.

use std::ops::Range;

use arrow::array::{AsArray, RecordBatch};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::Float64Type;

use crate::calendar::Timed;
use crate::model::columns::{CLOSE, OPEN, VOLUME};
use crate::model::{Bar, Timestamp};
use crate::store::columns::{FIRST_VALUE, timestamps};

/// Open, high, low, close and volume.
pub(super) const VALUES: usize = VOLUME - OPEN + 1;
/// Open, high, low and close.
pub(super) const PRICES: usize = CLOSE - OPEN + 1;

/// A batch of a scan, without a copy of its values.
pub(super) struct Piece {
    times: ScalarBuffer<i64>,
    values: Vec<ScalarBuffer<f64>>,
}

impl Piece {
    /// `None` if the columns of the batch have other types.
    pub fn new(batch: &RecordBatch) -> Option<Self> {
        let columns = batch.columns().get(FIRST_VALUE..FIRST_VALUE + VALUES)?;
        let values = columns.iter().map(|column| {
            let column = column.as_primitive_opt::<Float64Type>()?;
            Some(column.values().clone())
        });
        Some(Self {
            times: timestamps(batch)?.clone(),
            values: values.collect::<Option<_>>()?,
        })
    }
}

impl Timed for Piece {
    fn times(&self) -> &[i64] {
        &self.times
    }
}

/// Sorted bars of one series.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub times: Vec<i64>,
    /// The columns from open to volume.
    pub values: [Vec<f64>; VALUES],
}

impl Rows {
    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn clear(&mut self) {
        self.times.clear();
        self.values.iter_mut().for_each(Vec::clear);
    }

    /// Adds rows of a piece at the end.
    pub fn extend_from(&mut self, piece: &Piece, rows: Range<usize>) {
        self.times.extend_from_slice(&piece.times[rows.clone()]);
        for (values, more) in self.values.iter_mut().zip(&piece.values) {
            values.extend_from_slice(&more[rows.clone()]);
        }
    }

    /// Adds the rows of `other` that open inside `times`, which is inclusive.
    pub fn extend_inside(&mut self, other: &Self, first: i64, last: i64) {
        let start = other.times.partition_point(|time| *time < first);
        let end = other.times.partition_point(|time| *time <= last).max(start);
        self.times.extend_from_slice(&other.times[start..end]);
        for (values, more) in self.values.iter_mut().zip(&other.values) {
            values.extend_from_slice(&more[start..end]);
        }
    }

    /// Open, high, low, close and volume of one bar.
    pub fn get(&self, row: usize) -> [f64; VALUES] {
        std::array::from_fn(|column| self.values[column][row])
    }

    pub fn close(&self, row: usize) -> f64 {
        self.values[CLOSE][row]
    }

    pub fn bar(&self, row: usize) -> Bar {
        let [open, high, low, close, volume] = self.get(row);
        let timestamp = Timestamp::from_micros(self.times[row]);
        Bar::new(timestamp, [open, high, low, close], volume)
    }
}
