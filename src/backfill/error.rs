//! Errors that end a whole run. Those of a ticker or window are in its report.

use std::path::PathBuf;

/// Why a run can't continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The calendar doesn't cover a requested date.
    #[error(transparent)]
    Calendar(#[from] crate::calendar::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The output file could not be written.
    #[error(transparent)]
    Output(#[from] crate::export::Error),
    /// The rejects could not be written.
    #[error("{} could not be written", path.display())]
    Rejects {
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// No thread could be started.
    #[error("the writer thread could not be started")]
    Thread(#[source] std::io::Error),
}
