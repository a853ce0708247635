//! A sync that waits for the database reports it, gives up at a limit, ends at Ctrl-C, and doesn't
//! block the store.

use std::time::{Duration, Instant};

use backfill::advice::Hint;
use backfill::report::{Event, Observer, Silent, Stop};

use super::memory::{Memory, Settings, bar, settings, sync_ok, table, try_sync};
use super::program::stage_csv;
use crate::support::{Database, TestEnv};
use backfill::sync::ErrorKind;

const LOCK: &str = "LOCK TABLE market_data IN ACCESS EXCLUSIVE MODE";
const BLOCKED: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
     AND datname = current_database()";
const NO_SESSION: &str = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'backfill' \
     AND datname = current_database()";

fn memory() -> Memory {
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..100).map(bar));
    memory
}

/// Collects the warnings of a run.
#[derive(Default)]
pub(super) struct Warnings(pub(super) std::sync::Mutex<Vec<String>>);

impl Observer for Warnings {
    fn event(&self, event: &Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push((*text).to_owned());
        }
    }
}

#[test]
fn a_locked_target_is_reported_and_given_up_at_the_limit() {
    let db = Database::new();
    let mut memory = memory();
    sync_ok(&memory, &settings(&db.url()));
    memory.commit("AAPL", (100..120).map(bar));
    let limited = Settings {
        statement_timeout: Some(Duration::from_secs(8)),
        ..settings(&db.url())
    };
    let warnings = Warnings::default();
    let session = db.session(LOCK);
    let error = try_sync(&memory, &limited, &Stop::new(), &warnings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoResponse, "{error}");
    let reason = "no response within 8 s, waiting for process ";
    assert!(error.to_string().contains(reason), "{error}");
    assert!(
        error.to_string().contains("application psql, active since"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .to_string()
            .contains("--statement-timeout")
    );
    let warnings = warnings.0.into_inner().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("waiting for process "), "{warnings:?}");
    // The waiting statement is cancelled on the server too, although the lock is still held.
    db.wait_for(NO_SESSION);
    drop(session);
    sync_ok(&memory, &settings(&db.url()));
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn a_lock_within_a_series_ends_the_run_at_the_limit() {
    let db = Database::new();
    let mut memory = memory();
    sync_ok(&memory, &settings(&db.url()));
    memory.commit("AAPL", (100..120).map(bar));
    let limited = Settings {
        statement_timeout: Some(Duration::from_secs(1)),
        ..settings(&db.url())
    };
    // The progress row of the series, as another sync that hangs would hold it.
    let session = db.session("SELECT 1 FROM backfill_sync FOR UPDATE");
    let outcome = try_sync(&memory, &limited, &Stop::new(), &Silent).unwrap();
    assert_eq!(outcome.report.status().code(), 1, "{outcome:#?}");
    drop(session);
    sync_ok(&memory, &settings(&db.url()));
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn ctrl_c_ends_a_sync_that_waits_for_a_lock() {
    let (env, db) = (TestEnv::new(), Database::new());
    stage_csv(&env, "AAPL", (0..100).map(bar).collect());
    let line = "sync --create-table";
    let run = |line: &str| {
        env.program(line.split_whitespace())
            .env("DATABASE_URL", db.url())
            .spawn()
    };
    run(line).wait().ok();
    stage_csv(&env, "AAPL", (100..120).map(bar).collect());
    for lock in [LOCK, "SELECT 1 FROM backfill_sync FOR UPDATE"] {
        let session = db.session(lock);
        let running = run(line);
        db.wait_for(BLOCKED);
        running.signal("INT");
        running.wait().code(130);
        db.wait_for(NO_SESSION);
        drop(session);
    }
    run(line).wait().ok();
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "120");
}

#[test]
fn a_run_that_waits_for_the_database_does_not_block_the_store() {
    let (env, db) = (TestEnv::new(), Database::new());
    let csv = |first: i64| {
        let rows: String = (first..first + 3)
            .map(|minute| format!("2025-01-02T14:{minute}:00Z,1,2,0.5,1.5,10\n"))
            .collect();
        format!("timestamp,open,high,low,close,volume\n{rows}")
    };
    let run = |line: &str| {
        env.program(line.split_whitespace())
            .env("DATABASE_URL", db.url())
            .spawn()
    };
    env.write("AAPL.csv", csv(30));
    run("inject-csv AAPL.csv --interval 1").wait().ok();
    run("sync --create-table").wait().ok();
    env.write("AAPL.csv", csv(33));
    let session = db.session(LOCK);
    let waiting = run("inject-csv AAPL.csv --interval 1 --sync");
    db.wait_for(BLOCKED);
    // All bars can be read meanwhile, hot ones too.
    let status = run("status").wait().ok();
    assert!(status.out().contains("3 rows unsynced"), "{}", status.out());
    assert!(!status.stderr.contains("writing"), "{}", status.stderr);
    // Writers don't wait for it: it reads a snapshot, whose files they may replace.
    run("seal").wait().ok();
    run("verify").wait().ok();
    drop(session);
    waiting.wait().ok();
    // The result of the sync is recorded at the end.
    assert!(
        run("status").wait().ok().out().contains("0 rows unsynced"),
        "the sync is not in the status"
    );
    let held = db.sql("SELECT count(*) FROM market_data WHERE ticker = 'AAPL'");
    assert_eq!(held, "6");
}

#[test]
fn a_store_can_be_written_while_a_sync_waits_for_a_locked_row() {
    let (env, db) = (TestEnv::new(), Database::new());
    let run = |line: &str| {
        env.program(line.split_whitespace())
            .env("DATABASE_URL", db.url())
            .spawn()
    };
    stage_csv(&env, "AAPL", (0..100).map(bar).collect());
    run("sync --create-table").wait().ok();
    stage_csv(&env, "AAPL", (100..110).map(bar).collect());
    let session = db.session("SELECT 1 FROM backfill_sync FOR UPDATE");
    let waiting = run("sync --statement-timeout 300");
    db.wait_for(BLOCKED);
    let csv = "timestamp,open,high,low,close,volume\n2025-02-03T14:30:00Z,1,2,0.5,1.5,10\n";
    env.write("AAPL.csv", csv);
    run("inject-csv AAPL.csv --interval 1").wait().ok();
    drop(session);
    // It sends what the store had when it started, and the next one sends the rest.
    waiting.wait().ok();
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "110");
    run("sync").wait().ok();
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "111");
}

