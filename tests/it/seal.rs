//! `--seal`: whether the lake has all bars when a run ends, and what is reported if it hasn't.

use std::fmt::Write;

use crate::support::TestEnv;

/// Three bars on the first of January of each of these years.
fn write_years(env: &TestEnv, tickers: usize, years: std::ops::Range<u32>) {
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    for ticker in 0..tickers {
        for year in years.clone() {
            for minute in 0..3 {
                writeln!(text, "T{ticker},{year}-01-01T12:0{minute}:00Z,1,2,1,1,5").unwrap();
            }
        }
    }
    env.write("bars.csv", text);
}

fn inject(env: &TestEnv, more: &str) -> String {
    let line = format!("inject-csv bars.csv --exchange CRYPTO --interval 1 {more}");
    env.typed(&line).ok().stderr
}

/// Rows, and how many of them are not in the lake.
fn rows(env: &TestEnv) -> (u64, u64) {
    let totals = &env.typed("status --format json").ok().json()["totals"];
    let number = |key: &str| totals[key].as_u64().unwrap();
    (number("rows"), number("hot_rows"))
}

#[test]
fn a_run_ends_with_all_bars_in_the_lake() {
    let env = TestEnv::new();
    write_years(&env, 3, 2023..2025);
    let printed = inject(&env, "");
    assert!(!printed.contains("not in the lake"), "{printed}");
    assert_eq!(rows(&env), (18, 0));
    assert_eq!(env.files("data/staging/lake").len(), 6);
    env.typed("verify").ok();
}

#[test]
fn never_leaves_bars_hot_and_reports_them_and_the_next_run_seals_them() {
    let env = TestEnv::new();
    write_years(&env, 3, 2023..2025);
    let note = "note: 18 rows are not in the lake yet; run backfill seal\n";
    let printed = inject(&env, "--seal never");
    assert!(printed.contains(note), "{printed}");
    assert_eq!(rows(&env), (18, 18));
    let status = env.typed("status").ok();
    let words = "\n18 rows of 3 series are not in the lake yet; run backfill seal\n";
    assert!(status.out().contains(words), "{}", status.snapshot());
    // A run without new bars seals too, and so does a drop.
    inject(&env, "--on-conflict ignore");
    assert_eq!(rows(&env), (18, 0));
    let status = env.typed("status").ok();
    assert!(
        !status.out().contains("not in the lake"),
        "{}",
        status.snapshot()
    );

    let env = TestEnv::new();
    write_years(&env, 3, 2023..2025);
    inject(&env, "--seal never");
    env.typed("drop --tickers T0 --yes").ok();
    assert_eq!(rows(&env), (12, 0));
    env.typed("verify").ok();
}

#[test]
fn auto_leaves_bars_hot_if_sealing_takes_much_longer_than_the_run() {
    let env = TestEnv::new();
    // 15,000 files, where a run takes no more than a few seconds.
    write_years(&env, 300, 1975..2025);
    let printed = inject(&env, "");
    let note = "note: 45,000 rows are not in the lake yet; run backfill seal\n";
    assert!(printed.contains(note), "{printed}");
    assert_eq!(rows(&env), (45_000, 45_000));
}

#[test]
fn always_seals_whatever_it_costs() {
    let env = TestEnv::new();
    write_years(&env, 50, 1975..2025);
    inject(&env, "--seal always");
    assert_eq!(rows(&env), (7_500, 0));
}

#[test]
fn without_fill_gaps_takes_no_seal() {
    let env = TestEnv::new();
    let run = env.typed("gaps --seal always").code(2);
    assert!(
        run.stderr.contains("hint: add --fill"),
        "{}",
        run.snapshot()
    );
}
