//! The settings of an injection.

use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::columns::ChosenColumns;
use super::date::DateOrder;
use super::error::Error;
use super::find_files::{self, Input};
use super::number::Decimal;
use super::stored::StoredExchanges;
use crate::calendar::{Calendar, Overrides};
use crate::export::OutputFile;
use crate::model::{Interval, OnConflict, Ticker, Timestamp};

/// What to inject, and how to read it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The files.
    pub input: Input,
    /// The maximum number of files read at once.
    pub threads: usize,
    /// The number of processor cores for parsing.
    pub cores: usize,
    /// What to do with bars that are stored already.
    pub on_conflict: OnConflict,
    /// The exchange of all files; `None` to decide each file's.
    pub calendar: Option<Calendar>,
    /// The user's calendars, for the exchanges of layouts.
    pub calendars: Overrides,
    /// The exchanges of tickers that were stored before the run.
    pub stored: StoredExchanges,
    /// The interval of all files; `None` to detect each file's.
    pub interval: Option<Interval>,
    /// The ticker of all files; `None` for that of a column or of the file's name.
    pub ticker: Option<Ticker>,
    /// The tickers to read; empty for all.
    pub tickers: Vec<Ticker>,
    /// The first exchange-local date to read.
    pub start: Option<NaiveDate>,
    /// The last exchange-local date to read.
    pub end: Option<NaiveDate>,
    /// The zone of local times; `None` for the layout's, else the exchange's.
    pub timezone: Option<Tz>,
    /// Which instant of a bar its timestamp is; `None` for what is usual in the layout.
    pub label: Option<Label>,
    /// The order of dates that end with the year; `None` to let each file's rows decide.
    pub date_order: Option<DateOrder>,
    /// How times are written, in the words of `strftime`.
    pub time_format: Option<Arc<str>>,
    /// Lines to skip before the header or the first row.
    pub skip_lines: usize,
    /// The decimal mark; `None` to let each file's rows decide.
    pub decimal: Option<Decimal>,
    /// Whether to read a last line without a line end.
    pub accept_last_line: bool,
    /// No bar opens later than this; see [`Bar::latest_open`](crate::model::Bar::latest_open).
    pub latest: Timestamp,
    /// The columns of files that aren't recognised.
    pub columns: ChosenColumns,
    /// A suffix to remove from tickers, such as `.US`.
    pub strip_suffix: Option<String>,
    /// A file for all valid bars.
    pub output: Option<OutputFile>,
    /// Limits of memory.
    pub limits: Limits,
}

impl Settings {
    /// The defaults of the command line.
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self {
            input,
            threads: 5,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            on_conflict: OnConflict::default(),
            calendar: None,
            calendars: Overrides::default(),
            stored: StoredExchanges::default(),
            interval: None,
            ticker: None,
            tickers: Vec::new(),
            start: None,
            end: None,
            timezone: None,
            label: None,
            date_order: None,
            time_format: None,
            skip_lines: 0,
            decimal: None,
            accept_last_line: false,
            latest: Timestamp::from_micros(i64::MAX),
            columns: Vec::new(),
            strip_suffix: None,
            output: None,
            limits: Limits::default(),
        }
    }

    /// Checks, before anything is opened, that the folder can be listed and that the output's name
    /// has the ending of a format.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(file) = &self.output {
            file.format()?;
        }
        find_files::check(&self.input)
    }
}

/// Which instant of a bar its timestamp is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Label {
    #[default]
    Open,
    Close,
}

impl Label {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
        }
    }
}

/// How much is in memory at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of text read at once.
    pub block_bytes: usize,
    /// A file is parsed on all cores once more than this many bytes of it were read.
    pub parallel_bytes: u64,
    /// Rows of a file committed at once, approximately.
    pub piece_rows: usize,
    /// Rows parsed but not committed yet, of all files, approximately.
    pub waiting_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block_bytes: 1 << 20,
            parallel_bytes: 32 << 20,
            piece_rows: 1_000_000,
            waiting_rows: 2_000_000,
        }
    }
}
