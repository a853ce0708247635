//! `export`: writes stored bars to files.

use std::collections::BTreeSet;

use indicatif::HumanCount;

use crate::calendar::{Calendar, Overrides};
use crate::cli::args::{AsOfArg, OutputArg, RangeArgs};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::ticker_args::TickerArgs;
use crate::export::{
    Format, PartitionBy, Plan, ResampleGrid, SeriesPlan, StoreBars, Target, export,
};
use crate::model::{Interval, Ticker};
use crate::report::{Event, ExitStatus, Observer};
use crate::store::SeriesRow;

/// The longest bars that can be made from one-minute bars, in minutes: one day.
const RESAMPLE_MINUTES_MAX: u16 = 1440;

/// Write stored bars to files
///
/// Files hold ticker, timestamp, open, high, low, close, volume, vwap and trades (in CSV, the last
/// two only if any bar has them), sorted by ticker and timestamp. They are written under another
/// name and renamed, so a reader never sees half a file. An export to a folder replaces the files
/// of an earlier export there, and nothing else. Two exports to one folder at the same time are
/// refused.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill export --to bars.parquet
  backfill export --to exports/ --partition-by ticker,year
  backfill export --to - --tickers AAPL --resample 15 | head")]
pub struct Args {
    /// File or folder to write, or - for standard output
    ///
    /// A file ends in .parquet, .csv or .arrow. A name without an ending, or that ends in a slash,
    /// is a folder.
    ///
    /// Example: --to bars.parquet
    #[arg(long, value_name = "DIR|FILE|-", help_heading = "Output")]
    to: OutputArg,

    /// File format: parquet, csv or arrow
    ///
    /// By default the ending of FILE decides; parquet in a folder, csv to standard output.
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    format: Option<Format>,

    /// Split a folder into Hive partitions: ticker, year, ticker,year or none [default: none]
    ///
    /// Years are UTC years.
    ///
    /// Example: --partition-by ticker,year
    #[arg(long, value_name = "KEYS", help_heading = "Output")]
    partition_by: Option<PartitionBy>,

    /// Combine one-minute bars into bars of N minutes
    ///
    /// In a session, bars are counted from its open. Before the open they are counted back from
    /// it, and after the close forward from it, so no bar contains an open or a close.
    #[arg(long, value_name = "N", help_heading = "Output", value_parser = clap::value_parser!(u16).range(2..=i64::from(RESAMPLE_MINUTES_MAX)))]
    resample: Option<u16>,

    /// Export bars of N minutes: 1, 5, 15, 30 or 60
    ///
    /// Required if the store has several.
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    tickers: TickerArgs,

    #[command(flatten)]
    range: RangeArgs,

    #[command(flatten)]
    as_of: AsOfArg,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let dates = args.range.resolve()?;
    let interval = staged_interval(args.interval, args.resample)?;
    let (target, format) = target(context, &args.to, args.format)?;
    let partition_by = args.partition_by.unwrap_or_default();
    if partition_by != PartitionBy::None && !matches!(target, Target::Folder(_)) {
        return Err(
            CliError::usage("--partition-by divides the files of a folder")
                .hint("--to DIR/ names a folder"),
        );
    }
    let dir = context.store_dir(false);
    let calendars = context.calendars(&dir)?;
    let reader = context.open_detached_reader(&dir)?;
    let reader = context.read_as_of(reader, args.as_of)?;
    let series = reader.series()?;
    let tickers = tickers.among(|| Ok(series.clone()))?;
    context.check_known(&reader, &tickers, interval)?;
    let staged = chosen(series, &tickers, interval)?;
    for missing in missing(&staged, &tickers) {
        tracing::warn!("no bars of {missing} are stored");
    }
    let total: u64 = staged.iter().map(|series| series.rows).sum();
    let count = staged.len();
    let minutes = args
        .resample
        .or_else(|| staged.first().map(|row| row.key.interval.minutes()));
    let series = staged
        .into_iter()
        .map(|row| series_plan(row, dates, args.resample, &calendars))
        .collect::<Result<Vec<_>, _>>()?;

