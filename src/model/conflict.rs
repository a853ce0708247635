//! What to do with an offered bar whose key is staged already.

use std::fmt;
use std::str::FromStr;

/// The policy for conflicts, chosen with `--on-conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Any conflict refuses the whole batch; nothing of it is written.
    #[default]
    Fail,
    /// New bars are taken, conflicting ones skipped and counted.
    Ignore,
    /// New bars are taken, restated ones replace what was staged.
    Update,
}

/// What was typed is not a conflict mode.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a conflict mode; it is one of fail, ignore and update")]
pub struct UnknownOnConflict(String);

impl OnConflict {
    /// The word as typed on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Ignore => "ignore",
            Self::Update => "update",
        }
    }
}

impl fmt::Display for OnConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OnConflict {
    type Err = UnknownOnConflict;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        [Self::Fail, Self::Ignore, Self::Update]
            .into_iter()
            .find(|mode| mode.as_str() == typed)
            .ok_or_else(|| UnknownOnConflict(typed.to_owned()))
    }
}
