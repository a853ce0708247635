//! What a sync does with rows that have other values in the target.

use backfill::model::OnConflict;
use backfill::report::{RunReport, UnitStatus};

use super::memory::{Memory, Settings, bar, restated, run, settings, sync_ok, table, updating};
use crate::support::Database;
use backfill::sync::DeliveryCheck;

/// A target with AAPL 0..100, of which 50 and 99 have other values; a store with AAPL 0..120.
fn scene() -> (Database, Memory) {
    let db = Database::new();
    let mut theirs = Memory::new();
    theirs.commit(
        "AAPL",
        (0..100).map(|n| {
            if n == 50 || n == 99 {
                restated(n)
            } else {
                bar(n)
            }
        }),
    );
    sync_ok(&theirs, &settings(&db.url()));
    let mut ours = Memory::new();
    ours.commit("AAPL", (0..120).map(bar));
    ours.commit("MSFT", (0..10).map(bar));
    (db, ours)
}

fn hints(report: &RunReport) -> Vec<String> {
    report.hints.iter().map(ToString::to_string).collect()
}

#[test]
fn fail_rolls_the_chunk_back_and_continues_with_the_other_tickers() {
    let (db, ours) = scene();
    let report = run(&ours, &settings(&db.url()));
    assert_eq!(report.status().code(), 4, "{report:#?}");
    let aapl = &report.tickers[0];
    assert_eq!(
        (aapl.name.as_str(), aapl.status),
        ("AAPL", UnitStatus::Conflict)
    );
    // Chunks of 40: the first is identical, the second is refused whole.
    assert_eq!(
        (aapl.counts.skipped_identical, aapl.counts.conflicts),
        (40, 1)
    );
    assert_eq!((aapl.counts.prepared, aapl.counts.committed), (80, 0));
    let message = aapl.error.as_deref().unwrap();
    assert!(message.contains("2025-01-02T15:20:00Z"), "{message}");
    assert!(
        aapl.hint
            .as_ref()
            .unwrap()
            .to_string()
            .contains("--on-conflict update")
    );
    assert_eq!(report.tickers[1].counts.committed, 10);
    assert_eq!(
        db.sql("SELECT count(*) FROM market_data WHERE ticker = 'AAPL'"),
        "100"
    );
    // The progress stays before it: the next run finds the same chunk.
    assert_eq!(run(&ours, &settings(&db.url())).status().code(), 4);
    let updated = sync_ok(&ours, &updating(&db.url()));
    assert_eq!((updated.totals.committed, updated.totals.updated), (22, 2));
    assert_eq!(table(&db, "market_data"), ours.table());
}

#[test]
fn ignore_keeps_the_targets_values_and_a_full_update_replaces_them() {
    let (db, ours) = scene();
    let ignoring = Settings {
        on_conflict: OnConflict::Ignore,
        ..settings(&db.url())
    };
    let report = sync_ok(&ours, &ignoring);
    let totals = report.totals;
    assert_eq!(
        (
            totals.committed,
            totals.skipped_identical,
            totals.skipped_restated
        ),
        (30, 98, 2)
    );
    assert_ne!(table(&db, "market_data"), ours.table());
    // The progress is past them: a sync under `update` finds nothing to do, and says why.
    let hint = "syncs with --on-conflict ignore left 2 rows of AAPL 1m with other values in the target; --full replaces them";
    for dry_run in [true, false] {
        let updating = Settings {
            dry_run,
            ..updating(&db.url())
        };
        let report = sync_ok(&ours, &updating);
        assert_eq!(
            (report.totals.prepared, hints(&report)),
            (0, vec![hint.to_owned()])
        );
    }
    let full = Settings {
        full: true,
        ..updating(&db.url())
    };
    let report = sync_ok(&ours, &full);
    assert_eq!((report.totals.committed, report.totals.updated), (2, 2));
    assert_eq!(report.hints.len(), 0);
    assert_eq!(table(&db, "market_data"), ours.table());
    assert_eq!(sync_ok(&ours, &updating(&db.url())).hints.len(), 0);
}

/// A progress table of an older version has no column for the rows that `ignore` left.
#[test]
fn rows_that_ignore_left_are_counted_in_an_older_progress_table() {
    let (db, mut ours) = scene();
    db.sql("ALTER TABLE backfill_sync DROP COLUMN kept_rows");
    assert_eq!(sync_ok(&ours, &updating(&db.url())).hints.len(), 0);
    ours.commit("AAPL", (0..3).map(restated));
    let ignoring = Settings {
        on_conflict: OnConflict::Ignore,
        ..settings(&db.url())
    };
    sync_ok(&ours, &ignoring);
    let hints = sync_ok(&ours, &updating(&db.url())).hints;
    assert!(hints[0].to_string().contains("left 3 rows"), "{hints:?}");
}

#[test]
fn bars_restated_in_the_store_restate_the_target() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..3000).map(bar));
    sync_ok(&memory, &settings(&db.url()));
    // They are far apart, so they are read by their times and not as a range.
    memory.commit("AAPL", [restated(3), restated(2950)]);
    let report = sync_ok(&memory, &updating(&db.url()));
    assert_eq!((report.totals.prepared, report.totals.updated), (2, 2));
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let (db, ours) = scene();
    let before = table(&db, "market_data");
    let progress = db.sql("SELECT * FROM backfill_sync ORDER BY ticker, store_id");
    let dry = Settings {
        dry_run: true,
        on_conflict: OnConflict::Ignore,
        ..settings(&db.url())
    };
    let totals = sync_ok(&ours, &dry).totals;
    assert_eq!(
        (
            totals.prepared,
            totals.committed,
            totals.skipped_identical,
            totals.skipped_restated
        ),
        (130, 0, 98, 2)
    );
    assert_eq!(table(&db, "market_data"), before);
    assert_eq!(
        db.sql("SELECT * FROM backfill_sync ORDER BY ticker, store_id"),
        progress
    );
}