    let observer = context.observer();
    observer.event(&Event::Planned {
        unit: "bars",
        total,
    });
    let plan = Plan {
        series,
        minutes: minutes.unwrap_or(1),
        format,
        partition_by,
        target,
    };
    let done = export(&StoreBars(&reader), plan, &context.stop(), &observer)?;
    drop(observer);
    tracing::info!(
        "{} bars of {} series in {} file{}, in {:.2}s",
        HumanCount(done.rows),
        count,
        done.files,
        if done.files == 1 { "" } else { "s" },
        context.elapsed().as_secs_f64()
    );
    Ok(Outcome::Done)
}

/// What `--to` names: standard output, a folder (it exists, ends in a slash, or has no ending), or
/// a file, which can be a pipe or a device.
fn target(
    context: &Context,
    to: &OutputArg,
    format: Option<Format>,
) -> Result<(Target, Format), CliError> {
    if to.is_stdout() {
        let out = Box::new(context.stdout()?);
        return Ok((Target::Stream(out), format.unwrap_or(Format::Csv)));
    }
    let path = to.0.as_path();
    let ends_in_slash = (path.to_string_lossy()).ends_with(['/', std::path::MAIN_SEPARATOR]);
    let is_file = path.exists() && !path.is_dir();
    if path.is_dir() || ends_in_slash || (path.extension().is_none() && !is_file) {
        let folder = context.output_folder(to)?;
        return Ok((Target::Folder(folder), format.unwrap_or(Format::Parquet)));
    }
    let file = context.output_file(to)?;
    let format = format.map_or_else(|| file.format(), Ok).map_err(|error| {
        CliError::from(error)
            .hint("--format sets the format of a file; the name of a folder ends in a slash")
    })?;
    Ok((Target::File(file), format))
}

/// The interval to read: one-minute bars if longer ones are made from them.
fn staged_interval(
    interval: Option<Interval>,
    resample: Option<u16>,
) -> Result<Option<Interval>, CliError> {
    match (interval, resample) {
        (Some(interval), Some(_)) if interval != Interval::M1 => Err(CliError::usage(
            "--resample combines one-minute bars, not longer ones",
        )),
        (_, Some(_)) => Ok(Some(Interval::M1)),
        (interval, None) => Ok(interval),
    }
}

/// The series to export, all of one interval.
fn chosen(
    mut series: Vec<SeriesRow>,
    tickers: &[Ticker],
    interval: Option<Interval>,
) -> Result<Vec<SeriesRow>, CliError> {
    series.retain(|row| row.key.is_among(tickers, interval));
    let intervals: BTreeSet<Interval> = series.iter().map(|row| row.key.interval).collect();
    if intervals.len() > 1 {
        let listed: Vec<String> = intervals.iter().map(|i| i.minutes().to_string()).collect();
        return Err(CliError::usage(format!(
            "the store has bars of {} minutes",
            listed.join(" and ")
        ))
        .hint("--interval N selects one"));
    }
    Ok(series)
}

fn missing<'a>(staged: &'a [SeriesRow], tickers: &'a [Ticker]) -> impl Iterator<Item = &'a Ticker> {
    let known: BTreeSet<&Ticker> = staged.iter().map(|row| &row.key.ticker).collect();
    tickers.iter().filter(move |ticker| !known.contains(ticker))
}

fn series_plan(
    row: SeriesRow,
    (start, end): (Option<chrono::NaiveDate>, Option<chrono::NaiveDate>),
    resample: Option<u16>,
    calendars: &Overrides,
) -> Result<SeriesPlan, CliError> {
    let exchange = &row.provenance.exchange;
    let failed = |error| CliError::of(ExitStatus::Failed, &error);
    let wanted = Calendar::range_at(exchange, calendars, start, end).map_err(failed)?;
    let grid = match resample {
        Some(minutes) => Some(ResampleGrid {
            calendar: Calendar::for_exchange_with(exchange, calendars).map_err(failed)?,
            minutes,
        }),
        None => None,
    };
    Ok(SeriesPlan::new(
        row.key,
        (row.first, row.last),
        wanted,
        grid,
    ))
}
