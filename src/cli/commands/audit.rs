//! `audit`: lists stored bars that can't be right, or are unusual.

use std::io::{self, Write};
use std::num::NonZero;

use indicatif::HumanCount;

use crate::audit::{self, Audit, Check, Finding, Limits, Scope, Severity};
use crate::cli::args::{RangeArgs, parse_number};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::listing::{self, Kind};
use crate::cli::rows::FormatArg;
use crate::cli::table::{Column, Table};
use crate::cli::ticker_args::TickerArgs;
use crate::documents;
use crate::model::Interval;
use crate::report::ExitStatus;

const AFTER_HELP: &str = "\
Checks:
  zero_price_range     bars in a row with one price and one volume. An error if the volume isn't 0
  spike                a bar far beyond both of its neighbours
  jump                 a price that changes between two bars of a session, and stays changed
  volume_outlier       a bar with many times the usual volume. Always a warning
  outside_session      bars at times at which the exchange doesn't trade. A warning if the hours of
                       the series aren't known, as for CSV files; then bars before and after
                       regular hours are allowed
  last_minute_missing  a session that has nearly all bars, but not its last. Always a warning
  resolution           longer bars that differ from the one-minute bars inside them. An error if
                       prices differ, a warning if volumes do or one of them lacks bars; missing
                       minutes also explain prices, if the volumes differ

A session's move is the median relative change from one close to the next, without changes of 0.
The usual move is the median of the moves of the 10 sessions before and the 10 after, or the
session's own move if that is larger. The usual largest volume is the median of the largest
volumes of these other sessions. A spike or jump is an error from 4 times its limit.
spike, jump, volume_outlier and zero_price_range look only at bars inside regular hours.

Examples:
  backfill audit
  backfill audit --tickers AAPL --start 2025-01-01 --format json
  backfill audit --fail-on error --checks spike,jump";

/// List stored bars that can't be right, or are unusual
///
/// Reads all bars once and changes nothing. A finding is an error if its values can't be right,
/// else a warning.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    output: FormatArg,

    /// Exit with code 3 if there is a finding of this severity or a worse one: error or warning
    ///
    /// Example: --fail-on error
    #[arg(long, value_name = "SEVERITY", help_heading = "Output")]
    fail_on: Option<Severity>,

    /// Check only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    tickers: TickerArgs,

    #[command(flatten)]
    range: RangeArgs,

    /// Run only these checks, separated by commas [default: all]
    ///
    /// Example: --checks spike,resolution
    #[arg(
        long,
        value_name = "CHECK",
        value_delimiter = ',',
        help_heading = "Checks"
    )]
    checks: Vec<Check>,

    #[command(flatten)]
    limits: LimitArgs,
}

/// The sizes from which on something is a finding.
#[derive(clap::Args)]
#[command(next_help_heading = "Checks")]
struct LimitArgs {
    /// Fewest equal bars in a row that are a finding (zero_price_range)
    #[arg(long, value_name = "N", default_value_t = Limits::default().flat_bars)]
    flat_bars: usize,

    /// Distance from both neighbours, in usual moves (spike)
    #[arg(long, value_name = "N", default_value_t = Limits::default().spike, value_parser = positive)]
    spike: f64,

    /// Distance from a close to the next open, in usual moves (jump)
    #[arg(long, value_name = "N", default_value_t = Limits::default().jump, value_parser = positive)]
    jump: f64,

    /// Volume of a bar, in usual largest volumes of a session (volume_outlier)
    #[arg(long, value_name = "N", default_value_t = Limits::default().volume, value_parser = positive)]
    volume: f64,

    /// Share of its other bars that a reported session has at least (last_minute_missing)
    #[arg(long, value_name = "SHARE", default_value_t = Limits::default().last_minute_share, value_parser = positive)]
    last_minute_share: f64,

    /// Allowed relative difference of prices; for volumes it is 100 times as large (resolution)
    #[arg(long, value_name = "SHARE", default_value_t = Limits::default().tolerance, value_parser = not_negative)]
    tolerance: f64,
}

fn positive(typed: &str) -> Result<f64, String> {
    parse_number(typed, |number| number > 0.0, "a positive number")
}

