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
    /// With bars.
    Rows,
    /// With none, and no error.
    Empty,
    /// With bars, but the last session had not ended, or bars were held back or are missing at the start.
    Partial,
    /// With an error that outlived its retries.
    Failed,
}

/// A word that is not an answer's status.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the status of an answer")]
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

    /// Whether asking again could only bring what is known: the dates need no further request.
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

/// One answer: for a series, the exchange-local dates that were asked for and what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageEntry {
    /// Whose bars were asked for.
    pub series: SeriesKey,
    /// Who was asked: `fmp`, `demo`.
    pub provider: String,
    /// As what they were asked for: exchange, price basis, hours.
    pub provenance: Provenance,
    /// Exchange-local dates, both ends inside.
    pub dates: DateRange,
    /// How it was answered.
    pub status: CoverageStatus,
    /// Valid bars in the answer.
    pub rows: u64,
    /// Why it failed or is partial.
    pub reason: Option<String>,
    /// When it was asked.
    pub asked_at: Timestamp,
}
