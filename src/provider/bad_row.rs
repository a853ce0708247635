//! A row of a response that isn't a bar.

use crate::model::{Reject, Timestamp};

/// A row of a response that isn't a bar of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// When it opens, if the row says so and its date was requested.
    pub at: Option<Timestamp>,
    /// The row and the reason.
    pub reject: Reject,
}
