//! Errors of an export.

use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use crate::model::SeriesKey;

/// Why bars could not be written to files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system reported an error.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The extension isn't that of a format.
    #[error("{} doesn't end in {known}", path.display())]
    UnknownFormat {
        path: PathBuf,
        /// The endings of the formats, as text.
        known: String,
    },
    /// A file that no export wrote has the name of one of the export's files.
    #[error("{} exists already, and no export wrote it", path.display())]
    Foreign { path: PathBuf },
    /// The folder is inside the folder of another export, which would remove or read what is
    /// written.
    #[error("{} is inside {}, which has the files of another export", path.display(), outer.display())]
    InsideExport {
        path: PathBuf,
        /// The folder of the other export.
        outer: PathBuf,
    },
    /// Another export is writing into the folder.
    #[error("another export is writing into {}", path.display())]
    Busy { path: PathBuf },
    /// The path may not be written.
    #[error(transparent)]
    Output(#[from] BadOutput),
    /// The bars could not be read.
    #[error("{series}: {source}")]
    Read {
        series: SeriesKey,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The user stopped the export.
    #[error("interrupted; nothing was replaced")]
    Interrupted,
    /// The Arrow or Parquet writer reported an error.
    #[error("{}: {source}", path.display())]
    Encode { path: PathBuf, source: ParquetError },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
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

/// Why a path is refused as an output. Nothing has been opened or written.
#[derive(Debug, thiserror::Error)]
pub enum BadOutput {
    /// The path is in a store's folder, where only the store may write.
    #[error("{} is inside the store {}", path.display(), store.display())]
    InsideStore { path: PathBuf, store: PathBuf },
    /// A folder of the export is a store.
    #[error("{} is a store, and this export would write into that folder", store.display())]
    HoldsStore { store: PathBuf },
    /// The path is a hard link or an open descriptor of one of the store's files.
    #[error("{} is the same file as {}", path.display(), file.display())]
    StoreFile { path: PathBuf, file: PathBuf },
    /// The path is a folder above the store.
    #[error("{} is a folder above the store {}", path.display(), store.display())]
    AboveStore { path: PathBuf, store: PathBuf },
    /// The command would replace a file that it reads.
    #[error("{} is read by this command and can't be its output", path.display())]
    Input { path: PathBuf },
    /// The next run would read the output of this one.
    #[error("{} is inside {}, which this command reads", path.display(), folder.display())]
    InsideInput { path: PathBuf, folder: PathBuf },
    /// The path is a folder, and a file is needed.
    #[error("{} is a folder, not a file", path.display())]
    Folder { path: PathBuf },
    /// The path is a file, and a folder is needed.
    #[error("{} is a file, not a folder", path.display())]
    NotAFolder { path: PathBuf },
    /// A pipe or device can't be opened, or links form a loop.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}
