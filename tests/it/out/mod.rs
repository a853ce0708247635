//! Commands that read: export, query, status, conflicts.

mod export;
mod limits;
mod paths;
mod query;
mod query_gate;
mod ranges;
mod status;
mod tickers;

use backfill::model::{Bar, Bars, Interval, OnConflict, Source, Timestamp};
use backfill::store::{OpenOptions, Store};

use crate::support::{TestEnv, offer};

/// The default store.
const STORE: &str = "data/staging";

fn at(text: &str) -> Timestamp {
    let micros = chrono::DateTime::parse_from_rfc3339(text)
        .unwrap()
        .timestamp_micros();
    Timestamp::from_micros(micros)
}

/// One-minute bars from `from` on, each a little higher than the one before.
fn minutes(from: &str, count: i64) -> Bars {
    (0..count)
        .map(|number| {
            Bar::new(
                Timestamp::from_micros(at(from).micros() + number * 60_000_000),
                [
                    10.0 + number as f64 / 100.0,
                    12.25 + number as f64 / 100.0,
                    9.5,
                    11.1,
                ],
                100.0 + number as f64,
            )
        })
        .collect()
}

/// Stores bars as a run of inject-csv does, and returns how many were committed.
fn stage(
    env: &TestEnv,
    ticker: &str,
    interval: Interval,
    bars: Bars,
    on_conflict: OnConflict,
) -> u64 {
    let store = Store::open(&env.path(STORE), &OpenOptions::default()).unwrap();
    let run = store
        .begin_run("inject-csv", at("2025-06-01T10:00:00Z"))
        .unwrap();
    let offer = offer(ticker, interval, Source::csv(), bars, on_conflict);
    let committed = store.commit(&run, vec![offer]).unwrap().remove(0).unwrap();
    store
        .finish_run(
            &run,
            at("2025-06-01T10:01:05Z"),
            "ok",
            "{\"totals\": {\"committed\": 7}}",
        )
        .unwrap();
    committed.counts.committed
}

/// Tickers that are difficult in paths, numbers and SQL. One has most of its bars sealed, the
/// others have a few hot bars.
fn odd_tickers(env: &TestEnv) -> Vec<(&'static str, Bars)> {
    let series = vec![
        ("007", minutes("2025-01-02T14:30:00Z", 3)),
        ("7203", minutes("2025-01-02T14:30:00Z", 2)),
        ("BRK-B", minutes("2025-01-02T14:30:00Z", 390)),
        ("BTC/USD", minutes("2024-12-31T23:00:00Z", 40_000)),
        ("O'NEIL", minutes("2025-01-02T14:30:00Z", 1)),
        ("^GSPC", minutes("2025-01-03T14:30:00Z", 5)),
    ];
    for (ticker, bars) in &series {
        stage(env, ticker, Interval::M1, bars.clone(), OnConflict::Fail);
    }
    series
}

/// The CSV file that `export` writes for these bars.
fn csv(series: &[(&str, Bars)]) -> String {
    let mut out = String::from("ticker,timestamp,open,high,low,close,volume\n");
    for (ticker, bars) in series {
        for bar in bars.iter() {
            out += &format!(
                "{ticker},{},{:?},{:?},{:?},{:?},{}\n",
                bar.timestamp, bar.open, bar.high, bar.low, bar.close, bar.volume
            );
        }
    }
    out
}
