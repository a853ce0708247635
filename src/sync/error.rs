//! Why a sync, or the sync of one series, failed.

use std::error::Error as StdError;
use std::fmt;

use super::source::SourceError;
use crate::advice::{Advice, Hint};
use crate::causes;
use crate::model::SeriesKey;

/// What kind of failure it is, for callers that act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The store can't be read.
    Store,
    /// The bars are the simulator's.
    DemoBars,
    /// Bars of several intervals would go into one table.
    ManyIntervals,
    /// The database can't be reached.
    Connect,
    /// The database refused a statement, or the connection was lost.
    Database,
    /// The database didn't respond in time.
    NoResponse,
    /// A connection pooler in between has no transactions.
    NoTransactions,
    /// The target table can't take the bars.
    Table,
    /// The record of progress can't be kept.
    Progress,
    /// The times in the target table are in another zone than requested.
    OtherZone,
    /// No zone is recorded for the times in the target table, and they don't look like UTC.
    UnknownZone,
    /// A value doesn't fit its column.
    Value,
    /// The target has other values, and the mode is `fail`.
    Restated { restated: u64, rows: u64 },
    /// The target doesn't hold what was sent.
    Delivery,
    /// The target table was replaced by another one during the sync.
    Replaced,
    /// A copy of this store syncs at the same time.
    Contended,
    /// The run was stopped.
    Interrupted,
}

/// Whether the same attempt may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// On a new connection: it was lost, or the server is stopping or starting.
    NewConnection,
    /// On the same connection, after a rollback.
    SameConnection,
    /// Never: it would fail in the same way.
    Never,
}

/// A sync, or the sync of one series, failed.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<Advice>,
    retry: Retry,
    /// Not the source in the sense of [`StdError`]: the message has all of it.
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that isn't worth another attempt.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            retry: Retry::Never,
            cause: None,
        }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<Advice>) -> Self {
        self.maybe_hint(Some(hint))
    }

    /// Adds what the user can do, if anything.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<impl Into<Advice>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }

    /// Sets whether another attempt may succeed.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Adds what the target's own library returned, for the target to look at again.
    #[must_use]
    pub fn with_cause(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The run was stopped.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "interrupted")
    }

    /// The store can't be read.
    pub(super) fn store(source: &SourceError) -> Self {
        let message = causes::with_causes(source.as_ref());
        Self::new(
            ErrorKind::Store,
            format!("the store can't be read: {message}"),
        )
    }

    /// The bars of a series can't be read.
    pub(super) fn bars(series: &SeriesKey, source: &SourceError) -> Self {
        let message = causes::with_causes(source.as_ref());
        Self::new(
            ErrorKind::Store,
            format!("the stored bars of {series} can't be read: {message}"),
        )
    }

    /// Which kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether another attempt may succeed.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// What the target's own library returned, if it is of type `T`.
    #[must_use]
    pub fn cause<T: StdError + 'static>(&self) -> Option<&T> {
        self.cause.as_ref()?.downcast_ref()
    }

    /// Whether the other tickers would fail too.
    pub(super) fn is_fatal(&self) -> bool {
        self.kind == ErrorKind::NoResponse || self.retry == Retry::NewConnection
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

impl StdError for Error {}
