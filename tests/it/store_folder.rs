//! The folder of a store, its name and its contents: every command reads the store's own bars, or
//! reports what is wrong.

use std::fs;
use std::path::Path;

use crate::support::{Database, Run, TestEnv};

const COUNT: &str = "select ticker, source, max(close) as close, count(*) as bars from bars group by all order by all";

fn write_csv(env: &TestEnv, name: &str, minutes: std::ops::Range<u32>) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    for minute in minutes {
        let (hour, minute) = (14 + (30 + minute) / 60, (30 + minute) % 60);
        text += &format!("2025-01-02T{hour:02}:{minute:02}:00Z,10,11,9,10.5,100\n");
    }
    env.write(name, text);
}

fn on(env: &TestEnv, store: &str, words: &[&str]) -> Run {
    env.run(["--store", store].iter().chain(words))
}

/// Stages `csv/AAA.csv` in a store, and seals.
fn staged(env: &TestEnv, store: &str) {
    on(env, store, &["inject-csv", "csv/AAA.csv"]).ok();
    on(env, store, &["seal"]).ok();
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else if from.exists() {
        fs::copy(from, to).unwrap();
    }
}

#[track_caller]
fn says(run: Run, code: i32, parts: &[&str]) {
    let run = run.code(code);
    for part in parts {
        assert!(run.stderr.contains(part), "{part:?}\n{}", run.snapshot());
    }
}

#[test]
fn folder_names_above_the_store_change_no_column() {
    let env = TestEnv::new();
    write_csv(&env, "csv/AAA.csv", 0..80);
    // The names below would match this store if they were patterns.
    staged(&env, "abc/store");
    for above in [
        "source=fmp",
        "ticker=ZZZ",
        "close=5",
        "year=1999",
        "a[b]c",
        "a*c",
        "a]c",
        "a\\c",
        "a'c",
        "a%41c",
        "~",
        "s3:",
    ] {
        let store = format!("{above}/store");
        staged(&env, &store);
        let result = on(&env, &store, &["query", COUNT, "--format", "csv"]).ok();
        assert_eq!(
            result.out(),
            "ticker,source,close,bars\nAAA,csv,10.5,80\n",
            "{above}"
        );
    }
    for command in [&["inject-csv", "csv/AAA.csv"][..], &["status"], &["verify"]] {
        let parts = ["a?c/store can't hold a store", "question mark", "hint: "];
        says(on(&env, "a?c/store", command), 1, &parts);
    }
}

/// The commands that read.
const READERS: [&[&str]; 8] = [
    &["status"],
    &["query", "select 1"],
    &["query", "select count(*) from bars"],
    &["export", "--to", "-"],
    &["gaps"],
    &["conflicts"],
    &["bundle", "create", "out.tar"],
    &["seal"],
];

#[test]
fn a_copy_made_during_a_seal_is_refused() {
    for catalog_first in [true, false] {
        let env = TestEnv::new();
        let db = Database::new();
        let url = db.url();
        let sync = ["sync", "--create-table", "--database-url", &url];
        write_csv(&env, "csv/AAA.csv", 0..80);
        staged(&env, "store");
        on(&env, "store", &sync).ok();
        let progress = || db.sql("select base_seq, pass_seq, through_ts from backfill_sync");
        let before = progress();
        write_csv(&env, "csv/AAA.csv", 80..120);
        let inject = ["inject-csv", "csv/AAA.csv", "--seal", "never"];
        on(&env, "store", &inject).ok();
        copy(&env.path("store"), &env.path("before"));
        on(&env, "store", &["seal"]).ok();
        let (catalog, lake) = match catalog_first {
            true => ("before", "store"),
            false => ("store", "before"),
        };
        for name in ["staging.duckdb", "staging.duckdb.wal", "store.lock", "lake"] {
            let from = if name == "lake" { lake } else { catalog };
            fs::create_dir_all(env.path("copy")).unwrap();
            copy(&env.path(from).join(name), &env.path("copy").join(name));
        }
        let parts = [
            "error: the store in copy is damaged: partition AAA 1m 2025",
            "hint: `backfill verify --repair`",
        ];
        for command in READERS.into_iter().chain([&sync[..]]) {
            says(on(&env, "copy", command), 1, &parts);
        }
        assert_eq!(progress(), before);
        let verified = on(&env, "copy", &["verify"]).code(1);
        assert!(verified.out().contains("damage: partition AAA 1m 2025"));
        // After a repair both tiers can be read, and all bars sync.
        on(&env, "copy", &["verify", "--repair"]).ok();
        let bars = if catalog_first { "120" } else { "80" };
        let result = on(
            &env,
            "copy",
            &["query", "select count(*) as n from bars", "--format", "csv"],
        );
        assert_eq!(result.ok().out(), format!("n\n{bars}\n"));
        on(&env, "copy", &sync).ok();
        assert_eq!(db.sql("select count(*) from market_data"), bars);
        // The store itself and a complete copy are readable.
        copy(&env.path("store"), &env.path("whole"));
        for store in ["store", "whole"] {
            let result = on(
                &env,
                store,
                &["query", "select count(*) as n from bars", "--format", "csv"],
            );
            assert_eq!(result.ok().out(), "n\n120\n");
        }
    }
}

