//! Joins one trading day of both stores by time.

use std::cmp::Ordering;

use super::bars::{PRICES, Rows, VALUES};
use super::session::Counts;

/// How a bar differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// In both stores, with a price outside the tolerance.
    Different,
    OnlyHere,
    OnlyThere,
}

impl Difference {
    /// The word in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::OnlyHere => "only_here",
            Self::OnlyThere => "only_there",
        }
    }
}

/// A bar that differs, with open, high, low, close and volume of each store that has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DifferingBar {
    /// When it opens, in microseconds UTC.
    pub micros: i64,
    pub difference: Difference,
    pub here: Option<[f64; VALUES]>,
    pub there: Option<[f64; VALUES]>,
}

/// How far two prices may be apart: a share of the larger one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance(f64);

impl Tolerance {
    pub fn of_basis_points(basis_points: f64) -> Self {
        Self(basis_points / 10_000.0)
    }

    #[inline]
    pub fn holds(self, here: f64, there: f64) -> bool {
        (here - there).abs() <= self.0 * here.max(there)
    }

    /// Whether the four prices of two bars agree.
    #[inline]
    pub fn holds_for(self, here: &Rows, row: usize, there: &Rows, other: usize) -> bool {
        (0..PRICES).all(|column| self.holds(here.values[column][row], there.values[column][other]))
    }
}

/// The bars of a day that aren't the same, by their rows.
#[derive(Debug, Default)]
pub(super) struct Joined {
    pub counts: Counts,
    /// Rows (here, there) of bars with a price outside the tolerance.
    pub different: Vec<(usize, usize)>,
    pub only_here: Vec<usize>,
    pub only_there: Vec<usize>,
}

impl Joined {
    pub fn new(here: &Rows, there: &Rows, tolerance: Tolerance) -> Self {
        let mut joined = Self::default();
        if here.times == there.times {
            for row in 0..here.len() {
                joined.pair(here, row, there, row, tolerance);
            }
            return joined;
        }
        let (mut row, mut other) = (0, 0);
        while row < here.len() && other < there.len() {
            match here.times[row].cmp(&there.times[other]) {
                Ordering::Less => {
                    joined.only_here.push(row);
                    row += 1;
                }
                Ordering::Greater => {
                    joined.only_there.push(other);
                    other += 1;
                }
                Ordering::Equal => {
                    joined.pair(here, row, there, other, tolerance);
                    row += 1;
                    other += 1;
                }
            }
        }
        joined.only_here.extend(row..here.len());
        joined.only_there.extend(other..there.len());
        joined.counts.only_here = joined.only_here.len() as u64;
        joined.counts.only_there = joined.only_there.len() as u64;
        joined
    }

    #[inline]
    fn pair(&mut self, here: &Rows, row: usize, there: &Rows, other: usize, tolerance: Tolerance) {
        let counts = &mut self.counts;
        let volume = VALUES - 1;
        counts.both += 1;
        counts.volume_here += here.values[volume][row];
        counts.volume_there += there.values[volume][other];
        if (0..VALUES).all(|column| here.values[column][row] == there.values[column][other]) {
            counts.identical += 1;
        } else if tolerance.holds_for(here, row, there, other) {
            counts.within += 1;
        } else {
            counts.different += 1;
            self.different.push((row, other));
        }
    }

    /// The bars that differ, in order.
    pub fn differing(&self, here: &Rows, there: &Rows) -> Vec<DifferingBar> {
        let different = self.different.iter().map(|(row, other)| DifferingBar {
            micros: here.times[*row],
            difference: Difference::Different,
            here: Some(here.get(*row)),
            there: Some(there.get(*other)),
        });
        let only_here = self.only_here.iter().map(|row| DifferingBar {
            micros: here.times[*row],
            difference: Difference::OnlyHere,
            here: Some(here.get(*row)),
            there: None,
        });
        let only_there = self.only_there.iter().map(|row| DifferingBar {
            micros: there.times[*row],
            difference: Difference::OnlyThere,
            here: None,
            there: Some(there.get(*row)),
        });
        let mut bars: Vec<DifferingBar> = different.chain(only_here).chain(only_there).collect();
        bars.sort_by_key(|bar| bar.micros);
        bars
    }
}
