//! The program with a real store and a real Postgres, also when it is killed.

use std::time::Duration;

use backfill::model::{Bars, Interval, OnConflict, Source};
use backfill::store::{OpenOptions, Store};

use super::memory::{Memory, bar, restated, settings, sync_ok, table};
use crate::support::{Database, TestEnv, offer};

fn stage(env: &TestEnv, interval: Interval, ticker: &str, bars: Bars, source: Source) {
    let store = Store::open(&env.path("data/staging"), &OpenOptions::default()).unwrap();
    let at = super::memory::bar(0).timestamp;
    let run = store.begin_run("inject-csv", at).unwrap();
    let offer = offer(ticker, interval, source, bars, OnConflict::Update);
    store.commit(&run, vec![offer]).unwrap().remove(0).unwrap();
    store.finish_run(&run, at, "ok", "{}").unwrap();
}

pub(super) fn stage_csv(env: &TestEnv, ticker: &str, bars: Bars) {
    stage(env, Interval::M1, ticker, bars, Source::csv());
}

/// Some bars hot, some sealed, some restated since.
fn store(env: &TestEnv) -> Memory {
    stage_csv(env, "AAPL", (0..30_000).map(bar).collect());
    stage_csv(env, "AAPL", (29_990..30_100).map(restated).collect());
    stage_csv(env, "MSFT", (0..100).map(bar).collect());
    let mut memory = Memory::new();
    memory.commit(
        "AAPL",
        (0..29_990).map(bar).chain((29_990..30_100).map(restated)),
    );
    memory.commit("MSFT", (0..100).map(bar));
    memory
}

fn sync(env: &TestEnv, db: &Database, more: &str) -> crate::support::Run {
    env.program(format!("sync {more}").split_whitespace())
        .env("DATABASE_URL", db.url())
        .run()
}

#[test]
fn every_staged_bar_arrives_and_a_second_sync_has_nothing_to_do() {
    let (env, db) = (TestEnv::new(), Database::new());
    let memory = store(&env);
    let first = sync(
        &env,
        &db,
        "--create-table --summary-json --receipt checksum",
    )
    .ok();
    assert_eq!(table(&db, "market_data"), memory.table());
    assert!(
        first.stderr.contains("(ins=30100 skip=0)"),
        "{}",
        first.stderr
    );
    assert!(
        first.stderr.contains("[AAPL] Synced in "),
        "{}",
        first.stderr
    );
    assert!(
        first
            .stderr
            .contains("Summary: tickers=2 inserted=30200 skipped=0 elapsed="),
        "{}",
        first.stderr
    );
    let summary = first.json();
    assert_eq!(summary["command"], "sync");
    assert_eq!(
        summary["target"],
        db.url().replace("postgres://", "postgresql://")
    );
    assert_eq!(summary["totals"]["committed"], 30_200);
    assert_eq!(summary["tickers"][1]["ticker"], "MSFT");
    let again = sync(&env, &db, "").ok();
    assert!(
        again.stderr.contains("inserted=0 skipped=0"),
        "{}",
        again.stderr
    );
    // `status` shows the target's progress without a connection.
    stage_csv(&env, "MSFT", (100..107).map(bar).collect());
    let status = env.typed("status").ok();
    assert!(
        status.out().contains("7 rows unsynced in postgresql://"),
        "{}",
        status.out()
    );
    sync(&env, &db, "").ok();
    assert!(env.typed("status").ok().out().contains("0 rows unsynced"));
}

#[test]
fn the_next_sync_completes_what_a_killed_one_left() {
    let (env, db) = (TestEnv::new(), Database::new());
    let memory = store(&env);
    let mut kills = 0;
    for round in 0.. {
        let running = env
            .program("sync --create-table --chunk-rows 20 --threads 2".split_whitespace())
            .env("DATABASE_URL", db.url())
            .spawn();
        // Later in each round. 1,500 chunks take longer than that on any machine.
        std::thread::sleep(Duration::from_millis(60 + 30 * round));
        let run = running.kill();
        if run.code.is_some() {
            break;
        }
        kills += 1;
        // Every row in the table is right.
        let exists = db.sql("SELECT to_regclass('market_data') IS NOT NULL") == "t";
        if exists {
            let all = memory.table();
            let all: std::collections::HashSet<_> = all.lines().collect();
            let held = table(&db, "market_data");
            assert!(held.lines().all(|line| all.contains(line)));
        }
        assert!(round < 200, "never done");
    }
    assert!(kills > 2, "{kills} kills");
    sync(&env, &db, "--create-table").ok();
    assert_eq!(table(&db, "market_data"), memory.table());
    let again = sync(&env, &db, "").ok();
    assert!(
        again.stderr.contains("inserted=0 skipped=0"),
        "{}",
        again.stderr
    );
}

