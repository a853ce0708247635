//! Syncs through a connection pooler, where transactions of several programs share connections.

use backfill::advice::Hint;
use backfill::model::Bars;
use backfill::report::{Silent, Stop};

use super::cuts::{each_cut, through};
use super::memory::{Memory, Settings, bar, run, settings, sync_ok, table, try_sync, updating};
use super::program::stage_csv;
use super::waits::Warnings;
use crate::support::{Cut, Database, Pooler, Protocol, Proxy, TestEnv};
use backfill::sync::ErrorKind;

#[test]
fn two_programs_at_the_same_time_never_execute_each_others_statements() {
    for (mode, connections) in [("transaction", 1), ("transaction", 2), ("session", 4)] {
        let db = Database::new();
        let pooler = Pooler::start(&db, mode, connections);
        let bars: Bars = (0..4_000).map(bar).collect();
        let envs = ["AAPL", "MSFT"].map(|ticker| {
            let env = TestEnv::new();
            stage_csv(&env, ticker, bars.clone());
            (ticker, env)
        });
        let syncs = envs.each_ref().map(|(ticker, env)| {
            let line =
                format!("sync --create-table --table t_{ticker} --chunk-rows 50 --threads 2");
            env.program(line.split_whitespace())
                .env("DATABASE_URL", pooler.url(&db))
                .spawn()
        });
        for running in syncs {
            running.wait().ok();
        }
        for (ticker, env) in &envs {
            let held = db.sql(&format!(
                "SELECT DISTINCT ticker, count(*) OVER () FROM t_{ticker}"
            ));
            assert_eq!(held, format!("{ticker}|4000"), "{mode} {connections}");
            // Rows are compared through the pooler too.
            let full = format!("sync --table t_{ticker} --full --receipt checksum --summary-json");
            let full = env
                .program(full.split_whitespace())
                .env("DATABASE_URL", pooler.url(&db))
                .run()
                .ok()
                .json();
            assert_eq!(full["totals"]["skipped_identical"], 4_000, "{mode}");
        }
    }
}

#[test]
fn a_sync_leaves_no_statements_or_settings_on_the_poolers_connections() {
    let db = Database::new();
    let pooler = Pooler::start(&db, "transaction", 1);
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..100).map(bar));
    sync_ok(&memory, &settings(&pooler.url(&db)));
    let left = db.through(pooler.port()).sql(
        "SELECT (SELECT count(*) FROM pg_prepared_statements), \
         current_setting('idle_in_transaction_session_timeout'), current_setting('row_security')",
    );
    assert_eq!(left, "0|0|on");
}

/// Another program lost its connection and left a statement under the name that ours would use.
#[test]
fn a_statement_name_that_is_taken_on_the_server_is_skipped() {
    let db = Database::new();
    let pooler = Pooler::start(&db, "transaction", 1);
    let url = pooler.url(&db);
    let leave: String = (0..60)
        .map(|number| format!("PREPARE s{number} AS SELECT 1;"))
        .collect();
    db.through(pooler.port()).sql(&leave);
    let env = TestEnv::new();
    stage_csv(&env, "AAPL", (0..100).map(bar).collect());
    env.program("sync --create-table".split_whitespace())
        .env("DATABASE_URL", &url)
        .run()
        .ok();
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "100");
}

#[test]
fn a_connection_to_the_pooler_cut_at_any_message_is_repaired() {
    let db = Database::new();
    for (kind, connections) in [(Cut::Before as fn(u64) -> Cut, 1), (Cut::After, 2)] {
        let pooler = Pooler::start(&db, "transaction", connections);
        let cuts = each_cut(kind, |cut| {
            let table_name =
                |who: &str| format!("{who}_{connections}_{cut:?}").replace(['(', ')'], "_");
            let memories = ["ours", "theirs"].map(|who| {
                let mut memory = Memory::new();
                memory.commit(&who.to_uppercase(), (0..100).map(bar));
                (who, memory)
            });
            let proxy = Proxy::start(pooler.port(), Protocol::Postgres, cut, false);
            std::thread::scope(|scope| {
                let [(ours, our_bars), (theirs, their_bars)] = &memories;
                let undisturbed = scope.spawn(|| {
                    let settings = Settings {
                        table: Some(table_name(theirs)),
                        ..updating(&pooler.url(&db))
                    };
                    sync_ok(their_bars, &settings);
                });
                let settings = Settings {
                    table: Some(table_name(ours)),
                    threads: 1,
                    ..updating(&through(&db, &proxy))
                };
                // Failures before the first write aren't retried.
                match try_sync(our_bars, &settings, &Stop::new(), &Silent) {
                    Ok(outcome) => assert_eq!(outcome.report.totals.committed, 100, "{cut:?}"),
                    Err(_) => drop(sync_ok(our_bars, &settings)),
                }
                undisturbed.join().unwrap();
            });
            for (who, memory) in &memories {
                assert_eq!(
                    table(&db, &table_name(who)),
                    memory.table(),
                    "{who} {cut:?}"
                );
            }
            proxy.was_cut()
        });
        assert!(cuts > 15, "only {cuts} messages were cut");
    }
}

#[test]
fn statement_mode_is_refused_before_anything_is_written() {
    let db = Database::new();
    let pooler = Pooler::start(&db, "statement", 2);
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..10).map(bar));
    let settings = settings(&pooler.url(&db));
    let error = try_sync(&memory, &settings, &Stop::new(), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoTransactions, "{error}");
    assert!(
        error.hint().unwrap().to_string().contains("pool_mode"),
        "{error}"
    );
    assert_eq!(db.sql("SELECT to_regclass('market_data') IS NULL"), "t");
}

#[test]
fn a_full_pooler_is_reported_and_given_up_at_the_limit() {
    let db = Database::new();
    let pooler = Pooler::start(&db, "transaction", 1);
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..10).map(bar));
    sync_ok(&memory, &settings(&pooler.url(&db)));
    memory.commit("AAPL", (10..20).map(bar));
    let mut held = db
        .through(pooler.port())
        .psql_command("BEGIN; SELECT pg_sleep(100000)")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    db.wait_for(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
    );
    let limited = Settings {
        statement_timeout: Some(std::time::Duration::from_secs(8)),
        ..settings(&pooler.url(&db))
    };
    let warnings = Warnings::default();
    let error = try_sync(&memory, &limited, &Stop::new(), &warnings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoResponse, "{error}");
    assert!(
        error.to_string().contains("no response within 8 s"),
        "{error}"
    );
    // Reported before the limit, although no connection is free to ask what blocks the statement.
    let warnings = warnings.0.into_inner().unwrap();
    assert_eq!(
        warnings,
        [
            "beginning a transaction: no response for 5 s; is the server busy, or does a connection pooler have no free \
             connection?"
        ]
    );
    db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()");
    let _ = held.wait();
    let report = run(&memory, &settings(&pooler.url(&db)));
    assert_eq!(report.totals.committed, 10, "{report:#?}");
}
