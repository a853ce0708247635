//! `compare`: the bars of this store next to those of another one.

mod details;
mod show;
mod stream;

use std::path::PathBuf;

use crate::cli::args::{AsOfArg, OutputArg, RangeArgs, parse_number, share};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::listing;
use crate::cli::rows::{Out, RowFormat};
use crate::cli::ticker_args::TickerArgs;
use crate::compare::{self, Compared, Comparison, Scope, Settings, Side};
use crate::documents;
use crate::export::AtomicFile;
use crate::model::Interval;
use crate::report::ExitStatus;
use stream::Stream;

/// Compare the bars of this store with those of another one
///
/// One row per series, also for a series that only one store has. Each bar is counted once: as
/// identical (open, high, low, close and volume are equal), within (each price is within
/// --tolerance-bps, and the volume may differ), different (in both stores, but a price is outside the
/// tolerance), only here (only in this store) or only there (only in the other one).
///
/// agreement is (identical + within) / all bars. volume ratio is the volume there divided by the volume
/// here, summed over the bars in both. close factor is the closes there divided by those here, if one
/// factor explains most of the closes that differ by more than the tolerance (a split, another price
/// basis), with the first and last session where it applies. shift is the minutes that bars there are
/// later than the bars here with the same prices (a wrong label or zone, a clock change on one side
/// only). It is searched in each session where fewer than 0.7 of the bars agree, and reported if most of
/// these bars have the same shift, and agree clearly better with it than with any other.
///
/// A session is a trading date of the series' exchange in this store. --as-of applies to this store only,
/// so `compare DIR --as-of COMMIT` with this store as DIR lists what has changed since.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill compare data/vendor-b
  backfill compare data/vendor-b --by session --tickers AAPL
  backfill compare data/vendor-b --details --to differences.parquet
  backfill compare data/vendor-b --min-agreement 0.99 || echo look at it")]
pub struct Args {
    /// Folder of the other store
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// How far prices may differ and still agree, in basis points of the larger one
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1.0,
        value_parser = basis_points,
        help_heading = "Comparison"
    )]
    tolerance_bps: f64,

    /// One row per session instead of one per series
    ///
    /// Example: --by session
    #[arg(
        long,
        value_name = "WHAT",
        conflicts_with = "details",
        help_heading = "Comparison"
    )]
    by: Option<By>,

    /// List the bars that differ, with the values of both stores
    ///
    /// These are the bars that are different, only here, or only there.
    #[arg(long, help_heading = "Comparison")]
    details: bool,

    /// Exit with code 3 if the agreement of a series is less than SHARE, a number from 0 to 1
    ///
    /// The code is also 3 if there are no bars to compare, or if a named ticker has none.
    ///
    /// Example: --min-agreement 0.99
    #[arg(long, value_name = "SHARE", value_parser = share, help_heading = "Comparison")]
    min_agreement: Option<f64>,

    /// Output format [default: by the ending of --to, else table]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    format: Option<RowFormat>,

    /// Write to FILE instead of standard output
    ///
    /// The file appears when it is complete. Its ending sets the format: .csv, .json, .parquet, .arrow (a
    /// stream) or .txt (a table).
    ///
    /// Example: --to comparison.csv
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    to: Option<OutputArg>,

    /// Compare only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    tickers: TickerArgs,

    #[command(flatten)]
    range: RangeArgs,

    #[command(flatten)]
    as_of: AsOfArg,
}

/// What has a row.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum By {
    /// A trading date of a series
    Session,
}

