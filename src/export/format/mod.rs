//! The formats of exported files. To add one: a variant here, and a file next to this one with its
//! [`FileFormat`] and its [`FileWriter`].
//!
//! Rows are encoded on many threads and appended in order on one.

mod arrow;
pub(super) mod csv;
mod file;
mod parquet;

use std::fs::File;
use std::path::Path;

use super::Error;
use crate::model::words::words;

pub(super) use file::{Encoded, FileFormat, FileOptions, FileWriter, Out};

/// Rows of a row group, and of a chunk in every other format.
pub(super) const CHUNK_ROWS: usize = 1 << 17;

/// The format of a file of bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet with zstd.
    Parquet,
    /// The program's own CSV layout.
    Csv,
    /// Arrow IPC: the file format, or the stream format into a pipe.
    Arrow,
}

words!(Format, "format", {
    Parquet => "parquet",
    Csv => "csv",
    Arrow => "arrow",
});

/// The usual ending of each format, for a message: `.parquet, .csv or .arrow`.
fn endings() -> String {
    let usual = |format: &Format| format!(".{}", format.extensions()[0]);
    let all: Vec<String> = Format::ALL.iter().map(usual).collect();
    match all.split_last() {
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

impl Format {
    /// The extensions that mean this format.
    const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Parquet => &["parquet", "pq"],
            Self::Csv => &["csv"],
            Self::Arrow => &["arrow", "arrows", "ipc", "feather"],
        }
    }

    /// The format that the extension of `path` means.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let means = |format: &Self| {
            let extension = extension.unwrap_or_default();
            let mut known = format.extensions().iter();
            known.any(|known| known.eq_ignore_ascii_case(extension))
        };
        Self::ALL
            .iter()
            .copied()
            .find(means)
            .ok_or_else(|| Error::UnknownFormat {
                path: path.to_owned(),
                known: endings(),
            })
    }

    /// Whether files leave out optional columns that have no value, so that all bars must be looked
    /// at before the first is written.
    pub(super) const fn omits_empty_columns(self) -> bool {
        match self {
            Self::Csv => true,
            Self::Parquet | Self::Arrow => false,
        }
    }

    /// The writer of files with these options.
    pub(super) fn with(self, options: FileOptions) -> Box<dyn FileFormat> {
        match self {
            Self::Parquet => Box::new(parquet::Parquet::new(options)),
            Self::Csv => Box::new(csv::Csv::new(options)),
            Self::Arrow => Box::new(arrow::Arrow::new(options)),
        }
    }

    /// Whether an export wrote the file: it carries the mark, or the header line of the CSV layout.
    pub(super) fn is_exported(self, file: File) -> bool {
        match self {
            Self::Parquet => parquet::is_exported(file),
            Self::Csv => csv::is_exported(file),
            Self::Arrow => arrow::is_exported(file),
        }
    }
}
