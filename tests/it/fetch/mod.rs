//! `specific`, `concurrent` and `check` against the simulator, over real HTTP.

mod alpaca;
mod alpaca_wire;
mod binance;
mod binance_wire;
mod commands;
mod evidence;
mod faults;
mod fmp_wire;
mod massive;
mod massive_wire;
mod providers;
mod reach;
mod stops;
mod truth;
mod wire;
mod wire_market;

use std::sync::Arc;

use backfill::model::{Bar, Interval, SeriesKey, Ticker, TimeRange, Timestamp, TypedDate};
use backfill::simulator::{Change, Config, Query, Running, Simulator};
use backfill::store::{OpenOptions, Reader, bars_from_batch};

use chrono::NaiveDate;

use super::support::{Program, Run, TestEnv};

/// The key of every run. All that a run prints or writes is searched for it.
const KEY: &str = "0123456789abcdefKEYKEYKEY";

/// A simulator, and a scratch folder in which the program runs.
pub(crate) struct Bench {
    pub(crate) env: TestEnv,
    pub(crate) simulator: Running,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Config {
            late_opening: 0.0,
            ..Config::default()
        })
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
        Self {
            env: TestEnv::new(),
            simulator: Simulator::start(config, clock).unwrap(),
        }
    }

    /// A bench whose simulator has these faults.
    pub(crate) fn faulty(faults: &[&str]) -> Self {
        let bench = Self::new();
        bench.change(Change::Faults(
            faults.iter().map(|&fault| fault.to_owned()).collect(),
        ));
        bench
    }

    pub(crate) fn change(&self, change: Change) {
        self.simulator.handle().apply(change).unwrap();
    }

    pub(crate) fn program(&self, line: &str) -> Program<'_> {
        (self.env.program(line.split_whitespace()))
            .env("FMP_API_KEY", KEY)
            .env("FMP_BASE_URL", self.simulator.url())
    }

    /// Runs a command line as typed, and looks for the key in all that it printed and wrote.
    pub(crate) fn run(&self, line: &str) -> Run {
        let run = self.program(line).run();
        self.no_key(&run);
        run
    }

    /// Kills a slowed program after this many requests.
    fn kill_after(&self, program: Program<'_>, requests: u64, latency_ms: u64) {
        self.change(Change::LatencyMs(latency_ms));
        let running = program.spawn();
        while self.requests() < requests {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        running.kill();
        self.change(Change::LatencyMs(0));
    }

    #[track_caller]
    pub(crate) fn no_key(&self, run: &Run) {
        run.hides(KEY);
        for file in self.env.files(".") {
            let bytes = std::fs::read(self.env.path(&file)).unwrap();
            let found = bytes
                .windows(KEY.len())
                .any(|window| window == KEY.as_bytes());
            assert!(!found, "the key is in {file}");
        }
    }

    /// Panics unless `data/staging` has bars, all in the lake.
    #[track_caller]
    pub(crate) fn all_sealed(&self) {
        let status = self.run("status --format json").ok().json();
        let totals = &status["totals"];
        assert!(totals["rows"].as_u64() > Some(0), "{totals}");
        assert_eq!(totals["hot_rows"], 0, "{totals}");
    }

    /// The stored bars of a series in `data/staging`.
    pub(crate) fn staged(&self, ticker: &str, interval: Interval) -> Vec<Bar> {
        staged(&self.env.path("data/staging"), ticker, interval)
    }

    /// The bars that the simulator has, even if it would not send them.
    pub(crate) fn truth(
        &self,
        ticker: &str,
        interval: Interval,
        first: &str,
        last: &str,
    ) -> Vec<Bar> {
        self.truth_as(ticker, interval, first, last, false, true)
    }

    pub(crate) fn truth_as(
        &self,
        ticker: &str,
        interval: Interval,
        first: &str,
        last: &str,
        extended: bool,
        adjusted: bool,
    ) -> Vec<Bar> {
        let date = |typed: &str| typed.parse::<TypedDate>().unwrap().0;
        let query = Query {
            symbol: ticker.to_owned(),
            interval,
            from: Some(date(first)),
            to: Some(date(last)),
            extended,
            adjusted,
        };
        let rows = self.simulator.handle().bars(&query).unwrap();
        (rows.into_iter())
            .map(|row| {
                Bar::new(
                    Timestamp::from_micros(row.at),
                    [row.open, row.high, row.low, row.close],
                    row.volume,
                )
            })
            // The provider also sends rows that can't become bars.
            .filter(|bar| bar.check().is_ok())
            .collect()
    }

    /// How many requests the simulator got.
    pub(crate) fn requests(&self) -> u64 {
        self.simulator.handle().counters().requests
    }

    /// Checks that nothing was requested twice, except by the `retries` after faults.
    #[track_caller]
    pub(crate) fn requested_once(&self, retries: usize) {
        let again = self
            .simulator
            .handle()
            .log()
            .iter()
            .filter(|entry| entry.repeats > 0)
            .count();
        assert_eq!(again, retries);
    }
}

fn staged(dir: &std::path::Path, ticker: &str, interval: Interval) -> Vec<Bar> {
    let reader = Reader::open(dir, &OpenOptions::default()).unwrap();
    let series = SeriesKey {
        interval,
        ticker: Ticker::new(ticker).unwrap(),
    };
    let mut bars = Vec::new();
    for batch in reader.scan(&series, TimeRange::ALL).unwrap() {
        bars.extend(bars_from_batch(&batch.unwrap()).unwrap().iter());
    }
    bars
}

/// Checks that the bars are the same, and shows the first difference.
#[track_caller]
pub(crate) fn same(staged: &[Bar], truth: &[Bar], what: &str) {
    for (at, (staged, truth)) in staged.iter().zip(truth).enumerate() {
        assert_eq!(staged, truth, "{what}: bar {at}");
    }
    assert_eq!(staged.len(), truth.len(), "{what}");
    assert!(!truth.is_empty(), "{what}: nothing to compare");
}