fn basis_points(typed: &str) -> Result<f64, String> {
    parse_number(typed, |points| points >= 0.0, "a number from 0 on")
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let (start, end) = args.range.resolve()?;
    let to = args.to.as_ref().filter(|to| !to.is_stdout());
    let format = match args.format {
        Some(format) => format,
        None => RowFormat::of_file(to.map(|to| to.0.as_path()))?,
    };
    let to = to.map(|to| context.output_file(to)).transpose()?;
    let stdout = match to {
        Some(_) => None,
        None => Some(context.stdout()?),
    };
    let dir = context.store_dir(false);
    let (calendars, other_calendars) = (context.calendars(&dir)?, context.calendars(&args.dir)?);
    let reader = context.open_detached_reader(&dir)?;
    let reader = context.read_as_of(reader, args.as_of)?;
    let other = context.open_second_reader(&args.dir)?;
    let staged = || {
        let mut series = reader.series()?;
        series.extend(other.series()?);
        Ok(series)
    };
    let tickers = tickers.among(staged)?;
    context.check_known(&reader, &tickers, args.interval)?;
    let settings = Settings {
        scope: Scope {
            tickers,
            interval: args.interval,
            start,
            end,
        },
        tolerance_bps: args.tolerance_bps,
    };
    let stop = context.stop();
    let draft = to.as_ref().map(AtomicFile::create).transpose()?;
    let out: Out = match (&draft, stdout) {
        (Some(draft), _) => draft.out()?,
        (None, Some(out)) => Box::new(out),
        (None, None) => return Ok(Outcome::Done),
    };
    let observer = context.observer();
    let comparison = Comparison {
        here: Side {
            reader: &reader,
            calendars: &calendars,
        },
        there: Side {
            reader: &other,
            calendars: &other_calendars,
        },
        settings: &settings,
        stop: &stop,
        observer: &observer,
    };
    let compared = match (args.details, args.by) {
        (true, _) => details(comparison, out, format),
        (false, Some(By::Session)) => by_session(comparison, out, format),
        (false, None) => by_series(comparison, out, format),
    };
    drop(observer);
    let compared = compared.map_err(|error| match (error, &draft) {
        (compare::Error::Output(error), Some(draft)) => {
            CliError::failed(format!("{}: {error}", draft.target().display()))
        }
        (error, _) => error.into(),
    })?;
    if let Some(draft) = draft {
        draft.publish()?;
    }
    let mut has_all = true;
    for ticker in &settings.scope.tickers {
        let is_found = (compared.series.iter()).any(|one| one.series.ticker == *ticker);
        if !is_found {
            tracing::warn!("no bars of {ticker} are stored");
            has_all = false;
        }
    }
    let is_enough = args
        .min_agreement
        .is_none_or(|share| has_all && compared.reaches(share));
    Ok(match is_enough {
        true => Outcome::Done,
        false => Outcome::Ended(ExitStatus::Partial),
    })
}

fn by_series(
    comparison: Comparison<'_>,
    out: Out,
    format: RowFormat,
) -> Result<Compared, compare::Error> {
    let compared = comparison.run(|_, _| Ok(()))?;
    show::write(out, format, &compared)?;
    Ok(compared)
}

fn by_session(
    comparison: Comparison<'_>,
    out: Out,
    format: RowFormat,
) -> Result<Compared, compare::Error> {
    let columns = show::session_columns();
    let mut rows = Stream::new(out, format, "sessions", &listing::batch(&[], &columns)?)?;
    let compared = comparison.run(|series, sessions| {
        let sessions = documents::compared_sessions(&series.series, sessions);
        Ok(rows.write(&listing::batch(&sessions, &columns)?)?)
    })?;
    rows.finish(&compared)?;
    Ok(compared)
}

fn details(
    comparison: Comparison<'_>,
    out: Out,
    format: RowFormat,
) -> Result<Compared, compare::Error> {
    let columns = details::batch(format, None)?;
    let mut rows = Stream::new(out, format, "details", &columns)?;
    let compared = comparison.bars(|bars| Ok(rows.write(&details::batch(format, Some(bars))?)?))?;
    rows.finish(&compared)?;
    Ok(compared)
}

impl From<compare::Error> for CliError {
    fn from(error: compare::Error) -> Self {
        match error {
            compare::Error::Store(error) => error.into(),
            compare::Error::Output(error) => Self::from(error),
            compare::Error::Interrupted => Self::new(ExitStatus::Interrupted, "interrupted"),
            error => Self::of(ExitStatus::Failed, &error),
        }
    }
}
