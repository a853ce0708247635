//! The global options, and groups of options that several commands share.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::ArgMatches;
use clap::builder::{
    MapValueParser, OsStringValueParser, PathBufValueParser, TypedValueParser, ValueParserFactory,
};

use super::error::CliError;
use super::log::{LogFormat, LogLevel};
use crate::model::{DateRange, Ticker, TypedDate};
use crate::store::SeriesRow;

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

/// A file or folder that the command writes. Every other path on the command line is one that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputArg(pub PathBuf);

impl OutputArg {
    /// Whether it is `-`: standard output.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        self.0.as_os_str() == "-"
    }
}

impl ValueParserFactory for OutputArg {
    type Parser = MapValueParser<PathBufValueParser, fn(PathBuf) -> Self>;

    fn value_parser() -> Self::Parser {
        PathBufValueParser::new().map(Self as fn(PathBuf) -> Self)
    }
}

/// Files and folders that a command line reads: every path typed but the store's, and those that are read unasked.
pub(super) fn inputs(matches: &ArgMatches) -> Vec<PathBuf> {
    let mut inputs = vec![PathBuf::from(".env")];
    if matches!(matches.subcommand_name(), Some("specific" | "concurrent")) {
        inputs.push(PathBuf::from("tickers.json"));
    }
    let mut level = Some(matches);
    while let Some(matches) = level {
        for id in matches.ids().filter(|id| *id != "store") {
            // Ids of other types, those of groups of options among them, are no paths.
            let paths = matches.try_get_many::<PathBuf>(id.as_str());
            inputs.extend(paths.ok().flatten().into_iter().flatten().cloned());
        }
        level = matches.subcommand().map(|(_, matches)| matches);
    }
    inputs
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
    /// Tickers, separated by spaces or commas [default: all]
    ///
    /// Quote a ticker that contains a space. Example: --tickers AAPL MSFT
    #[arg(long, value_name = "TICKER", num_args = 1..)]
    pub tickers: Vec<String>,
}

impl TickerArgs {
    /// The tickers typed, checked (code 2) and not looked up yet.
    pub fn resolve(&self) -> Result<TypedTickers, CliError> {
        TypedTickers::new(&self.tickers)
    }
}

/// Splits a list of tickers at commas and blanks.
pub fn split_tickers(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
}

/// Tickers as they were typed. An argument that is a stored ticker as a whole is that ticker, so that
/// a ticker with a space or a comma can be named. Any other argument is a list.
#[derive(Clone, Debug, Default)]
pub struct TypedTickers(Vec<TypedTicker>);

#[derive(Clone, Debug)]
struct TypedTicker {
    /// `None` if the argument as a whole can't be a ticker.
    whole: Option<Ticker>,
    /// Split at commas and blanks.
    listed: Vec<Ticker>,
    /// Split at commas only.
    between_commas: Vec<Ticker>,
}

impl TypedTickers {
    /// Reads the arguments of `--tickers`.
    pub fn new(typed: &[String]) -> Result<Self, CliError> {
        let mut arguments = Vec::new();
        for typed in typed {
            let parts = typed.split(',').filter(|part| !part.trim().is_empty());
            arguments.push(TypedTicker {
                whole: typed.parse().ok(),
                listed: split_tickers(typed)
                    .map(str::parse)
                    .collect::<Result<_, _>>()?,
                between_commas: parts.map(str::parse).collect::<Result<_, _>>()?,
            });
        }
        if !arguments.is_empty() && arguments.iter().all(|typed| typed.listed.is_empty()) {
            return Err(CliError::usage("--tickers names no ticker"));
        }
        Ok(Self(arguments))
    }

    /// The tickers meant, each once, in the order typed; empty where none was typed. `staged` is asked only where an
    /// argument can be read in two ways.
    pub fn among(
        &self,
        staged: impl FnOnce() -> Result<Vec<SeriesRow>, CliError>,
    ) -> Result<Vec<Ticker>, CliError> {
        let is_list = |typed: &TypedTicker| typed.listed != typed.whole.as_slice();
        let staged: BTreeSet<Ticker> = match self.0.iter().any(is_list) {
            true => staged()?.into_iter().map(|row| row.key.ticker).collect(),
            false => BTreeSet::new(),
        };
        Ok(self.each(|typed| match &typed.whole {
            Some(whole) if staged.contains(whole) => std::slice::from_ref(whole),
            _ => &typed.listed,
        }))
    }

    /// The tickers of a command whose mistakes can't be undone: only commas separate the tickers of
    /// one argument. So the command that deletes `A B`, repeated, doesn't delete `A` and `B`.
    pub fn among_exactly(&self, is_staged: impl Fn(&Ticker) -> bool) -> Vec<Ticker> {
        self.each(|typed| match &typed.whole {
            Some(whole) if is_staged(whole) => std::slice::from_ref(whole),
            _ => &typed.between_commas,
        })
    }

    /// Every ticker that an argument can mean: for bars that are not staged yet.
    #[must_use]
    pub fn either(&self) -> Vec<Ticker> {
        let mut tickers = self.each(|typed| &typed.listed);
        let whole = self.0.iter().filter_map(|typed| typed.whole.clone());
        tickers.extend(whole);
        tickers
    }

    /// Whether none was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn each<'a>(&'a self, meant: impl Fn(&'a TypedTicker) -> &'a [Ticker]) -> Vec<Ticker> {
        let mut tickers: Vec<Ticker> = Vec::new();
        for ticker in self.0.iter().flat_map(meant) {
            if !tickers.contains(ticker) {
                tickers.push(ticker.clone());
            }
        }
        tickers
    }
}
