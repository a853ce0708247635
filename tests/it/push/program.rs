//! The program and one store.

use std::fs::File;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{actions, bars, csv, push, store, versions};
use crate::support::TestEnv;

#[test]
fn a_push_publishes_what_is_new_and_nothing_else() {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    let run = env.typed("push t --store a").ok();
    assert!(run.stderr.contains("[X] Pushed in "), "{}", run.stderr);
    assert!(run.stderr.contains("(files=2 bytes="), "{}", run.stderr);
    assert!(run.stderr.contains(" unchanged=0)"), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("Summary: tickers=1 files=2 unchanged=0 version=0 elapsed="),
        "{}",
        run.stderr
    );
    assert_eq!(bars(&env, "t").len(), 600);

    let again = push(&env, "t --store a");
    assert_eq!(again["totals"]["unchanged_files"], 2);
    assert_eq!(again["version"], 0);
    assert_eq!(again["target"], "t");
    assert_eq!(versions(&env, "t"), 1, "nothing new makes no version");

    store(&env, "a", "X", 590..700, 20);
    let third = push(&env, "t --store a");
    assert_eq!(third["totals"]["pushed_files"], 1);
    assert_eq!(third["version"], 1);
    let found = bars(&env, "t");
    assert_eq!(found.len(), 700);
    assert_eq!(found.values().filter(|close| **close == 20.25).count(), 110);
    assert_eq!(actions(&env, "t", "remove").len(), 1);

    let status = env.typed("status --store a --format json").ok().json();
    assert!(status.to_string().contains("delta t"), "{status}");
    store(&env, "a", "X", 700..707, 20);
    let status = env.typed("status --store a").ok();
    assert!(status.out().contains("delta t"), "{}", status.out());
}

#[test]
fn paths_of_odd_tickers_are_encoded_once() {
    let env = TestEnv::new();
    for ticker in ["BRK/B", "^VIX", "ES=F", "NULL"] {
        env.write("x.csv", csv(0..10, 10));
        let line = [
            "inject-csv",
            "x.csv",
            "--ticker",
            ticker,
            "--exchange",
            "CRYPTO",
        ];
        env.run([&line[..], &["--interval", "1", "--store", "a"]].concat())
            .ok();
    }
    push(&env, "t --store a");
    assert_eq!(bars(&env, "t").len(), 40);
    let adds = actions(&env, "t", "add");
    let path = adds
        .iter()
        .find(|add| add["partitionValues"]["ticker"] == "BRK/B");
    let path = path.unwrap()["path"].as_str().unwrap();
    assert!(
        path.starts_with("interval=1m/ticker=BRK%252FB/year=2024/bars-"),
        "{path}"
    );
    push(&env, "t --store a");
    assert_eq!(versions(&env, "t"), 1);
}

#[test]
fn every_tenth_version_has_a_checkpoint_that_is_read() {
    let env = TestEnv::new();
    for round in 0..12 {
        store(&env, "a", "X", 0..600, 10 + round);
        push(&env, "t --store a");
    }
    assert!(
        env.path("t/_delta_log/00000000000000000010.checkpoint.parquet")
            .exists()
    );
    assert!(
        env.read("t/_delta_log/_last_checkpoint")
            .contains("\"version\":10")
    );
    let before = bars(&env, "t");
    for version in 0..10 {
        let name = format!("t/_delta_log/{version:020}.json");
        std::fs::remove_file(env.path(&name)).unwrap();
    }
    assert_eq!(bars(&env, "t"), before);
    // Without the name of the checkpoint the log is listed.
    std::fs::remove_file(env.path("t/_delta_log/_last_checkpoint")).unwrap();
    assert_eq!(bars(&env, "t"), before);
    let again = push(&env, "t --store a");
    assert_eq!(
        (&again["version"], &again["totals"]["pushed_files"]),
        (&11.into(), &0.into())
    );
    std::fs::remove_file(env.path("t/_delta_log/00000000000000000010.checkpoint.parquet")).unwrap();
    let lost = env.typed("push t --store a").code(1);
    assert!(
        lost.stderr.contains("its log lacks version 0"),
        "{}",
        lost.stderr
    );
}

#[test]
fn a_dry_run_and_a_list_write_nothing() {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    let run = env.typed("push t --store a --dry-run").ok();
    assert!(!env.path("t").exists());
    assert!(
        run.stderr.contains("hot=600"),
        "hot bars are not sealed: {}",
        run.stderr
    );
    std::fs::create_dir(env.path("empty")).unwrap();
    for target in ["t", "empty"] {
        let missing = env.typed(&format!("push {target} --list")).code(1);
        let error = format!("there is no table at {target}");
        assert!(missing.stderr.contains(&error), "{}", missing.stderr);
    }
    assert!(!env.path("t").exists());
    let left = env.typed("push t --store a --sealed-only").ok();
    assert!(left.stderr.contains("hot=600"), "{}", left.stderr);
    push(&env, "t --store a");
    store(&env, "a", "X", 0..600, 11);
    env.typed("seal --store a").ok();
    let dry = push(&env, "t --store a --dry-run");
    assert_eq!(dry["totals"]["pushed_files"], 2);
    assert_eq!(versions(&env, "t"), 1);
}

