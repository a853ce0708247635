//! How a ticker of a push ended.

use std::time::Duration;

use super::error::{Error, ErrorKind};
use super::part::Part;
use super::source::Unit;
use crate::advice::Hint;
use crate::model::SeriesKey;
use crate::report::{Counts, UnitReport, UnitStatus};

/// How far a series was in the table when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub series: SeriesKey,
    /// The table has all commits of the series up to this one.
    pub base_seq: u64,
}

/// How a ticker ended.
#[derive(Clone, Debug)]
pub struct UnitEnd {
    pub report: UnitReport,
    pub seen: Vec<Seen>,
}

impl UnitEnd {
    pub fn of(report: UnitReport) -> Self {
        Self {
            report,
            seen: Vec::new(),
        }
    }

    /// A ticker whose bars the table has already.
    pub fn unchanged(unit: &Unit) -> Self {
        let parts = unit.partitions.iter().map(Part::unchanged);
        Self::ok(unit, parts.map(|part| part.counts).sum())
    }

    pub fn ok(unit: &Unit, counts: Counts) -> Self {
        let hot = unit.hot_rows();
        let counts = Counts {
            fetched: counts.fetched + hot,
            held: hot,
            ..counts
        };
        // Hot rows can be of any commit, so a series with some has no known base.
        let sealed = unit.series.iter().filter(|row| row.hot_rows == 0);
        Self {
            report: UnitReport::done(unit.ticker.as_str(), counts, Duration::ZERO),
            seen: sealed
                .map(|row| Seen {
                    series: row.key.clone(),
                    base_seq: row.max_commit_seq,
                })
                .collect(),
        }
    }

    pub fn failed(unit: &Unit, counts: Counts, error: &Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Conflict => UnitStatus::Conflict,
            _ => UnitStatus::Failed,
        };
        Self::of(UnitReport {
            status,
            error: Some(error.to_string()),
            hint: error.hint(),
            ..UnitReport::done(unit.ticker.as_str(), counts, Duration::ZERO)
        })
    }
}
