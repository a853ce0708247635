//! What ends a run as a whole. What ends a ticker or a window stands in its report.

use std::path::PathBuf;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The calendar cannot tell the sessions.
    #[error(transparent)]
    Calendar(#[from] crate::calendar::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The output file could not be written.
    #[error(transparent)]
    Output(#[from] crate::export::Error),
    /// The rejects could not be written down.
    #[error("{} could not be written", path.display())]
    Rejects {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system gave no thread.
    #[error("no thread for the store")]
    Thread(#[source] std::io::Error),
}
