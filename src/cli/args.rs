//! The global options, and groups of options that several commands share.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use clap::ArgMatches;
use clap::builder::{
    MapValueParser, OsStringValueParser, PathBufValueParser, TypedValueParser, ValueParserFactory,
};

use super::error::CliError;
use super::log::{LogFormat, LogLevel};
use crate::model::{DateRange, Timestamp, TypedDate};

/// Options that can be given before or after the command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Folder of the store [default: data/staging, or data/demo for demo bars]
    #[arg(long, global = true, value_name = "DIR", env = "BACKFILL_STORE", hide_env_values = true,
          value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub store: Option<PathBuf>,

    /// Folder of calendar files that extend or replace the built-in calendars
    ///
    /// Files in the store's folder `calendars` are always read. The files of DIR are applied after them.
    #[arg(long, global = true, value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub calendar_dir: Option<PathBuf>,

    /// Log level: DEBUG, INFO, WARNING or ERROR
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "INFO",
        ignore_case = true,
        hide_possible_values = true
    )]
    pub log_level: LogLevel,

    /// Log lines as text, or as one JSON object per line
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Write a summary of the command as JSON, to FILE or standard output
    ///
    /// Failed and interrupted runs write it too.
    ///
    /// Example: --summary-json=run.json
    #[arg(long, global = true, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub summary_json: Option<SummaryTarget>,

    /// Hide progress bars
    ///
    /// Without a terminal there are none.
    #[arg(long, global = true)]
    pub no_progress: bool,

    /// Print only warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl Globals {
    /// The log level, with `--quiet` taken into account.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        if self.quiet {
            self.log_level.max(LogLevel::Warning)
        } else {
            self.log_level
        }
    }

    /// Whether progress bars may be shown.
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

/// A file or folder that the command writes. It reads every other path on the command line.
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

/// The views of every store, whose names no file can have.
const VIEWS: [&str; 4] = ["bars", "coverage", "conflicts", "runs"];

/// A file with the name of the view over it: `NAME=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileArg {
    pub name: String,
    pub path: PathBuf,
}

impl FromStr for FileArg {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let (name, path) = typed
            .split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .ok_or("it isn't NAME=PATH")?;
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!(
                "{name:?} isn't a valid name: use letters, digits and _"
            ));
        }
        if VIEWS.iter().any(|view| view.eq_ignore_ascii_case(name)) {
            return Err(format!("{name} is already a view of the store"));
        }
        Ok(Self {
            name: name.to_owned(),
            path: path.into(),
        })
    }
}

/// The files and folders that a command reads: every path typed except the store's and outputs, and
/// those that are read by default.
pub(super) fn inputs(matches: &ArgMatches) -> Vec<PathBuf> {
    let mut inputs = vec![PathBuf::from(".env")];
    if matches!(matches.subcommand_name(), Some("specific" | "concurrent")) {
        inputs.push(PathBuf::from("tickers.json"));
    }
    let mut level = Some(matches);
    while let Some(matches) = level {
        for id in matches.ids().filter(|id| *id != "store") {
            // An id of another type fails here, as those of groups of options do.
            let paths = matches.try_get_many::<PathBuf>(id.as_str());
            inputs.extend(paths.ok().flatten().into_iter().flatten().cloned());
            let files = matches.try_get_many::<FileArg>(id.as_str());
            let files = files.ok().flatten().into_iter().flatten();
            inputs.extend(files.map(|file| file.path.clone()));
        }
        level = matches.subcommand().map(|(_, matches)| matches);
    }
    inputs
}

/// The dates that a command works on.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Range")]
pub struct RangeArgs {
    /// First day, inclusive and exchange-local [default: the first with bars]
    ///
    /// Formats: YYYY-MM-DD or DDMMYY.
    ///
    /// Example: --start 2025-03-04
    #[arg(long, value_name = "DATE")]
    pub start: Option<TypedDate>,

    /// Last day, inclusive and exchange-local [default: the last with bars]
    ///
    /// Formats: YYYY-MM-DD or DDMMYY.
    ///
    /// Example: --end 2025-03-31
    #[arg(long, value_name = "DATE")]
    pub end: Option<TypedDate>,
}

