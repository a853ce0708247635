//! Several stores, several syncs, and tables that other programs change.

use super::memory::{
    Memory, Settings, bar, restated, run, settings, sync_ok, table, try_sync, updating,
};
use crate::support::Database;
use backfill::sync::ErrorKind;

#[test]
fn a_second_sync_sends_nothing_and_later_ones_only_new_commits() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..100).map(bar));
    assert_eq!(sync_ok(&memory, &settings(&db.url())).totals.committed, 100);
    let again = sync_ok(&memory, &settings(&db.url()));
    assert_eq!(again.totals.prepared, 0);
    memory.commit("AAPL", (100..130).map(bar));
    let more = sync_ok(&memory, &settings(&db.url()));
    assert_eq!((more.totals.prepared, more.totals.committed), (30, 30));
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn two_syncs_of_one_store_share_the_work() {
    let db = Database::new();
    let mut memory = Memory::new();
    for ticker in ["AAPL", "MSFT"] {
        memory.commit(ticker, (0..1500).map(bar));
    }
    let reports: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| sync_ok(&memory, &settings(&db.url()))))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(table(&db, "market_data"), memory.table());
    let committed: u64 = reports.iter().map(|report| report.totals.committed).sum();
    assert_eq!(committed, memory.rows());
    assert_eq!(sync_ok(&memory, &settings(&db.url())).totals.prepared, 0);
}

#[test]
fn two_full_syncs_of_one_store_at_the_same_time_end() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..800).map(bar));
    let full = Settings {
        full: true,
        ..settings(&db.url())
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| sync_ok(&memory, &full));
        }
    });
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn two_stores_fill_one_ticker_at_the_same_time() {
    let db = Database::new();
    let mut even = Memory::new();
    even.commit("AAPL", (0..1200).filter(|n| n % 3 != 1).map(bar));
    let mut odd = Memory::new();
    odd.commit("AAPL", (0..1200).filter(|n| n % 3 != 2).map(bar));
    let reports: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = [&even, &odd]
            .map(|memory| scope.spawn(|| sync_ok(memory, &settings(&db.url()))))
            .into_iter()
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut both = Memory::new();
    both.commit("AAPL", (0..1200).map(bar));
    assert_eq!(table(&db, "market_data"), both.table());
    let committed: u64 = reports.iter().map(|report| report.totals.committed).sum();
    let identical: u64 = reports.iter().map(|r| r.totals.skipped_identical).sum();
    assert_eq!((committed, identical), (1200, 400));
}

#[test]
fn a_copied_store_with_other_commits_is_compared_in_full() {
    let db = Database::new();
    let mut original = Memory::new();
    original.commit("AAPL", (0..100).map(bar));
    sync_ok(&original, &settings(&db.url()));
    let mut copy = original.clone();
    original.commit("AAPL", (100..110).map(bar));
    copy.commit("AAPL", (110..120).map(bar).chain([restated(50)]));
    sync_ok(&original, &settings(&db.url()));
    // The copy's second commit isn't the original's, so the recorded progress isn't valid for it.
    let report = sync_ok(&copy, &updating(&db.url()));
    assert_eq!((report.totals.committed, report.totals.updated), (11, 1));
    let mut both = copy.clone();
    both.commit("AAPL", (100..110).map(bar));
    assert_eq!(table(&db, "market_data"), both.table());
    let back = sync_ok(&original, &updating(&db.url()));
    assert_eq!((back.totals.prepared, back.totals.updated), (110, 1));
    assert!(table(&db, "market_data").contains(original.table().lines().nth(50).unwrap()));
}

#[test]
fn copies_that_sync_at_the_same_time_end_without_losing_rows() {
    let db = Database::new();
    let mut original = Memory::new();
    original.commit("AAPL", (0..600).map(bar));
    sync_ok(&original, &settings(&db.url()));
    let mut copy = original.clone();
    original.commit("AAPL", (600..900).map(bar));
    copy.commit("AAPL", (600..900).map(bar));
    std::thread::scope(|scope| {
        scope.spawn(|| run(&original, &settings(&db.url())));
        scope.spawn(|| run(&copy, &settings(&db.url())));
    });
    // One of them may give up. The one that succeeds must not miss rows.
    sync_ok(&original, &settings(&db.url()));
    assert_eq!(table(&db, "market_data"), original.table());
}

