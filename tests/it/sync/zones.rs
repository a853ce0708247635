//! A timestamp column without a zone: the zone of its times is recorded, and zones are never mixed.

use backfill::advice::Hint;
use backfill::report::{Silent, Stop};
use chrono_tz::Tz;

use super::memory::{Memory, Settings, bar, settings, sync_ok, try_sync};
use super::program::stage_csv;
use crate::support::{Database, TestEnv};
use backfill::sync::{DeliveryCheck, Error, ErrorKind};

const NEW_YORK: Tz = chrono_tz::America::New_York;
const TABLE: &str = "CREATE TABLE market_data (ticker text, ts timestamp, open float8, high float8, low float8, \
     close float8, volume float8, PRIMARY KEY (ticker, ts))";

fn scene() -> (Database, Memory) {
    let db = Database::new();
    db.sql(TABLE);
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..2).map(bar));
    (db, memory)
}

fn zoned(db: &Database, target_zone: Option<Tz>) -> Settings {
    Settings {
        target_zone,
        ..settings(&db.url())
    }
}

fn times(db: &Database) -> String {
    let rows = db.sql("SELECT to_char(ts, 'HH24:MI') FROM market_data ORDER BY ts");
    rows.replace('\n', " ")
}

#[track_caller]
fn refused(memory: &Memory, settings: &Settings) -> Error {
    try_sync(memory, settings, &Stop::new(), &Silent).unwrap_err()
}

#[test]
fn later_syncs_use_the_zone_of_the_first() {
    let (db, mut memory) = scene();
    sync_ok(&memory, &zoned(&db, Some(NEW_YORK)));
    memory.commit("AAPL", (2..3).map(bar));
    memory.commit("MSFT", (3..4).map(bar));
    let dry = Settings {
        dry_run: true,
        ..zoned(&db, None)
    };
    sync_ok(&memory, &dry);
    sync_ok(&memory, &zoned(&db, None));
    assert_eq!(times(&db), "09:30 09:31 09:32 09:33");
    // Another store's sync uses it too.
    let mut other = Memory::new();
    other.commit("TSLA", (4..5).map(bar));
    sync_ok(&other, &zoned(&db, None));
    assert_eq!(times(&db), "09:30 09:31 09:32 09:33 09:34");
}

/// Another name or another schema doesn't change the times of a table.
#[test]
fn a_renamed_or_moved_table_keeps_its_zone() {
    let new_year = chrono::NaiveDate::from_ymd_opt(2025, 1, 1);
    for (change, new_name) in [
        ("ALTER TABLE market_data RENAME TO renamed", "renamed"),
        (
            "CREATE SCHEMA archive; ALTER TABLE market_data SET SCHEMA archive",
            "archive.market_data",
        ),
    ] {
        // A run with dates records no progress, but the zone all the same.
        for start in [None, new_year] {
            let (db, mut memory) = scene();
            let first = Settings {
                start,
                ..zoned(&db, Some(NEW_YORK))
            };
            sync_ok(&memory, &first);
            db.sql(change);
            memory.commit("MSFT", (3..4).map(bar));
            let moved = |zone| Settings {
                table: Some(new_name.to_owned()),
                ..zoned(&db, zone)
            };
            let error = refused(&memory, &moved(Some(chrono_tz::Asia::Tokyo)));
            assert_eq!(error.kind(), ErrorKind::OtherZone, "{error}");
            sync_ok(&memory, &moved(None));
            let rows = db.sql(&format!(
                "SELECT to_char(ts, 'HH24:MI') FROM {new_name} ORDER BY ts"
            ));
            assert_eq!(rows.replace('\n', " "), "09:30 09:31 09:33", "{change}");
        }
    }
}

#[test]
fn another_zone_is_refused_until_the_table_is_empty() {
    for (first, second) in [
        (Some(NEW_YORK), chrono_tz::UTC),
        (None, NEW_YORK),
        (Some(NEW_YORK), chrono_tz::Asia::Tokyo),
    ] {
        let (db, memory) = scene();
        sync_ok(&memory, &zoned(&db, first));
        let before = times(&db);
        let other = zoned(&db, Some(second));
        for dry_run in [true, false] {
            let settings = Settings {
                dry_run,
                ..other.clone()
            };
            let error = refused(&memory, &settings);
            assert_eq!(error.kind(), ErrorKind::OtherZone, "{error}");
            assert!(
                error
                    .hint()
                    .unwrap()
                    .to_string()
                    .contains("--target-timezone"),
                "{error}"
            );
        }
        assert_eq!(times(&db), before);
        db.sql("TRUNCATE market_data");
        sync_ok(&memory, &other);
        sync_ok(&memory, &zoned(&db, None));
        assert_eq!(
            db.sql("SELECT DISTINCT time_zone FROM backfill_sync"),
            second.name()
        );
    }
}

