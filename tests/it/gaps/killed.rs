//! A run killed at any moment, then the same command with --resume.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use backfill::model::Interval;
use backfill::simulator::{Change, LogEntry};

use super::*;

const LINE: &str = "concurrent --rate 60000 --start 2025-01-02 --end 2025-03-31 --tickers AAPL MSFT NVDA --threads 4";
const TICKERS: [&str; 3] = ["AAPL", "MSFT", "NVDA"];

/// Numbers that look random and are the same on every run.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Ticker and date of everything that is staged.
fn staged_days(bench: &Bench) -> BTreeSet<(String, String)> {
    if !bench.env.path("data/staging/staging.duckdb").exists() {
        return BTreeSet::new();
    }
    let sql = "select distinct ticker, (timestamp at time zone 'America/New_York')::date from bars";
    let run = bench.env.run(["query", sql, "--format", "csv"]).ok();
    (run.out().lines().skip(1))
        .filter_map(|line| line.split_once(','))
        .map(|(ticker, day)| (ticker.to_owned(), day.to_owned()))
        .collect()
}

/// Ticker and dates of the sessions that a request asked for.
fn asked(entry: &LogEntry) -> Vec<(String, String)> {
    let date = |typed: &Option<String>| -> chrono::NaiveDate {
        typed.as_deref().unwrap().parse().unwrap()
    };
    let (from, to) = (date(&entry.from), date(&entry.to));
    let calendar = backfill::calendar::Calendar::for_exchange("NASDAQ").unwrap();
    (from.iter_days().take_while(|date| *date <= to))
        .filter(|date| calendar.session_on(*date).unwrap().is_some())
        .map(|date| (entry.symbol.clone(), date.to_string()))
        .collect()
}

#[test]
fn resume_asks_for_nothing_that_is_staged_and_ends_with_all_bars() {
    let whole = Bench::new();
    let windows = whole.run(&format!("{LINE} --summary-json")).ok().json()["totals"]["requests"]
        .as_u64()
        .unwrap();
    assert_eq!(windows, whole.requests());
    let truth = |ticker| whole.truth(ticker, Interval::M1, "2025-01-02", "2025-03-31");

    let mut state = 7;
    let mut cut = 0;
    for _ in 0..6 {
        let bench = Bench::new();
        bench.change(Change::LatencyMs(15));
        // Killed when so many requests have come, however fast the machine is.
        let at = 1 + next(&mut state) % windows;
        let mut running = bench.program(LINE).spawn();
        let limit = Instant::now() + Duration::from_secs(120);
        while bench.requests() < at && running.child().try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "requests do not come");
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(running.child().kill());
        cut += u64::from(running.wait().code != Some(0));

        let staged = staged_days(&bench);
        bench.change(Change::LatencyMs(0));
        bench.change(Change::Reset);
        let run = bench.run(&format!("{LINE} --resume --summary-json")).ok();
        let log = bench.simulator.handle().log();
        assert_eq!(run.json()["totals"]["requests"], log.len());
        let mut asked_for = BTreeSet::new();
        for entry in &log {
            let days = asked(entry);
            let news: Vec<_> = days.iter().filter(|day| !staged.contains(*day)).collect();
            assert!(!news.is_empty(), "{days:?} was staged already");
            for day in news {
                // But for the session that keeps another one company.
                let first = asked_for.insert(day.clone());
                assert!(first || days.len() == 2, "{day:?} was asked for twice");
            }
        }
        for ticker in TICKERS {
            same(&bench.staged(ticker, Interval::M1), &truth(ticker), ticker);
        }
        // Nothing is left to ask.
        bench.change(Change::Reset);
        bench.run(&format!("{LINE} --resume")).ok();
        assert_eq!(bench.requests(), 0);
        assert!(bench.gaps("").is_empty());
    }
    assert!(cut > 0, "no run was cut: the test proves nothing");
}
