//! After lost connections and a killed server, the table equals the store and the counts are true.

use backfill::report::RunReport;

use super::memory::{
    Memory, Settings, bar, restated, settings, sync_ok, table, try_sync, updating,
};
use crate::support::{Cluster, Cut, Database, Protocol, Proxy};
use backfill::sync::RetryPolicy;

/// Two tickers. Some chunks are plain copies, others meet rows of another store.
fn memory() -> Memory {
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..100).map(bar));
    memory.commit("MSFT", (0..30).map(bar));
    memory
}

/// Rows of another store: identical ones in the middle of AAPL, and a restated one.
fn others() -> Memory {
    let mut memory = Memory::new();
    memory.commit("AAPL", (45..50).map(bar).chain([restated(60)]));
    memory
}

/// Each cut has its own table, because creating databases would take most of the time.
fn one_thread(url: &str, cut: Cut) -> Settings {
    Settings {
        threads: 1,
        table: Some(name(cut)),
        ..updating(url)
    }
}

/// The database's URL through a proxy, which doesn't understand TLS.
pub(super) fn through(db: &Database, proxy: &Proxy) -> String {
    format!("{}?sslmode=disable", db.through(proxy.port()).url())
}

fn name(cut: Cut) -> String {
    match cut {
        Cut::Before(number) => format!("before_{number}"),
        Cut::After(number) => format!("after_{number}"),
    }
}

#[track_caller]
fn assert_counts(report: &RunReport, what: Cut) {
    let totals = report.totals;
    assert_eq!(
        (totals.committed, totals.updated, totals.skipped_identical),
        (125, 1, 5),
        "{what:?} {report:#?}"
    );
}

/// Cuts at one message after the other, until a run ends before the cut.
pub(super) fn each_cut(kind: fn(u64) -> Cut, run: impl Fn(Cut) -> bool) -> u64 {
    for number in 1.. {
        if !run(kind(number)) {
            return number - 1;
        }
    }
    unreachable!()
}

#[test]
fn a_connection_cut_at_any_message_is_repaired_in_the_same_run() {
    let db = Database::new();
    for kind in [Cut::Before as fn(u64) -> Cut, Cut::After] {
        let cuts = each_cut(kind, |cut| {
            let memory = memory();
            sync_ok(&others(), &one_thread(&db.url(), cut));
            let proxy = Proxy::start(db.port(), Protocol::Postgres, cut, false);
            let settings = one_thread(&through(&db, &proxy), cut);
            // Failures before the first write aren't retried.
            let first = try_sync(
                &memory,
                &settings,
                &backfill::report::Stop::new(),
                &backfill::report::Silent,
            );
            match first {
                Ok(outcome) => assert_counts(&outcome.report, cut),
                Err(_) => {
                    sync_ok(&memory, &settings);
                }
            }
            assert_eq!(table(&db, &name(cut)), memory.table(), "{cut:?}");
            proxy.was_cut()
        });
        assert!(cuts > 30, "only {cuts} messages were cut");
    }
}

#[test]
fn a_server_lost_at_any_message_is_repaired_by_the_next_run() {
    let db = Database::new();
    for kind in [Cut::Before as fn(u64) -> Cut, Cut::After] {
        let cuts = each_cut(kind, |cut| {
            let memory = memory();
            sync_ok(&others(), &one_thread(&db.url(), cut));
            let proxy = Proxy::start(db.port(), Protocol::Postgres, cut, true);
            let settings = Settings {
                retry: RetryPolicy {
                    failures_max: 1,
                    wait_ms_min: 1,
                    wait_ms_max: 1,
                },
                ..one_thread(&through(&db, &proxy), cut)
            };
            let first = try_sync(
                &memory,
                &settings,
                &backfill::report::Stop::new(),
                &backfill::report::Silent,
            );
            if proxy.was_cut() {
                let failed = first.map_or(true, |outcome| outcome.report.status().code() == 1);
                // The last message ends the session, and the client doesn't wait for a reply.
                assert!(
                    failed || table(&db, &name(cut)) == memory.table(),
                    "{cut:?}"
                );
            }
            sync_ok(&memory, &one_thread(&db.url(), cut));
            assert_eq!(table(&db, &name(cut)), memory.table(), "{cut:?}");
            let again = sync_ok(&memory, &one_thread(&db.url(), cut));
            assert_eq!(again.totals.prepared, 0, "{cut:?}");
            proxy.was_cut()
        });
        assert!(cuts > 30, "only {cuts} messages were cut");
    }
}

#[test]
fn a_sync_waits_for_a_killed_server_to_restart() {
    let mut cluster = Cluster::start();
    let db = cluster.database();
    let mut memory = Memory::new();
    for ticker in ["AAPL", "MSFT", "NVDA", "TSLA"] {
        memory.commit(ticker, (0..4000).map(bar));
    }
    let settings = Settings {
        chunk_rows: 20,
        retry: RetryPolicy {
            failures_max: 100,
            wait_ms_min: 20,
            wait_ms_max: 300,
        },
        ..settings(&db.url())
    };
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| sync_ok(&memory, &settings));
        let count = || -> u64 {
            let output = db.psql("SELECT count(*) FROM market_data");
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse()
                .unwrap_or(0)
        };
        while count() < 1000 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(!run.is_finished());
        cluster.kill();
        cluster.restart(&[]);
        run.join().unwrap()
    });
    assert_eq!(report.totals.committed, memory.rows());
    assert!(report.totals.retries > 0);
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn temporary_errors_are_retried_and_others_reported() {
    for (code, passes) in [
        ("40001", true), // serialization failure
        ("40P01", true), // deadlock
        ("53100", true), // disk full
        ("57P01", true), // the server is going down
        ("22000", false),
    ] {
        let db = Database::new();
        let memory = memory();
        sync_ok(&Memory::new(), &settings(&db.url()));
        db.sql(&format!(
            "CREATE TABLE market_data (ticker text, \"timestamp\" timestamptz, open float8, high float8, low float8, \
             close float8, volume float8, vwap float8, trades bigint, PRIMARY KEY (ticker, \"timestamp\")); \
             CREATE SEQUENCE tries; \
             CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('tries') <= 3 THEN RAISE EXCEPTION 'trouble' USING ERRCODE = '{code}'; END IF; RETURN NULL; END $$; \
             CREATE TRIGGER trouble AFTER INSERT ON market_data FOR EACH STATEMENT EXECUTE FUNCTION trouble()"
        ));
        let one = Settings {
            threads: 1,
            ..settings(&db.url())
        };
        let report = super::memory::run(&memory, &one);
        if passes {
            assert_eq!(report.status().code(), 0, "{code} {report:#?}");
            assert_eq!(
                (report.totals.committed, report.totals.retries),
                (130, 3),
                "{code}"
            );
        } else {
            assert_eq!(report.status().code(), 3, "{code} {report:#?}");
            let message = report.tickers[0].error.as_deref().unwrap();
            assert!(message.contains("trouble (SQLSTATE 22000)"), "{message}");
            // Both tickers failed with it once; the next run fails a third time.
            assert_eq!(super::memory::run(&memory, &one).status().code(), 3);
            sync_ok(&memory, &one);
            continue;
        }
        assert_eq!(table(&db, "market_data"), memory.table(), "{code}");
    }
}