#[test]
fn a_dry_run_ends_as_a_real_one_would() {
    let (db, ours) = scene();
    for dry_run in [true, false] {
        let settings = Settings {
            dry_run,
            full: true,
            threads: 1,
            ..settings(&db.url())
        };
        let report = run(&ours, &settings);
        assert_eq!(report.status().code(), 4, "{report:#?}");
        // Chunks of 40: the second has the first restated row, and ends the ticker.
        let aapl = report.tickers[0].counts;
        assert_eq!((aapl.prepared, aapl.conflicts), (80, 1), "{report:#?}");
        let refused = report.tickers.iter().find_map(|unit| unit.error.as_deref());
        assert!(
            refused.unwrap().contains("have other values"),
            "{refused:?}"
        );
    }
}

#[test]
fn ignore_reports_the_values_that_it_kept_with_a_hint() {
    let (db, ours) = scene();
    let ignoring = Settings {
        on_conflict: OnConflict::Ignore,
        full: true,
        ..settings(&db.url())
    };
    let report = sync_ok(&ours, &ignoring);
    assert_eq!(
        hints(&report),
        [
            "2 rows of the target keep other values than the stored ones; --on-conflict update --full replaces them"
        ]
    );
    let updating = Settings {
        on_conflict: OnConflict::Update,
        ..ignoring
    };
    let report = sync_ok(&ours, &updating);
    assert_eq!((report.totals.updated, report.hints.len()), (2, 0));
}

#[test]
fn rows_that_another_writer_inserts_meanwhile_are_skipped() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..10).map(bar));
    memory.commit("MSFT", (0..10).map(bar));
    sync_ok(&memory, &settings(&db.url()));
    db.sql("TRUNCATE market_data");
    // A writer that hasn't committed yet: its row isn't visible, but the key is taken.
    let url = db.url();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            db.sql(
                "BEGIN; INSERT INTO market_data SELECT 'AAPL', to_timestamp(1735828200 + 60 * n), 1, 2, 0.5, 1.5, 10 \
                 FROM generate_series(3, 4) n; SELECT pg_sleep(1.5); COMMIT",
            )
        });
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
        while db.sql(sleeping) != "1" {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let ignoring = Settings {
            on_conflict: OnConflict::Ignore,
            full: true,
            ..settings(&url)
        };
        let totals = sync_ok(&memory, &ignoring).totals;
        assert_eq!((totals.committed, totals.skipped_restated), (18, 2));
    });
}

#[test]
fn after_repeated_key_conflicts_rows_go_through_a_temporary_table() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..50).map(bar));
    // A trigger inserts a copied row first, so its key is taken although no comparison sees it.
    sync_ok(&Memory::new(), &settings(&db.url()));
    db.sql(
        "CREATE TABLE market_data (ticker text, \"timestamp\" timestamptz, open float8, high float8, low float8, \
         close float8, volume float8, vwap float8, trades bigint, PRIMARY KEY (ticker, \"timestamp\")); \
         CREATE FUNCTION first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF pg_trigger_depth() = 1 AND NEW.volume = 1007 THEN \
         INSERT INTO market_data SELECT NEW.*; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER first BEFORE INSERT ON market_data FOR EACH ROW EXECUTE FUNCTION first()",
    );
    let totals = sync_ok(&memory, &settings(&db.url())).totals;
    assert_eq!((totals.committed, totals.skipped_identical), (49, 1));
    assert_eq!(table(&db, "market_data"), memory.table());
}

#[test]
fn the_row_counts_show_a_trigger_that_drops_rows() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..50).map(bar));
    db.sql(
        "CREATE TABLE market_data (ticker text, \"timestamp\" timestamptz, open float8, high float8, low float8, \
         close float8, volume float8, vwap float8, trades bigint, PRIMARY KEY (ticker, \"timestamp\")); \
         CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.volume = 1007 THEN RETURN NULL; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER lose BEFORE INSERT ON market_data FOR EACH ROW EXECUTE FUNCTION lose()",
    );
    let report = run(&memory, &settings(&db.url()));
    assert_eq!(report.status().code(), 3);
    let message = report.tickers[0].error.as_deref().unwrap();
    assert!(
        message.contains("40 rows were sent") && message.contains("took 39"),
        "{message}"
    );
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "0");
}

#[test]
fn the_checksum_shows_a_trigger_that_changes_values() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..50).map(bar));
    db.sql(
        "CREATE TABLE market_data (ticker text, \"timestamp\" timestamptz, open float8, high float8, low float8, \
         close float8, volume float8, vwap float8, trades bigint, PRIMARY KEY (ticker, \"timestamp\")); \
         CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.volume = 1007 THEN NEW.close = NEW.close + 1; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER bend BEFORE INSERT ON market_data FOR EACH ROW EXECUTE FUNCTION bend()",
    );
    let summed = Settings {
        check: DeliveryCheck::Checksum,
        ..settings(&db.url())
    };
    let report = run(&memory, &summed);
    assert_eq!(report.status().code(), 3);
    let message = report.tickers[0].error.as_deref().unwrap();
    assert!(message.contains("checksum"), "{message}");
    db.sql("DROP TRIGGER bend ON market_data");
    sync_ok(&memory, &summed);
    assert_eq!(table(&db, "market_data"), memory.table());
}
