//! Every column type: values are stored and read back equal, and compare as the column stores them.

use backfill::model::{Bar, Timestamp};
use backfill::report::UnitStatus;

use super::memory::{MINUTE, Memory, START, Settings, bar, run, settings, sync_ok};
use crate::support::Database;
use backfill::sync::DeliveryCheck;

const KEY: &str = "ticker text NOT NULL, ts timestamptz NOT NULL, PRIMARY KEY (ticker, ts)";

fn table(db: &Database, price: &str, volume: &str, key: &str) {
    db.sql(&format!(
        "CREATE TABLE market_data (open {price}, high {price}, low {price}, close {price}, volume {volume}, \
         trades integer, {key})"
    ));
}

/// Bars whose prices are hard to represent in decimal and in binary.
fn awkward() -> Memory {
    let mut memory = Memory::new();
    let prices = [
        0.1,
        1.0 / 3.0,
        123.456_789_012_345,
        99.995,
        0.000_123_4,
        187.125,
        10_000.0,
        0.004_5,
        2.0,
        65_432.1,
        1e-5,
    ];
    let bars = prices.into_iter().enumerate().map(|(index, price)| Bar {
        trades: Some(index as i64),
        ..Bar::new(
            Timestamp::from_micros(START + index as i64 * MINUTE),
            [price, price * 2.0, price / 2.0, price * 1.5],
            (index * 1_000_003) as f64,
        )
    });
    memory.commit("AAPL", bars);
    memory
}

#[test]
fn every_column_type_stores_bars_that_compare_as_identical() {
    for (price, volume) in [
        ("double precision", "double precision"),
        ("real", "bigint"),
        ("numeric", "numeric"),
        ("numeric(18,6)", "numeric(20,0)"),
        ("numeric(12,2)", "integer"),
        ("numeric(9,3)", "real"),
    ] {
        for key in [
            KEY,
            &KEY.replace("timestamptz", "timestamp"),
            &KEY.replace("text", "varchar(8)"),
        ] {
            let db = Database::new();
            table(&db, price, volume, key);
            let memory = awkward();
            let summed = Settings {
                check: DeliveryCheck::Checksum,
                ..settings(&db.url())
            };
            let first = sync_ok(&memory, &summed);
            assert_eq!(first.totals.committed, 11, "{price} {volume} {key}");
            let full = Settings {
                full: true,
                ..summed.clone()
            };
            let again = sync_ok(&memory, &full);
            assert_eq!(again.totals.skipped_identical, 11, "{price} {volume} {key}");
            // The server converts a text with all digits to the same value.
            assert_eq!(
                db.sql(&format!(
                    "SELECT count(*) FROM market_data WHERE open = '0.3333333333333333'::{price} \
                     OR close = '149.9925'::{price}"
                )),
                "2",
                "{price}"
            );
            // Rows that another program wrote with the same values are identical too.
            db.sql(&format!(
                "UPDATE market_data SET open = '99.995'::{price} WHERE volume = 3000009; \
                 DELETE FROM backfill_sync"
            ));
            assert_eq!(
                sync_ok(&memory, &summed).totals.skipped_identical,
                11,
                "{price}"
            );
            db.sql("UPDATE market_data SET open = open + 1 WHERE volume = 3000009");
            let report = run(&memory, &full);
            assert_eq!(report.tickers[0].status, UnitStatus::Conflict, "{price}");
            let updating = Settings {
                on_conflict: backfill::model::OnConflict::Update,
                ..full.clone()
            };
            assert_eq!(sync_ok(&memory, &updating).totals.updated, 1, "{price}");
            assert_eq!(
                sync_ok(&memory, &full).totals.skipped_identical,
                11,
                "{price}"
            );
        }
    }
}

#[test]
fn a_numeric_column_has_prices_as_they_were_typed() {
    let db = Database::new();
    table(&db, "numeric", "numeric", KEY);
    sync_ok(&awkward(), &settings(&db.url()));
    assert_eq!(
        db.sql("SELECT open FROM market_data ORDER BY ts"),
        "0.1\n0.3333333333333333\n123.456789012345\n99.995\n0.0001234\n187.125\n10000\n0.0045\n2\n65432.1\n0.00001"
    );
}

#[test]
fn a_value_that_is_too_large_fails_its_ticker_and_names_the_row() {
    let db = Database::new();
    table(&db, "numeric(6,2)", "integer", KEY);
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..30).map(bar));
    memory.commit(
        "BRK-A",
        (0..30).map(|n| Bar {
            high: if n == 20 { 612_000.0 } else { bar(n).high },
            ..bar(n)
        }),
    );
    let report = run(&memory, &settings(&db.url()));
    assert_eq!(report.status().code(), 3);
    assert_eq!(report.tickers[0].counts.committed, 30);
    let message = report.tickers[1].error.as_deref().unwrap();
    assert!(
        message.contains("BRK-A")
            && message.contains("2025-01-02T14:50:00Z")
            && message.contains("high 612000"),
        "{message}"
    );
    assert_eq!(
        db.sql("SELECT count(*) FROM market_data WHERE ticker = 'BRK-A'"),
        "0"
    );
}

