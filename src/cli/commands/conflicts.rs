//! `conflicts`: the ledger of bars that were offered with other values than the staged ones.

use std::io::Write;

use crate::cli::args::TickerArgs;
use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::export::write_number;
use crate::model::{Bar, Interval};
use crate::store::ConflictRow;

/// Show bars that were offered with other values than the staged ones. Example: backfill conflicts --tickers AAPL
///
/// A line a bar and run: what differed, from the staged to the offered value, and what came of it.
#[derive(clap::Args)]
pub struct Args {
    /// table shows what differs; csv and json have all staged and offered values. Example: --format csv
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Output"
    )]
    format: ConflictsFormat,

    /// Only bars of N minutes. Example: --interval 1
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    tickers: TickerArgs,
}

/// What the ledger is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ConflictsFormat {
    /// Columns for people.
    Table,
    /// Comma-separated, with a header line.
    Csv,
    /// An array of objects.
    Json,
}

/// The values of a bar, as columns are called.
const VALUES: [&str; 7] = ["open", "high", "low", "close", "volume", "vwap", "trades"];

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let mut out = context.stdout()?;
    let reader = context.open_reader(&context.store_dir(false))?;
    let tickers = tickers.among(|| Ok(reader.series()?))?;
    let mut rows = reader.conflicts()?;
    rows.retain(|row| {
        (tickers.is_empty() || tickers.contains(&row.series.ticker))
            && args
                .interval
                .is_none_or(|interval| row.series.interval == interval)
    });
    match args.format {
        ConflictsFormat::Table => table(&mut out, &rows)?,
        ConflictsFormat::Csv => csv(&mut out, &rows)?,
        ConflictsFormat::Json => json(&mut out, &rows)?,
    }
    out.flush()?;
    Ok(Outcome::Done)
}

fn table(out: &mut impl Write, rows: &[ConflictRow]) -> std::io::Result<()> {
    let mut table = Table::new(
        out,
        [
            "interval",
            "ticker",
            "timestamp",
            "staged -> offered",
            "resolution",
            "run",
        ]
        .map(Column::text)
        .to_vec(),
    );
    for row in rows {
        let differing: Vec<String> = VALUES
            .iter()
            .zip(values(&row.staged).iter().zip(values(&row.offered)))
            .filter(|(_, (staged, offered))| *staged != offered)
            .map(|(name, (staged, offered))| {
                format!("{name} {} -> {}", shown(staged), shown(&offered))
            })
            .collect();
        table.row(vec![
            row.series.interval.to_string(),
            row.series.ticker.to_string(),
            row.staged.timestamp.to_string(),
            differing.join(", "),
            row.resolution.clone(),
            row.run.clone(),
        ])?;
    }
    table.finish()
}

fn csv(out: &mut impl Write, rows: &[ConflictRow]) -> std::io::Result<()> {
    let sided = |side: &str| -> Vec<String> {
        VALUES
            .iter()
            .chain(&["source"])
            .map(|name| format!("{side}_{name}"))
            .collect()
    };
    writeln!(
        out,
        "interval,ticker,timestamp,{},{},resolution,run",
        sided("staged").join(","),
        sided("offered").join(",")
    )?;
    for row in rows {
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{}",
            row.series.interval.minutes(),
            crate::export::quoted(row.series.ticker.as_str()),
            row.staged.timestamp,
            values(&row.staged).join(","),
            row.staged_source,
            values(&row.offered).join(","),
            row.offered_source,
            row.resolution,
            row.run
        )?;
    }
    Ok(())
}

fn json(out: &mut impl Write, rows: &[ConflictRow]) -> std::io::Result<()> {
    let side = |bar: &Bar, source: &str| {
        serde_json::json!({
            "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close, "volume": bar.volume,
            "vwap": bar.vwap, "trades": bar.trades, "source": source,
        })
    };
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "interval_minutes": row.series.interval.minutes(),
                "ticker": row.series.ticker.as_str(),
                "timestamp": row.staged.timestamp.to_string(),
                "staged": side(&row.staged, &row.staged_source),
                "offered": side(&row.offered, &row.offered_source),
                "resolution": row.resolution,
                "run": row.run,
            })
        })
        .collect();
    serde_json::to_writer_pretty(
        &mut *out,
        &serde_json::json!({"schema": "backfill.conflicts/1", "conflicts": rows}),
    )?;
    writeln!(out)
}

/// A bar's values as text, empty where one is missing.
fn values(bar: &Bar) -> [String; 7] {
    let number = |value: f64| {
        let mut text = Vec::new();
        write_number(&mut text, value);
        String::from_utf8_lossy(&text).into_owned()
    };
    [
        number(bar.open),
        number(bar.high),
        number(bar.low),
        number(bar.close),
        number(bar.volume),
        bar.vwap.map(number).unwrap_or_default(),
        bar.trades
            .map(|trades| trades.to_string())
            .unwrap_or_default(),
    ]
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}
