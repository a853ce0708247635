//! What to do with an offered bar whose key is already stored.

use super::words::words;

/// The policy for conflicts, chosen with `--on-conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Any conflict refuses the whole batch; nothing of it is written.
    #[default]
    Fail,
    /// New bars are stored; conflicting ones are skipped and counted.
    Ignore,
    /// New bars are stored, and restated ones replace the stored ones.
    Update,
}

words!(OnConflict, "conflict mode", {
    Fail => "fail",
    Ignore => "ignore",
    Update => "update",
});
