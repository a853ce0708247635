//! `gaps`: the sessions that are missing or short, and why.

use std::io::Write;

use crate::calendar::Book;
use crate::cli::args::{RangeArgs, TickerArgs};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::exit_codes;
use crate::gaps::{Scope, Survey, survey};
use crate::model::Interval;
use crate::store::{OpenOptions, Reader};

mod show;

const AFTER_HELP: &str = "\
A session is listed when it holds fewer than 0.9 of the median bars of the ticker's ten nearest
sessions, and when it is known to lack its end. Why: never_asked (nobody was asked for it, as with
bars from CSV dumps), empty (the provider was asked, and had nothing), partial (it was asked for
before it had ended), failed (the provider failed), short (it was asked for or injected, and has
fewer bars than usual).

Examples:
  backfill gaps --tickers AAPL --start 2025-01-01 --end 2025-03-31
  backfill gaps --format json --min-completeness 0.99";

/// List the sessions that are missing whole or short, and why. Example: backfill gaps --tickers AAPL MSFT
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// For people, or for programs. Example: --format json
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Output"
    )]
    format: GapsFormat,

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
}

/// What the gaps are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GapsFormat {
    /// Columns for people.
    Table,
    /// One object.
    Json,
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
    let scope = Scope {
        tickers,
        interval: args.interval,
        start,
        end,
        now: context.now(),
    };
    let mut out = context.stdout()?;
    let reader = Reader::open(&context.store_dir(false), &OpenOptions::default())?;
    for notice in reader.notices() {
        tracing::warn!("{notice}");
    }
    let survey = survey(&reader, &scope, &mut Book::default())?;
    tell(&survey);
    write(&mut out, args.format, &survey)?;
    Ok(match args.min_completeness {
        Some(share) if !survey.reaches(share) => Outcome::Code(exit_codes::PARTIAL),
        _ => Outcome::Done,
    })
}

/// Says what the list cannot show.
fn tell(survey: &Survey) {
    for notice in &survey.notices {
        tracing::warn!("{notice}");
    }
    for ticker in &survey.strangers {
        tracing::warn!("nothing of {ticker} is staged, and nothing was ever asked for");
    }
}

fn write(out: &mut impl Write, format: GapsFormat, survey: &Survey) -> Result<(), CliError> {
    match format {
        GapsFormat::Table => show::table(out, survey)?,
        GapsFormat::Json => show::json(out, survey)?,
    }
    Ok(out.flush()?)
}
