//! `status`: lists the series of the store.

use std::io::Write;

use crate::calendar::CalendarCache;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::rows::FormatArg;
use crate::cli::ticker_args::TickerArgs;
use crate::model::{Interval, Ticker};
use crate::status::{Overview, session_states};
use crate::store::{SeriesRow, bytes_below};

mod running;
mod runs;
mod show;
mod years;

/// Show what is stored, one line per series
///
/// Sessions are complete / expected. A session is complete if it has at least 0.9 of the median
/// bars of the ticker's ten nearest sessions, no rejected row without a stored bar, and if it isn't
/// cut at the start or the end like most sessions around it. `backfill gaps` lists the others, and
/// its help has the rule. The exchange's sessions from the first to the last stored one are
/// expected. Unsynced rows are those that a target of sync or push lacked when it was last seen.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill status
  backfill status --runs
  backfill status --watch
  backfill status --calendar AAPL
  backfill status --format csv > series.csv")]
pub struct Args {
    #[command(flatten)]
    output: FormatArg,

    /// List the runs instead, oldest first
    #[arg(long, help_heading = "Output")]
    runs: bool,

    /// Show the run in progress every second until it ends, then what is stored
    ///
    /// Ctrl-C ends the command and not the run. If standard output isn't a terminal, the lines are
    /// printed again whenever they changed.
    #[arg(long, help_heading = "Output", conflicts_with_all = ["runs", "calendar", "format"])]
    watch: bool,

    /// Draw the years of a ticker as grids of days instead
    #[arg(long, value_name = "TICKER", help_heading = "Output", conflicts_with_all = ["runs", "format"])]
    calendar: Option<Ticker>,

    /// Show only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    tickers: TickerArgs,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let mut out = context.stdout()?;
    let dir = context.store_dir(false);
    if args.watch {
        running::watch(&mut out, &dir)?;
    }
    let reader = context.open_reader(&dir)?;
    let mut calendars = CalendarCache::new(context.calendars(&dir)?);
    if args.runs {
        runs::write(out, args.output.format, &reader.runs()?)?;
        return Ok(Outcome::Done);
    }
    if let Some(ticker) = args.calendar {
        let mut found = false;
        for row in reader.series()?.into_iter().filter(|row| {
            row.key.ticker == ticker
                && args
                    .interval
                    .is_none_or(|interval| row.key.interval == interval)
        }) {
            if found {
                writeln!(out)?;
            }
            found = true;
            years::draw(
                &mut out,
                &row,
                &session_states(&reader, &row, &mut calendars)?,
            )?;
        }
        if !found {
            return Err(CliError::failed(format!("no bars of {ticker} are stored")));
        }
        out.flush()?;
        return Ok(Outcome::Done);
    }
    if let Some(pid) = reader.is_lake_only() {
        let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        tracing::warn!(
            "another process{pid} writes into the store: this is the sealed part alone, without sessions and targets"
        );
    }
    let tickers = tickers.among(|| Ok(reader.series()?))?;
    let keep = |row: &SeriesRow| row.key.is_among(&tickers, args.interval);
    let overview = Overview::read(&reader, keep, &mut calendars, bytes_below(&dir))?;
    show::write(out, args.output.format, &overview)?;
    Ok(Outcome::Done)
}
