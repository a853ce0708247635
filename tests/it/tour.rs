//! The sample files, as a new user tries them: what each step prints, and that a second time changes
//! nothing.

use std::path::{Path, PathBuf};

use crate::support::{Run, TestEnv};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample")
}

fn inject(env: &TestEnv, more: &[&str]) -> Run {
    let sample = sample();
    let mut args = vec![
        "inject-csv",
        "--csv-dir",
        sample.to_str().unwrap(),
        "--threads",
        "1",
    ];
    args.extend(more);
    env.run(args)
}

#[test]
fn the_sample_is_injected_once() {
    let env = TestEnv::new();
    insta::assert_snapshot!("inject-first", inject(&env, &[]).ok().snapshot());
    let again = inject(&env, &[]).code(4);
    assert!(
        again.stderr.contains("[bars.csv] Failed in "),
        "{}",
        again.stderr
    );
    assert!(again.stderr.contains("hint: "), "{}", again.stderr);
    assert!(
        again.stderr.contains("inserted=0 skipped=0"),
        "{}",
        again.stderr
    );
    let again = inject(&env, &["--on-conflict", "ignore"]).ok();
    insta::assert_snapshot!("inject-ignore", again.snapshot());
    let count = env.run([
        "query",
        "--format",
        "csv",
        "select count(*) as bars from bars",
    ]);
    assert_eq!(count.ok().out(), "bars\n3510\n");
}

#[test]
fn each_output_has_the_bars_of_the_input() {
    let env = TestEnv::new();
    inject(&env, &[]).ok();
    let rows = "select ticker, timestamp, open, high, low, close, volume, vwap, trades from bars order by ticker, timestamp";
    let before = env.run(["query", "--format", "csv", rows]).ok();
    assert_eq!(before.out().lines().count(), 3511);

    let status = env.run(["status"]).ok();
    for ticker in ["ACME", "GLOBEX", "INITECH"] {
        let line = status
            .out()
            .lines()
            .find(|line| line.contains(ticker))
            .unwrap();
        assert!(line.contains("1,170") && line.contains("3/3"), "{line}");
    }
    env.run(["verify"]).ok();
    env.run(["seal"]).ok();
    env.run(["seal"]).ok();
    env.run(["verify"]).ok();
    assert_eq!(
        env.files("data/staging/lake"),
        ["ACME", "GLOBEX", "INITECH"].map(|ticker| format!(
            "data/staging/lake/interval=1m/ticker={ticker}/year=2025/bars.parquet"
        ))
    );
    let after = env.run(["query", "--format", "csv", rows]).ok();
    assert_eq!(before.out(), after.out(), "sealing changes no value");

    for to in ["bars.csv", "bars.parquet", "bars.arrow"] {
        env.run(["export", "--to", to]).ok();
    }
    let exported = env.read("bars.csv");
    assert_eq!(exported.lines().count(), 3511);
    // inject-csv reads the program's own exports.
    env.run(["inject-csv", "bars.csv", "--store", "second"])
        .ok();
    let copy = env
        .run(["query", "--store", "second", "--format", "csv", rows])
        .ok();
    assert_eq!(copy.out(), before.out());
}

#[test]
fn a_dry_run_writes_nothing() {
    let env = TestEnv::new();
    let run = inject(&env, &["--dry-run"]).ok();
    assert!(run.stderr.contains("prepared=3510"), "{}", run.stderr);
    assert!(env.files("").is_empty(), "{:?}", env.files(""));
}

#[test]
fn the_summary_of_a_run_has_every_documented_key() {
    let env = TestEnv::new();
    let run = inject(&env, &["--summary-json", "-q"]).ok();
    assert_eq!(run.stderr, "", "-q leaves warnings and errors alone");
    let summary = run.json();
    for key in [
        "schema",
        "command",
        "status",
        "exit_code",
        "started_at",
        "finished_at",
        "elapsed_seconds",
        "store",
        "interval_minutes",
        "start",
        "end",
        "dry_run",
        "on_conflict",
        "totals",
        "tickers",
        "files",
    ] {
        assert!(summary.get(key).is_some(), "{key} is missing");
    }
    let counts = [
        "fetched",
        "held",
        "rejected",
        "prepared",
        "committed",
        "updated",
        "skipped_identical",
        "skipped_restated",
        "conflicts",
    ];
    for part in [
        &summary["totals"],
        &summary["tickers"][0],
        &summary["files"][0],
    ] {
        for key in counts {
            assert!(part[key].is_u64(), "{key} is missing in {part}");
        }
    }
    let sum = |list: &str, key: &str| -> u64 {
        let entries = summary[list].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry[key].as_u64().unwrap())
            .sum()
    };
    for key in counts {
        let total = summary["totals"][key].as_u64().unwrap();
        assert_eq!(sum("tickers", key), total, "tickers' {key}");
        assert_eq!(sum("files", key), total, "files' {key}");
    }
    assert_eq!(summary["totals"]["tickers"], 3);
    assert_eq!(summary["totals"]["files"], 2);
}
