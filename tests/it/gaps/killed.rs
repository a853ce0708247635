//! A run killed at any moment, then the same command with --resume.

#[cfg(feature = "crash-points")]
mod held;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use backfill::model::Interval;
use backfill::simulator::{Change, LogEntry};

use super::*;
use crate::support::Running;

const RANGE: &str = "--rate 60000 --start 2025-01-02 --end 2025-03-31 --tickers AAPL MSFT NVDA";
const TICKERS: [&str; 3] = ["AAPL", "MSFT", "NVDA"];

/// A command, and how many windows it may have open: requested and not yet committed.
struct Command {
    line: String,
    open_max: u64,
}

impl Command {
    fn concurrent(threads: u64) -> Self {
        Self {
            line: format!("concurrent --threads {threads} {RANGE}"),
            open_max: 4 * threads,
        }
    }

    fn specific() -> Self {
        Self {
            line: format!("specific {RANGE}"),
            open_max: 4,
        }
    }
}

/// Pseudo-random numbers, the same on every run.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Ticker and date of a session.
type Day = (String, String);

/// The sessions from one date to another.
fn sessions(ticker: &str, from: &str, to: &str) -> Vec<Day> {
    let date = |typed: &str| -> chrono::NaiveDate { typed.parse().unwrap() };
    let calendar = backfill::calendar::Calendar::for_exchange("NASDAQ").unwrap();
    (date(from).iter_days().take_while(|day| *day <= date(to)))
        .filter(|day| calendar.session_on(*day).unwrap().is_some())
        .map(|day| (ticker.to_owned(), day.to_string()))
        .collect()
}

/// The sessions of a request.
fn asked(entry: &LogEntry) -> Vec<Day> {
    let (from, to) = (entry.from.as_deref(), entry.to.as_deref());
    sessions(&entry.symbol, from.unwrap(), to.unwrap())
}

impl Bench {
    /// The first column of a query, and the others after it; the store may not exist yet.
    fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        if !self.env.path("data/staging/staging.duckdb").exists() {
            return Vec::new();
        }
        let run = self.env.run(["query", sql, "--format", "csv"]).ok();
        (run.out().lines().skip(1))
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect()
    }

    /// The sessions that coverage shows as answered.
    fn answered(&self) -> BTreeSet<Day> {
        let sql = "select ticker, first, last from coverage where status in ('rows', 'empty')";
        (self.rows(sql).iter())
            .flat_map(|row| sessions(&row[0], &row[1], &row[2]))
            .collect()
    }

    /// The sessions with bars.
    fn staged_days(&self) -> BTreeSet<Day> {
        let sql =
            "select distinct ticker, (timestamp at time zone 'America/New_York')::date from bars";
        (self.rows(sql).into_iter())
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect()
    }

    /// Waits until `count` requests have come or the program has ended.
    fn wait_for_requests(&self, count: u64, running: &mut Running) {
        let limit = Instant::now() + Duration::from_secs(120);
        while self.requests() < count && running.child().try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "requests do not come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// After a kill: the same command with `--resume` and another provider, so that late requests of
    /// the killed run don't count as the resumed one's. Returns how many windows were requested twice.
    fn resumed(&self, command: &Command, whole: &Bench) -> u64 {
        let answered = self.answered();
        assert_eq!(answered, self.staged_days(), "bars and coverage differ");
        let provider = Bench::new();
        let line = format!("{} --resume --summary-json", command.line);
        let run = (self.env.program(line.split_whitespace()))
            .env("FMP_API_KEY", "any")
            .env("FMP_BASE_URL", provider.simulator.url())
            .run()
            .ok();
        let before = self.simulator.handle().log();
        let after = provider.simulator.handle().log();
        assert_eq!(run.json()["totals"]["requests"], after.len());
        // One stored session of a ticker may be requested again, to compare the price basis: in the first
        // window if it fits, else by itself. A lone session has the one before it in its window.
        let mut comparisons = BTreeSet::new();
        for entry in &after {
            let days = asked(entry);
            let news = days.iter().filter(|day| !answered.contains(*day)).count();
            if days.len() == 1 && news == 0 {
                let first_of_ticker = comparisons.insert(entry.symbol.clone());
                assert!(first_of_ticker, "{days:?} is a second comparison");
                continue;
            }
            assert!(
                news + 1 >= days.len(),
                "{days:?} was answered before the kill"
            );
        }
        let question =
            |entry: &LogEntry| (entry.symbol.clone(), entry.from.clone(), entry.to.clone());
        let again: BTreeSet<_> = after.iter().map(question).collect();
        assert_eq!(
            again.len(),
            after.len(),
            "a window was asked twice by one run"
        );
        for entry in &before {
            let done = asked(entry).iter().all(|day| answered.contains(day));
            assert!(
                !done || !again.contains(&question(entry)),
                "{:?} was answered before the kill",
                question(entry)
            );
        }
        for ticker in TICKERS {
            let truth = whole.truth(ticker, Interval::M1, "2025-01-02", "2025-03-31");
            same(&self.staged(ticker, Interval::M1), &truth, ticker);
        }
        // Nothing is left to request.
        let spent = provider.requests();
        (self.env.program(line.split_whitespace()))
            .env("FMP_API_KEY", "any")
            .env("FMP_BASE_URL", provider.simulator.url())
            .run()
            .ok();
        assert_eq!(provider.requests(), spent);
        assert!(self.gaps("").is_empty());
        (before.len() + after.len() - comparisons.len()) as u64 - whole.requests()
    }
}

/// A run that isn't interrupted.
fn undisturbed(command: &Command) -> Bench {
    let whole = Bench::new();
    whole.run(&command.line).ok();
    whole
}

fn killed_at_random(command: &Command, seed: u64, times: usize) {
    let whole = undisturbed(command);
    let windows = whole.requests();
    let mut state = seed;
    let mut cut = 0;
    for _ in 0..times {
        let bench = Bench::new();
        bench.change(Change::LatencyMs(next(&mut state) % 20));
        // Killed by the number of requests, so the machine's speed doesn't matter.
        let at = 1 + next(&mut state) % windows;
        let mut running = bench.program(&command.line).spawn();
        bench.wait_for_requests(at, &mut running);
        drop(running.child().kill());
        cut += u64::from(running.wait().code != Some(0));
        let twice = bench.resumed(command, &whole);
        assert!(twice <= command.open_max, "{twice} windows asked twice");
    }
    assert!(cut > 0, "no run was cut: the test proves nothing");
}

#[test]
fn only_open_windows_are_requested_twice() {
    killed_at_random(&Command::concurrent(4), 7, 5);
}

#[test]
fn only_open_windows_are_requested_twice_by_specific() {
    killed_at_random(&Command::specific(), 11, 2);
}
