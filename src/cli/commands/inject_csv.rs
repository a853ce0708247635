//! `inject-csv`: stores the bars of CSV files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::format::{Item, StrftimeItems};
use chrono_tz::Tz;
use clap::ValueEnum;

use crate::calendar::{Calendar, Overrides};
use crate::cli::args::{MetricsArg, OutputArg, RangeArgs, WaitArg};
use crate::cli::context::{Context, Outcome};
use crate::cli::dry_run_overview::overview;
use crate::cli::error::CliError;
use crate::cli::log::LINE;
use crate::cli::metrics;
use crate::cli::seal_after::SealArgs;
use crate::cli::sync_after::{StoredRun, SyncAfterArgs, SyncAfterRun};
use crate::cli::ticker_args::TickerArgs;
use crate::inject::{self, DateOrder, Decimal, Input, Label, Settings, Sink, StoredExchanges};
use crate::model::{Bar, DateRange, Interval, OnConflict, Ticker, Timestamp};
use crate::report::{ExitStatus, RunKind, RunReport};
use crate::store::OpenOptions;

/// Store bars from CSV files
///
/// A folder may mix the files of several vendors: CSV, plain, compressed (.gz, .zst, .bz2, .xz) or in
/// zip archives, and Parquet, Arrow, Feather and JSON Lines. Delimiter, header, columns,
/// time format, ticker and interval of each file are detected from its first lines and its name.
/// Layouts with a name are FirstRate, Kibot, Massive (Polygon), Databento, Alpaca, FMP, Alpha Vantage,
/// Yahoo and pandas, MetaTrader, Dukascopy, HistData, NinjaTrader, TradeStation, TradingView,
/// Interactive Brokers, Stooq, Binance, Kraken and about thirty more; other files are read by their
/// header or values. Each file is reported with what it was read as; check a new vendor's files
/// with --dry-run first. Rows that aren't valid bars go to rejects/<run>.csv in the store, with their
/// line and reason.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  backfill inject-csv --csv-dir ./historical_csv --threads 8
  backfill inject-csv --csv-dir ./fx --timezone Europe/Athens --exchange FOREX --interval 1
  backfill inject-csv odd.csv --columns ts=Zeit,open=Erster,high=Hoch,low=Tief,close=Schluss --ticker SAP")]
pub struct Args {
    /// Folder of CSV files, searched recursively
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "files",
        conflicts_with = "files"
    )]
    csv_dir: Option<PathBuf>,

    /// CSV files, instead of a folder; - for standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Maximum number of files read at once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,

    #[command(flatten)]
    layout: LayoutArgs,

    #[command(flatten)]
    range: RangeArgs,

    #[command(flatten)]
    tickers: TickerArgs,

    /// What to do with bars that are stored already
    ///
    /// fail refuses the file's batch, ignore keeps the stored bars, update replaces them. A file whose
    /// prices differ from those of a file of another name in the same run is refused in any case.
    #[arg(
        long,
        value_name = "MODE",
        default_value = "fail",
        help_heading = "Conflicts"
    )]
    on_conflict: OnConflict,

    /// Read and check everything, but write nothing to the store
    #[arg(long, help_heading = "Output")]
    dry_run: bool,

    /// Also write every valid bar to one file: .csv, .parquet or .arrow
    ///
    /// Sorted by ticker and timestamp.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    output_filename: Option<OutputArg>,

    #[command(flatten)]
    metrics: MetricsArg,

    #[command(flatten)]
    seal: SealArgs,

    #[command(flatten)]
    sync_after: SyncAfterArgs,

    #[command(flatten)]
    wait: WaitArg,
}

/// What the files don't show themselves.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Layout")]
struct LayoutArgs {
    /// Exchange of the files, which sets calendar and time zone
    ///
    /// Default: that of the ticker's stored bars; CRYPTO for layouts of coin exchanges, such as Binance
    /// and Kraken; FOREX for those of currencies, such as HistData, Dukascopy and FXCM; CRYPTO or
    /// FOREX for bars round the clock; else NASDAQ.
    ///
    /// Example: --exchange XETRA
    #[arg(long, value_name = "CODE")]
    exchange: Option<String>,

    /// Length of the bars in minutes: 1, 5, 15, 30 or 60 [default: detected]
    #[arg(long, value_name = "N")]
    interval: Option<Interval>,

