//! `bundle create`, `verify` and `apply`, run as a user runs them.

mod chain;
#[cfg(feature = "crash-points")]
mod crashes;
mod hostile;
mod round_trip;

use std::fmt::Write as _;

use crate::support::TestEnv;

/// Writes minutes of one ticker from 2024-12-31T20:00:00Z. The first 600 are in two years: two
/// partitions.
fn write_csv(env: &TestEnv, ticker: &str, rows: std::ops::Range<i64>, price: u32) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let start = chrono::DateTime::from_timestamp(1_735_675_200, 0).unwrap();
    for row in rows {
        let at = start + chrono::Duration::minutes(row);
        let at = at.format("%Y-%m-%dT%H:%M:%SZ");
        writeln!(
            text,
            "{at},{price},{}.5,{price},{price}.25,{row}",
            price + 1
        )
        .unwrap();
    }
    env.write(&format!("{ticker}.csv"), text);
}

/// Stages 600 minutes of each ticker in the default store.
fn stage(env: &TestEnv, tickers: &[&str]) {
    for ticker in tickers {
        write_csv(env, ticker, 0..600, 10);
        env.typed(&format!("inject-csv {ticker}.csv --exchange CRYPTO"))
            .ok();
    }
}

/// All bars of a store, without their commits, which differ between stores.
fn bars(env: &TestEnv, store: &str) -> String {
    let sql = "SELECT interval, ticker, timestamp, open, high, low, close, volume, vwap, trades, source FROM bars \
               ORDER BY interval, ticker, timestamp";
    env.run(["query", "--store", store, "--format", "csv", sql])
        .ok()
        .out()
        .to_owned()
}
