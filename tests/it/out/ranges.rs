//! `--start` without `--end`, and the reverse: the open end is the first or last stored bar.

use backfill::model::{Interval, OnConflict};

use super::{minutes, stage};
use crate::support::{Run, TestEnv};

/// Four downloaded sessions, in the store `data/demo`.
fn fetched() -> (TestEnv, &'static str) {
    let env = TestEnv::new();
    env.typed("specific --provider demo --tickers A --start 2025-01-02 --end 2025-01-07")
        .ok();
    (env, "data/demo")
}

/// The same sessions from bars that were never requested, so without coverage.
fn injected() -> (TestEnv, &'static str) {
    let env = TestEnv::new();
    for day in ["02", "03", "06", "07"] {
        let bars = minutes(&format!("2025-01-{day}T14:30:00Z"), 390);
        stage(&env, "A", Interval::M1, bars, OnConflict::Fail);
    }
    (env, super::STORE)
}

const RANGES: [(&str, &str); 5] = [
    ("--start 2025-01-06", ">= '2025-01-06'"),
    ("--end 2025-01-03", "<= '2025-01-03'"),
    (
        "--start 2025-01-03 --end 2025-01-06",
        "BETWEEN '2025-01-03' AND '2025-01-06'",
    ),
    ("--start 1900-01-01", "IS NOT NULL"),
    ("--end 2199-12-31", "IS NOT NULL"),
];

/// The number of bars whose New York date meets `condition`.
fn bars(env: &TestEnv, store: &str, condition: &str) -> usize {
    let sql = format!(
        "SELECT count(*) FROM bars WHERE (timestamp AT TIME ZONE 'America/New_York')::DATE {condition}"
    );
    let run = env
        .run(["query", "--store", store, "--format", "csv", &sql])
        .ok();
    run.out().lines().nth(1).unwrap().parse().unwrap()
}

fn summary(run: &Run) -> serde_json::Value {
    serde_json::from_slice(&run.stdout).unwrap()
}

#[test]
fn an_open_end_means_the_same_in_every_reading_command() {
    for (env, store) in [fetched(), injected()] {
        env.typed(&format!("export --to all.csv --store {store}"))
            .ok();
        for (range, condition) in RANGES {
            let expected = bars(&env, store, condition);
            assert!(expected > 300, "{store} {range}: {expected}");
            let exported = env
                .typed(&format!("export --to - --store {store} {range}"))
                .ok();
            assert_eq!(
                exported.out().lines().count() - 1,
                expected,
                "{store} {range}"
            );
            let bundled = env
                .typed(&format!("bundle create x.tar --store {store} {range}"))
                .ok();
            let rows = format!(" rows={expected} ");
            assert!(
                bundled.out().contains(&rows),
                "{store} {range}: {}",
                bundled.out()
            );
            let line = format!("inject-csv all.csv --dry-run --summary-json --store new {range}");
            let injected = summary(&env.typed(&line).ok());
            assert_eq!(injected["totals"]["prepared"], expected, "{store} {range}");
            // A range that begins before the first session lists the sessions before it.
            if expected < bars(&env, store, "IS NOT NULL") {
                let line = format!("gaps --format json --store {store} {range}");
                let gaps = env.typed(&line).ok().json();
                assert_eq!(gaps["gaps"].as_array().unwrap().len(), 0, "{store} {range}");
            }
        }
    }
}

#[test]
fn a_drop_with_an_open_end_removes_bars_and_coverage() {
    let coverage = |env: &TestEnv, store: &str| {
        let sql = "SELECT first, last FROM coverage ORDER BY first";
        let run = env
            .run(["query", "--store", store, "--format", "csv", sql])
            .ok();
        run.out()
            .lines()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let left = [
        vec!["2025-01-02,2025-01-05"],
        vec!["2025-01-04,2025-01-07"],
        vec!["2025-01-02,2025-01-02", "2025-01-07,2025-01-07"],
        vec![],
        vec![],
    ];
    for ((range, condition), left) in RANGES.into_iter().zip(left) {
        for (env, store) in [fetched(), injected()] {
            let kept = bars(&env, store, "IS NOT NULL") - bars(&env, store, condition);
            let line = format!("drop --tickers A --yes --store {store} {range}");
            let run = env.typed(&line).ok();
            assert!(
                run.out().starts_with("dropped: A 1m rows="),
                "{store} {range}"
            );
            assert_eq!(bars(&env, store, "IS NOT NULL"), kept, "{store} {range}");
            if store == "data/demo" {
                assert_eq!(coverage(&env, store), left, "{range}");
            }
            // The second time, it changes nothing.
            env.typed(&line).ok();
            assert_eq!(bars(&env, store, "IS NOT NULL"), kept, "{store} {range}");
            env.typed(&format!("verify --store {store}")).ok();
        }
    }
}

#[test]
fn a_drop_from_long_before_the_first_bar_keeps_later_coverage() {
    let (env, store) = fetched();
    let (start, end) = ("1900-01-01", "2025-01-03");
    env.typed(&format!(
        "drop --tickers A --yes --store {store} --start {start} --end {end}"
    ))
    .ok();
    let sql = "SELECT first, last FROM coverage";
    let run = env
        .run(["query", "--store", store, "--format", "csv", sql])
        .ok();
    assert_eq!(run.out(), "first,last\n2025-01-04,2025-01-07\n");
}

#[test]
fn a_drop_by_dates_of_an_unknown_exchange_removes_nothing() {
    let env = TestEnv::new();
    let calendar = "tz,UTC\nspan,2025-01-01,2025-12-31\nhours,2025-01-01,00:00,24:00,,\nweek,2025-01-01,1111111\n";
    env.write("own/MINE.csv", calendar);
    env.write("A.csv", "2025-01-02 09:30:00,10,12,9,11,100\n");
    env.typed("inject-csv A.csv --interval 1 --exchange MINE --calendar-dir own")
        .ok();
    let line = "drop --tickers A --yes --start 2025-01-02";
    let run = env.typed(line).code(1);
    assert!(
        run.stderr.contains("\"MINE\" is not a known exchange"),
        "{}",
        run.stderr
    );
    assert_eq!(bars(&env, super::STORE, "IS NOT NULL"), 1);
    let run = env.typed(&format!("{line} --calendar-dir own")).ok();
    assert_eq!(run.out(), "dropped: A 1m rows=1\n");
}
