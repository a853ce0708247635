//! `push`: publishes the lake as a Delta table.

use std::io::Write;

use crate::advice::Hint;
use crate::cli::args::WaitArg;
use crate::cli::clock;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::log::LINE;
use crate::cli::push_target::{self, TargetArgs};
use crate::cli::ticker_args::TickerArgs;
use crate::model::{Interval, OnConflict};
use crate::push::{self, ErrorKind, Settings, Storage};
use crate::report::{ExitStatus, Fatal, RunKind, RunReport};
use crate::secret::SecretUrl;
use crate::store::{OpenOptions, SeriesRow};

/// Publish the lake as a Delta table, for clusters and other machines
///
/// URL is s3://bucket/prefix, file:///path or a folder. Spark, Trino, ClickHouse, DuckDB and Polars read the
/// table while it changes. Each partition (interval, ticker and year) is one file; those that the table has
/// already are skipped. Several machines can push into one table. An interrupted push continues with the same
/// command.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill push s3://bucket/bars
  backfill push /mnt/share/bars --tickers AAPL MSFT --dry-run
  backfill push s3://bucket/bars --on-conflict update
  backfill push s3://bucket/bars --list")]
pub struct Args {
    /// Address of the table
    #[arg(value_name = "URL")]
    url: SecretUrl,

    #[command(flatten)]
    target: TargetArgs,

    /// Number of uploads at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Target")]
    threads: u16,

    /// Print the table's files, one per line, and change nothing
    ///
    /// For programs that read Parquet and not Delta.
    #[arg(long, conflicts_with_all = ["dry_run", "full", "sealed_only", "tickers", "interval"], help_heading = "Output")]
    list: bool,

    #[command(flatten)]
    tickers: TickerArgs,

    /// Push only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    /// Leave out hot bars instead of sealing them first
    ///
    /// Then the store isn't written, and the push doesn't wait for a writer.
    #[arg(long, help_heading = "Range")]
    sealed_only: bool,

    /// What to do if another store or program has written a partition
    ///
    /// fail refuses the ticker if the bars differ, ignore adds the bars that the table lacks, update adds them and
    /// replaces other values.
    #[arg(
        long,
        value_name = "MODE",
        default_value = "fail",
        help_heading = "Conflicts"
    )]
    on_conflict: OnConflict,

    /// Read all files of the table and compare every bar
    ///
    /// Missing and damaged files of this store are uploaded again.
    #[arg(long, help_heading = "Conflicts")]
    full: bool,

    /// Compare and count, but write nothing
    #[arg(long, help_heading = "Output")]
    dry_run: bool,

    /// After the push, delete files that no version of the last N hours needs [default: 168]
    ///
    /// Replaced files stay for readers of older versions until then. Files of killed pushes are
    /// deleted once they are as old, but not before a day. Files of the log are deleted after 30
    /// days, if a checkpoint has their content.
    ///
    /// Example: --vacuum=24
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "168", conflicts_with = "list", help_heading = "Output")]
    vacuum: Option<u32>,

    /// Also push the simulator's bars
    #[arg(long, help_heading = "Output")]
    allow_demo: bool,

    #[command(flatten)]
    wait: WaitArg,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let target = push_target::resolve(context, &args.url, &args.target)?;
    if args.list {
        return list(context, &target);
    }
    let mut settings = Settings {
        interval: args.interval,
        on_conflict: args.on_conflict,
        threads: args.threads.into(),
        full: args.full,
        dry_run: args.dry_run,
        allow_demo: args.allow_demo,
        clock: clock::now,
        ..Settings::default()
    };
    let label = target.address.to_string();
    let dir = context.store_dir(false);
    context.describe(|info| {
        info.kind = RunKind::Push;
        info.interval = settings.interval;
        info.dry_run = settings.dry_run;
        info.on_conflict = Some(settings.on_conflict);
        info.target = Some(label.clone());
    });
    let mut reader = context.open_detached_reader(&dir)?;
    settings.tickers = tickers.among(|| Ok(reader.series()?))?;
    let is_hot = |row: &SeriesRow| row.hot_rows > 0 && settings.includes(&row.key);
    let is_hot = reader.series()?.iter().any(is_hot);
    if is_hot && !args.sealed_only && !args.dry_run {
        // The store is open for writing only while it is sealed: uploads can take hours.
        drop(reader);
        let store =
            context.open_existing_store(&dir, &OpenOptions::default(), args.wait.duration())?;
        store.seal()?;
        drop(store);
        crate::crash_point!("push.after-seal");
        reader = context.open_detached_reader(&dir)?;
    }
    let observer = context.observer();
    let storage = target.open(!settings.dry_run)?;
    let mut pushed = push::run(
        &reader,
        storage.as_ref(),
        &settings,
        &context.stop(),
        &observer,
    )
    .map_err(push_target::error)?;
    drop(observer);
    if !settings.dry_run {
        push_target::record(context, &dir, reader, &label, &pushed.seen);
    }
    if let (Some(hours), Some(storage)) = (args.vacuum, &storage) {
        vacuum(
            context,
            storage,
            hours,
            settings.dry_run,
            &mut pushed.report,
        );
    }
    Ok(Outcome::Run(Box::new(pushed.report)))
}

/// Cleans the table, and prints what was deleted. A failure is added to the report of what was pushed.
fn vacuum(context: &Context, storage: &Storage, hours: u32, dry_run: bool, report: &mut RunReport) {
    if report.status() != ExitStatus::Ok {
        tracing::warn!("the table wasn't vacuumed, because not all bars were pushed");
        return;
    }
    if report.version.is_none() {
        // There is no table yet.
        return;
    }
    let now_ms = context.now().micros() / 1_000;
    match push::vacuum(storage, hours, now_ms, dry_run, &context.stop()) {
        Ok(deleted) => {
            let verb = if dry_run { "would delete" } else { "deleted" };
            tracing::info!(
                target: LINE,
                "vacuum: {verb} files={} bytes={} hours={hours} log_files={}",
                deleted.files,
                deleted.bytes,
                deleted.log_files
            );
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => report.interrupted = true,
        Err(error) => {
            report.fatal = Some(Fatal {
                error: error.to_string(),
                hint: error.hint(),
            });
        }
    }
}

fn list(context: &Context, target: &push_target::Target) -> Result<Outcome, CliError> {
    let mut out = context.stdout()?;
    let missing = || CliError::failed(format!("there is no table at {}", target.address));
    let storage = target.open(false)?.ok_or_else(missing)?;
    let files = push::list(&storage).map_err(push_target::error)?;
    for file in files.ok_or_else(missing)? {
        writeln!(out, "{}", target.address_of(&file))?;
    }
    out.flush()?;
    Ok(Outcome::Done)
}
