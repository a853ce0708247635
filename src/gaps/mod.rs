//! Use case: which sessions are missing or incomplete, why, and how to fill them.
//!
//! ```text
//! counts per session (store) ─┐
//! rejected rows (store) ──────┤
//! sessions (calendar) ────────┼─> classify ─> Gap, one per session ─┬─> Survey, listed
//! coverage (store) ───────────┘                                     └─> Fill ─> backfill::Plan ─> run
//! ```
//!
//! No bars are scanned. Only the timestamps of sessions with rejected rows are read, and those of
//! short sessions for their first and last missing bar.

mod classify;
mod completeness;
mod error;
mod fill;
mod refill;
mod survey;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono::NaiveDate;

use crate::model::{SeriesKey, Timestamp};

pub use classify::{align, rejected_of};
pub use completeness::{Completeness, Shortage, completeness};
pub use error::Error;
pub use fill::{Fill, FillOptions};
pub use refill::{EMPTY_REFILLS_MAX, RefillRequest, RequestKind, attempts_after, refill_requests};
pub use survey::{Facts, Scope, SeriesGaps, Survey, survey, survey_by_counts};

/// Why a session lacks bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It was never requested.
    NeverAsked,
    /// It was requested, and the provider has no bars.
    Empty,
    /// Coverage shows that bars may be missing: see [`CoverageStatus::Partial`](crate::store::CoverageStatus).
    Partial,
    /// The request failed, or most of its rows were rejects.
    Failed,
    /// It lacks bars by the rule of [`completeness()`].
    Short,
}

impl Reason {
    /// The word in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverAsked => "never_asked",
            Self::Empty => "empty",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Short => "short",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A missing or incomplete session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub series: SeriesKey,
    /// The trading date.
    pub session: NaiveDate,
    /// Bars of the session's grid.
    pub expected: u32,
    /// Bars stored inside trading hours.
    pub bars: u32,
    /// The first missing bar of the grid.
    pub first_missing: Timestamp,
    /// The last missing bar of the grid.
    pub last_missing: Timestamp,
    /// Why it lacks bars.
    pub reason: Reason,
    /// Why a short session is short.
    pub shortage: Option<Shortage>,
    /// Rejected rows of it whose bars aren't stored.
    pub rejected: u32,
}
