//! `gaps`: lists sessions that are missing or incomplete.

use std::num::NonZeroUsize;
use std::path::Path;

use crate::calendar::CalendarCache;
use crate::cli::args::{MetricsArg, RangeArgs, WaitArg, share};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::{self, Concurrency, FillSettings, Filled, Service, ServiceArgs};
use crate::cli::metrics;
use crate::cli::rows::{FormatArg, RowFormat};
use crate::cli::seal_after::SealArgs;
use crate::cli::ticker_args::TickerArgs;
use crate::gaps::{Scope, Survey, survey};
use crate::model::{Interval, OnConflict};
use crate::report::{ExitStatus, RunKind};

mod show;

const AFTER_HELP: &str = "\
Reasons:
  never_asked  it has no bars and was never requested
  empty        it was requested, and the provider has no bars
  partial      it was requested before it had ended; its first bars could not be
               requested; more than a tenth of its rows were invalid; or the
               provider's plan may withhold bars
  failed       the request failed, or most of its rows were invalid
  short        bars are missing:
    rows rejected  a file or a response had rows of it that aren't valid bars. It is
                   complete when bars with the times of these rows are stored
    few bars       it has fewer than 0.9 of the median bars of the ten nearest sessions
    starts late    a twentieth of its trading time (20 of 390 minutes) or more is missing
                   at its start, and most sessions around it lack the same
    ends early     the same at its end

A late start or early end needs four sessions that have it. A session doesn't count if fewer than
half of the bars between its first and last are there, if a pause this long between trades has a
chance of more than 1 in 1,000, or if it has bars outside regular hours at that end.

--fill requests these sessions in as few requests as possible, then lists what is still missing.
Each series is requested with the price basis and hours of its stored bars; if these are unknown,
as for CSV files, split-adjusted and regular hours.

Examples:
  backfill gaps --tickers AAPL --start 2025-01-01 --end 2025-03-31
  backfill gaps --format json --min-completeness 0.99
  backfill gaps --fill --rate 750 --threads 8";

/// List missing or incomplete sessions
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    output: FormatArg,

    /// Exit with code 3 if fewer sessions than this share are complete
    ///
    /// From 0 to 1.
    ///
    /// Example: --min-completeness 0.99
    #[arg(long, value_name = "SHARE", help_heading = "Output", value_parser = share)]
    min_completeness: Option<f64>,

    /// List only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    tickers: TickerArgs,

    #[command(flatten)]
    range: RangeArgs,

    /// Request the sessions from the provider, then list what is still missing
    #[arg(long, help_heading = "Fill")]
    fill: bool,

    /// Also request sessions that two fills returned empty
    #[arg(long, requires = "fill", help_heading = "Fill")]
    again: bool,

    /// Print the requests that --fill would make, then exit
    #[arg(long, requires = "fill", help_heading = "Fill")]
    plan: bool,

    /// Maximum number of tickers that --fill requests at once, and of requests in flight [default:
    /// 1]
    #[arg(long, value_name = "N", requires = "fill", help_heading = "Fill")]
    threads: Option<NonZeroUsize>,

    /// What --fill does with bars that are stored with other values [default: fail]
    ///
    /// fail refuses the batch, ignore keeps the stored bars, update replaces them. Bars that are
    /// stored with the same values don't conflict.
    #[arg(long, value_name = "MODE", requires = "fill", help_heading = "Fill")]
    on_conflict: Option<OnConflict>,

    #[command(flatten)]
    service: ServiceArgs,

    #[command(flatten)]
    seal: SealArgs,

    #[command(flatten)]
    wait: WaitArg,

    #[command(flatten)]
    metrics: MetricsArg,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let (start, end) = args.range.resolve()?;
    if !args.fill && !args.service.is_default() {
        return Err(
            CliError::usage("options of the provider have no effect without --fill")
                .hint("add --fill"),
        );
    }
    if !args.fill && args.seal.is_given() {
        return Err(CliError::usage("--seal has no effect without --fill").hint("add --fill"));
    }
    if !args.fill && args.wait.is_given() {
        return Err(CliError::usage("--wait has no effect without --fill").hint("add --fill"));
    }
    if (!args.fill || args.plan) && args.metrics.metrics.is_some() {
        return Err(CliError::usage("--metrics has no effect without a fill").hint("add --fill"));
    }
    metrics::write_to(context, &args.metrics)?;
    let service = Service::resolve(args.service)?;
    let dir = context.store_dir(service.is_demo());
    let staged = || Ok(context.open_reader(&dir)?.series()?);
    let scope = Scope {
        tickers: tickers.among(staged)?,
        interval: args.interval,
        start,
        end,
        now: context.now(),
    };
    let mut calendars = CalendarCache::new(context.calendars(&dir)?);
    let enough =
        |survey: &Survey| (args.min_completeness).is_none_or(|share| survey.reaches(share));
    if args.fill {
        let settings = FillSettings {
            scope,
            on_conflict: args.on_conflict.unwrap_or_default(),
            again: args.again,
            plan: args.plan,
            concurrency: match args.threads {
                Some(threads) => Concurrency::Many(threads.get()),
                None => Concurrency::One,
            },
            service,
            seal: args.seal,
            wait: args.wait.duration(),
        };
        return fill(
            context,
            &dir,
            &settings,
            args.output.format,
            &mut calendars,
            enough,
        );
    }
    let out = context.stdout()?;
    let reader = context.open_reader(&dir)?;
    let survey = survey(&reader, &scope, &mut calendars)?;
    warn(&survey);
    show::write(out, args.output.format, &survey)?;
    Ok(match enough(&survey) {
        true => Outcome::Done,
        false => Outcome::Ended(ExitStatus::Partial),
    })
}

/// Requests the missing sessions, and lists what is still missing. If the summary goes to standard
/// output, the list isn't printed.
fn fill(
    context: &Context,
    dir: &Path,
    settings: &FillSettings,
    format: RowFormat,
    calendars: &mut CalendarCache,
    enough: impl Fn(&Survey) -> bool,
) -> Result<Outcome, CliError> {
    context.describe(|info| {
        info.kind = RunKind::Fill;
        info.interval = settings.scope.interval;
        info.on_conflict = Some(settings.on_conflict);
    });
    let out = context.stdout().ok();
    match fetch::fill_gaps(context, dir, settings, calendars)? {
        Filled::Planned(outcome) => Ok(outcome),
        Filled::Report(mut report, survey) => {
            warn(&survey);
            if let Some(out) = out {
                show::write(out, format, &survey)?;
            }
            report.incomplete |= !enough(&survey);
            Ok(Outcome::Run(report))
        }
    }
}

/// Prints the warnings of a survey.
fn warn(survey: &Survey) {
    for notice in &survey.notices {
        tracing::warn!("{notice}");
    }
    for ticker in &survey.unknown_tickers {
        tracing::warn!("{ticker}: no bars stored and never requested");
    }
}