#[test]
fn a_sync_that_fails_after_a_run_is_recorded_with_the_run() {
    let (env, db) = (TestEnv::new(), Database::new());
    let csv = "timestamp,open,high,low,close,volume\n2025-01-02T14:32:00Z,1,2,0.5,1.5,10\n";
    env.write("AAPL.csv", csv);
    let run = env
        .program("inject-csv AAPL.csv --interval 1 --sync".split_whitespace())
        .env("DATABASE_URL", db.url())
        .run()
        .code(1);
    assert!(
        run.stderr
            .contains("the stored bars were not synced: table market_data does not exist"),
        "{}",
        run.stderr
    );
    let runs = env.typed("status --runs").ok();
    assert!(runs.out().contains("failed"), "{}", runs.out());
}

#[test]
fn ctrl_c_ends_a_connection_to_a_silent_server() {
    let env = TestEnv::new();
    stage_csv(&env, "AAPL", (0..10).map(bar).collect());
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let running = env
        .program(["sync"])
        .env(
            "DATABASE_URL",
            format!("postgres://me@127.0.0.1:{port}/bars?connect_timeout=250"),
        )
        .spawn();
    let _client = listener.accept().unwrap();
    let before = Instant::now();
    running.signal("INT");
    running.wait().code(130);
    assert!(before.elapsed() < Duration::from_secs(200));
}

#[test]
fn a_silent_server_is_reported() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://me@127.0.0.1:{port}/bars?connect_timeout=7");
    let warnings = Warnings::default();
    let result = try_sync(&memory(), &settings(&url), &Stop::new(), &warnings);
    assert!(result.is_err_and(|error| error.kind() == ErrorKind::Connect));
    let warnings = warnings.0.into_inner().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("connecting: no response for 5 s"));
}
