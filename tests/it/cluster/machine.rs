//! A machine with a store of its own that pushes to a table.

use std::fmt::Write;
use std::ops::Range;

use serde_json::Value;

use super::seaweed::Table;
use crate::support::{Program, TestEnv};

/// The first minute of row 0: an hour before the year ends.
pub const START: i64 = 1_735_686_000;

/// Names that a program can mistake for a folder, a number, a truth value or a missing value.
pub const ODD: [&str; 10] = [
    "AAPL", "BRK/B", "^VIX", "0700", "A B", "ES=F", "TRUE", "NULL", "NA", "1e5",
];

/// A scratch folder with a store.
pub struct Machine {
    pub env: TestEnv,
}

impl Machine {
    pub fn new() -> Self {
        Self {
            env: TestEnv::new(),
        }
    }

    /// A machine whose store has these bars: ticker, minutes, and price.
    pub fn with(bars: &[(&str, Range<i64>, u32)]) -> Self {
        let machine = Self::new();
        machine.store(bars);
        machine
    }

    /// Stores more bars, and replaces those that have other values.
    pub fn store(&self, bars: &[(&str, Range<i64>, u32)]) {
        let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
        for (ticker, minutes, price) in bars {
            for minute in minutes.clone() {
                let at = START + 60 * minute;
                let (high, volume) = (price + 1, minute % 977);
                writeln!(
                    text,
                    "{ticker},{at},{price},{high},{price},{price},{volume}"
                )
                .unwrap();
            }
        }
        self.env.write("in/bars.csv", text);
        // Hot bars: the push must seal them.
        let line = "inject-csv in/bars.csv --exchange CRYPTO --interval 1 --on-conflict update --seal never";
        self.env.typed(line).ok();
    }

    /// What the store has.
    pub fn bars(&self) -> Value {
        bars_of(&self.env)
    }

    /// A push to the table, not run yet.
    pub fn push(&self, table: &Table, more: &str) -> Program<'_> {
        let line = format!("push {} {more}", table.url);
        table.reached_by(self.env.program(line.split_whitespace()))
    }

    /// `check` of the table, ready to run.
    pub fn check(&self, table: &Table) -> Program<'_> {
        let args = ["check", "--provider", "demo", "--push", &table.url];
        table.reached_by(self.env.program(args))
    }
}

/// What a store has, as the engines count it: see `count` in engines.py.
pub fn bars_of(env: &TestEnv) -> Value {
    // Fields of JSON objects are read in the order of their names.
    let sql = "SELECT interval || 'm' AS a, ticker AS b, count(*) AS c, \
               count(DISTINCT timestamp) AS d, sum(round(close * 10000))::BIGINT AS e, \
               sum(floor(volume))::BIGINT AS f, epoch(min(timestamp))::BIGINT AS g, \
               epoch(max(timestamp))::BIGINT AS h FROM bars GROUP BY interval, ticker";
    let found = env.run(["query", "--format", "json", sql]).ok().json();
    let rows = found.as_array().unwrap().iter();
    sorted(rows.map(|row| row.as_object().unwrap().values().cloned().collect()))
}

/// Rows in the order of engines.py: by interval and ticker.
pub fn sorted(rows: impl IntoIterator<Item = Vec<Value>>) -> Value {
    let mut rows: Vec<Vec<Value>> = rows.into_iter().collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.sort_by_key(|row| (text(&row[0]), text(&row[1])));
    Value::from(rows.into_iter().map(Value::from).collect::<Vec<_>>())
}

/// The bars of machines that have no series in common.
pub fn union<'a>(machines: impl IntoIterator<Item = &'a Machine>) -> Value {
    let rows = machines.into_iter().flat_map(|machine| {
        let bars = machine.bars();
        let rows = bars.as_array().unwrap().clone();
        rows.into_iter().map(|row| row.as_array().unwrap().clone())
    });
    sorted(rows)
}