#[test]
fn check_tries_the_table_and_leaves_it_as_it_is() {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    let table = |code| {
        // Without a server the provider can't be reached: only the table's line is compared.
        let args = ["check", "--provider", "demo", "--push", "t"];
        let run = env.program(args).run().code(code);
        let line = run.out().lines().find(|line| line.starts_with("table"));
        line.unwrap().to_owned()
    };
    let none = "table     none    t has no table yet; the first push makes it";
    assert_eq!(table(0), none);
    assert!(!env.path("t").exists(), "the folder isn't made");
    env.typed("push t --store a").ok();
    let before = env.files("t");
    assert_eq!(
        table(0),
        "table     ok      t takes commits: version 0, 2 files"
    );
    assert_eq!(env.files("t"), before);

    let log = "t/_delta_log/00000000000000000001.json";
    env.write(
        log,
        r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7}}"#,
    );
    let refused = table(1);
    assert!(refused.starts_with("table     failed"), "{refused}");
    assert!(refused.contains("Delta reader 3"), "{refused}");
    let useless = env.typed("check --region eu-central-1").code(2);
    assert!(
        useless.stderr.contains("without --push"),
        "{}",
        useless.stderr
    );
}

#[test]
fn a_damaged_partition_is_not_published() {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    store(&env, "a", "Y", 0..60, 10);
    env.typed("seal --store a").ok();
    let files = env.files("a/lake");
    let damaged = files
        .iter()
        .find(|file| file.contains("ticker=X/year=2025"))
        .unwrap();
    let path = env.path(damaged);
    let mut bytes = std::fs::read(&path).unwrap();
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
    let run = env.typed("push t --store a").code(3);
    assert!(run.stderr.contains("fail their checksum"), "{}", run.stderr);
    assert!(run.stderr.contains("[Y] Pushed"), "{}", run.stderr);
    assert_eq!(bars(&env, "t").len(), 60);
}

