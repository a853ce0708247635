//! Coverage: what was requested from a provider, and how it was answered.

mod catalog;
pub(super) mod compact;
pub(super) mod read;

use std::fmt;
use std::str::FromStr;

use crate::model::{DateRange, Provenance, SeriesKey, Timestamp};

/// How a provider answered for a range of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoverageStatus {
    Rows,
    /// Without bars, and without an error.
    Empty,
    /// Bars may be missing: the session had not settled, its first bars could not be requested, too many
    /// of its rows were rejects, or the plan of the key may withhold bars. It may have no bars at all.
    Partial,
    /// The request failed after all retries, or most rows were rejects. Then it may have bars.
    Failed,
}

/// A word that isn't a status.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} isn't a coverage status")]
pub struct UnknownStatus(String);

impl CoverageStatus {
    /// The word that the catalog uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Empty => "empty",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }

    /// Whether the dates need no further request.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        matches!(self, Self::Rows | Self::Empty)
    }
}

impl fmt::Display for CoverageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CoverageStatus {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Rows, Self::Empty, Self::Partial, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| UnknownStatus(word.to_owned()))
    }
}

/// The answer for a range of dates of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageEntry {
    /// The series that was requested.
    pub series: SeriesKey,
    /// The provider: `fmp`, `demo`.
    pub provider: String,
    /// What was requested: exchange, price basis, hours.
    pub provenance: Provenance,
    /// Exchange-local dates, both ends inside.
    pub dates: DateRange,
    /// How it was answered.
    pub status: CoverageStatus,
    /// Valid bars that came.
    pub rows: u64,
    /// Why it failed or is partial.
    pub reason: Option<String>,
    /// When it was requested.
    pub asked_at: Timestamp,
}
