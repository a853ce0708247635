//! Runs of the program, as the store records them.

use std::fmt;

use uuid::Uuid;

/// Identifies one run. Its rejects are in `rejects/<run>.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunId(String);

impl RunId {
    /// A new id. `stamp` comes first, so that ids sort by time: `20250102T143000Z-1a2b3c4d`.
    pub(crate) fn new(started_at: crate::model::Timestamp) -> Self {
        let random = Uuid::new_v4().simple().to_string();
        Self(format!(
            "{}-{}",
            started_at.to_utc().format("%Y%m%dT%H%M%SZ"),
            &random[..8]
        ))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
