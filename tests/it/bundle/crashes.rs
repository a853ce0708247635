//! Kills at each crash point of bundles: a bundle is complete or missing, a store has what was
//! committed, and the same command succeeds afterwards.

use super::{bars, stage, write_csv};
use crate::support::TestEnv;

fn killed(env: &TestEnv, point: &str, line: &str) {
    let run = env
        .program(line.split_whitespace())
        .env("BACKFILL_CRASH", point)
        .run();
    assert_eq!(
        run.code,
        None,
        "{point} is not reached by {line}: {}",
        run.snapshot()
    );
}

#[test]
fn a_killed_create_leaves_no_half_bundle() {
    let env = TestEnv::new();
    stage(&env, &["A", "B"]);
    env.typed("bundle create whole.tar --store data/staging")
        .ok();
    let whole = std::fs::read(env.path("whole.tar")).unwrap();
    for point in [
        "bundle.create.after-seal",
        "bundle.create.between-partitions",
        "bundle.create.before-rename",
        "bundle.create.after-rename",
    ] {
        // An older file stays until the rename.
        env.write("out.tar", "older");
        killed(&env, point, "bundle create out.tar");
        let found = std::fs::read(env.path("out.tar")).unwrap();
        if point == "bundle.create.after-rename" {
            assert!(found == whole, "{point}");
        } else {
            assert_eq!(found, b"older", "{point}");
        }
        env.typed("bundle create out.tar").ok();
        assert!(
            std::fs::read(env.path("out.tar")).unwrap() == whole,
            "{point}"
        );
        env.typed("verify").ok();
    }
}

#[test]
fn a_killed_apply_can_be_repeated() {
    let env = TestEnv::new();
    // More partitions than fit into one commit: 260 tickers with a few bars each.
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    for ticker in 0..260 {
        for minute in 10..14 {
            text += &format!("T{ticker},2025-01-02T15:{minute}:00Z,10,11,9,10,{minute}\n");
        }
    }
    env.write("all.csv", text);
    env.typed("inject-csv all.csv --exchange CRYPTO --interval 1")
        .ok();
    env.typed("bundle create 1.tar").ok();
    write_csv(&env, "A", 0..600, 10);
    env.typed("inject-csv A.csv --exchange CRYPTO").ok();
    env.typed("bundle create 2.tar --since 1.tar").ok();
    let truth = bars(&env, "data/staging");
    for (index, point) in [
        "bundle.apply.between-commits",
        "bundle.apply.before-record",
        "bundle.apply.after-record",
        "commit.after-transaction",
    ]
    .into_iter()
    .enumerate()
    {
        let store = format!("s{index}");
        killed(&env, point, &format!("bundle apply 1.tar --store {store}"));
        // The next bundle is refused until this one was applied as a whole.
        let next = env.typed(&format!("bundle apply 2.tar --store {store}"));
        let expected = if point == "bundle.apply.after-record" {
            0
        } else {
            1
        };
        assert_eq!(next.code, Some(expected), "{point}: {}", next.snapshot());
        env.typed(&format!("bundle apply 1.tar --store {store}"))
            .ok();
        env.typed(&format!("bundle apply 2.tar --store {store}"))
            .ok();
        assert_eq!(bars(&env, &store), truth, "{point}");
        env.typed(&format!("verify --store {store}")).ok();
        assert_eq!(
            env.files(&format!("{store}/tmp")),
            Vec::<String>::new(),
            "{point}"
        );
    }
}
