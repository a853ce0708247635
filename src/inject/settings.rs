//! What a run of `inject` is asked to do, every default settled.

use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::date::DateOrder;
use super::error::Error;
use super::layout::{Role, slot};
use super::number::Decimal;
use super::walk;
use crate::calendar::{Calendar, Overrides};
use crate::export::OutputFile;
use crate::model::{Interval, OnConflict, Ticker, Timestamp};

/// What to inject, and how to read it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the dumps are.
    pub input: Input,
    /// How many files are worked on at once, at most.
    pub threads: usize,
    /// How many processor cores parsing may use.
    pub cores: usize,
    /// What to do with bars that are staged already.
    pub on_conflict: OnConflict,
    /// The exchange of every dump; without it NASDAQ, or what the layout says.
    pub calendar: Option<Calendar>,
    /// The user's calendars, for the exchange that a layout says.
    pub calendars: Overrides,
    /// The interval of every dump; without it each says its own.
    pub interval: Option<Interval>,
    /// The ticker of every dump; without it each says its own.
    pub ticker: Option<Ticker>,
    /// Only these tickers; empty for all.
    pub tickers: Vec<Ticker>,
    /// First exchange-local date that is taken.
    pub start: Option<NaiveDate>,
    /// Last exchange-local date that is taken.
    pub end: Option<NaiveDate>,
    /// The zone of local times; without it the layout's, else the exchange's.
    pub timezone: Option<Tz>,
    /// What a dump's timestamps stand for.
    pub label: Label,
    /// The order of dates that end with the year; without it the rows of each dump decide.
    pub date_order: Option<DateOrder>,
    /// The decimal mark of numbers; without it the rows of each dump decide.
    pub decimal: Option<Decimal>,
    /// Whether a last line without a line end is a row like any other.
    pub accept_last_line: bool,
    /// No bar opens later than this; see [`Bar::latest_open`](crate::model::Bar::latest_open).
    pub latest: Timestamp,
    /// Columns of dumps that nothing recognises.
    pub columns: Vec<(ColumnName, ColumnAt)>,
    /// What is taken off the end of tickers: `.US`.
    pub strip_suffix: Option<String>,
    /// One file for every valid bar.
    pub output: Option<OutputFile>,
    /// How much is held in memory at once.
    pub limits: Limits,
}

impl Settings {
    /// Everything in `input`, with the defaults of the command line.
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self {
            input,
            threads: 5,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            on_conflict: OnConflict::default(),
            calendar: None,
            calendars: Overrides::default(),
            interval: None,
            ticker: None,
            tickers: Vec::new(),
            start: None,
            end: None,
            timezone: None,
            label: Label::Open,
            date_order: None,
            decimal: None,
            accept_last_line: false,
            latest: Timestamp::from_micros(i64::MAX),
            columns: Vec::new(),
            strip_suffix: None,
            output: None,
            limits: Limits::default(),
        }
    }

    /// Checks what can be checked before anything is opened for the run: that the folder can be listed, and that the
    /// output's name says a format.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(file) = &self.output {
            file.format()?;
        }
        walk::check(&self.input)
    }
}

/// Where the dumps are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Every dump in a folder and the folders in it.
    Folder(PathBuf),
    /// These files.
    Files(Vec<PathBuf>),
}

/// What a dump's timestamps stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Label {
    /// The instant a bar opens.
    #[default]
    Open,
    /// The instant a bar closes.
    Close,
}

/// How much is held in memory at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of text that are read at once.
    pub block_bytes: usize,
    /// Bytes of text from which one file is parsed on all cores.
    pub parallel_bytes: u64,
    /// Rows of a file that are committed at once, about.
    pub piece_rows: usize,
    /// Rows parsed and not committed yet, over all files, about.
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

/// A column of bars, as `--columns` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnName(Role);

impl ColumnName {
    pub(super) fn role(self) -> Role {
        self.0
    }
}

/// Where a column stands in a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnAt {
    /// The column's number, from 1.
    Number(usize),
    /// Its name in the header.
    Header(String),
}

/// What was typed is not a list of columns.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadColumns {
    /// No `=` in it.
    #[error("{0:?} is not of the form column=number or column=header")]
    Form(String),
    /// A name that no column of bars has.
    #[error(
        "{0:?} is not a column of bars; they are ts (or date and time), ticker, open, high, low, close, volume, vwap and trades"
    )]
    Name(String),
    /// Numbers begin at 1.
    #[error("columns are numbered from 1")]
    Zero,
    /// The same column named more than once.
    #[error("{0:?} stands there twice")]
    Twice(String),
}

/// Reads `ts=2,open=3` or `ts=Zeit,open=Erster`.
pub fn parse_columns(typed: &str) -> Result<Vec<(ColumnName, ColumnAt)>, BadColumns> {
    let mut columns: Vec<(ColumnName, ColumnAt)> = Vec::new();
    for part in typed.split(',').filter(|part| !part.trim().is_empty()) {
        let (name, at) = part
            .split_once('=')
            .ok_or_else(|| BadColumns::Form(part.trim().to_owned()))?;
        let column: ColumnName = name.parse()?;
        if columns.iter().any(|(known, _)| *known == column) {
            return Err(BadColumns::Twice(name.trim().to_owned()));
        }
        let at = at.trim();
        if at.is_empty() {
            return Err(BadColumns::Form(part.trim().to_owned()));
        }
        columns.push((
            column,
            match at.parse() {
                Ok(0) => return Err(BadColumns::Zero),
                Ok(number) => ColumnAt::Number(number),
                Err(_) => ColumnAt::Header(at.to_owned()),
            },
        ));
    }
    Ok(columns)
}

impl FromStr for ColumnName {
    type Err = BadColumns;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let role = match typed.trim().to_ascii_lowercase().as_str() {
            "ts" | "timestamp" | "datetime" => Role::Stamp,
            "date" => Role::Date,
            "time" => Role::Time,
            "ticker" | "symbol" => Role::Ticker,
            "open" => Role::Number(slot::OPEN),
            "high" => Role::Number(1),
            "low" => Role::Number(2),
            "close" => Role::Number(slot::CLOSE),
            "volume" => Role::Number(slot::VOLUME),
            "vwap" => Role::Number(slot::VWAP),
            "trades" => Role::Number(slot::TRADES),
            _ => return Err(BadColumns::Name(typed.trim().to_owned())),
        };
        Ok(Self(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_by_number_and_by_name() {
        let columns = parse_columns("ts=2, open=Erster").unwrap();
        assert_eq!(columns[0], (ColumnName(Role::Stamp), ColumnAt::Number(2)));
        assert_eq!(columns[1].1, ColumnAt::Header("Erster".into()));
        for typed in ["ts", "foo=1", "ts=0", "ts=1,ts=2", "ts="] {
            assert!(parse_columns(typed).is_err(), "{typed}");
        }
    }
}
