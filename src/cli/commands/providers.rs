//! `providers`: lists where bars can be downloaded from, and what each offers.

use std::io::{self, Write};
use std::num::NonZeroU32;

use serde_json::{Value, json};

use crate::cli::context::{Context, Outcome};
use crate::cli::error::CliError;
use crate::cli::listing::{self, Kind};
use crate::cli::rows::FormatArg;
use crate::cli::table::{self, Table};
use crate::model::{Hours, Interval};
use crate::provider::{ProviderEntry, registry};

/// List the providers and what each offers
///
/// Shows the environment variables with the key, the bars, the default rate and the history. Sends no
/// request and needs no store.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  backfill providers
  backfill providers --format json")]
pub struct Args {
    #[command(flatten)]
    output: FormatArg,
}

pub fn run(context: &Context, args: Args) -> Result<Outcome, CliError> {
    let entries = registry::PROVIDERS.iter().filter(|entry| !entry.hidden);
    let rows: Vec<Value> = entries.map(|entry| row(entry)).collect();
    let document = json!({"schema": "backfill.providers/1", "providers": rows});
    let columns = listing::columns([
        ("name", "/name", Kind::Text),
        ("keys", "/keys", Kind::Json),
        ("base_url", "/base_url", Kind::Text),
        ("feeds", "/feeds", Kind::Json),
        ("source", "/source", Kind::Text),
        ("exchange", "/exchange", Kind::Text),
        ("intervals", "/intervals", Kind::Json),
        ("price_bases", "/price_bases", Kind::Json),
        ("hours", "/hours", Kind::Json),
        ("rate", "/rate", Kind::Integer),
        ("tickers_per_request", "/tickers_per_request", Kind::Integer),
        (
            "settles_after_seconds",
            "/settles_after_seconds",
            Kind::Integer,
        ),
        ("withholds_seconds", "/withholds_seconds", Kind::Integer),
        ("history_years", "/history_years", Kind::Json),
        ("history_begins", "/history_begins", Kind::Text),
    ]);
    let out = context.stdout()?;
    listing::write(
        out,
        args.output.format,
        &document,
        "providers",
        &columns,
        |out| table(out, &document["providers"]),
    )?;
    Ok(Outcome::Done)
}

fn row(entry: &ProviderEntry) -> Value {
    let info = (entry.info)();
    let intervals = Interval::ALL.into_iter();
    let intervals = intervals.filter(|interval| info.window_days(*interval).is_some());
    let bases = info.basis.iter().map(ToString::to_string);
    // Regular hours are cut out of extended ones.
    let hours = ["regular", "extended"];
    let has_extended = info.hours.contains(&Hours::Extended);
    let hours = &hours[..if has_extended { 2 } else { 1 }];
    json!({
        "name": entry.name,
        "keys": entry.keys,
        "base_url": entry.base_url_env,
        "feeds": entry.feeds.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        "source": info.source.as_str(),
        "exchange": info.exchange,
        "intervals": intervals.map(Interval::minutes).collect::<Vec<_>>(),
        "price_bases": bases.collect::<Vec<_>>(),
        "hours": hours,
        "rate": info.rate_default.map(NonZeroU32::get),
        "tickers_per_request": info.tickers_per_request,
        "settles_after_seconds": info.settles_after.as_secs(),
        "withholds_seconds": info.withholds.as_secs(),
        "history_years": info.history_years,
        "history_begins": info.history_begins.map(|begins| begins.start().to_string()),
    })
}

/// A line per provider.
fn table(out: &mut impl Write, providers: &Value) -> io::Result<()> {
    let headings = [
        "name", "key", "minutes", "prices", "hours", "rate", "history",
    ];
    let mut table = Table::new(out, headings.map(table::Column::text).into());
    for row in providers.as_array().into_iter().flatten() {
        let list = |key: &str, separator: &str| {
            let values = row[key].as_array().into_iter().flatten();
            let words = values.map(|value| match value {
                Value::String(word) => word.clone(),
                Value::Array(words) => {
                    let words = words.iter().filter_map(Value::as_str);
                    words.collect::<Vec<_>>().join(" or ")
                }
                other => other.to_string(),
            });
            words.collect::<Vec<_>>().join(separator)
        };
        let or = |words: String, otherwise: &str| match words.is_empty() {
            true => otherwise.to_owned(),
            false => words,
        };
        let history = list("history_years", ", ");
        table.row(vec![
            row["name"].as_str().unwrap_or_default().to_owned(),
            or(list("keys", ", "), "none"),
            list("intervals", " "),
            list("price_bases", ", "),
            list("hours", ", "),
            match row["rate"].as_u64() {
                Some(rate) => format!("{rate}/min"),
                None => "no limit".to_owned(),
            },
            match row["history_begins"].as_str() {
                Some(date) => format!("since {date}"),
                None if history.is_empty() => "all".to_owned(),
                None => format!("{history} years by plan, or all"),
            },
        ])?;
    }
    table.finish()
}
