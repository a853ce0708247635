//! The program ended at each point of bundles, in turn: a bundle is there whole or not at all, and a store has what was
//! committed; the same command again ends well.

use super::{bars, dump, stage};
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
fn a_bundle_is_whole_or_not_there() {
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
        // Over an older file, which stays whatever happens before the rename.
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
fn an_apply_converges() {
    let env = TestEnv::new();
    // More partitions than go into one commit: 260 tickers of a few bars.
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
    dump(&env, "A", 0..600, 10);
    env.typed("inject-csv A.csv --exchange CRYPTO").ok();
    env.typed("bundle create 2.tar --since 1.tar").ok();
    let truth = bars(&env, "data/staging");
    for (place, point) in [
        "bundle.apply.between-commits",
        "bundle.apply.before-record",
        "bundle.apply.after-record",
        "commit.after-transaction",
    ]
    .into_iter()
    .enumerate()
    {
        let store = format!("s{place}");
        killed(&env, point, &format!("bundle apply 1.tar --store {store}"));
        // What goes on from it is refused until all of it was applied.
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
