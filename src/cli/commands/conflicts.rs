//! `conflicts`: lists bars that were offered with other values than the stored ones.

use std::io::{self, Write};

use serde_json::Value;

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::listing::{self, Column, Kind};
use crate::cli::rows::FormatArg;
use crate::cli::table::{self, Table};
use crate::cli::ticker_args::TickerArgs;
use crate::documents;
use crate::model::Interval;
use crate::model::columns::{self, COLUMNS};

/// List bars that were offered with other values than the stored ones
///
/// One row per bar and run, with what was done about it. The table shows only values that differ,
/// the other formats all of them.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill conflicts --tickers AAPL
  backfill conflicts --format parquet > conflicts.parquet")]
pub struct Args {
    #[command(flatten)]
    output: FormatArg,

    /// List only bars of N minutes
    #[arg(long, value_name = "N", help_heading = "Range")]
    interval: Option<Interval>,

    #[command(flatten)]
    tickers: TickerArgs,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let tickers = args.tickers.resolve()?;
    let out = context.stdout()?;
    let reader = context.open_reader(&context.store_dir(false))?;
    let tickers = tickers.among(|| Ok(reader.series()?))?;
    let mut rows = reader.conflicts()?;
    rows.retain(|row| row.series.is_among(&tickers, args.interval));
    let document = documents::conflicts(&rows);
    let format = args.output.format;
    listing::write(out, format, &document, "conflicts", &columns(), |out| {
        table(out, &document["conflicts"])
    })?;
    Ok(Outcome::Done)
}

/// The columns of the flat formats: `staged_open` and so on.
fn columns() -> Vec<Column> {
    let mut columns = vec![
        Column::new("interval", "/interval_minutes", Kind::Integer),
        Column::new("ticker", "/ticker", Kind::Text),
        Column::new("timestamp", "/timestamp", Kind::Timestamp),
    ];
    for side in ["staged", "offered"] {
        let values = COLUMNS.iter().map(|column| match column.kind {
            columns::Kind::Double => (column.name, Kind::Float),
            columns::Kind::Integer => (column.name, Kind::Integer),
        });
        for (name, kind) in values.chain([("source", Kind::Text)]) {
            columns.push(Column::new(
                format!("{side}_{name}"),
                format!("/{side}/{name}"),
                kind,
            ));
        }
    }
    columns.push(Column::new("resolution", "/resolution", Kind::Text));
    columns.push(Column::new("run", "/run", Kind::Text));
    columns
}

/// A line per conflict, with the values that differ.
fn table(out: &mut impl Write, conflicts: &Value) -> io::Result<()> {
    let headings = [
        "interval",
        "ticker",
        "timestamp",
        "stored -> offered",
        "resolution",
        "run",
    ];
    let mut table = Table::new(out, headings.map(table::Column::text).into());
    for row in conflicts.as_array().into_iter().flatten() {
        let (staged, offered) = (&row["staged"], &row["offered"]);
        let differing: Vec<String> = COLUMNS
            .iter()
            .map(|column| (column.name, &staged[column.name], &offered[column.name]))
            .filter(|(_, staged, offered)| staged != offered)
            .map(|(name, staged, offered)| {
                format!("{name} {} -> {}", shown(staged), shown(offered))
            })
            .collect();
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        table.row(vec![
            format!("{}m", row["interval_minutes"]),
            text("ticker"),
            text("timestamp"),
            differing.join(", "),
            text("resolution"),
            text("run"),
        ])?;
    }
    table.finish()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        value => {
            let text = value.to_string();
            text.strip_suffix(".0").unwrap_or(&text).to_owned()
        }
    }
}
