//! Why a push failed.

use std::fmt;

use crate::advice::{Advice, Hint};

/// What kind of failure it is, for callers that act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The target's address or its settings are wrong.
    Usage,
    /// The store can't be read.
    Store,
    /// The bars are the simulator's.
    DemoBars,
    /// The target can't be reached, or refuses a request.
    Target,
    /// The target's table can't take the bars.
    Table,
    /// The table has bars of others for a partition, and the policy is `fail`.
    Conflict,
    /// A file of the table is missing or damaged.
    File,
    /// A partition of the store is damaged.
    Damaged,
    /// The run was stopped.
    Interrupted,
}

/// A push, or the push of one ticker, failed.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<Advice>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Advice>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The run was stopped.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "interrupted")
    }

    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<Advice> {
        self.hint.clone()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