/// A repair keeps the partitions in the catalog, and moves copies of them and partitions of another
/// store to quarantine: footers have neither ticker nor interval.
#[test]
fn a_repair_adopts_no_copied_partition() {
    let env = TestEnv::new();
    write_csv(&env, "csv/AAA.csv", 0..80);
    staged(&env, "store");
    write_csv(&env, "csv/AAA.csv", 80..120);
    staged(&env, "other");
    let before = on(&env, "store", &["export", "--to", "-"]).ok().stdout;
    let of_aaa = env.path("store/lake/interval=1m/ticker=AAA");
    copy(&of_aaa, &of_aaa.with_file_name("ticker=ZED"));
    copy(&of_aaa, &env.path("store/lake/interval=5m/ticker=AAA"));
    copy(
        &env.path("other/lake/interval=1m/ticker=AAA"),
        &of_aaa.with_file_name("ticker=OTHER"),
    );
    let repaired = on(&env, "store", &["verify", "--repair"]);
    assert_eq!(
        env.files("store/quarantine").len(),
        3,
        "{}",
        repaired.snapshot()
    );
    on(&env, "store", &["verify"]).ok();
    assert_eq!(
        on(&env, "store", &["export", "--to", "-"]).ok().stdout,
        before
    );

    // Without a catalog the original isn't known: both stay and are named.
    copy(&of_aaa, &of_aaa.with_file_name("ticker=ZED"));
    std::fs::remove_file(env.path("store/staging.duckdb")).unwrap();
    let repaired = on(&env, "store", &["verify", "--repair"]);
    let output = format!("{}{}", repaired.out(), repaired.stderr);
    assert!(
        output.contains("they hold the same bars of one commit"),
        "{}",
        repaired.snapshot()
    );
}

#[test]
fn unlisted_files_in_the_lake_are_named_and_not_read() {
    let env = TestEnv::new();
    write_csv(&env, "csv/AAA.csv", 0..80);
    staged(&env, "store");
    let before = on(&env, "store", &["export", "--to", "-"]).ok().stdout;
    let of_aaa = env.path("store/lake/interval=1m/ticker=AAA");
    copy(&of_aaa, &of_aaa.with_file_name("ticker=AAA.bak"));
    env.write("store/lake/.x.parquet", "");
    for command in READERS {
        let run = on(&env, "store", command);
        says(
            run,
            0,
            &[
                "warning: 2 files in store/lake aren't partitions of this store and aren't read; the first is store/lake/.x.parquet",
            ],
        );
    }
    let result = on(&env, "store", &["query", COUNT, "--format", "csv"]).ok();
    assert_eq!(result.out(), "ticker,source,close,bars\nAAA,csv,10.5,80\n");
    assert_eq!(
        on(&env, "store", &["export", "--to", "-"]).ok().stdout,
        before
    );
    let verified = on(&env, "store", &["verify"]).code(1);
    assert!(
        verified.out().contains("differences=2"),
        "{}",
        verified.snapshot()
    );

    // A file at a partition's path that isn't in the catalog.
    copy(&of_aaa, &of_aaa.with_file_name("ticker=ZZZ"));
    for command in READERS {
        let parts = ["partition ZZZ 1m 2025", "hint: `backfill verify --repair`"];
        says(on(&env, "store", command), 1, &parts);
    }
}

#[test]
fn a_ticker_named_like_a_missing_value_stays_a_ticker() {
    let env = TestEnv::new();
    for ticker in ["__HIVE_DEFAULT_PARTITION__", "NULL", "NAN", "TRUE", "CON"] {
        write_csv(&env, "one.csv", 0..80);
        on(
            &env,
            "store",
            &["inject-csv", "one.csv", "--ticker", ticker],
        )
        .ok();
    }
    on(&env, "store", &["seal"]).ok();
    let sql = "select ticker, count(*) as bars from bars where ticker is not null group by all order by all";
    assert_eq!(
        on(&env, "store", &["query", sql, "--format", "csv"])
            .ok()
            .out(),
        "ticker,bars\nCON,80\nNAN,80\nNULL,80\nTRUE,80\n__HIVE_DEFAULT_PARTITION__,80\n"
    );
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let count: i64 = connection
        .query_row(
            &format!(
                "select count(distinct ticker) from read_parquet('{}/*/*/*/bars.parquet', hive_partitioning = true) where ticker is not null",
                env.path("store/lake").display()
            ),
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(count, 5);
}

#[test]
fn a_file_in_place_of_a_store_is_named_by_every_command() {
    let env = TestEnv::new();
    write_csv(&env, "csv/AAA.csv", 0..80);
    env.write("file", "not a store");
    let writers: [&[&str]; 5] = [
        &["inject-csv", "csv/AAA.csv"],
        &["verify"],
        &["verify", "--repair"],
        &["drop", "--tickers", "A", "--yes"],
        &["sync", "--database-url", "postgres://u@127.0.0.1:1/d"],
    ];
    for command in READERS.into_iter().chain(writers) {
        let parts = ["error: file isn't a folder", "hint: --store names"];
        says(on(&env, "file", command), 1, &parts);
    }
}
