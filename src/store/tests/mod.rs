//! The store against a plain map, against damage, and against power that goes.
#![allow(clippy::unwrap_used)]

mod coverage;
mod damage;
mod golden;
mod groups;
mod history;
pub(super) mod layer;
mod ledger;
mod log;
mod model;
mod places;
mod power;
mod segments;
mod snapshots;
mod threads;

use std::collections::BTreeMap;

use super::*;
use crate::model::{
    Bar, Bars, Basis, Hours, Interval, OnConflict, Provenance, SeriesKey, Source, Ticker,
    TimeRange, Timestamp,
};

/// A scratch folder, in memory where there is such a place: these tests flush thousands of times.
fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}

type Model = BTreeMap<(SeriesKey, i64), f64>;

fn key(ticker: &str) -> SeriesKey {
    SeriesKey {
        interval: Interval::M1,
        ticker: Ticker::new(ticker).unwrap(),
    }
}

fn provenance() -> Provenance {
    Provenance {
        exchange: "NASDAQ".into(),
        basis: Basis::Unknown,
        hours: Hours::Unknown,
    }
}

fn bar(minute: i64, close: f64) -> Bar {
    Bar::new(
        Timestamp::from_micros(minute * 60_000_000),
        [close, close, close, close],
        10.0,
    )
}

/// Minute 0 of the tests: an hour before the year 2025, so that small ranges cross into another partition.
const START: i64 = (1_735_689_600 - 3_600) / 60;

fn offer(ticker: &str, rows: &[(i64, f64)], on_conflict: OnConflict) -> Offer {
    let bars: Bars = rows
        .iter()
        .map(|(minute, close)| bar(START + minute, *close))
        .collect();
    Offer {
        series: key(ticker),
        provenance: provenance(),
        source: Source::csv(),
        bars,
        on_conflict,
        is_repeated_request: false,
        coverage: Vec::new(),
    }
}

fn small() -> OpenOptions {
    OpenOptions {
        seal: SealRule {
            publish_rows_min: 12,
            partition_rows_min: 40,
            partition_sealed_per_hot: 2,
            store_rows_min: 100,
            store_sealed_per_hot: 8,
            segment_rows_min: 6,
            segment_series_min: 2,
            conflict_rows_min: 5,
        },
        // The tests that want snapshots ask for them: the others look at every file in `tmp/`.
        snapshots: SnapshotRule {
            first_after: None,
            every: std::time::Duration::ZERO,
            wait: std::time::Duration::ZERO,
        },
        memory_limit_mib: 100,
        threads: 1,
        ..OpenOptions::default()
    }
}

fn content(reader: &Reader) -> Model {
    let mut out = Model::new();
    for series in reader.series().unwrap() {
        let mut rows = 0;
        for batch in reader.scan(&series.key, TimeRange::ALL).unwrap() {
            let bars = bars_from_batch(&batch.unwrap()).unwrap();
            assert!(bars.is_sorted_unique());
            for bar in bars.iter() {
                rows += 1;
                let before = out.insert((series.key.clone(), bar.timestamp.micros()), bar.close);
                assert!(before.is_none(), "a key twice");
            }
        }
        assert_eq!(rows, series.rows, "{}", series.key);
    }
    out
}

/// What the SQL view says, counted and summed.
fn sql_content(reader: &Reader) -> Model {
    bars_of(&reader.sql().unwrap())
}

fn bars_of(connection: &duckdb::Connection) -> Model {
    let mut statement = connection
        .prepare("SELECT ticker, epoch_us(timestamp), close, interval FROM bars")
        .unwrap();
    let rows = statement
        .query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, f64>(2)?,
                row.get::<_, u32>(3)?,
            ))
        })
        .unwrap();
    let mut out = Model::new();
    for row in rows {
        let (ticker, micros, close, minutes) = row.unwrap();
        let series = SeriesKey {
            interval: Interval::from_minutes(minutes).unwrap(),
            ..key(&ticker)
        };
        let before = out.insert((series, micros), close);
        assert!(before.is_none(), "a key twice");
    }
    out
}

#[test]
fn a_second_writer_is_refused_with_the_pid_and_a_reader_sees_the_lake() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let rows: Vec<(i64, f64)> = (0..20).map(|minute| (minute, 1.0)).collect();
    store
        .commit(
            &run,
            vec![
                offer("A", &rows, OnConflict::Fail),
                offer("B", &rows[..3], OnConflict::Fail),
            ],
        )
        .unwrap();
    match Store::open(dir.path(), &small()).map(|_| ()) {
        Err(Error::WriterRuns { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    let reader = Reader::open(dir.path(), &small()).unwrap();
    assert_eq!(reader.is_lake_only(), Some(Some(std::process::id())));
    let seen: Vec<(String, u64)> = reader
        .series()
        .unwrap()
        .into_iter()
        .map(|row| (row.key.ticker.to_string(), row.rows))
        .collect();
    assert_eq!(seen, [("A".to_owned(), 20)]);
    assert_eq!(sql_content(&reader).len(), 20);
    assert!(matches!(reader.runs(), Err(Error::CatalogBusy { .. })));
}

fn filled(dir: &std::path::Path) -> Model {
    let store = Store::open(dir, &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let rows: Vec<(i64, f64)> = (0..120).map(|minute| (minute, 1.0)).collect();
    let offers = vec![
        offer("A", &rows, OnConflict::Fail),
        offer("B", &rows[..5], OnConflict::Fail),
    ];
    store.commit(&run, offers).unwrap();
    content(&store.reader().unwrap())
}

fn partition(dir: &std::path::Path, year: i32) -> std::path::PathBuf {
    Layout::new(dir).partition(&PartitionKey {
        series: key("A"),
        year,
    })
}

#[test]
fn a_newer_store_is_refused() {
    let dir = scratch();
    filled(dir.path());
    let connection = duckdb::Connection::open(dir.path().join("staging.duckdb")).unwrap();
    connection
        .execute_batch("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        .unwrap();
    drop(connection);
    let refused = [
        Store::open(dir.path(), &small()).map(|_| ()).unwrap_err(),
        Reader::open(dir.path(), &small()).map(|_| ()).unwrap_err(),
    ];
    for error in refused {
        assert!(error.to_string().contains("has format 99"), "{error}");
    }
}