#[test]
fn a_restored_store_is_compared_in_full() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..50).map(bar));
    let mut restored = memory.clone();
    memory.commit("AAPL", (50..60).map(bar));
    sync_ok(&memory, &settings(&db.url()));
    let report = sync_ok(&restored, &settings(&db.url()));
    assert_eq!(report.totals.skipped_identical, 50);
    restored.commit("AAPL", (50..70).map(bar));
    let report = sync_ok(&restored, &settings(&db.url()));
    assert_eq!(report.totals.committed, 10);
    assert_eq!(table(&db, "market_data"), restored.table());
}

#[test]
fn a_truncated_or_dropped_table_is_filled_again() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..100).map(bar));
    memory.commit("MSFT", (0..10).map(bar));
    for sql in [
        "SELECT 1",
        "TRUNCATE market_data",
        "DROP TABLE market_data",
        "DELETE FROM market_data",
        "DELETE FROM market_data WHERE ticker = 'AAPL' AND extract(epoch FROM \"timestamp\") >= 1735831200",
        "DELETE FROM market_data WHERE extract(epoch FROM \"timestamp\") < 1735829000",
        "DROP TABLE backfill_sync",
        "DELETE FROM backfill_sync",
    ] {
        if sql != "SELECT 1" {
            db.sql(sql);
        }
        sync_ok(&memory, &settings(&db.url()));
        assert_eq!(table(&db, "market_data"), memory.table(), "{sql}");
        assert_eq!(
            sync_ok(&memory, &settings(&db.url())).totals.prepared,
            0,
            "{sql}"
        );
    }
}

#[test]
fn full_restores_rows_deleted_from_the_middle() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..100).map(bar));
    sync_ok(&memory, &settings(&db.url()));
    db.sql("DELETE FROM market_data WHERE volume IN (1007, 1050, 1051)");
    let full = Settings {
        full: true,
        ..settings(&db.url())
    };
    let report = sync_ok(&memory, &full);
    assert_eq!(
        (report.totals.committed, report.totals.skipped_identical),
        (3, 97)
    );
    assert_eq!(table(&db, "market_data"), memory.table());
    let again = sync_ok(&memory, &settings(&db.url()));
    assert_eq!(again.totals.prepared, 0);
}

#[test]
fn a_table_emptied_while_the_sync_runs_is_filled_again() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..3000).map(bar));
    let slow = Settings {
        chunk_rows: 10,
        ..settings(&db.url())
    };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| sync_ok(&memory, &slow));
        let count = || -> u64 {
            let output = db.psql("SELECT count(*) FROM market_data");
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse()
                .unwrap_or(0)
        };
        while count() < 500 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        db.sql("TRUNCATE market_data");
        assert!(!run.is_finished());
        run.join().unwrap();
    });
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn a_run_with_dates_does_not_move_the_progress() {
    let db = Database::new();
    let mut memory = Memory::new();
    // From 2025-01-02 14:30Z; a day has 1440 minutes.
    memory.commit("AAPL", (0..5).chain(1440..1445).chain(2880..2885).map(bar));
    let date = |day| chrono::NaiveDate::from_ymd_opt(2025, 1, day);
    let dated = Settings {
        start: date(3),
        end: date(3),
        ..settings(&db.url())
    };
    assert_eq!(sync_ok(&memory, &dated).totals.committed, 5);
    let again = sync_ok(&memory, &dated);
    assert_eq!(
        (again.totals.committed, again.totals.skipped_identical),
        (0, 5)
    );
    let all = sync_ok(&memory, &settings(&db.url()));
    assert_eq!(
        (all.totals.committed, all.totals.skipped_identical),
        (10, 5)
    );
    assert_eq!(table(&db, "market_data"), memory.table());
    assert_eq!(sync_ok(&memory, &dated).totals.prepared, 0);
}

#[test]
fn demo_bars_are_not_synced_unless_allowed() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..5).map(bar));
    memory.demo = true;
    let refused = try_sync(
        &memory,
        &settings(&db.url()),
        &backfill::report::Stop::new(),
        &backfill::report::Silent,
    );
    assert!(refused.is_err_and(|error| error.kind() == ErrorKind::DemoBars));
    assert_eq!(db.sql("SELECT to_regclass('market_data') IS NULL"), "t");
    let allowed = Settings {
        allow_demo: true,
        ..settings(&db.url())
    };
    sync_ok(&memory, &allowed);
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn without_new_bars_500_series_need_one_query() {
    let db = Database::new();
    let mut memory = Memory::new();
    for number in 0..500 {
        memory.commit(&format!("T{number}"), (0..3).map(bar));
    }
    sync_ok(&memory, &settings(&db.url()));
    let report = sync_ok(&memory, &settings(&db.url()));
    assert_eq!(report.tickers.len(), 500);
    assert_eq!(report.totals.prepared, 0);
}
