//! What can go wrong with the run, and what with one of its files.

use std::io;
use std::path::{Path, PathBuf};

use super::date::DateOrder;
use super::evidence::{Contrary, Written};
use super::filename::Packing;
use super::number::Decimal;
use crate::model::Reason;
use crate::{calendar, export, store};

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder of dumps cannot be listed.
    #[error("the folder {} cannot be read: {}", .path.display(), plain(source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What should be a folder is none.
    #[error("{} is not a folder", .path.display())]
    NotAFolder {
        /// What it is.
        path: PathBuf,
    },
    /// The rejects, or the rows for the output file, cannot be written.
    #[error("{} cannot be written: {}", .path.display(), plain(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store could not go on.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The file of all bars cannot be written.
    #[error(transparent)]
    Output(#[from] export::Error),
    /// A default exchange has no calendar.
    #[error(transparent)]
    Calendar(#[from] calendar::Error),
    /// The threads for parsing cannot be started.
    #[error("no threads can be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Why a file failed. None of these stops the other files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot be read: {}", plain(.0))]
    Io(#[from] io::Error),
    /// Its bytes are no text.
    #[error("is not text{0}")]
    Binary(&'static str),
    /// Its content isn't packed as its name says.
    #[error("is named like {} but is {}", named.name(), packing.name())]
    Packing {
        /// By the end of its name.
        named: Packing,
        /// By its first bytes.
        packing: Packing,
    },
    /// A line that no dump has.
    #[error("line {line} is longer than {bytes} bytes; the rows before are taken")]
    LongLine {
        /// Its number.
        line: u64,
        /// The limit.
        bytes: usize,
    },
    /// No delimiter cuts its lines into the columns of bars.
    #[error("its layout is not recognised")]
    Unrecognised,
    /// Columns that bars need are not there.
    #[error("no column for {missing}")]
    MissingColumns {
        /// Which.
        missing: String,
    },
    /// Two headers for one column.
    #[error("two headers for the column {column}: {first:?} and {second:?}")]
    TwoHeaders {
        /// The column of bars.
        column: &'static str,
        /// The header that comes first.
        first: String,
        /// The other.
        second: String,
    },
    /// `--columns` names a header that is not there.
    #[error("no column is named {name:?}")]
    NoColumnNamed {
        /// The name.
        name: String,
    },
    /// `--columns` names a number beyond the last.
    #[error("there is no column {number}; the file has {columns}")]
    NoColumnNumber {
        /// The number, from 1.
        number: usize,
        /// How many there are.
        columns: usize,
    },
    /// Its name gives no ticker, and neither does a column.
    #[error("its name gives no ticker: {0}")]
    Ticker(#[from] crate::model::BadTicker),
    /// Most of its first rows are no bars.
    #[error(
        "{rejects} of its first {rows} rows are no bars, the first in line {line} ({reason}): it is not what it seems"
    )]
    NotBars {
        /// How many are rejects.
        rejects: usize,
        /// Of how many.
        rows: u64,
        /// The first reject's line.
        line: u64,
        /// Why it is one.
        reason: Reason,
    },
    /// Nothing says how long its bars are.
    #[error("its interval is unknown: {0}")]
    NoInterval(NoInterval),
    /// It broke off; what came before is staged.
    #[error(
        "breaks off after line {line}: {}; the rows before are taken",
        plain(source)
    )]
    CutShort {
        /// The last whole line.
        line: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// Another process wrote to it meanwhile.
    #[error("changed while it was read; what was not committed before is not taken")]
    Changed,
    /// Its dates can be read day first and month first.
    #[error(
        "its dates can be day first or month first, such as {value}, and its rows do not settle it"
    )]
    DateOrder {
        /// The first of them.
        value: String,
    },
    /// Its numbers can have a decimal comma or a decimal point.
    #[error(
        "its numbers can have a decimal comma or a decimal point, as in {value}, and too few rows settle it"
    )]
    DecimalMark {
        /// The first of them.
        value: String,
    },
    /// One row can be read in one way only, and others in another way only.
    #[error("line {} contradicts the lines before it: {}", .0.line, contradiction(.0))]
    Contrary(Contrary),
    /// The user stopped the run.
    #[error("stopped before all of it was staged")]
    Stopped,
}

/// Why an interval cannot be told from the bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoInterval {
    /// Fewer than it takes.
    #[error("{0} bars are too few to judge by")]
    TooFew(u64),
    /// No two bars in one session.
    #[error("every gap between its bars is a day or more")]
    Daily,
}

impl Error {
    /// Whether what was typed is wrong, and not the machine.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NotAFolder { .. } | Self::Output(export::Error::UnknownFormat { .. }) => true,
            Self::Folder { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

impl FileError {
    /// What the user could do about it.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unrecognised | Self::MissingColumns { .. } | Self::TwoHeaders { .. } => Some(
                "--columns names the columns of a dump that is not recognised: --columns ts=1,open=2,high=3,low=4,close=5",
            ),
            Self::NoInterval(_) => Some("--interval says how many minutes its bars are long"),
            Self::Ticker(_) => Some("--ticker says whose bars they are"),
            Self::DateOrder { .. } => {
                Some("--date-order dmy|mdy|ymd says in which order day, month and year are")
            }
            Self::DecimalMark { .. } => {
                Some("--decimal point|comma says what separates the decimals")
            }
            Self::Contrary(contrary) => Some(match contrary.what {
                Written::Date(_) => {
                    "with --date-order dmy|mdy|ymd, rows in another order are rejects"
                }
                Written::Number(_) => {
                    "with --decimal point|comma, rows in another form are rejects"
                }
            }),
            Self::Packing { packing, .. } => Some(match packing {
                Packing::Plain => "remove the .gz or .zst from its name",
                Packing::Gzip => "name it .csv.gz",
                Packing::Zstd => "name it .csv.zst",
            }),
            Self::Changed => Some("inject it again when nothing writes to it any more"),
            _ => None,
        }
    }
}

fn contradiction(contrary: &Contrary) -> String {
    let value = &contrary.value;
    match contrary.what {
        Written::Date(DateOrder::Dmy) => {
            format!("the date {value} is day first, the others are month first")
        }
        Written::Date(_) => format!("the date {value} is month first, the others are day first"),
        Written::Number(Decimal::Comma) => {
            format!("the number {value} has a decimal comma, the others have a decimal point")
        }
        Written::Number(Decimal::Point) => {
            format!("the number {value} has a decimal point, the others have a decimal comma")
        }
    }
}

/// What the system said, without the number behind it.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((message, _)) => message.to_lowercase(),
        None => text,
    }
}

/// Puts the path beside an error of writing.
pub(super) fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |source| Error::Write { path, source }
}
