//! The global options, and groups of options that several commands share.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::error::CliError;
use super::log::{LogFormat, LogLevel};
use crate::model::{DateRange, Ticker, TypedDate};

/// Options that stand before or after the command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Folder of the staging store [default: data/staging, and data/demo with --provider demo]. Example: --store /data/bars
    #[arg(long, global = true, value_name = "DIR", env = "BACKFILL_STORE", hide_env_values = true,
          value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub store: Option<PathBuf>,

    /// Folder of calendar files laid over the built-in ones, after those in the folder calendars of the store. Example:
    /// --calendar-dir ./calendars
    #[arg(long, global = true, value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub calendar_dir: Option<PathBuf>,

    /// How much is told: DEBUG, INFO, WARNING or ERROR, in any case. Example: --log-level debug
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "INFO",
        ignore_case = true,
        hide_possible_values = true
    )]
    pub log_level: LogLevel,

    /// Lines for people, or one JSON object a line. Example: --log-format json
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Writes the run's summary as JSON to FILE, or to standard output without =FILE. Example: --summary-json=run.json
    #[arg(long, global = true, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub summary_json: Option<SummaryTarget>,

    /// No progress bars (there are none without a terminal anyway). Example: --no-progress
    #[arg(long, global = true)]
    pub no_progress: bool,

    /// No progress bars; only warnings and errors. Example: -q
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl Globals {
    /// How much is logged, `-q` taken into account.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        if self.quiet {
            self.log_level.max(LogLevel::Warning)
        } else {
            self.log_level
        }
    }

    /// Whether progress bars are wanted.
    #[must_use]
    pub fn progress(&self) -> bool {
        !self.quiet && !self.no_progress && self.level() <= LogLevel::Info
    }
}

/// Where the summary goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SummaryTarget {
    /// To standard output.
    Stdout,
    /// To a file.
    File(PathBuf),
}

impl FromStr for SummaryTarget {
    type Err = Infallible;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        Ok(match typed {
            "-" | "" => Self::Stdout,
            path => Self::File(path.into()),
        })
    }
}

/// Which part of what is staged a command works on.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Range")]
pub struct RangeArgs {
    /// First day, inclusive, exchange-local: DDMMYY or YYYY-MM-DD [default: the first there is]. Example: --start 040325
    #[arg(long, value_name = "DATE")]
    pub start: Option<TypedDate>,

    /// Last day, inclusive, exchange-local: DDMMYY or YYYY-MM-DD [default: the last there is]. Example: --end 2025-03-31
    #[arg(long, value_name = "DATE")]
    pub end: Option<TypedDate>,
}

impl RangeArgs {
    /// The dates typed, checked to be in order (code 2). Either end may be open.
    pub fn resolve(&self) -> Result<(Option<NaiveDate>, Option<NaiveDate>), CliError> {
        let (start, end) = (self.start.map(|date| date.0), self.end.map(|date| date.0));
        if let (Some(start), Some(end)) = (start, end) {
            DateRange::new(start, end)?;
        }
        Ok((start, end))
    }
}

/// Which tickers a command works on.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Range")]
pub struct TickerArgs {
    /// Tickers, with spaces or commas between them [default: all]. Example: --tickers AAPL MSFT
    #[arg(long, value_name = "TICKER", num_args = 1.., value_delimiter = ',')]
    pub tickers: Vec<String>,
}

impl TickerArgs {
    /// The tickers typed: trimmed, upper case, each once, in the order typed. Empty where none was.
    pub fn resolve(&self) -> Result<Vec<Ticker>, CliError> {
        let mut tickers = Vec::new();
        for typed in self
            .tickers
            .iter()
            .flat_map(|typed| typed.split_whitespace())
        {
            let ticker: Ticker = typed.parse()?;
            if !tickers.contains(&ticker) {
                tickers.push(ticker);
            }
        }
        if tickers.is_empty() && !self.tickers.is_empty() {
            return Err(CliError::usage("--tickers names no ticker"));
        }
        Ok(tickers)
    }
}
