//! Files of one run that have other prices for the same bars.

use super::minutes;
use crate::support::{Run, TestEnv};

/// `count` bars from 9:30, of which each but the first `same` has this price.
fn priced(count: u32, same: u32, price: u32) -> String {
    minutes(count, 1, |hour, minute| {
        let is_same = hour * 60 + minute < 9 * 60 + 30 + same;
        let price = if is_same { 10 } else { price };
        format!("2025-01-02 {hour:02}:{minute:02}:00,{price},{price},{price},{price},100")
    })
}

fn inject(env: &TestEnv, flags: &str) -> Run {
    env.typed(&format!("inject-csv --csv-dir in --store s {flags}"))
}

/// How many stored bars have each price.
fn stored(env: &TestEnv) -> String {
    let sql = "SELECT ticker, close, count(*) FROM bars GROUP BY ALL ORDER BY ALL";
    let run = env.run(["query", "--store", "s", "--format", "csv", sql]);
    run.ok().out().lines().skip(1).collect::<Vec<_>>().join(" ")
}

const OTHER_PRICES: &str = "40 of 40 bars of SAP 1m compared with earlier files have other prices, \
                            the first 2025-01-02T14:30:00Z in SAP-ask.csv";

#[test]
fn other_prices_under_another_name_are_refused_under_each_policy() {
    for (flags, code) in [
        ("", 4),
        ("--on-conflict ignore", 3),
        ("--on-conflict update", 3),
    ] {
        let env = TestEnv::new();
        env.write("in/SAP-ask.csv", priced(40, 0, 10));
        env.write("in/SAP-bid.csv", priced(60, 0, 11));
        let dry = inject(&env, &format!("{flags} --dry-run"));
        assert_eq!(dry.code, Some(code), "{flags}: {}", dry.stderr);
        assert!(dry.stderr.contains(OTHER_PRICES), "{}", dry.stderr);
        assert!(dry.stderr.contains("1 of 2 files can be stored"));
        let run = inject(&env, flags);
        assert_eq!(run.code, Some(code), "{flags}: {}", run.stderr);
        assert!(run.stderr.contains(OTHER_PRICES), "{}", run.stderr);
        assert!(run.stderr.contains("[SAP-bid.csv]"), "{}", run.stderr);
        assert_eq!(stored(&env), "SAP,10,40");
        let alone = env.typed("inject-csv in/SAP-bid.csv --store s --ticker SAP.BID");
        alone.ok();
        assert_eq!(stored(&env), "SAP,10,40 SAP.BID,11,60");
    }
}

#[test]
fn the_policy_decides_between_runs() {
    let env = TestEnv::new();
    env.write("in/SAP-ask.csv", priced(40, 0, 10));
    inject(&env, "").ok();
    env.write("in/SAP-ask.csv", priced(60, 0, 11));
    inject(&env, "--on-conflict update").ok();
    assert_eq!(stored(&env), "SAP,11,60");
}

#[test]
fn the_same_prices_other_times_and_other_intervals_contradict_nothing() {
    let env = TestEnv::new();
    env.write("in/SAP.csv", priced(40, 40, 0));
    env.write("in/SAP (1).csv", priced(60, 60, 0));
    let later = priced(40, 0, 11).replace("2025-01-02", "2025-01-03");
    env.write("in/SAP_2025-01-03.csv", later);
    let hours = (10..15).map(|hour| format!("2025-01-02 {hour}:00:00,12,12,12,12,100\n"));
    env.write("in/SAP_60min.csv", hours.collect::<String>());
    let run = inject(
        &env,
        "--on-conflict ignore --exchange CRYPTO --timezone UTC",
    );
    run.ok();
    assert_eq!(stored(&env), "SAP,10,60 SAP,11,40 SAP,12,5");
}

#[test]
fn files_of_the_same_name_are_parts_of_one_series() {
    let env = TestEnv::new();
    env.write("in/2025-01-02/SAP.csv", priced(40, 0, 10));
    env.write("in/2025-01-03/SAP.csv", priced(60, 0, 11));
    inject(&env, "--on-conflict update").ok();
    assert_eq!(stored(&env), "SAP,11,60");
}

/// A file may end with an unfinished bar, and a few bars may be corrected later.
#[test]
fn a_few_other_prices_are_left_to_the_policy() {
    for (differing, is_refused) in [(2, false), (4, false), (5, true)] {
        let env = TestEnv::new();
        env.write("in/SAP_1.csv", priced(40, 40, 0));
        env.write("in/SAP_2.csv", priced(40, 40 - differing, 11));
        let run = inject(&env, "--on-conflict update --interval 1");
        let code = if is_refused { 3 } else { 0 };
        assert_eq!(run.code, Some(code), "{differing}: {}", run.stderr);
    }
    // Two of two: too few to decide.
    let env = TestEnv::new();
    env.write("in/SAP_1.csv", priced(40, 40, 0));
    let end = priced(60, 0, 11);
    env.write(
        "in/SAP_2.csv",
        end.lines().skip(38).collect::<Vec<_>>().join("\n") + "\n",
    );
    inject(&env, "--on-conflict update --interval 1").ok();
    assert_eq!(stored(&env), "SAP,10,38 SAP,11,22");
}

/// Each file is compared with those before it in path order, for any number of threads.
#[test]
fn threads_change_nothing() {
    let mut results = Vec::new();
    for threads in [1, 8] {
        let env = TestEnv::new();
        for ticker in 0..20 {
            for (part, price) in [("a", 10), ("b", 10 + ticker % 2), ("c", 10 + ticker % 3)] {
                env.write(
                    &format!("in/{part}/T{ticker}_{part}.csv"),
                    priced(40, 0, price),
                );
            }
        }
        let run = inject(&env, &format!("--threads {threads} --on-conflict update"));
        assert_eq!(run.code, Some(3));
        let lines = run.stderr.lines();
        let mut refused: Vec<String> = lines
            .filter_map(|line| line.split_once("bars of T"))
            .map(|(_, text)| text.to_owned())
            .collect();
        refused.sort();
        assert_eq!(refused.len(), 10 + 13, "{}", run.stderr);
        results.push((refused, stored(&env)));
    }
    assert_eq!(results[0], results[1]);
}