impl RangeArgs {
    /// The dates typed, refused if they are out of order. Either end may be open.
    pub fn resolve(&self) -> Result<(Option<NaiveDate>, Option<NaiveDate>), CliError> {
        let (start, end) = (self.start.map(|date| date.0), self.end.map(|date| date.0));
        if let (Some(start), Some(end)) = (start, end) {
            DateRange::new(start, end)?;
        }
        Ok((start, end))
    }
}

/// Where the metrics of a run go.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MetricsArg {
    /// Write metrics of the run to FILE, for Prometheus
    ///
    /// OpenMetrics text, as the textfile collector of node_exporter reads it: bars, requests, rejects, gaps,
    /// duration, exit code, time of the last success. Counters continue those in FILE. Failed and interrupted
    /// runs write it too, dry runs don't. Each FILE in a collector's folder needs a name of its own, and each job
    /// needs its own FILE.
    ///
    /// Example: --metrics /var/lib/node_exporter/backfill.prom
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub metrics: Option<OutputArg>,
}

/// How long a command that writes waits for another writer.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct WaitArg {
    /// Wait up to N seconds for the end of another writer [default: 0]
    ///
    /// Only one process at a time can write into a store. Without this option the command fails at once if
    /// another one does. In any case it waits for readers, up to 30 s.
    ///
    /// Example: --wait 600
    #[arg(long, value_name = "N")]
    wait: Option<u32>,
}

impl WaitArg {
    /// The time to wait.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.wait.unwrap_or(0)))
    }

    /// Whether the option was given.
    #[must_use]
    pub fn is_given(self) -> bool {
        self.wait.is_some()
    }
}

/// Parses a finite number that is `valid`; `what` it has to be is in the error.
pub fn parse_number(
    typed: &str,
    valid: impl FnOnce(f64) -> bool,
    what: &str,
) -> Result<f64, String> {
    (typed.parse().ok())
        .filter(|number: &f64| number.is_finite() && valid(*number))
        .ok_or_else(|| format!("it isn't {what}"))
}

/// Parses a share of sessions or bars.
pub fn share(typed: &str) -> Result<f64, String> {
    let valid = |share| (0.0..=1.0).contains(&share);
    parse_number(typed, valid, "a number from 0 to 1")
}

/// A state of the store: its newest commit, or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    Commit(u64),
    Time(Timestamp),
}

impl FromStr for AsOf {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        if let Ok(seq) = typed.parse() {
            return Ok(Self::Commit(seq));
        }
        let at = DateTime::parse_from_rfc3339(typed).map_err(|_| {
            "it isn't the number of a commit or a time such as 2025-02-01T22:00:00Z".to_owned()
        })?;
        Ok(Self::Time(Timestamp::from_micros(at.timestamp_micros())))
    }
}

/// The option of commands that read bars as they were.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct AsOfArg {
    /// Read the bars that the store had at a time, or after a commit
    ///
    /// Bars that were added later are left out, and bars that were replaced later have their
    /// earlier values. Each bar has the number of its commit in the column commit_seq of `query`. A
    /// time at which a run was writing is refused; the error names the commits before and after it.
    /// Bars that were dropped since can't be read, and neither can those of a time before a repair.
    ///
    /// Example: --as-of 2025-02-01T22:00:00Z
    #[arg(long, value_name = "TIME|COMMIT", help_heading = "Range")]
    pub as_of: Option<AsOf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_and_no_views() {
        let parsed = |typed: &str| typed.parse::<FileArg>();
        assert_eq!(
            parsed("_e2=a=b.csv"),
            Ok(FileArg {
                name: "_e2".into(),
                path: "a=b.csv".into()
            })
        );
        for typed in [
            "a.csv",
            "=a.csv",
            "x=",
            "2x=a.csv",
            "a b=a.csv",
            "a\"=a.csv",
            "é=a.csv",
            "Bars=a.csv",
            "runs=a.csv",
            "a.b=c.csv",
        ] {
            assert!(parsed(typed).is_err(), "{typed}");
        }
    }
}