    /// Ticker of the files [default: the ticker column, else the file's name]
    #[arg(long, value_name = "NAME", value_parser = Ticker::of_new_bars)]
    ticker: Option<Ticker>,

    /// Time zone of timestamps without an offset
    ///
    /// Default: the vendor's, else the exchange's.
    ///
    /// Example: --timezone America/New_York
    #[arg(long, value_name = "ZONE")]
    timezone: Option<Tz>,

    /// Whether timestamps are the open or the close of a bar
    ///
    /// Default: the vendor's, else open.
    #[arg(long, value_name = "open|close", hide_possible_values = true)]
    timestamp_label: Option<LabelArg>,

    /// Order of day, month and year in dates like 03/04/2025 [default: detected]
    ///
    /// With ymd, such dates are rejects.
    #[arg(long, value_name = "dmy|mdy|ymd", hide_possible_values = true)]
    date_order: Option<DateOrderArg>,

    /// How dates and times are written, as for strftime [default: detected]
    ///
    /// Date and time in two columns are read with a blank between them.
    ///
    /// Example: --time-format '%d.%m.%Y %Hh%M'
    #[arg(long, value_name = "FORMAT", value_parser = time_format)]
    time_format: Option<Arc<str>>,

    /// Skip lines at the start of each file
    ///
    /// A title or a comment above a header is skipped without it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip_lines: usize,

    /// Decimal separator of numbers [default: detected]
    ///
    /// The other mark groups thousands.
    #[arg(long, value_name = "point|comma", hide_possible_values = true)]
    decimal: Option<DecimalArg>,

    /// Accept a last line without a line end
    ///
    /// By default it is rejected, because the file may be cut off or still being written.
    #[arg(long)]
    accept_last_line: bool,

    /// Map columns by header or 1-based number
    ///
    /// For files that no known layout fits. Columns: ts (or date and time), ticker, open, high,
    /// low, close, volume, vwap, trades.
    ///
    /// Example: --columns ts=2,open=3,high=4,low=5,close=6
    #[arg(long, value_name = "COLUMN=WHERE,…")]
    columns: Option<String>,

