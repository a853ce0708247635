//! Tickers that contain a space or a comma, next to the tickers that they would be as lists.

use backfill::model::{Interval, OnConflict};

use super::{csv, minutes, stage};
use crate::support::TestEnv;

const TICKERS: [&str; 5] = ["A", "A B", "A,B", "B", "C D"];

/// A store with each ticker. Only older versions accepted the one with a comma.
fn store() -> TestEnv {
    let env = TestEnv::new();
    for ticker in TICKERS {
        let bars = minutes("2025-01-02T14:30:00Z", 3);
        stage(&env, ticker, Interval::M1, bars, OnConflict::Fail);
    }
    env
}

/// The stored tickers, as `status` shows them.
fn staged(env: &TestEnv) -> Vec<String> {
    let run = env.typed("status --format json").ok().json();
    let series = run["series"].as_array().unwrap();
    let tickers = series
        .iter()
        .map(|row| row["ticker"].as_str().unwrap().to_owned());
    tickers.collect()
}

#[test]
fn an_argument_that_is_a_staged_ticker_is_that_ticker() {
    let env = store();
    for (typed, meant) in [
        (vec!["A B"], vec!["A B"]),
        (vec!["a b"], vec!["A B"]),
        (vec!["A,B"], vec!["A,B"]),
        (vec!["A", "B"], vec!["A", "B"]),
        (vec!["A", "A B"], vec!["A", "A B"]),
        // Not a stored ticker as a whole, so a list.
        (vec!["B,A"], vec!["A", "B"]),
        (vec!["B A"], vec!["A", "B"]),
        (vec!["A, B"], vec!["A", "B"]),
        (vec!["C D,"], vec![]),
    ] {
        let with = |start: &[&'static str]| {
            let mut line = start.to_vec();
            line.push("--tickers");
            line.extend(&typed);
            line
        };
        let exported = env.run(with(&["export", "--to", "-"])).ok();
        let lines = exported.out().lines().skip(1).map(|line| {
            let end = line.find(",2025").unwrap();
            line[..end].trim_matches('"').to_owned()
        });
        let mut found: Vec<String> = lines.collect();
        found.dedup();
        assert_eq!(found, meant, "export {typed:?}");
        let shown = env.run(with(&["status", "--format", "json"])).ok().json();
        let shown: Vec<_> = shown["series"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| &row["ticker"])
            .collect();
        assert_eq!(shown, meant, "status {typed:?}");
        env.run(with(&["gaps"])).ok();
        if typed.len() == 1 {
            let bundled = env.run(with(&["bundle", "create", "x.tar"])).ok();
            let partitions = format!("bundled: partitions={} ", meant.len());
            assert!(
                bundled.out().starts_with(&partitions),
                "{typed:?}: {}",
                bundled.out()
            );
        }
    }
}

#[test]
fn drop_never_splits_an_argument_at_a_space() {
    let env = store();
    for run in 0..2 {
        // The second time A B isn't stored any more, and A and B must stay.
        let dropped = env.run(["drop", "--yes", "--tickers", "A B"]).ok();
        assert_eq!(
            dropped.out(),
            if run == 0 {
                "dropped: A B 1m rows=3\n"
            } else {
                ""
            }
        );
        assert_eq!(staged(&env), ["A", "A,B", "B", "C D"]);
    }
    let missing = env.run(["drop", "--yes", "--tickers", "B A"]).ok();
    assert!(
        missing
            .stderr
            .contains("no bars or coverage of B A are stored"),
        "{}",
        missing.stderr
    );
    assert!(missing.stderr.contains("as a list: --tickers B,A"));
    env.run(["drop", "--yes", "--tickers", "A,B"]).ok();
    assert_eq!(staged(&env), ["A", "B", "C D"]);
    env.run(["drop", "--yes", "--tickers", "B, C D"]).ok();
    assert_eq!(staged(&env), ["A"]);
}

#[test]
fn a_list_in_one_argument_is_split_at_its_commas_by_every_command() {
    let env = store();
    for command in ["export --to -", "status", "gaps"] {
        let line = command.split(' ').chain(["--tickers", "B, A"]);
        let run = env.run(line).ok();
        assert!(!run.stderr.contains("no bars of"), "{}", run.stderr);
    }
    let dropped = env.run(["drop", "--yes", "--tickers", "B, A"]).ok();
    assert_eq!(
        dropped.out(),
        "dropped: A 1m rows=3\ndropped: B 1m rows=3\n"
    );
    assert_eq!(staged(&env), ["A B", "A,B", "C D"]);
}

#[test]
fn a_new_ticker_with_a_comma_is_rejected() {
    let env = TestEnv::new();
    let bars = || minutes("2025-01-02T14:30:00Z", 40);
    let dump = csv(&[("\"A,B\"", bars()), ("A B", bars())]);
    env.write("dump.csv", dump);
    env.typed("inject-csv dump.csv").ok();
    assert_eq!(staged(&env), ["A B"]);
    let rejects = env.files("data/staging/rejects");
    assert!(env.read(&rejects[0]).contains("bad-ticker"));
    let typed = env
        .run(["inject-csv", "dump.csv", "--ticker", "A,B"])
        .code(2);
    assert!(typed.stderr.contains("comma"), "{}", typed.stderr);
}
