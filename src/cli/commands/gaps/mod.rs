//! `gaps`: the sessions that are missing or short, and why.

use std::num::NonZeroUsize;
use std::path::Path;

use crate::calendar::Book;
use crate::cli::args::{RangeArgs, TickerArgs};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::fetch::{self, FillSettings, Filled, Service, ServiceArgs, Width};
use crate::cli::rows::{FormatArg, RowFormat};
use crate::gaps::{Scope, Survey, survey};
use crate::model::{Interval, OnConflict};
use crate::report::{ExitStatus, RunKind};

mod show;

const AFTER_HELP: &str = "\
A session is listed when it holds fewer than 0.9 of the median bars of the ticker's ten nearest
sessions, and when it is known to lack its end. Why: never_asked (nobody was asked for it, as with
bars from CSV dumps), empty (the provider was asked, and had nothing), partial (it was asked for
before it had ended), failed (the provider failed), short (it was asked for or injected, and has
fewer bars than usual).

--fill asks the provider for them, in the fewest requests, and then lists what is left. What two
fills asked for in vain is left out of the next, unless --again. Each series is asked for as what
it is staged; where that is not known, as with CSV dumps, as split-adjusted regular hours.

Examples:
  backfill gaps --tickers AAPL --start 2025-01-01 --end 2025-03-31
  backfill gaps --format json --min-completeness 0.99
  backfill gaps --fill --rate 750 --threads 8";

/// List the sessions that are missing whole or short, and why. Example: backfill gaps --tickers AAPL MSFT
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    output: FormatArg,

    /// End with code 3 when complete ÷ expected sessions is below SHARE, from 0 to 1. Example: --min-completeness 0.99
    #[arg(long, value_name = "SHARE", help_heading = "Output", value_parser = share)]
    min_completeness: Option<f64>,

    /// Only bars of N minutes [default: all]. Example: --interval 1
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    tickers: TickerArgs,

    #[command(flatten)]
    range: RangeArgs,

    /// Ask the provider for what is listed, and list what is left. Example: --fill
    #[arg(long, help_heading = "Fill")]
    fill: bool,

    /// With --fill: also what two fills asked for in vain. Example: --again
    #[arg(long, requires = "fill", help_heading = "Fill")]
    again: bool,

    /// With --fill: print windows, requests and least time, and ask nothing. Example: --plan
    #[arg(long, requires = "fill", help_heading = "Fill")]
    plan: bool,

    /// With --fill: requests in flight at most, over as many tickers [default: 1]. Example: --threads 8
    #[arg(long, value_name = "N", requires = "fill", help_heading = "Fill")]
    threads: Option<NonZeroUsize>,

    /// With --fill: what to do with bars that are staged with other values: fail, ignore or update [default: fail]. Bars
    /// staged with the same values are no conflict. Example: --on-conflict ignore
    #[arg(long, value_name = "MODE", requires = "fill", help_heading = "Fill")]
    on_conflict: Option<OnConflict>,

    #[command(flatten)]
    service: ServiceArgs,
}

fn share(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("it is a share from 0 to 1, as in 0.99".to_owned()),
    }
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let (start, end) = args.range.resolve()?;
    if !args.fill && !args.service.is_default() {
        return Err(CliError::usage(
            "nothing is asked without --fill, and its options mean nothing",
        )
        .hint("add --fill"));
    }
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
    let mut book = Book::new(context.calendars(&dir)?);
    let enough =
        |survey: &Survey| (args.min_completeness).is_none_or(|share| survey.reaches(share));
    if args.fill {
        let settings = FillSettings {
            scope,
            on_conflict: args.on_conflict.unwrap_or_default(),
            again: args.again,
            plan: args.plan,
            width: match args.threads {
                Some(threads) => Width::Many(threads.get()),
                None => Width::One,
            },
            service,
        };
        return fill(
            context,
            &dir,
            &settings,
            args.output.format,
            &mut book,
            enough,
        );
    }
    let out = context.stdout()?;
    let reader = context.open_reader(&dir)?;
    let survey = survey(&reader, &scope, &mut book)?;
    tell(&survey);
    show::write(out, args.output.format, &survey)?;
    Ok(match enough(&survey) {
        true => Outcome::Done,
        false => Outcome::Ended(ExitStatus::Partial),
    })
}

/// Asks for what is lacking, and lists what is left; where the summary goes to standard output, the list does not.
fn fill(
    context: &Context,
    dir: &Path,
    settings: &FillSettings,
    format: RowFormat,
    book: &mut Book,
    enough: impl Fn(&Survey) -> bool,
) -> Result<Outcome, CliError> {
    context.describe(|info| {
        info.kind = RunKind::Fill;
        info.interval = settings.scope.interval;
        info.on_conflict = Some(settings.on_conflict);
    });
    let out = context.stdout().ok();
    match fetch::fill_gaps(context, dir, settings, book)? {
        Filled::Planned(outcome) => Ok(outcome),
        Filled::Report(mut report, survey) => {
            tell(&survey);
            if let Some(out) = out {
                show::write(out, format, &survey)?;
            }
            report.incomplete |= !enough(&survey);
            Ok(Outcome::Run(report))
        }
    }
}

/// Says what the list cannot show.
fn tell(survey: &Survey) {
    for notice in &survey.notices {
        tracing::warn!("{notice}");
    }
    for ticker in &survey.unknown_tickers {
        tracing::warn!("nothing of {ticker} is staged, and nothing was ever asked for");
    }
}
