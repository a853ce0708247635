//! Bundles that hold only what came after another.

use super::{bars, dump, stage};
use crate::support::TestEnv;

#[test]
fn a_chain_of_deltas_ends_with_the_same_bars() {
    let env = TestEnv::new();
    stage(&env, &["A", "B"]);
    env.typed("bundle create 1.tar").ok();
    // New bars of a sealed year, a new ticker, and restated ones.
    dump(&env, "A", 600..900, 11);
    env.typed("inject-csv A.csv --exchange CRYPTO").ok();
    stage(&env, &["C"]);
    env.typed("bundle create 2.tar --since 1.tar").ok();
    dump(&env, "B", 100..150, 12);
    env.typed("inject-csv B.csv --exchange CRYPTO --on-conflict update")
        .ok();
    let third = env.typed("bundle create 3.tar --since 2.tar").ok();
    assert!(
        third.out().starts_with("bundled: partitions=1 rows=50 "),
        "{}",
        third.out()
    );
    let none = env.typed("bundle create 4.tar --since 3.tar").ok();
    assert!(
        none.out().starts_with("bundled: partitions=0 rows=0 "),
        "{}",
        none.out()
    );
    let lengths: Vec<u64> = ["1.tar", "2.tar", "3.tar"]
        .map(|file| std::fs::metadata(env.path(file)).unwrap().len())
        .into();
    assert!(lengths[2] < lengths[0], "{lengths:?}");
    for file in ["1.tar", "2.tar", "3.tar", "4.tar"] {
        env.typed(&format!("bundle verify {file}")).ok();
    }

    // Out of turn: refused with the name of what is missing, and nothing is written.
    let early = env.typed("bundle apply 2.tar --store other").code(1);
    assert!(
        early.stderr.contains("its base was not applied"),
        "{}",
        early.stderr
    );
    let hash = env.typed("bundle verify 1.tar").ok();
    let hash = hash
        .out()
        .lines()
        .nth(1)
        .unwrap()
        .strip_prefix("manifest: ")
        .unwrap()
        .to_owned();
    assert!(early.stderr.contains(&hash), "{}", early.stderr);
    assert!(early.stderr.contains("commit 2 "), "{}", early.stderr);
    assert!(
        early.stderr.contains(" of 20"),
        "names its day: {}",
        early.stderr
    );
    assert!(!env.path("other").exists());

    env.typed("bundle apply 1.tar --store other").ok();
    env.typed("bundle apply 3.tar --store other --on-conflict update")
        .code(1);
    env.typed("bundle apply 2.tar --store other").ok();
    // The bars that were updated there are restated here.
    env.typed("bundle apply 3.tar --store other").code(4);
    env.typed("bundle apply 4.tar --store other").code(1);
    env.typed("bundle apply 3.tar --store other --on-conflict update")
        .ok();
    env.typed("bundle apply 4.tar --store other").ok();
    assert_eq!(bars(&env, "other"), bars(&env, "data/staging"));
    env.typed("verify --store other").ok();

    // Out of turn once more: the first bundle must not put back what the third has updated.
    let late = env
        .typed("bundle apply 1.tar --store other --on-conflict update")
        .code(1);
    assert!(late.stderr.contains("older values"), "{}", late.stderr);
    env.typed("bundle apply 1.tar --store other --on-conflict ignore")
        .ok();
    assert_eq!(bars(&env, "other"), bars(&env, "data/staging"));
}

#[test]
fn a_delta_repeats_the_filter_of_its_base() {
    let env = TestEnv::new();
    stage(&env, &["A", "B"]);
    env.typed("bundle create 1.tar --tickers A --start 2025-01-01")
        .ok();
    for ticker in ["A", "B"] {
        dump(&env, ticker, 600..700, 11);
        env.typed(&format!("inject-csv {ticker}.csv --exchange CRYPTO"))
            .ok();
    }
    let inherited = env.typed("bundle create 2.tar --since 1.tar").ok();
    assert!(
        inherited.out().contains("partitions=1 rows=100 "),
        "{}",
        inherited.out()
    );
    let repeated = env
        .typed("bundle create 3.tar --since 1.tar --tickers A --start 2025-01-01")
        .ok();
    assert_eq!(inherited.out(), repeated.out());
    for other in [
        "--tickers B",
        "--tickers A,B",
        "--interval 1",
        "--start 2025-01-02",
        "--end 2025-01-03",
    ] {
        let refused = env
            .typed(&format!("bundle create 4.tar --since 1.tar {other}"))
            .code(2);
        assert!(
            refused.stderr.contains("otherwise than the base"),
            "{}",
            refused.stderr
        );
    }
    assert!(!env.path("4.tar").exists());
}