#[test]
fn demo_bars_and_folders_with_other_files_are_refused() {
    let env = TestEnv::new();
    env.typed(
        "specific --provider demo --tickers AAPL --start 2025-03-03 --end 2025-03-03 --store d",
    )
    .ok();
    let run = env.typed("push t --store d").code(1);
    assert!(run.stderr.contains("--allow-demo"), "{}", run.stderr);
    push(&env, "t --store d --allow-demo");
    store(&env, "a", "X", 0..60, 10);
    env.write("full/notes.txt", "mine");
    let run = env.typed("push full --store a").code(1);
    assert!(
        run.stderr.contains("isn't a Delta table, as notes.txt"),
        "{}",
        run.stderr
    );
    assert_eq!(env.files("full"), ["full/notes.txt"]);
    let run = env.typed("push a/lake --store a").code(2);
    assert!(run.stderr.contains("inside"), "{}", run.stderr);
    for url in ["s3:///x", "https://host/x", "s3://me:hunter2@b/x"] {
        let run = env.typed(&format!("push {url} --store a")).code(2);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
}

#[test]
fn a_clean_up_deletes_what_no_version_needs() {
    let env = TestEnv::new();
    for price in 0..3 {
        store(&env, "a", "X", 0..600, 10 + price);
        push(&env, "t --store a");
    }
    env.write(
        "t/interval=1m/ticker=X/year=2025/bars-young.parquet",
        "not committed yet",
    );
    let data = |env: &TestEnv| {
        let files = env.files("t");
        files
            .iter()
            .filter(|file| file.ends_with(".parquet"))
            .count()
    };
    assert_eq!(data(&env), 7);
    let kept = env.typed("push t --store a --vacuum").ok();
    assert!(
        kept.stderr.contains("vacuum: deleted files=0"),
        "{}",
        kept.stderr
    );
    let dry = env.typed("push t --store a --vacuum=0 --dry-run").ok();
    assert!(
        dry.stderr.contains("vacuum: would delete files=4"),
        "{}",
        dry.stderr
    );
    assert_eq!(data(&env), 7);
    env.typed("push t --store a --vacuum=0").ok();
    assert_eq!(
        data(&env),
        3,
        "an upload of today may belong to another push"
    );
    assert_eq!(bars(&env, "t").len(), 600);
}

#[test]
fn a_clean_up_that_fails_keeps_the_report_of_the_push() {
    let env = TestEnv::new();
    store(&env, "a", "X", 0..600, 10);
    // There is no table to clean yet.
    env.typed("push t --store a --vacuum --dry-run").ok();
    for rows in 0..11 {
        store(&env, "a", "X", rows..rows + 1, 11);
        push(&env, "t --store a");
    }
    // The clean-up reads it, and the push begins after the checkpoint.
    env.write("t/_delta_log/00000000000000000003.json", "{");
    let run = env
        .typed("push t --store a --vacuum --summary-json")
        .code(1);
    assert!(
        run.stderr.contains("00000000000000000003.json"),
        "{}",
        run.stderr
    );
    let json = run.json();
    assert_eq!(json["version"], 10);
    assert_eq!(json["totals"]["unchanged_files"], 2);
}

/// Sets the time of a file to N days ago.
fn make_older(env: &TestEnv, name: &str, days: u64) {
    let file = File::options().write(true).open(env.path(name)).unwrap();
    let time = SystemTime::now() - Duration::from_secs(days * 86_400);
    file.set_modified(time).unwrap();
}

#[test]
fn a_clean_up_deletes_unfinished_files_and_the_old_log() {
    let env = TestEnv::new();
    for round in 0..12 {
        store(&env, "a", "X", 300..310, 10 + round);
        push(&env, "t --store a");
    }
    for name in env.files("t/_delta_log") {
        make_older(&env, &name, 31);
    }
    let folder = "t/interval=1m/ticker=X/year=2025";
    let old = [
        format!("{folder}/bars-a.parquet#1"),
        "t/_delta_log/00000000000000000003.json#2".to_owned(),
    ];
    let kept = [
        format!("{folder}/bars-b.parquet#1"),
        format!("{folder}/notes#1"),
        format!("{folder}/bars-a.parquet#x"),
    ];
    for name in old.iter().chain(&kept) {
        env.write(name, "cut o");
    }
    for name in old.iter().chain(&kept[1..]) {
        make_older(&env, name, 2);
    }
    store(&env, "a", "X", 300..310, 50);
    let dry = env.typed("push t --store a --vacuum --dry-run").ok();
    let counts = "files=2 bytes=10 hours=168 log_files=10";
    let line = format!("vacuum: would delete {counts}");
    assert!(dry.stderr.contains(&line), "{}", dry.stderr);
    let run = env.typed("push t --store a --vacuum").ok();
    let line = format!("vacuum: deleted {counts}");
    assert!(run.stderr.contains(&line), "{}", run.stderr);
    assert!(old.iter().all(|name| !env.path(name).exists()));
    assert!(kept.iter().all(|name| env.path(name).exists()));
    // Versions from the checkpoint on are kept.
    assert_eq!(versions(&env, "t"), 3);
    let found = bars(&env, "t");
    assert!(found.len() == 10 && found.values().all(|close| *close == 50.25));
    let again = push(&env, "t --store a");
    assert_eq!(again["version"], 12);
}

#[test]
fn a_table_with_a_rule_for_its_log_keeps_the_log() {
    let env = TestEnv::new();
    for round in 0..11 {
        store(&env, "a", "X", 300..310, 10 + round);
        push(&env, "t --store a");
    }
    let mut metadata = actions(&env, "t", "metaData").remove(0);
    metadata["configuration"] = json!({"delta.logRetentionDuration": "interval 1 years"});
    let line = format!("{}\n", json!({ "metaData": metadata }));
    env.write("t/_delta_log/00000000000000000011.json", line);
    for name in env.files("t/_delta_log") {
        make_older(&env, &name, 31);
    }
    let run = env.typed("push t --store a --vacuum").ok();
    assert!(run.stderr.contains("log_files=0"), "{}", run.stderr);
    assert_eq!(versions(&env, "t"), 12);
}

#[test]
fn a_run_pushes_at_its_end() {
    let env = TestEnv::new();
    env.write("X.csv", csv(0..600, 10));
    let line = "inject-csv X.csv --exchange CRYPTO --interval 1 --store a --push t";
    let run = env.typed(line).ok();
    assert!(run.stderr.contains("[X] Pushed in "), "{}", run.stderr);
    assert_eq!(bars(&env, "t").len(), 600);
    env.write("full/notes.txt", "mine");
    env.write("X.csv", csv(0..700, 10));
    let failed = env.typed(&line.replace("--push t", "--push full --on-conflict ignore"));
    let failed = failed.code(1);
    assert!(
        failed.stderr.contains("were not pushed"),
        "{}",
        failed.stderr
    );
    let demo = "specific --provider demo --tickers A --start 2025-03-03 --end 2025-03-03 --push t";
    env.typed(demo).code(2);
}
