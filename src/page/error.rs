//! What can go wrong with a document.

use crate::store;

/// Why a document could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for isn't in the store.
    #[error("no bars of {ticker} at {interval} are stored")]
    UnknownSeries {
        ticker: String,
        interval: crate::model::Interval,
    },
    /// A list of all gaps would take too long.
    #[error(
        "the store has too many sessions for a list of all gaps; `backfill gaps --tickers` lists those of some tickers"
    )]
    TooManySessions,
    /// A parameter of a request can't be used.
    #[error("{0}")]
    BadParameter(String),
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The file of a report can't be written.
    #[error(transparent)]
    Export(#[from] crate::export::Error),
}