#[test]
fn a_base_of_another_store_or_another_past_is_refused() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    for file in env.files("data/staging") {
        let to = file.replacen("data/staging", "copy", 1);
        env.write(&to, std::fs::read(env.path(&file)).unwrap());
    }
    dump(&env, "B", 0..100, 10);
    env.typed("inject-csv B.csv --exchange CRYPTO").ok();
    env.typed("bundle create 1.tar").ok();
    // The copy has the same id; its second commit is another one.
    let unknown = env
        .typed("bundle create 2.tar --since 1.tar --store copy")
        .code(1);
    assert!(
        unknown.stderr.contains("does not know"),
        "{}",
        unknown.stderr
    );
    dump(&env, "C", 0..100, 10);
    env.typed("inject-csv C.csv --exchange CRYPTO --store copy")
        .ok();
    env.typed("bundle create 2.tar --since 1.tar --store copy")
        .code(1);
    env.typed("inject-csv C.csv --exchange CRYPTO --store third")
        .ok();
    let other = env
        .typed("bundle create 2.tar --since 1.tar --store third")
        .code(1);
    assert!(other.stderr.contains("from the store"), "{}", other.stderr);
    assert!(
        other.stderr.contains("hint: make a bundle of all"),
        "{}",
        other.stderr
    );
    assert!(!env.path("2.tar").exists());
}

#[test]
fn a_copy_of_the_store_takes_deltas_without_a_first_bundle() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    env.typed("bundle create 1.tar").ok();
    for file in env.files("data/staging") {
        let to = file.replacen("data/staging", "copy", 1);
        env.write(&to, std::fs::read(env.path(&file)).unwrap());
    }
    dump(&env, "A", 600..700, 11);
    env.typed("inject-csv A.csv --exchange CRYPTO").ok();
    env.typed("bundle create 2.tar --since 1.tar").ok();
    env.typed("bundle apply 2.tar --store copy").ok();
    assert_eq!(bars(&env, "copy"), bars(&env, "data/staging"));
}

#[test]
fn dropped_bars_stay_on_the_other_side() {
    let env = TestEnv::new();
    stage(&env, &["A", "B", "C"]);
    env.typed("bundle create 1.tar").ok();
    env.typed("bundle apply 1.tar --store other").ok();
    let before = bars(&env, "other");
    // The end of one partition, a whole one, and all of a ticker: nothing of that is newer than the first bundle.
    env.typed("drop --tickers A --start 2025-01-01 --yes").ok();
    env.typed("drop --tickers C --yes").ok();
    let delta = env.typed("bundle create 2.tar --since 1.tar").ok();
    assert!(
        delta.out().contains("partitions=0 rows=0 "),
        "{}",
        delta.out()
    );
    env.typed("bundle apply 2.tar --store other").ok();
    assert_eq!(bars(&env, "other"), before);
    // A bundle of all that is left is sound all the same, and so is what comes back.
    dump(&env, "C", 100..300, 10);
    env.typed("inject-csv C.csv --exchange CRYPTO").ok();
    env.typed("drop --tickers B --start 2024-12-31 --end 2024-12-31 --yes")
        .ok();
    for line in ["bundle create 3.tar --since 2.tar", "bundle create all.tar"] {
        env.typed(line).ok();
    }
    env.typed("bundle apply 3.tar --store other").ok();
    assert_eq!(bars(&env, "other"), before);
    env.typed("bundle apply all.tar --store new").ok();
    assert_eq!(bars(&env, "new"), bars(&env, "data/staging"));
}

#[test]
fn a_repaired_store_begins_a_new_chain() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    env.typed("bundle create 1.tar").ok();
    std::fs::remove_file(env.path("data/staging/staging.duckdb")).unwrap();
    env.typed("verify --repair").ok();
    // It has another id: what it holds may be less than what it held.
    let refused = env.typed("bundle create 2.tar --since 1.tar").code(1);
    assert!(
        refused.stderr.contains("from the store"),
        "{}",
        refused.stderr
    );
    env.typed("bundle create 2.tar").ok();
    env.typed("bundle apply 2.tar --store other").ok();
    dump(&env, "A", 600..700, 10);
    env.typed("inject-csv A.csv --exchange CRYPTO").ok();
    env.typed("bundle create 3.tar --since 2.tar").ok();
    env.typed("bundle apply 3.tar --store other").ok();
    assert_eq!(bars(&env, "other"), bars(&env, "data/staging"));

    // A catalog that is lost on the other side has forgotten what was applied; the base again, and it goes on.
    std::fs::remove_file(env.path("other/staging.duckdb")).unwrap();
    env.typed("verify --repair --store other").ok();
    env.typed("bundle apply 3.tar --store other").code(1);
    env.typed("bundle apply 2.tar --store other").ok();
    env.typed("bundle apply 3.tar --store other").ok();
}
