//! A table that others write too: stores, copies of the store, other programs.

use std::collections::BTreeSet;

use serde_json::json;

use super::{actions, bars, push, store, versions};
use crate::support::TestEnv;

/// Two stores whose bars of X overlap: 300 of each are in both, ten of these with other values.
fn two_stores() -> TestEnv {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    store(&env, "b", "X", 300..900, 10);
    store(&env, "b", "X", 300..310, 20);
    store(&env, "b", "Y", 0..60, 10);
    push(&env, "t --store a");
    env
}

#[test]
fn under_fail_a_ticker_of_another_store_is_refused_and_the_others_continue() {
    let env = two_stores();
    let run = env.typed("push t --store b").code(4);
    assert!(run.stderr.contains("[X] Failed"), "{}", run.stderr);
    assert!(
        run.stderr.contains("lacks 300 of the store's bars and has other values for 10, the first at 2025-01-01T01:00:00Z"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("--on-conflict ignore adds"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("[Y] Pushed"), "{}", run.stderr);
    assert_eq!(bars(&env, "t").len(), 660);
}

#[test]
fn under_ignore_and_update_both_stores_bars_are_there_once() {
    for (mode, closes) in [("ignore", 0), ("update", 10)] {
        let env = two_stores();
        let merged = push(&env, &format!("t --store b --on-conflict {mode}"));
        assert_eq!(merged["totals"]["pushed_files"], 2, "X 2025 and Y");
        let found = bars(&env, "t");
        assert_eq!(found.len(), 960);
        assert_eq!(
            found.values().filter(|close| **close == 20.25).count(),
            closes,
            "{mode}"
        );
        let live = env.typed("push t --list").ok();
        assert_eq!(live.out().lines().count(), 3, "one file for each partition");
        // Neither store has anything new: not even under another policy.
        for (store, mode) in [
            ("a", "fail"),
            ("b", "fail"),
            ("a", "update"),
            ("b", "ignore"),
        ] {
            let again = push(&env, &format!("t --store {store} --on-conflict {mode}"));
            assert_eq!(again["version"], 1, "{store} {mode}");
        }
        assert_eq!(versions(&env, "t"), 2);
        // --full compares rows, and update then replaces what ignore left.
        push(&env, "t --store b --on-conflict update --full");
        let found = bars(&env, "t");
        assert_eq!(found.values().filter(|close| **close == 20.25).count(), 10);
    }
}

#[test]
fn equal_bars_of_another_store_are_found_once() {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    store(&env, "b", "X", 100..500, 10);
    push(&env, "t --store a");
    let first = push(&env, "t --store b");
    assert_eq!(first["totals"]["pushed_files"], 0);
    assert_eq!(first["totals"]["unchanged_files"], 2);
    let adds = actions(&env, "t", "add");
    assert_eq!(
        adds.last().unwrap()["dataChange"],
        false,
        "only the entry changes"
    );
    let noted = versions(&env, "t");
    push(&env, "t --store b");
    push(&env, "t --store a");
    assert_eq!(versions(&env, "t"), noted);
    assert_eq!(bars(&env, "t").len(), 600);
    // The first store still owns the file, and the other one finds its bars without reading it.
    store(&env, "a", "X", 600..610, 10);
    push(&env, "t --store a");
    push(&env, "t --store b");
    assert_eq!(versions(&env, "t"), noted + 1);
    assert_eq!(bars(&env, "t").len(), 610);
}

#[test]
fn a_store_is_not_taken_for_published_after_another_one_changed_the_bars() {
    let env = TestEnv::new();
    store(&env, "a", "X", 300..600, 10);
    store(&env, "b", "X", 300..500, 10);
    push(&env, "t --store a");
    push(&env, "t --store b");
    // The file is the first store's, and both stores' bars were in it.
    store(&env, "a", "X", 300..305, 20);
    push(&env, "t --store a");
    let run = env.typed("push t --store b").code(4);
    assert!(
        run.stderr.contains("has other values for 5"),
        "{}",
        run.stderr
    );
    push(&env, "t --store b --on-conflict update");
    let found = bars(&env, "t");
    assert_eq!(found.len(), 300);
    assert!(found.values().all(|close| *close == 10.25));
}

#[test]
fn a_copy_of_the_store_does_not_replace_newer_bars() {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    env.typed("seal --store a").ok();
    let copy = std::process::Command::new("cp")
        .args(["-r", "a", "old"])
        .current_dir(env.dir())
        .status();
    assert!(copy.unwrap().success());
    store(&env, "a", "X", 500..700, 30);
    push(&env, "t --store a");
    let newer = bars(&env, "t");
    for mode in ["fail", "ignore", "update"] {
        let run = env
            .typed(&format!("push t --store old --on-conflict {mode}"))
            .code(4);
        assert!(run.stderr.contains("verify --repair"), "{}", run.stderr);
    }
    assert_eq!(bars(&env, "t"), newer);
    // A copy that went another way.
    store(&env, "old", "X", 590..720, 40);
    env.typed("push t --store old --on-conflict update").code(4);
    assert_eq!(bars(&env, "t"), newer);
}

#[test]
fn series_of_another_provenance_are_refused() {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    push(&env, "t --store a");
    env.write("X.csv", super::csv(100_000..100_060, 10));
    env.typed("inject-csv X.csv --store b --exchange FOREX --interval 1")
        .ok();
    let run = env.typed("push t --store b --on-conflict update").code(3);
    assert!(
        run.stderr.contains("the table has X 1m as CRYPTO"),
        "{}",
        run.stderr
    );
}

/// Appends a commit, as another program does.
fn commit(env: &TestEnv, table: &str, lines: &[serde_json::Value]) {
    let version = versions(env, table);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    env.write(&format!("{table}/_delta_log/{version:020}.json"), text);
}

#[test]
fn files_of_other_programs_are_merged() {
    let env = two_stores();
    // Another program writes rows of the same partition to a file of its own, with odd characters in its path.
    let other = TestEnv::new();
    store(&other, "c", "X", 550..800, 10);
    push(&other, "u --store c");
    let file = other.typed("push u --list").ok().out().trim().to_owned();
    let bytes = std::fs::read(other.path(&file)).unwrap();
    env.write(
        "t/interval=1m/ticker=X/year=2025/part 0 %41.parquet",
        &bytes,
    );
    let add = json!({"add": {
        "path": "interval=1m/ticker=X/year=2025/part%200%20%2541.parquet",
        "partitionValues": {"interval": "1m", "ticker": "X", "year": "2025"},
        "size": bytes.len(), "modificationTime": 1, "dataChange": true,
    }});
    commit(&env, "t", &[add]);
    let merged = push(&env, "t --store a --on-conflict update");
    assert_eq!(merged["totals"]["pushed_files"], 1);
    assert_eq!(
        bars(&env, "t").len(),
        800,
        "bars() fails on a key that is there twice"
    );
    let files: BTreeSet<String> = env
        .typed("push t --list")
        .ok()
        .out()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(files.len(), 2);
    let noted = versions(&env, "t");
    push(&env, "t --store a");
    assert_eq!(versions(&env, "t"), noted);
}

#[test]
fn rows_that_are_twice_in_the_table_are_refused_under_fail_and_else_kept_once() {
    let env = TestEnv::new();
    store(&env, "a", "X", 300..400, 10);
    push(&env, "t --store a");
    let add = actions(&env, "t", "add").remove(0);
    let path = add["path"].as_str().unwrap();
    let copy = path.replace("bars-", "copy-");
    std::fs::copy(
        env.path(&format!("t/{path}")),
        env.path(&format!("t/{copy}")),
    )
    .unwrap();
    let mut twice = add.clone();
    twice["path"] = json!(copy);
    twice["tags"] = json!({});
    commit(&env, "t", &[json!({"add": twice})]);
    let run = env.typed("push t --store a").code(4);
    assert!(
        run.stderr
            .contains("it has 100 rows with the timestamp of another"),
        "{}",
        run.stderr
    );
    push(&env, "t --store a --on-conflict ignore");
    assert_eq!(bars(&env, "t").len(), 100);
    let removes = actions(&env, "t", "remove");
    assert_eq!(removes.len(), 2);
    assert!(removes.iter().all(|remove| remove["dataChange"] == true));
}

#[test]
fn an_emptied_table_is_filled_again_and_a_lost_file_is_found() {
    let env = two_stores();
    let removes: Vec<_> = actions(&env, "t", "add")
        .into_iter()
        .map(|add| json!({"remove": {"path": add["path"], "deletionTimestamp": 1, "dataChange": true}}))
        .collect();
    commit(&env, "t", &removes);
    assert!(bars(&env, "t").is_empty());
    push(&env, "t --store a");
    assert_eq!(bars(&env, "t").len(), 600);
    let file = env
        .typed("push t --list")
        .ok()
        .out()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    std::fs::remove_file(env.path(&file)).unwrap();
    let healed = push(&env, "t --store a --full");
    assert_eq!(healed["totals"]["pushed_files"], 1);
    assert_eq!(bars(&env, "t").len(), 600);
}

#[test]
fn tables_that_are_not_understood_are_refused_with_a_hint() {
    let env = two_stores();
    for (line, why) in [
        (
            json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7}}),
            "needs Delta reader 3",
        ),
        (
            json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 4}}),
            "writer 4",
        ),
    ] {
        commit(&env, "t", &[line]);
        let run = env.typed("push t --store a").code(1);
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert!(
            run.stderr.contains("hint: push to another URL"),
            "{}",
            run.stderr
        );
        env.typed("push t --list").code(1);
    }
    let back = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    let mut meta = actions(&env, "t", "metaData").remove(0);
    meta["partitionColumns"] = json!(["ticker"]);
    commit(&env, "t", &[back, json!({"metaData": meta})]);
    let run = env.typed("push t --store a").code(1);
    assert!(
        run.stderr.contains("it is partitioned by ticker"),
        "{}",
        run.stderr
    );
    env.write(
        &format!("t/_delta_log/{:020}.json", versions(&env, "t")),
        "{\"add\":",
    );
    let run = env.typed("push t --store a").code(1);
    assert!(
        run.stderr.contains("can't be read: line 1"),
        "{}",
        run.stderr
    );
}
