//! What can go wrong with a document.

use crate::store;

/// Why a document could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The requested series isn't in the store.
    #[error("no bars of {ticker} at {interval} are stored")]
    UnknownSeries {
        ticker: String,
        interval: crate::model::Interval,
    },
    /// A list of all gaps would take too long, and a report would be too large.
    #[error("the store has too many sessions to look at all of them at once; choose some tickers")]
    TooManySessions,
    /// A parameter of a request can't be used.
    #[error("{0}")]
    BadParameter(String),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Compare(#[from] crate::compare::Error),
    #[error(transparent)]
    Audit(#[from] crate::audit::Error),
    /// The file of a report can't be written.
    #[error(transparent)]
    Export(#[from] crate::export::Error),
}