    /// Remove this suffix from tickers
    ///
    /// Example: --strip-suffix .US
    #[arg(long, value_name = "SUFFIX")]
    strip_suffix: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LabelArg {
    Open,
    Close,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DateOrderArg {
    Dmy,
    Mdy,
    Ymd,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DecimalArg {
    Point,
    Comma,
}

pub(super) fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let store_dir = context.store_dir(false);
    let output = args.output_filename.as_ref();
    let output = output.map(|file| context.output_file(file)).transpose()?;
    metrics::write_to(context, &args.metrics)?;
    let settings = Settings {
        output,
        ..resolve(&args, context.calendars(&store_dir)?, context.now())?
    };
    settings.check().map_err(failure)?;
    let sync_after = SyncAfterRun::resolve(context, &args.sync_after, settings.on_conflict, false)?;
    context.describe(|info| {
        info.kind = RunKind::Files;
        info.interval = settings.interval;
        info.dates = settings
            .start
            .zip(settings.end)
            .and_then(|(start, end)| DateRange::new(start, end).ok());
        info.dry_run = args.dry_run;
        info.on_conflict = Some(settings.on_conflict);
    });
    let stop = context.stop();
    let observer = context.observer();
    let files = inject::collect(&settings.input, &observer, &stop).map_err(failure)?;
    if stop.is_set() {
        let report = RunReport {
            interrupted: true,
            ..RunReport::default()
        };
        return Ok(Outcome::Run(Box::new(report)));
    }
    if args.dry_run {
        let settings = Settings {
            stored: stored_exchanges(context, &store_dir)?,
            ..settings
        };
        let report = inject::run(Sink::Dry, &settings, files, &observer, &stop).map_err(failure)?;
        drop(observer);
        if report.files.len() > 1 {
            for line in overview(&report.files) {
                tracing::info!(target: LINE, "{line}");
            }
        }
        return Ok(Outcome::Run(Box::new(report)));
    }
    let options = OpenOptions {
        calendars: settings.calendars.clone(),
        ..OpenOptions::default()
    };
    let store = context.open_store(&store_dir, &options, args.wait.duration())?;
    let settings = Settings {
        stored: StoredExchanges::of(store.exchanges()),
        ..settings
    };
    let run = store.begin_run("inject-csv", context.started_at())?;
    drop(observer);
    let observer = context.run_observer(&store, &run, None);
    let sink = Sink::Store {
        store: &store,
        run: &run,
    };
    let result = inject::run(sink, &settings, files, &observer, &stop).map_err(failure);
    drop(observer);
    let report = result.unwrap_or_else(|error| RunReport {
        fatal: Some((&error).into()),
        ..RunReport::default()
    });
    args.seal.seal(context, &store);
    if let Some(sync_after) = sync_after {
        let stored = StoredRun {
            dir: &store_dir,
            options: &options,
            run: &run,
            interval: settings.interval,
        };
        let report = sync_after.run(context, Arc::new(store), &stored, report);
        return Ok(Outcome::Run(Box::new(report)));
    }
    let summary = context.summary_json(&report);
    let finished_at: Timestamp = context.now();
    store.finish_run(&run, finished_at, report.status().as_str(), &summary)?;
    Ok(Outcome::Run(Box::new(report)))
}

/// The exchanges of the store in `dir`, for a dry run; none without a store.
fn stored_exchanges(context: &Context, dir: &Path) -> Result<StoredExchanges, CliError> {
    let Some(reader) = context.open_reader_if_any(dir)? else {
        return Ok(StoredExchanges::default());
    };
    let series = reader.series().map_err(|error| failure(error.into()))?;
    let exchanges = series
        .into_iter()
        .map(|row| (row.key.ticker, row.provenance.exchange));
    Ok(StoredExchanges::of(exchanges))
}

/// Resolves the defaults and contradictions of the arguments.
fn resolve(args: &Args, calendars: Overrides, now: Timestamp) -> Result<Settings, CliError> {
    let layout = &args.layout;
    let input = match &args.csv_dir {
        Some(dir) => Input::Folder(dir.clone()),
        None => Input::Files(args.files.clone()),
    };
    let calendar = layout
        .exchange
        .as_deref()
        .map(|code| Calendar::for_exchange_with(code, &calendars))
        .transpose()
        .map_err(|error| CliError::of(ExitStatus::Usage, &error))?;
    let columns = inject::parse_columns(layout.columns.as_deref().unwrap_or_default())
        .map_err(|error| CliError::usage(format!("--columns: {error}")))?;
    let (start, end) = args.range.resolve()?;
    Ok(Settings {
        threads: usize::from(args.threads),
        on_conflict: args.on_conflict,
        calendar,
        calendars,
        interval: layout.interval,
        ticker: layout.ticker.clone(),
        tickers: args.tickers.resolve()?.either(),
        start,
        end,
        timezone: layout.timezone,
        label: layout.timestamp_label.map(|label| match label {
            LabelArg::Open => Label::Open,
            LabelArg::Close => Label::Close,
        }),
        date_order: layout.date_order.map(|order| match order {
            DateOrderArg::Dmy => DateOrder::Dmy,
            DateOrderArg::Mdy => DateOrder::Mdy,
            DateOrderArg::Ymd => DateOrder::Ymd,
        }),
        time_format: layout.time_format.clone(),
        skip_lines: layout.skip_lines,
        decimal: layout.decimal.map(|decimal| match decimal {
            DecimalArg::Point => Decimal::Point,
            DecimalArg::Comma => Decimal::Comma,
        }),
        accept_last_line: layout.accept_last_line,
        latest: Bar::latest_open(now),
        columns,
        strip_suffix: layout.strip_suffix.clone(),
        ..Settings::new(input)
    })
}

/// Checks the words of a time format.
fn time_format(typed: &str) -> Result<Arc<str>, String> {
    let mut items = StrftimeItems::new(typed);
    if typed.trim().is_empty() || items.any(|item| item == Item::Error) {
        return Err("isn't a strftime format, such as %d.%m.%Y %H:%M".to_owned());
    }
    Ok(typed.into())
}

fn failure(error: inject::Error) -> CliError {
    if let inject::Error::Store(error) = error {
        return error.into();
    }
    let code = if error.is_usage() {
        ExitStatus::Usage
    } else {
        ExitStatus::Failed
    };
    CliError::of(code, &error)
}