#[test]
fn ctrl_c_stops_between_chunks_and_the_next_run_continues() {
    let (env, db) = (TestEnv::new(), Database::new());
    let memory = store(&env);
    let running = env
        .program("sync --create-table --chunk-rows 20".split_whitespace())
        .env("DATABASE_URL", db.url())
        .spawn();
    let begun = || {
        let found = db.psql("SELECT count(*) > 500 FROM market_data").stdout;
        found.starts_with(b"t")
    };
    for _ in 0..3000 {
        if begun() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    running.signal("INT");
    running.wait().code(130);
    let held: u64 = db.sql("SELECT count(*) FROM market_data").parse().unwrap();
    assert!(held < memory.rows());
    let rest = sync(&env, &db, "--summary-json").ok().json();
    assert_eq!(rest["totals"]["committed"], memory.rows() - held);
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn codes_are_those_of_the_contract() {
    let (env, db) = (TestEnv::new(), Database::new());
    env.typed("sync").code(2);
    sync(&env, &db, "").code(1); // no store yet
    stage_csv(&env, "AAPL", (0..10).map(bar).collect());
    let missing = sync(&env, &db, "").code(1);
    assert!(
        missing
            .stderr
            .contains("error: table market_data does not exist"),
        "{}",
        missing.stderr
    );
    assert!(
        missing
            .stderr
            .contains("hint: --create-table creates it, or: CREATE TABLE"),
        "{}",
        missing.stderr
    );
    sync(&env, &db, "--on-conflict replace").code(2);
    sync(&env, &db, "--start 020125 --end 010125").code(2);
    stage(
        &env,
        Interval::M5,
        "AAPL",
        (0..10).map(|n| bar(5 * n)).collect(),
        Source::csv(),
    );
    sync(&env, &db, "--table bars --create-table").code(2);
    sync(&env, &db, "--create-table").ok();
    assert_eq!(
        db.sql("SELECT (SELECT count(*) FROM market_data), (SELECT count(*) FROM market_data_5m)"),
        "10|10"
    );
    db.sql("UPDATE market_data SET close = close + 0.25 WHERE volume = 1003");
    let conflict = sync(&env, &db, "--full --interval 1").code(4);
    assert!(
        conflict
            .stderr
            .contains("1 of 10 rows have other values in public.market_data"),
        "{}",
        conflict.stderr
    );
    let ignored = sync(&env, &db, "--full --interval 1 --on-conflict ignore").ok();
    assert!(
        ignored.stderr.contains("(ins=0 skip=10 restated=1)"),
        "{}",
        ignored.stderr
    );
    let dry = sync(
        &env,
        &db,
        "--full --dry-run --interval 1 --tickers AAPL,ZZZ --on-conflict ignore",
    )
    .ok();
    assert!(
        dry.stderr.contains("[AAPL] Prepared in") && dry.stderr.contains("[ZZZ] No data"),
        "{}",
        dry.stderr
    );
    env.program([
        "sync",
        "--database-url",
        "postgres://me:hunter2@127.0.0.1:1/x",
    ])
    .run()
    .code(1);
}

#[test]
fn no_output_holds_the_password() {
    let (env, db) = (TestEnv::new(), Database::new());
    stage_csv(&env, "AAPL", (0..10).map(bar).collect());
    for url in [
        db.url().replace("postgres@", "postgres:hunter2@"),
        "postgres://me:hunter2@127.0.0.1:1/x".into(),
        "postgres//me:hunter2@127.0.0.1:1/x".into(),
    ] {
        let run = env
            .program("sync --create-table --log-level debug --summary-json".split_whitespace())
            .env("DATABASE_URL", &url)
            .run();
        let all = format!("{}{}", run.out(), run.stderr);
        assert!(!all.contains("hunter2"), "{all}");
    }
    assert!(!env.typed("status").ok().out().contains("hunter2"));
}

#[test]
fn demo_bars_are_refused_unless_allowed() {
    let (env, db) = (TestEnv::new(), Database::new());
    stage(
        &env,
        Interval::M1,
        "AAPL",
        (0..10).map(bar).collect(),
        Source::demo(),
    );
    let refused = sync(&env, &db, "--create-table").code(1);
    assert!(
        refused.stderr.contains("hint: --allow-demo"),
        "{}",
        refused.stderr
    );
    sync(&env, &db, "--create-table --allow-demo").ok();
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "10");
    let pushed = env
        .program(
            "specific --provider demo --sync --start 2025-01-02 --end 2025-01-02 --tickers AAPL"
                .split_whitespace(),
        )
        .env("DATABASE_URL", db.url())
        .run();
    pushed.code(2);
}

#[test]
fn a_store_in_use_by_a_writer_is_synced_from_its_snapshot() {
    let (env, db) = (TestEnv::new(), Database::new());
    stage_csv(&env, "AAPL", (0..10).map(bar).collect());
    let writer = Store::open(&env.path("data/staging"), &OpenOptions::default()).unwrap();
    let synced = sync(&env, &db, "--create-table").ok();
    let note = format!("note: process {} is writing", std::process::id());
    assert!(synced.stderr.contains(&note), "{}", synced.stderr);
    drop(writer);
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "10");
    assert!(sync(&env, &db, "").ok().stderr.contains("inserted=0"));
}

