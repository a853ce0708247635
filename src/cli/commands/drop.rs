//! `drop`: deletes stored bars and their coverage.

use std::collections::HashSet;
use std::io::{self, BufRead, IsTerminal, Write};

use crate::calendar::Calendar;
use crate::cli::args::{RangeArgs, WaitArg};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::seal_after::SealArgs;
use crate::cli::ticker_args::{TickerArgs, split_tickers};
use crate::model::{Interval, SeriesKey, Ticker};
use crate::report::ExitStatus;
use crate::store::{Error, Reader};

/// Delete stored bars and their coverage
///
/// For bars that were stored by mistake, for example with a wrong time zone. Exported files and
/// synced tables keep their bars. An argument with a space and no comma is one ticker: --tickers 'A
/// B' deletes the ticker A B.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill drop --tickers AAPL --start 2025-03-04 --end 2025-03-05")]
pub struct Args {
    #[command(flatten)]
    tickers: TickerArgs,

    #[command(flatten)]
    range: RangeArgs,

    /// Delete only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    /// Skip the confirmation prompt
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    seal: SealArgs,

    #[command(flatten)]
    wait: WaitArg,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let typed = args.tickers.resolve()?;
    if typed.is_empty() {
        return Err(CliError::usage("drop needs --tickers").hint("name the tickers to delete"));
    }
    let (start, end) = args.range.resolve()?;
    let mut out = context.stdout()?;
    let dir = context.store_dir(false);
    let options = context.store_options(&dir)?;
    let store = context.open_existing_store(&dir, &options, args.wait.duration())?;
    let mut chosen = known(&store.reader()?)?;
    let is_known = |ticker: &Ticker| chosen.iter().any(|one| one.key.ticker == *ticker);
    let tickers = typed.among_exactly(is_known);
    for ticker in &tickers {
        if !is_known(ticker) {
            let listed: Vec<&str> = split_tickers(ticker.as_str()).collect();
            let hint = match &listed[..] {
                [_] => String::new(),
                _ => format!("; as a list: --tickers {}", listed.join(",")),
            };
            tracing::warn!("no bars or coverage of {ticker} are stored{hint}");
        }
    }
    chosen.retain(|one| {
        tickers.contains(&one.key.ticker)
            && args
                .interval
                .is_none_or(|interval| one.key.interval == interval)
    });
    if chosen.is_empty() {
        tracing::warn!("no bars or coverage of these tickers are stored; nothing was deleted");
        return Ok(Outcome::Done);
    }
    // All ranges before the first removal: an unknown exchange removes nothing.
    let ranges = chosen
        .iter()
        .map(|one| Calendar::range_at(&one.exchange, &options.calendars, start, end))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CliError::of(ExitStatus::Failed, &error))?;
    if !args.yes && !confirmed(&chosen)? {
        return Err(CliError::failed("nothing was deleted"));
    }
    let run = store.begin_run("drop", context.started_at())?;
    for (one, range) in chosen.into_iter().zip(ranges) {
        let dropped = store.drop_bars(&one.key, range)?;
        writeln!(out, "dropped: {} rows={}", one.key, dropped.rows)?;
    }
    args.seal.seal(context, &store);
    store.finish_run(&run, context.now(), "ok", "{}")?;
    out.flush()?;
    Ok(Outcome::Done)
}

/// A series that has bars, coverage or rejected rows.
struct Known {
    key: SeriesKey,
    exchange: String,
    rows: u64,
}

/// Every series that has bars, coverage or rejected rows.
fn known(reader: &Reader) -> Result<Vec<Known>, Error> {
    let mut known: Vec<Known> = (reader.series()?.into_iter())
        .map(|row| Known {
            key: row.key,
            exchange: row.provenance.exchange,
            rows: row.rows,
        })
        .collect();
    let asked = reader.all_coverage()?.into_iter();
    let asked = asked.filter_map(|(key, entries)| {
        let last = entries.into_iter().next_back()?;
        Some((key, last.provenance.exchange))
    });
    let rejected = reader.missing_rows()?.into_iter();
    let rejected = rejected.map(|(key, rows)| (key, rows.exchange));
    let mut keys: HashSet<SeriesKey> = known.iter().map(|one| one.key.clone()).collect();
    for (key, exchange) in asked.chain(rejected) {
        if keys.insert(key.clone()) {
            known.push(Known {
                key,
                exchange,
                rows: 0,
            });
        }
    }
    Ok(known)
}

fn confirmed(chosen: &[Known]) -> Result<bool, CliError> {
    let rows: u64 = chosen.iter().map(|one| one.rows).sum();
    if !io::stdin().is_terminal() {
        return Err(CliError::usage(
            "drop asks for confirmation, and standard input isn't a terminal",
        )
        .hint("--yes skips the confirmation"));
    }
    eprint!(
        "delete stored bars of {} series (at most {rows} rows)? [y/N] ",
        chosen.len()
    );
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