#[test]
fn a_run_with_dates_records_the_zone_too() {
    let (db, memory) = scene();
    let dated = Settings {
        start: chrono::NaiveDate::from_ymd_opt(2025, 1, 2),
        ..zoned(&db, Some(NEW_YORK))
    };
    sync_ok(&memory, &dated);
    sync_ok(&memory, &zoned(&db, None));
    assert_eq!(times(&db), "09:30 09:31");
}

/// The progress table of an older version has no column for the zone.
#[test]
fn progress_of_an_older_version_is_upgraded() {
    for written in [None, Some(NEW_YORK)] {
        let (db, mut memory) = scene();
        sync_ok(&memory, &zoned(&db, written));
        db.sql("ALTER TABLE backfill_sync DROP COLUMN time_zone");
        memory.commit("AAPL", (2..3).map(bar));
        if written.is_some() {
            // The times aren't in UTC, and their zone isn't recorded.
            for dry_run in [true, false] {
                let settings = Settings {
                    dry_run,
                    ..zoned(&db, None)
                };
                let error = refused(&memory, &settings);
                assert_eq!(error.kind(), ErrorKind::UnknownZone, "{error}");
            }
            sync_ok(&memory, &zoned(&db, written));
        }
        sync_ok(&memory, &zoned(&db, None));
        memory.commit("AAPL", (3..4).map(bar));
        sync_ok(&memory, &zoned(&db, None));
        let expected = match written {
            None => "14:30 14:31 14:32 14:33",
            Some(_) => "09:30 09:31 09:32 09:33",
        };
        assert_eq!(times(&db), expected);
    }
}

/// A column with a time zone needs no recorded zone, so an older progress table isn't changed.
#[test]
fn progress_of_an_older_version_stays_as_it_is_for_columns_with_a_zone() {
    let db = Database::new();
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..2).map(bar));
    sync_ok(&memory, &settings(&db.url()));
    db.sql("ALTER TABLE backfill_sync DROP COLUMN time_zone");
    memory.commit("MSFT", (0..2).map(bar));
    sync_ok(&memory, &settings(&db.url()));
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "4");
}

#[test]
fn stores_that_start_at_the_same_time_with_different_zones_do_not_mix() {
    let (db, _) = scene();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = [Some(NEW_YORK), None, Some(chrono_tz::Asia::Tokyo)]
            .into_iter()
            .enumerate()
            .map(|(index, zone)| {
                let settings = zoned(&db, zone);
                scope.spawn(move || {
                    let mut memory = Memory::new();
                    memory.commit(&format!("T{index}"), (0..200).map(bar));
                    // A later one reads the recorded zone, or finds the table empty.
                    try_sync(&memory, &settings, &Stop::new(), &Silent).is_ok()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(outcomes.contains(&true));
    // All times in the table are in one zone: every ticker in it starts at the same time.
    let firsts = "SELECT count(DISTINCT first) FROM (SELECT min(ts) AS first FROM market_data GROUP BY ticker) all_firsts";
    assert_eq!(db.sql(firsts), "1");
}

#[test]
fn a_run_that_syncs_at_its_end_uses_the_recorded_zone() {
    let (db, _) = scene();
    let env = TestEnv::new();
    stage_csv(&env, "AAPL", (0..2).map(bar).collect());
    let sync = |line: &str| {
        env.program(line.split_whitespace())
            .env("DATABASE_URL", db.url())
            .run()
    };
    sync("sync --target-timezone America/New_York").ok();
    let csv = "timestamp,open,high,low,close,volume\n2025-01-02T14:32:00Z,1,2,0.5,1.5,10\n";
    env.write("AAPL.csv", csv);
    sync("inject-csv AAPL.csv --interval 1 --sync").ok();
    assert_eq!(times(&db), "09:30 09:31 09:32");
    let other = sync("sync --target-timezone UTC").code(1);
    assert!(
        other.stderr.contains(
            "error: the times in public.market_data are in America/New_York, not in UTC\nhint: leave out --target-timezone"
        ),
        "{}",
        other.stderr
    );
}

/// The server's zone or the role's doesn't shift bars.
#[test]
fn the_servers_time_zone_changes_nothing() {
    for column in ["timestamp", "timestamptz"] {
        let db = Database::new();
        db.sql(&TABLE.replace("ts timestamp", &format!("ts {column}")));
        db.sql(&format!(
            "ALTER DATABASE {} SET timezone = 'Asia/Kolkata'",
            db.name()
        ));
        let mut memory = Memory::new();
        memory.commit("AAPL", (0..100).map(bar));
        sync_ok(&memory, &settings(&db.url()));
        memory.commit("AAPL", (100..120).map(bar));
        assert_eq!(sync_ok(&memory, &settings(&db.url())).totals.prepared, 20);
        let full = Settings {
            full: true,
            check: DeliveryCheck::Checksum,
            ..settings(&db.url())
        };
        assert_eq!(sync_ok(&memory, &full).totals.skipped_identical, 120);
        let first = db.sql("SELECT min(ts AT TIME ZONE 'UTC') FROM market_data");
        assert!(
            first.starts_with("2025-01-02 14:30:00"),
            "{column}: {first}"
        );
    }
}
