//! The three formats, and how a file's name tells which.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::Error;

/// What a file of bars is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet, zstd.
    Parquet,
    /// The program's own CSV layout.
    Csv,
    /// Arrow IPC: the file format, or the stream format into a pipe.
    Arrow,
}

/// What was typed is not a format.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a format; it is one of parquet, csv and arrow")]
pub struct NotAFormat(String);

impl Format {
    /// The word, which is also the ending of the files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
        }
    }

    /// The format that `path` names by its ending.
    pub fn of(path: &Path) -> Result<Self, Error> {
        path.extension()
            .and_then(|ending| ending.to_str())
            .and_then(|ending| match ending.to_ascii_lowercase().as_str() {
                "parquet" | "pq" => Some(Self::Parquet),
                "csv" => Some(Self::Csv),
                "arrow" | "arrows" | "ipc" | "feather" => Some(Self::Arrow),
                _ => None,
            })
            .ok_or_else(|| Error::UnknownFormat {
                path: path.to_owned(),
            })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = NotAFormat;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        [Self::Parquet, Self::Csv, Self::Arrow]
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(typed))
            .ok_or_else(|| NotAFormat(typed.to_owned()))
    }
}
