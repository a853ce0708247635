//! What can go wrong on the way out.

use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::BadOutput;
use crate::model::SeriesKey;

/// What can go wrong while bars are written to files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The name's ending says no format.
    #[error("{} ends in none of .parquet, .csv and .arrow", path.display())]
    UnknownFormat {
        /// The name.
        path: PathBuf,
    },
    /// A file stands where one of the export's would, and no export wrote it.
    #[error("{} stands there already, and no export wrote it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another export has the folder.
    #[error("another export is writing into {}", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The path may not be written.
    #[error(transparent)]
    Output(#[from] BadOutput),
    /// The bars could not be read.
    #[error("{series}: {source}")]
    Read {
        /// Whose bars.
        series: SeriesKey,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The program was told to stop.
    #[error("interrupted; nothing was replaced")]
    Interrupted,
    /// Arrow or Parquet could not be written.
    #[error("{}: {source}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
}

impl Error {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self + '_ {
        move |source| Self::Encode {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn arrow(path: &Path) -> impl FnOnce(ArrowError) -> Self + '_ {
        move |source| match source {
            ArrowError::IoError(_, source) => Self::Io {
                path: path.to_owned(),
                source,
            },
            other => Self::Encode {
                path: path.to_owned(),
                source: other.into(),
            },
        }
    }
}
