//! Use case: which sessions are missing or short, and why.
//!
//! ```text
//! counts a session (store) ─┐
//! sessions (calendar) ──────┼─> judge ─> Gap, one a session ─┬─> listed
//! coverage (store) ─────────┘                                └─> fill: the fewest windows ─> backfill::Plan
//! ```
//!
//! Nothing is scanned but the timestamps of short sessions, for their first and last missing bar.

mod ask;
mod judge;
mod survey;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono::NaiveDate;

use crate::model::{SeriesKey, Timestamp};

pub use ask::{EMPTY_REFILLS_MAX, RefillRequest, RequestKind, asked, outcome};
pub use judge::align;
pub use survey::{Scope, SeriesGaps, Survey, survey};

/// Why a session lacks bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody was ever asked for it.
    NeverAsked,
    /// The provider was asked, and had nothing.
    Empty,
    /// It was asked for before it had ended, or its last bars were held back.
    Partial,
    /// The provider was asked, and failed.
    Failed,
    /// It has bars, but fewer than 0.9 of what the ten nearest sessions have.
    Short,
}

impl Reason {
    /// The word that is listed.
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

/// A session that is missing whole, or short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose session.
    pub series: SeriesKey,
    /// The trading date.
    pub session: NaiveDate,
    /// Bars that the session's grid has.
    pub expected: u32,
    /// Bars staged inside trading hours.
    pub bars: u32,
    /// The first bar of the grid that is missing.
    pub first_missing: Timestamp,
    /// The last bar of the grid that is missing.
    pub last_missing: Timestamp,
    /// Why.
    pub reason: Reason,
}