#[test]
fn two_programs_sync_one_store_at_the_same_time() {
    let (env, db) = (TestEnv::new(), Database::new());
    let memory = store(&env);
    let spawn = || {
        env.program("sync --create-table --chunk-rows 500".split_whitespace())
            .env("DATABASE_URL", db.url())
            .spawn()
    };
    let runs = [spawn(), spawn(), spawn()];
    for run in runs {
        run.wait().ok();
    }
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn a_sealed_store_and_its_copy_are_distinguished() {
    let (env, db) = (TestEnv::new(), Database::new());
    stage_csv(&env, "AAPL", (0..200).map(bar).collect());
    env.typed("seal").ok();
    sync(&env, &db, "--create-table").ok();
    let copied = std::process::Command::new("cp")
        .args(["-r", "data", "copy"])
        .current_dir(env.dir())
        .status();
    assert!(copied.unwrap().success());
    stage_csv(&env, "AAPL", (200..210).map(bar).collect());
    sync(&env, &db, "").ok();
    // The copy has the same number of commits, but other ones.
    std::fs::rename(env.path("data"), env.path("original")).unwrap();
    std::fs::rename(env.path("copy"), env.path("data")).unwrap();
    stage_csv(&env, "AAPL", (210..220).map(bar).collect());
    let summary = sync(&env, &db, "--summary-json").ok().json();
    assert_eq!(summary["totals"]["committed"], 10);
    assert_eq!(summary["totals"]["skipped_identical"], 200);
    let mut both = Memory::new();
    both.commit("AAPL", (0..220).map(bar));
    assert_eq!(table(&db, "market_data"), both.table());
}

#[test]
fn a_run_with_sync_pushes_what_it_staged() {
    let (env, db) = (TestEnv::new(), Database::new());
    let mut server = env.program(["simulate"]).spawn();
    let url = {
        use std::io::BufRead;
        let out = server.child().stdout.as_mut().unwrap();
        std::io::BufReader::new(out)
            .lines()
            .next()
            .unwrap()
            .unwrap()
    };
    let specific = |more: &str| {
        env.program(
            format!("specific --start 2025-02-03 --end 2025-02-04 --tickers AAPL --sync --provider-url {url} {more}")
                .split_whitespace(),
        )
        .env("FMP_API_KEY", "k")
        .env("DATABASE_URL", db.url())
        .run()
    };
    // The table is missing: the run failed, staged bars stay.
    let failed = specific("").code(1);
    assert!(
        failed.stderr.contains("market_data does not exist"),
        "{}",
        failed.stderr
    );
    assert!(
        failed.stderr.contains("[AAPL] Inserted in"),
        "{}",
        failed.stderr
    );
    sync_ok(&Memory::new(), &settings(&db.url()));
    db.sql("CREATE TABLE market_data (ticker text, ts timestamptz, open float8, high float8, low float8, close float8, volume float8, PRIMARY KEY (ticker, ts))");
    let pushed = specific("--on-conflict ignore").ok();
    assert!(
        pushed.stderr.contains("[AAPL] Synced in"),
        "{}",
        pushed.stderr
    );
    let same_count = || {
        let count = env
            .run(["query", "SELECT count(*) AS n FROM bars", "--format", "csv"])
            .ok();
        assert_eq!(
            count.out().trim(),
            format!("n\n{}", db.sql("SELECT count(*) FROM market_data"))
        );
    };
    same_count();

    let synced = |line: &str, ticker: &str| {
        let run = env
            .program(line.split_whitespace())
            .env("FMP_API_KEY", "k")
            .env("DATABASE_URL", db.url())
            .run()
            .ok();
        assert!(
            run.stderr.contains(&format!("[{ticker}] Synced in")),
            "{}",
            run.stderr
        );
        same_count();
    };
    synced(
        &format!(
            "concurrent --start 2025-02-03 --end 2025-02-03 --tickers MSFT,NVDA --sync --provider-url {url}"
        ),
        "NVDA",
    );
    env.write(
        "dumps/AMD.csv",
        "timestamp,open,high,low,close,volume\n2025-02-03T14:30:00Z,1,2,0.5,1.5,10\n2025-02-03T14:31:00Z,1,2,0.5,1.5,10\n",
    );
    synced("inject-csv --csv-dir dumps --interval 1 --sync", "AMD");
    assert_eq!(
        db.sql("SELECT count(*) FROM market_data WHERE ticker = 'AMD'"),
        "2"
    );
}