fn not_negative(typed: &str) -> Result<f64, String> {
    parse_number(typed, |number| number >= 0.0, "0 or a positive number")
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let (start, end) = args.range.resolve()?;
    let dir = context.store_dir(false);
    let calendars = context.calendars(&dir)?;
    let out = context.stdout()?;
    let reader = context.open_detached_reader(&dir)?;
    let scope = Scope {
        tickers: tickers.among(|| Ok(reader.series()?))?,
        interval: args.interval,
        start,
        end,
        checks: match args.checks.is_empty() {
            true => Check::ALL.to_vec(),
            false => args.checks,
        },
        limits: Limits {
            flat_bars: args.limits.flat_bars,
            spike: args.limits.spike,
            jump: args.limits.jump,
            volume: args.limits.volume,
            last_minute_share: args.limits.last_minute_share,
            tolerance: args.limits.tolerance,
        },
        threads: std::thread::available_parallelism().map_or(1, NonZero::get),
        now: context.now(),
    };
    let audit = audit::audit(&reader, &scope, &calendars).map_err(failure)?;
    for notice in &audit.notices {
        tracing::warn!("{notice}");
    }
    let document = documents::audit(&audit);
    listing::write(
        out,
        args.output.format,
        &document,
        "findings",
        &columns(),
        |out| table(out, &audit),
    )?;
    Ok(
        match args.fail_on.is_some_and(|severity| audit.has(severity)) {
            true => Outcome::Ended(ExitStatus::Partial),
            false => Outcome::Done,
        },
    )
}

fn failure(error: audit::Error) -> CliError {
    match error {
        audit::Error::Store(error) => error.into(),
        error => CliError::of(ExitStatus::Failed, &error),
    }
}

/// The columns of the flat formats.
fn columns() -> Vec<listing::Column> {
    listing::columns([
        ("check", "/check", Kind::Text),
        ("severity", "/severity", Kind::Text),
        ("interval", "/interval_minutes", Kind::Integer),
        ("ticker", "/ticker", Kind::Text),
        ("first", "/first", Kind::Timestamp),
        ("last", "/last", Kind::Timestamp),
        ("bars", "/bars", Kind::Integer),
        ("values", "/values", Kind::Json),
    ])
}

fn table(out: &mut impl Write, audit: &Audit) -> io::Result<()> {
    let mut table = Table::new(
        &mut *out,
        vec![
            Column::text("check"),
            Column::text("severity"),
            Column::text("interval"),
            Column::text("ticker"),
            Column::text("first"),
            Column::text("last"),
            Column::number("bars"),
            Column::text("values"),
        ],
    );
    for finding in &audit.findings {
        table.row(vec![
            finding.check.to_string(),
            finding.severity.to_string(),
            finding.series.interval.to_string(),
            finding.series.ticker.to_string(),
            finding.first.to_string(),
            finding.last.to_string(),
            HumanCount(finding.bars).to_string(),
            values(finding),
        ])?;
    }
    if !audit.findings.is_empty() {
        table.finish()?;
        writeln!(out)?;
    }
    writeln!(out, "{}", totals(audit))
}

/// `high=110.2 close_before=100.1`
fn values(finding: &Finding) -> String {
    let texts = finding.values.iter().map(|(name, value)| {
        // Six decimals at most, without zeros at the end.
        let text = format!("{value:.6}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{name}={text}")
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// `1 error and 3 warnings in 1,560 bars of 2 series`
fn totals(audit: &Audit) -> String {
    let of = |severity| {
        let found = audit.findings.iter();
        found.filter(|finding| finding.severity == severity).count() as u64
    };
    let counted = |count: u64, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{} {word}s", HumanCount(count)),
    };
    let more = match audit.dropped {
        0 => String::new(),
        more => format!(" and {} that aren't listed", counted(more, "finding")),
    };
    format!(
        "{} and {}{more}, in {} bars of {} series",
        counted(of(Severity::Error), "error"),
        counted(of(Severity::Warning), "warning"),
        HumanCount(audit.bars),
        audit.series
    )
}
