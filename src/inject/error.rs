//! Errors of a run and of its files.

use std::io;
use std::path::{Path, PathBuf};

use super::date::DateOrder;
use super::filename::Packing;
use super::foreign::Foreign;
use super::number::Decimal;
use crate::advice::{Advice, Hint};
use crate::model::{Interval, Reason};
use crate::{calendar, export, store};

/// Why a run can't start or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder can't be listed.
    #[error("folder {} can't be read: {}", .path.display(), plain(source))]
    Folder { path: PathBuf, source: io::Error },
    /// The path isn't a folder.
    #[error("{} isn't a folder", .path.display())]
    NotAFolder { path: PathBuf },
    /// The file of rejects can't be written.
    #[error("{} can't be written: {}", .path.display(), plain(source))]
    Write { path: PathBuf, source: io::Error },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The file of all bars can't be written.
    #[error(transparent)]
    Output(#[from] export::Error),
    /// The calendar of a layout's exchange can't be read.
    #[error(transparent)]
    Calendar(#[from] calendar::Error),
    /// The threads for parsing can't be started.
    #[error("threads can't be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Why a file failed. None of these stops the other files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It can't be opened or read.
    #[error("can't be read: {}", plain(.0))]
    Io(#[from] io::Error),
    /// It is neither text nor a table.
    #[error("isn't text, and of no known kind")]
    Binary,
    /// It is a file of another kind.
    #[error("is {}, which can't be read", .0.name)]
    Foreign(Foreign),
    /// It is a Parquet or Arrow file that can't be read.
    #[error("can't be read: {0}")]
    Table(String),
    /// It is JSON, but its values aren't bars.
    #[error("is JSON, but neither one bar per line nor an array of bars")]
    JsonShape,
    /// Its content isn't compressed as its name says.
    #[error("is named like {} but is {}", named.name(), packing.name())]
    Packing {
        /// By the end of its name.
        named: Packing,
        packing: Packing,
    },
    /// A line is too long.
    #[error("line {line} is longer than {bytes} bytes; the rows before it were read")]
    LongLine { line: u64, bytes: usize },
    /// No delimiter separates columns of bars in its lines.
    #[error("its layout isn't recognised")]
    Unrecognised,
    /// Columns that bars need are missing.
    #[error("no column for {missing}")]
    MissingColumns {
        missing: String,
        /// What to write after `--columns`.
        example: String,
    },
    /// Each ticker has its own columns.
    #[error("it has columns of several tickers next to each other")]
    SeveralTickers,
    /// Two headers for one column.
    #[error("two headers for the column {column}: {first:?} and {second:?}")]
    TwoHeaders {
        column: &'static str,
        first: String,
        second: String,
    },
    /// `--columns` names a header that the file doesn't have.
    #[error("no column is named {name:?}")]
    NoColumnNamed { name: String },
    /// `--columns` names a number beyond the last.
    #[error("there is no column {number}; the file has {columns}")]
    NoColumnNumber {
        /// The number, from 1.
        number: usize,
        columns: usize,
    },
    /// Neither its name nor a column has a ticker.
    #[error("its name has no valid ticker: {0}")]
    Ticker(#[from] crate::model::BadTicker),
    /// Neither its name nor a column has a ticker.
    #[error("neither its name nor a column shows the ticker")]
    NoTicker,
    /// Its name shows an interval that can't be stored, and its bars show another or none.
    #[error("its name is that of {} bars{}", length(*minutes), but(.found))]
    NamedInterval {
        minutes: i64,
        found: Option<Interval>,
    },
    /// Most of its first rows are rejects.
    #[error(
        "{rejects} of its first {rows} rows aren't valid bars, the first in line {line} ({reason}): {raw:?}; the detected layout is {layout}"
    )]
    NotBars {
        rejects: usize,
        rows: u64,
        line: u64,
        reason: Reason,
        /// The beginning of the row.
        raw: String,
        layout: &'static str,
    },
    /// Neither its name nor its bars show the interval.
    #[error("{}{}", unknown(.0), .0)]
    NoInterval(NoInterval),
    /// The gaps between its bars contradict an option, a column or its name.
    #[error("by {shown_by} these are bars of {}, but they are {} apart", in_words(*.shown), in_words(*.found))]
    OtherInterval {
        shown: Interval,
        shown_by: &'static str,
        found: Interval,
    },
    /// It ends early; the rows before are stored.
    #[error(
        "ends early, after line {line}: {}; the rows before were read",
        plain(source)
    )]
    CutShort { line: u64, source: io::Error },
    /// Another process changed it.
    #[error("changed while it was read; rows that weren't committed before were left out")]
    Changed,
    /// Its dates can be read day first and month first.
    #[error("dates such as {value} can be day first or month first, and the rows don't show which")]
    DateOrder { value: String },
    /// Its numbers can have a decimal comma or a decimal point.
    #[error(
        "numbers such as {value} can have a decimal comma or a decimal point, and too few rows show which"
    )]
    DecimalMark { value: String },
    /// A row can't be read as the others are.
    #[error("line {} contradicts the lines before it: {}", .0.line, describe(.0))]
    Contradiction(Contradiction),
    /// Its bars show another exchange or rows at odd times, so it is read once more.
    #[error("its bars show how to read it")]
    ReadAgain,
    /// The user stopped the run.
    #[error("stopped before all of it was stored")]
    Stopped,
}

