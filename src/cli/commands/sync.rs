//! `sync`: sends stored bars to Postgres.

use std::time::Duration;

use chrono_tz::Tz;
use clap::ValueEnum;

use crate::cli::args::{MetricsArg, RangeArgs};
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::metrics;
use crate::cli::sync_after;
use crate::cli::ticker_args::TickerArgs;
use crate::model::{DateRange, Interval, OnConflict};
use crate::report::RunKind;
use crate::secret::SecretUrl;
use crate::store::OpenOptions;
use crate::sync::postgres::{self, Options, Postgres};
use crate::sync::{self, DeliveryCheck, Settings, StoreSource};

/// Send stored bars to a Postgres table, exactly once
///
/// Only missing bars are sent: the table backfill_sync next to it records the progress of each
/// series. An interrupted sync continues where it stopped. A table that was emptied or created
/// again is filled again; --full also restores single deleted rows.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill sync --database-url postgres://me@db/bars --create-table
  backfill sync --table prices.bars --interval 1 --on-conflict update --receipt checksum")]
pub struct Args {
    /// Database to write to [env: DATABASE_URL, else PGHOST, PGUSER, …]
    ///
    /// Example: --database-url postgres://me@db:5432/bars?sslmode=verify-full
    #[arg(long, value_name = "URL", help_heading = "Target")]
    database_url: Option<SecretUrl>,

    /// Table to write to [default: market_data, market_data_5m, …]
    ///
    /// The default depends on the interval.
    ///
    /// Example: --table prices.bars
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    table: Option<String>,

    /// Create the table if it doesn't exist
    ///
    /// As a hypertable if TimescaleDB is installed.
    #[arg(long, help_heading = "Target")]
    create_table: bool,

    /// Time zone of a timestamp column without time zone [default: UTC]
    ///
    /// The first sync of a table records it, and later ones use it without this option.
    ///
    /// Example: --target-timezone America/New_York
    #[arg(long, value_name = "ZONE", help_heading = "Target")]
    target_timezone: Option<Tz>,

    /// Round volumes for an integer column
    #[arg(long, help_heading = "Target")]
    round_volume: bool,

    /// Fail if a statement takes longer than SECONDS
    ///
    /// 0 sets no limit.
    #[arg(long, value_name = "SECONDS", default_value_t = postgres::STATEMENT_TIMEOUT_SECONDS_DEFAULT, help_heading = "Target")]
    statement_timeout: u64,

    /// Number of connections [default: 4]
    ///
    /// The default over a socket of this machine is at most its number of processors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Target")]
    threads: Option<u16>,

    #[command(flatten)]
    tickers: TickerArgs,

    #[command(flatten)]
    range: RangeArgs,

    /// Send only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    /// What to do if the table has other values
    ///
    /// fail refuses the chunk, ignore keeps the table's values, update replaces them.
    #[arg(
        long,
        value_name = "MODE",
        default_value = "fail",
        help_heading = "Conflicts"
    )]
    on_conflict: OnConflict,

    /// Ignore the recorded progress and compare every row
    #[arg(long, help_heading = "Conflicts")]
    full: bool,

    /// How to confirm delivery: row counts, counts and checksum, or none
    #[arg(
        long,
        value_name = "counts|checksum|none",
        default_value = "counts",
        hide_possible_values = true,
        help_heading = "Conflicts"
    )]
    receipt: ReceiptArg,

    /// Compare and count, but write nothing
    #[arg(long, help_heading = "Output")]
    dry_run: bool,

    #[command(flatten)]
    metrics: MetricsArg,

    /// Also send the simulator's bars
    #[arg(long, help_heading = "Output")]
    allow_demo: bool,

    /// Bars in one transaction; for tests.
    #[arg(long, value_name = "N", hide = true, default_value_t = sync::CHUNK_ROWS_DEFAULT)]
    chunk_rows: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum ReceiptArg {
    Counts,
    Checksum,
    None,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    metrics::write_to(context, &args.metrics)?;
    let mut settings = settle(context, &args)?;
    let address = sync_after::address(context, args.database_url.as_ref())?;
    settings.threads = args
        .threads
        .map_or_else(|| sync_after::connections(&address), usize::from);
    let options = Options {
        statement_timeout: Some(Duration::from_secs(args.statement_timeout))
            .filter(|limit| !limit.is_zero()),
        round_volume: args.round_volume,
        target_zone: args.target_timezone,
        ..Options::new(address)
    };
    let label = options.address.label().to_owned();
    let dir = context.store_dir(false);
    context.describe(|info| {
        info.kind = RunKind::Sync;
        info.interval = settings.interval;
        info.dates = settings
            .start
            .zip(settings.end)
            .and_then(|(start, end)| DateRange::new(start, end).ok());
        info.dry_run = settings.dry_run;
        info.on_conflict = Some(settings.on_conflict);
        info.target = Some(label.clone());
    });
    let source = StoreSource::new(context.open_detached_reader(&dir)?);
    settings.tickers = tickers.among(|| Ok(source.reader().series()?))?;
    let observer = context.observer();
    let target = Postgres::new(options);
    let outcome = sync::run(&source, &target, &settings, &context.stop(), &observer)
        .map_err(sync_after::error)?;
    drop(observer);
    let at_once = OpenOptions {
        wait_for_readers: Duration::ZERO,
        ..OpenOptions::default()
    };
    let unrecorded = sync::unrecorded(source.reader(), &label, &outcome.seen);
    drop(source);
    if !settings.dry_run && !unrecorded.is_empty() {
        // Another sync may be reading the store: then its own record is enough.
        let recorded = (context.open_store(&dir, &at_once, Duration::ZERO))
            .and_then(|store| Ok(sync::record(&store, &label, &unrecorded, context.now())?));
        if let Err(error) = recorded {
            tracing::debug!("the progress of the target was not recorded: {error}");
        }
    }
    Ok(Outcome::Run(Box::new(outcome.report)))
}

fn settle(context: &Context, args: &Args) -> Result<Settings, CliError> {
    let (start, end) = args.range.resolve()?;
    Ok(Settings {
        table: args.table.clone(),
        create_table: args.create_table,
        interval: args.interval,
        start,
        end,
        calendars: context.calendars(&context.store_dir(false))?,
        on_conflict: args.on_conflict,
        full: args.full,
        dry_run: args.dry_run,
        check: match args.receipt {
            ReceiptArg::Counts => DeliveryCheck::Counts,
            ReceiptArg::Checksum => DeliveryCheck::Checksum,
            ReceiptArg::None => DeliveryCheck::None,
        },
        allow_demo: args.allow_demo,
        chunk_rows: args.chunk_rows,
        ..Settings::default()
    })
}
