//! A row of a response that isn't a bar.

use crate::model::{Reason, Reject, Timestamp};

/// A row of a response that isn't a bar of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// When it opens, if the row shows it and its date was requested.
    pub at: Option<Timestamp>,
    /// The row and the reason.
    pub reject: Reject,
}

/// Why a row isn't a bar, and when it opens in microseconds, if that is known and requested.
pub(super) type NotBar = (Reason, Option<i64>);

impl BadRow {
    /// The row with the text `raw`. `line` counts the rows of a response from 1.
    pub(super) fn new(origin: &str, line: u64, raw: &str, (reason, at): NotBar) -> Self {
        Self {
            at: at.map(Timestamp::from_micros),
            reject: Reject {
                origin: origin.to_owned(),
                line,
                reason,
                raw: raw.to_owned(),
            },
        }
    }
}