/// A row that contradicts what the rows before it decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Its line, from 1.
    pub line: u64,
    /// The date or number as written.
    pub value: String,
    /// The only form in which it can be read.
    pub form: Form,
}

/// The form of a date or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Date(DateOrder),
    /// A number with this decimal mark.
    Number(Decimal),
}

/// Why the bars don't show their interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoInterval {
    /// Too few bars.
    #[error("{bars} {} too few to detect it", if *.bars == 1 { "bar is" } else { "bars are" })]
    TooFew {
        bars: u64,
        /// How far apart they are.
        likely: Option<Interval>,
    },
    /// The store holds no bars of that many minutes.
    #[error("these are {} bars; only bars of 1, 5, 15, 30 and 60 minutes can be stored", length(*.0))]
    Unsupported(i64),
    /// The gaps have no common length.
    #[error("the gaps between its bars have no common length")]
    Mixed,
}

impl Error {
    /// Whether the command line is wrong.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NotAFolder { .. } | Self::Output(export::Error::UnknownFormat { .. }) => true,
            Self::Folder { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

impl Hint for FileError {
    fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::NotBars {
                reason: Reason::NotWholeMinute,
                ..
            } => return None,
            Self::Unrecognised | Self::NotBars { .. } => Advice::SkipLines,
            Self::MissingColumns { example, .. } => Advice::NameColumns {
                example: example.clone(),
            },
            Self::TwoHeaders { column, .. } => Advice::MapColumn { column, at: None },
            Self::SeveralTickers => Advice::SelectTickers,
            Self::NoInterval(NoInterval::Unsupported(_)) => return None,
            Self::NamedInterval { found: None, .. } => return None,
            Self::NoInterval(NoInterval::TooFew { likely, .. })
            | Self::NamedInterval { found: likely, .. } => set_interval(*likely),
            Self::NoInterval(NoInterval::Mixed) => set_interval(None),
            Self::OtherInterval { found, .. } => set_interval(Some(*found)),
            Self::Ticker(_) | Self::NoTicker => Advice::SetTicker,
            Self::DateOrder { .. } => Advice::SetDateOrder { for_rejects: false },
            Self::DecimalMark { .. } => Advice::SetDecimal { for_rejects: false },
            Self::Contradiction(contradiction) => match contradiction.form {
                Form::Date(_) => Advice::SetDateOrder { for_rejects: true },
                Form::Number(_) => Advice::SetDecimal { for_rejects: true },
            },
            Self::Packing { packing, .. } => match packing {
                Packing::Plain => "remove the last ending from its name".into(),
                packed => format!("name it .csv{}", packed.ending()).into(),
            },
            Self::Foreign(foreign) => foreign.help.into(),
            Self::JsonShape => {
                "write an object per bar, as to_json(orient=\"records\", lines=True) of pandas does"
                    .into()
            }
            Self::Binary => "export its table as CSV or Parquet, and inject that".into(),
            Self::Changed => "inject it again after the other process has finished".into(),
            _ => return None,
        })
    }
}

fn set_interval(likely: Option<Interval>) -> Advice {
    Advice::SetInterval {
        likely: likely.map(Interval::minutes),
    }
}

fn in_words(interval: Interval) -> String {
    match interval.minutes() {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn but(found: &Option<Interval>) -> String {
    match found {
        Some(found) => format!(", but they are {} apart", in_words(*found)),
        None => "; only bars of 1, 5, 15, 30 and 60 minutes can be stored".to_owned(),
    }
}

/// The length of bars that can't be stored.
fn length(minutes: i64) -> String {
    match minutes {
        1440..10_080 => "daily".to_owned(),
        10_080..40_320 => "weekly".to_owned(),
        40_320.. => "monthly".to_owned(),
        _ if minutes % 60 == 0 => format!("{}-hour", minutes / 60),
        _ => format!("{minutes}-minute"),
    }
}

const fn unknown(error: &NoInterval) -> &'static str {
    match error {
        NoInterval::Unsupported(_) => "",
        NoInterval::TooFew { .. } | NoInterval::Mixed => "its interval is unknown: ",
    }
}

fn describe(contradiction: &Contradiction) -> String {
    let value = &contradiction.value;
    match contradiction.form {
        Form::Date(DateOrder::Dmy) => {
            format!("the date {value} is day first, the others are month first")
        }
        Form::Date(_) => format!("the date {value} is month first, the others are day first"),
        Form::Number(Decimal::Comma) => {
            format!("the number {value} has a decimal comma, the others have a decimal point")
        }
        Form::Number(Decimal::Point) => {
            format!("the number {value} has a decimal point, the others have a decimal comma")
        }
    }
}

/// The system's message without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((message, _)) => message.to_lowercase(),
        None => text,
    }
}

/// Adds the path to an error of writing.
pub(super) fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |source| Error::Write { path, source }
}
