//! The program is killed at each of its crash points: readers see the table before or after the commit, and
//! the same command again ends in each bar once.

use super::{Bars, bars, push, store};
use crate::support::TestEnv;

/// A table with `versions` versions, and a store with more bars than it.
fn before(versions: u32) -> TestEnv {
    let env = TestEnv::new();
    for round in 0..versions {
        store(&env, "a", "X", 0..600, 10 + round);
        push(&env, "t --store a");
    }
    store(&env, "a", "X", 500..800, 50);
    store(&env, "a", "Y", 0..60, 10);
    env
}

/// Kills `line` at `point`. The table then has the bars of before or after; then runs it again.
fn killed_at(point: &str, versions: u32, line: &str) {
    let env = before(versions);
    let table = |env: &TestEnv| match env.path("t/_delta_log").exists() {
        true => bars(env, "t"),
        false => Bars::new(),
    };
    let old = table(&env);
    let program = env.program(line.split_whitespace());
    let killed = program.env("BACKFILL_CRASH", point).run();
    assert_eq!(
        killed.code,
        None,
        "{point} is not reached: {}",
        killed.snapshot()
    );
    let found = table(&env);
    env.typed(line).ok();
    let new = bars(&env, "t");
    let rows = if versions == 0 { 300 + 60 } else { 800 + 60 };
    assert_eq!(new.len(), rows, "{point}");
    assert!(found == old || found == new, "{point}");
    let again = push(&env, "t --store a");
    assert_eq!(again["totals"]["pushed_files"], 0, "{point}");
}

#[test]
fn a_first_push_and_a_later_one() {
    for point in [
        "push.after-seal",
        "push.after-upload",
        "push.after-upload@2",
        "push.before-commit",
        "push.after-commit",
    ] {
        killed_at(point, 0, "push t --store a");
        killed_at(point, 2, "push t --store a");
    }
}

#[test]
fn a_checkpoint_and_a_clean_up() {
    let point = "push.between-checkpoint-and-its-name";
    killed_at(point, 10, "push t --store a");
    killed_at("push.between-deletes", 2, "push t --store a --vacuum=0");
}
