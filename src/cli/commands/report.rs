//! `report`: the page as one HTML file.

use std::path::PathBuf;

use indicatif::HumanCount;

use crate::audit;
use crate::calendar::CalendarCache;
use crate::cli::args::{OutputArg, RangeArgs};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::log::LINE;
use crate::cli::ticker_args::TickerArgs;
use crate::model::Interval;
use crate::page::{self, Filter, PageData, ReportOptions};
use crate::report::ExitStatus;
use crate::store;

/// Write a page that shows what is stored, as one HTML file
///
/// The page shows coverage, charts, gaps, conflicts, runs and targets. It opens from disk in any
/// browser, without a network. Coverage and runs are always complete; bars are limited by
/// --max-bars. `backfill serve` shows the same page with all bars.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill report --to report.html
  backfill report --to aapl.html --tickers AAPL --start 2025-01-01 --max-bars 1000000
  backfill report --to report.html --audit
  backfill report --to report.html --compare data/other")]
pub struct Args {
    /// HTML file to write
    ///
    /// Example: --to report.html
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    to: OutputArg,

    /// Maximum bars inside the file: whole days of each ticker, newest first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200_000,
        help_heading = "Output"
    )]
    max_bars: u64,

    /// Audit the bars, and show the findings in a list and in charts
    ///
    /// All bars of the shown series are read, as `backfill audit` does with its default limits.
    #[arg(long, help_heading = "Output")]
    audit: bool,

    /// Show only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    /// Folder of a second store: shows what both have in common, and its bars in charts
    ///
    /// All bars of both are compared, as `backfill compare` does. The file contains the second
    /// store's bars for the same series and days as this store's.
    ///
    /// Example: --compare data/other
    #[arg(long, value_name = "DIR", help_heading = "Comparison")]
    compare: Option<PathBuf>,

    #[command(flatten)]
    tickers: TickerArgs,

    #[command(flatten)]
    range: RangeArgs,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let (start, end) = args.range.resolve()?;
    let target = context.output_file(&args.to)?;
    let dir = context.store_dir(false);
    let reader = context.open_detached_reader(&dir)?;
    let filter = Filter {
        tickers: tickers.among(|| Ok(reader.series()?))?,
        interval: args.interval,
        start,
        end,
    };
    let mut calendars = CalendarCache::new(context.calendars(&dir)?);
    let data = PageData::new(
        &reader,
        &mut calendars,
        &filter,
        context.now(),
        store::bytes_below(&dir),
    );
    let second = (args.compare.as_deref())
        .map(|dir| Ok::<_, CliError>((context.open_second_reader(dir)?, context.calendars(dir)?)))
        .transpose()?;
    let (second, second_calendars) = second.unzip();
    let mut second_calendars = CalendarCache::new(second_calendars.unwrap_or_default());
    let compared = (second.as_ref())
        .map(|second| PageData::new(second, &mut second_calendars, &filter, context.now(), 0));
    let options = ReportOptions {
        max_bars: args.max_bars,
        audits: args.audit,
    };
    let written = page::report(data, compared, &options, &target)?;
    tracing::info!(
        target: LINE,
        "Reported {} series with {} bars to {} in {:.2}s",
        HumanCount(written.series),
        HumanCount(written.bars),
        target.typed().display(),
        context.elapsed().as_secs_f64()
    );
    if written.bars_left_out > 0 {
        tracing::info!(
            target: LINE,
            "note: {} older bars are not in the file; --max-bars sets how many are",
            HumanCount(written.bars_left_out)
        );
    }
    Ok(Outcome::Done)
}

impl From<page::Error> for CliError {
    fn from(error: page::Error) -> Self {
        match error {
            page::Error::Store(error) => error.into(),
            page::Error::Export(error) => error.into(),
            page::Error::Compare(error) => error.into(),
            page::Error::Audit(audit::Error::Store(error)) => error.into(),
            error => Self::of(ExitStatus::Failed, &error),
        }
    }
}
