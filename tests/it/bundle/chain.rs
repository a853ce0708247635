//! Bundles made with `--since`.

use super::{bars, stage, write_csv};
use crate::support::TestEnv;

#[test]
fn a_chain_of_deltas_ends_with_the_same_bars() {
    let env = TestEnv::new();
    stage(&env, &["A", "B"]);
    env.typed("bundle create 1.tar").ok();
    // New bars of a sealed year, a new ticker, and restated ones.
    write_csv(&env, "A", 600..900, 11);
    env.typed("inject-csv A.csv --exchange CRYPTO").ok();
    stage(&env, &["C"]);
    env.typed("bundle create 2.tar --since 1.tar").ok();
    write_csv(&env, "B", 100..150, 12);
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

    // In the wrong order: refused, the missing bundle is named, and nothing is written.
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
    // Bars that were updated in the source store conflict here.
    env.typed("bundle apply 3.tar --store other").code(4);
    env.typed("bundle apply 4.tar --store other").code(1);
    env.typed("bundle apply 3.tar --store other --on-conflict update")
        .ok();
    env.typed("bundle apply 4.tar --store other").ok();
    assert_eq!(bars(&env, "other"), bars(&env, "data/staging"));
    env.typed("verify --store other").ok();

    // The first bundle must not undo updates of the third.
    let late = env
        .typed("bundle apply 1.tar --store other --on-conflict update")
        .code(1);
    assert!(late.stderr.contains("older values"), "{}", late.stderr);
    env.typed("bundle apply 1.tar --store other --on-conflict ignore")
        .ok();
    assert_eq!(bars(&env, "other"), bars(&env, "data/staging"));
}

#[test]
fn a_delta_has_the_filter_of_its_base() {
    let env = TestEnv::new();
    stage(&env, &["A", "B"]);
    env.typed("bundle create 1.tar --tickers A --start 2025-01-01")
        .ok();
    for ticker in ["A", "B"] {
        write_csv(&env, ticker, 600..700, 11);
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
            refused.stderr.contains("differ from the base's"),
            "{}",
            refused.stderr
        );
    }
    assert!(!env.path("4.tar").exists());
}

#[test]
fn a_base_of_another_store_or_history_is_refused() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    for file in env.files("data/staging") {
        let to = file.replacen("data/staging", "copy", 1);
        env.write(&to, std::fs::read(env.path(&file)).unwrap());
    }
    write_csv(&env, "B", 0..100, 10);
    env.typed("inject-csv B.csv --exchange CRYPTO").ok();
    env.typed("bundle create 1.tar").ok();
    // The copy has the same store id, but another second commit.
    let unknown = env
        .typed("bundle create 2.tar --since 1.tar --store copy")
        .code(1);
    assert!(
        unknown.stderr.contains("doesn't have"),
        "{}",
        unknown.stderr
    );
    write_csv(&env, "C", 0..100, 10);
    env.typed("inject-csv C.csv --exchange CRYPTO --store copy")
        .ok();
    env.typed("bundle create 2.tar --since 1.tar --store copy")
        .code(1);
    env.typed("inject-csv C.csv --exchange CRYPTO --store third")
        .ok();
    let other = env
        .typed("bundle create 2.tar --since 1.tar --store third")
        .code(1);
    assert!(
        other.stderr.contains("was made from store"),
        "{}",
        other.stderr
    );
    assert!(
        other.stderr.contains("hint: make a full bundle"),
        "{}",
        other.stderr
    );
    assert!(!env.path("2.tar").exists());
}

#[test]
fn the_base_of_a_base_is_not_overwritten() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    env.typed("bundle create 1.tar").ok();
    for number in 2..4 {
        write_csv(&env, "A", 600 * number..600 * number + 100, 11);
        env.typed("inject-csv A.csv --exchange CRYPTO").ok();
        let since = number - 1;
        env.typed(&format!("bundle create {number}.tar --since {since}.tar"))
            .ok();
    }
    std::fs::copy(env.path("1.tar"), env.path("copied.tar")).unwrap();
    for (file, since) in [
        ("1.tar", "2.tar"),
        ("copied.tar", "2.tar"),
        ("2.tar", "3.tar"),
    ] {
        let before = std::fs::read(env.path(file)).unwrap();
        let refused = env
            .typed(&format!("bundle create {file} --since {since}"))
            .code(2);
        assert!(
            refused.stderr.contains("the base builds on the bundle"),
            "{}",
            refused.stderr
        );
        assert!(std::fs::read(env.path(file)).unwrap() == before);
    }
    // Other files may be replaced: by the same command again, or by the next week's bundles.
    env.write("notes.tar", "not a bundle");
    for line in [
        "bundle create 3.tar --since 2.tar",
        "bundle create notes.tar --since 3.tar",
        "bundle create 1.tar",
        "bundle create 2.tar --since 1.tar",
        "bundle create 3.tar --since 2.tar",
    ] {
        env.typed(line).ok();
    }
}

#[test]
fn a_copy_of_the_store_accepts_a_delta_without_its_base() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    env.typed("bundle create 1.tar").ok();
    for file in env.files("data/staging") {
        let to = file.replacen("data/staging", "copy", 1);
        env.write(&to, std::fs::read(env.path(&file)).unwrap());
    }
    write_csv(&env, "A", 600..700, 11);
    env.typed("inject-csv A.csv --exchange CRYPTO").ok();
    env.typed("bundle create 2.tar --since 1.tar").ok();
    env.typed("bundle apply 2.tar --store copy").ok();
    assert_eq!(bars(&env, "copy"), bars(&env, "data/staging"));
}

#[test]
fn a_bundle_removes_no_bars() {
    let env = TestEnv::new();
    stage(&env, &["A", "B", "C"]);
    env.typed("bundle create 1.tar").ok();
    env.typed("bundle apply 1.tar --store other").ok();
    let before = bars(&env, "other");
    // Part of a partition and a whole ticker: no bar is newer than the first bundle.
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
    // A full bundle of the rest is valid, and so is one with bars that were stored again.
    write_csv(&env, "C", 100..300, 10);
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
fn a_repaired_store_starts_a_new_chain() {
    let env = TestEnv::new();
    stage(&env, &["A"]);
    env.typed("bundle create 1.tar").ok();
    std::fs::remove_file(env.path("data/staging/staging.duckdb")).unwrap();
    env.typed("verify --repair").ok();
    // A repair may lose bars, so the store gets a new id.
    let refused = env.typed("bundle create 2.tar --since 1.tar").code(1);
    assert!(
        refused.stderr.contains("was made from store"),
        "{}",
        refused.stderr
    );
    env.typed("bundle create 2.tar").ok();
    env.typed("bundle apply 2.tar --store other").ok();
    write_csv(&env, "A", 600..700, 10);
    env.typed("inject-csv A.csv --exchange CRYPTO").ok();
    env.typed("bundle create 3.tar --since 2.tar").ok();
    env.typed("bundle apply 3.tar --store other").ok();
    assert_eq!(bars(&env, "other"), bars(&env, "data/staging"));

    // A target that lost its catalog needs the base again.
    std::fs::remove_file(env.path("other/staging.duckdb")).unwrap();
    env.typed("verify --repair --store other").ok();
    env.typed("bundle apply 3.tar --store other").code(1);
    env.typed("bundle apply 2.tar --store other").ok();
    env.typed("bundle apply 3.tar --store other").ok();
}