#[test]
fn fractional_volumes_need_round_volume_for_an_integer_column() {
    let db = Database::new();
    table(&db, "double precision", "bigint", KEY);
    let mut memory = Memory::new();
    memory.commit(
        "AAPL",
        (0..5).map(|n| Bar {
            volume: 10.5 + n as f64,
            ..bar(n)
        }),
    );
    let report = run(&memory, &settings(&db.url()));
    assert_eq!(report.status().code(), 3);
    assert!(
        report.tickers[0]
            .hint
            .as_ref()
            .unwrap()
            .to_string()
            .contains("--round-volume")
    );
    let rounding = Settings {
        round_volume: true,
        check: DeliveryCheck::Checksum,
        ..settings(&db.url())
    };
    sync_ok(&memory, &rounding);
    assert_eq!(
        db.sql("SELECT volume FROM market_data ORDER BY ts"),
        "11\n12\n13\n14\n15"
    );
    let full = Settings {
        full: true,
        ..rounding
    };
    assert_eq!(sync_ok(&memory, &full).totals.skipped_identical, 5);
}

#[test]
fn a_timestamp_column_stores_utc_or_the_wall_time_of_a_zone() {
    for (zone, expected) in [
        (None, "2025-01-02 14:30:00\n2025-01-02 14:31:00"),
        (
            Some(chrono_tz::America::New_York),
            "2025-01-02 09:30:00\n2025-01-02 09:31:00",
        ),
    ] {
        let db = Database::new();
        table(
            &db,
            "double precision",
            "double precision",
            &KEY.replace("timestamptz", "timestamp"),
        );
        let mut memory = Memory::new();
        memory.commit("AAPL", (0..2).map(bar));
        let settings = Settings {
            target_zone: zone,
            ..settings(&db.url())
        };
        sync_ok(&memory, &settings);
        assert_eq!(db.sql("SELECT ts FROM market_data ORDER BY ts"), expected);
        assert_eq!(sync_ok(&memory, &settings).totals.prepared, 0);
        let full = Settings {
            full: true,
            ..settings
        };
        assert_eq!(sync_ok(&memory, &full).totals.skipped_identical, 2);
    }
}

#[test]
fn the_repeated_hour_is_refused_for_a_wall_time_column() {
    let db = Database::new();
    table(
        &db,
        "double precision",
        "double precision",
        &KEY.replace("timestamptz", "timestamp"),
    );
    let mut memory = Memory::new();
    let second = 1_762_063_200_000_000; // 2025-11-02T06:00:00Z, 01:00 in New York for the second time
    memory.commit(
        "BTC/USD",
        [Bar {
            timestamp: Timestamp::from_micros(second),
            ..bar(0)
        }],
    );
    let settings = Settings {
        target_zone: Some(chrono_tz::America::New_York),
        ..settings(&db.url())
    };
    let report = run(&memory, &settings);
    assert_eq!(report.status().code(), 3);
    assert!(
        report.tickers[0]
            .error
            .as_deref()
            .unwrap()
            .contains("2025-11-02T06:00:00Z")
    );
}

#[test]
fn a_ticker_too_long_for_its_column_is_an_error() {
    let db = Database::new();
    table(
        &db,
        "double precision",
        "double precision",
        &KEY.replace("text", "varchar(4)"),
    );
    let mut memory = Memory::new();
    memory.commit("AAPL", (0..2).map(bar));
    memory.commit("GOOGL", (0..2).map(bar));
    let report = run(&memory, &settings(&db.url()));
    assert_eq!(report.status().code(), 3);
    assert!(
        report.tickers[1]
            .error
            .as_deref()
            .unwrap()
            .contains("4 characters")
    );
    assert_eq!(db.sql("SELECT count(*) FROM market_data"), "2");
}

#[test]
fn tickers_with_special_characters_are_quoted() {
    let db = Database::new();
    let mut memory = Memory::new();
    for ticker in ["O'NEIL", "A\\B", "BTC/USD", "Ü"] {
        memory.commit(ticker, (0..60).map(bar));
    }
    sync_ok(&memory, &settings(&db.url()));
    assert_eq!(super::memory::table(&db, "market_data"), memory.table());
    let full = Settings {
        full: true,
        ..settings(&db.url())
    };
    assert_eq!(sync_ok(&memory, &full).totals.skipped_identical, 240);
}
