//! `push`: the program with a folder as its target, and the use case with storage in memory that fails. Real
//! servers and engines are in `tests/it/cluster`.

#[cfg(feature = "crash-points")]
mod crashes;
mod faults;
mod meanwhile;
mod others;
mod program;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::support::TestEnv;

/// The bars of a table: the close of each key. A key that is there twice fails the test.
pub type Bars = BTreeMap<(String, i64), f64>;

/// Minutes of one ticker from 2024-12-31T20:00:00Z. The first 600 are in two years: two partitions.
fn csv(rows: std::ops::Range<i64>, price: u32) -> String {
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
    text
}

/// Stores minutes of a ticker.
fn store(env: &TestEnv, name: &str, ticker: &str, rows: std::ops::Range<i64>, price: u32) {
    env.write(&format!("{ticker}.csv"), csv(rows, price));
    let line = format!(
        "inject-csv {ticker}.csv --store {name} --exchange CRYPTO --interval 1 --on-conflict update --seal never"
    );
    env.typed(&line).ok();
}

/// The actions of a folder's log of this kind, oldest first.
fn actions(env: &TestEnv, table: &str, kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for file in env.files(&format!("{table}/_delta_log")) {
        if !file.ends_with(".json") {
            continue;
        }
        for line in env.read(&file).lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            found.extend(action.get(kind).cloned());
        }
    }
    found
}

/// How many versions a folder's table has.
fn versions(env: &TestEnv, table: &str) -> usize {
    let files = env.files(&format!("{table}/_delta_log"));
    files.iter().filter(|file| file.ends_with(".json")).count()
}

/// The bars in the files that `--list` prints.
pub fn bars(env: &TestEnv, table: &str) -> Bars {
    let listed = env.typed(&format!("push {table} --list")).ok();
    let mut bars = Bars::new();
    for file in listed.out().lines() {
        read_bars(
            std::fs::read(env.path(file)).unwrap().into(),
            file,
            &mut bars,
        );
    }
    bars
}

/// Adds the bars of a file.
fn read_bars(bytes: bytes::Bytes, path: &str, bars: &mut Bars) {
    let ticker = path
        .split("ticker=")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let close = batch.column_by_name("close").unwrap();
        let close = close.as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let key = (ticker.to_owned(), times.value(row));
            let before = bars.insert(key, close.value(row));
            assert_eq!(before, None, "a key is twice in the table: {path}");
        }
    }
}

/// The counts of a push's summary.
fn push(env: &TestEnv, line: &str) -> Value {
    let run = env.typed(&format!("push {line} --summary-json"));
    run.ok().json()
}
