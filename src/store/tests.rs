//! The store against a plain map.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{
    Bar, Bars, Basis, Hours, Interval, OnConflict, Provenance, SeriesKey, Source, Ticker,
    TimeRange, Timestamp,
};

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
    Bar {
        timestamp: Timestamp::from_micros(minute * 60_000_000),
        open: close,
        high: close,
        low: close,
        close,
        volume: 10.0,
        vwap: None,
        trades: None,
    }
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
        asked_again: false,
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
    let connection = reader.sql().unwrap();
    let mut statement = connection
        .prepare("SELECT ticker, epoch_us(timestamp), close FROM bars WHERE interval = 1")
        .unwrap();
    let rows = statement
        .query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, f64>(2)?,
            ))
        })
        .unwrap();
    let mut out = Model::new();
    for row in rows {
        let (ticker, micros, close) = row.unwrap();
        assert!(
            out.insert((key(&ticker), micros), close).is_none(),
            "a key twice"
        );
    }
    out
}

/// Applies an offer to the model as design says, and returns what the store must answer: (committed, updated,
/// identical, restated), or `None` for a refusal.
fn apply(model: &mut Model, offer: &Offer) -> Option<(u64, u64, u64, u64)> {
    let mut batch: BTreeMap<i64, f64> = BTreeMap::new();
    let (mut identical, mut restated) = (0, 0);
    let mut clash = false;
    for bar in offer.bars.iter() {
        let at = bar.timestamp.micros();
        match batch.get(&at) {
            None => drop(batch.insert(at, bar.close)),
            Some(close) if *close == bar.close => identical += 1,
            Some(_) => {
                clash = true;
                restated += 1;
                if offer.on_conflict == OnConflict::Update {
                    batch.insert(at, bar.close);
                }
            }
        }
    }
    let staged = |at: &i64| model.get(&(offer.series.clone(), *at)).copied();
    if offer.on_conflict == OnConflict::Fail
        && (clash || batch.keys().any(|at| staged(at).is_some()))
    {
        return None;
    }
    let (mut committed, mut updated) = (0, 0);
    let mut writes = Vec::new();
    for (at, close) in &batch {
        match staged(at) {
            None => {
                committed += 1;
                writes.push((*at, *close));
            }
            Some(old) if old == *close => identical += 1,
            Some(_) if offer.on_conflict == OnConflict::Update => {
                committed += 1;
                updated += 1;
                writes.push((*at, *close));
            }
            Some(_) => restated += 1,
        }
    }
    for (at, close) in writes {
        model.insert((offer.series.clone(), at), close);
    }
    Some((committed, updated, identical, restated))
}

type StepOffer = (u8, Vec<(i64, u8)>, u8);

#[derive(Clone, Debug)]
enum Step {
    /// Offers of (ticker, rows of (minute, close), conflict mode).
    Commit(Vec<StepOffer>),
    Seal,
    Reopen,
    Drop(u8, i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((0..120_i64, 1..4_u8), 0..30);
    let offers = prop::collection::vec((0..3_u8, rows, 0..3_u8), 1..4);
    prop_oneof![
        6 => offers.prop_map(Step::Commit),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
        1 => (0..3_u8, 0..120_i64, 1..60_i64).prop_map(|(ticker, from, rows)| Step::Drop(ticker, from, rows)),
    ]
}

const TICKERS: [&str; 3] = ["007", "BTC/USD", "NULL"];
const MODES: [OnConflict; 3] = [OnConflict::Fail, OnConflict::Ignore, OnConflict::Update];

fn run_steps(steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::new();
    let mut store = Some(Store::open(dir.path(), &small()).unwrap());
    let run = store
        .as_ref()
        .unwrap()
        .begin_run("test", Timestamp::from_micros(0))
        .unwrap();
    for step in steps {
        let open = store.as_ref().unwrap();
        match step {
            Step::Commit(offers) => {
                let offers: Vec<Offer> = offers
                    .iter()
                    .map(|(ticker, rows, mode)| {
                        let rows: Vec<(i64, f64)> = rows
                            .iter()
                            .map(|(minute, close)| (*minute, f64::from(*close)))
                            .collect();
                        offer(TICKERS[*ticker as usize], &rows, MODES[*mode as usize])
                    })
                    .collect();
                let expected: Vec<_> = offers
                    .iter()
                    .map(|offer| apply(&mut model, offer))
                    .collect();
                let answers = open.commit(&run, offers).unwrap();
                for (answer, expected) in answers.iter().zip(&expected) {
                    let found = answer.as_ref().ok().map(|done| {
                        let c = done.counts;
                        (
                            c.committed,
                            c.updated,
                            c.skipped_identical,
                            c.skipped_restated,
                        )
                    });
                    assert_eq!(found, *expected);
                }
            }
            Step::Seal => {
                open.seal().unwrap();
                assert!(
                    open.reader()
                        .unwrap()
                        .series()
                        .unwrap()
                        .iter()
                        .all(|row| row.hot_rows == 0)
                );
            }
            Step::Reopen => {
                drop(store.take());
                store = Some(Store::open(dir.path(), &small()).unwrap());
            }
            Step::Drop(ticker, from, rows) => {
                let series = key(TICKERS[*ticker as usize]);
                let range = TimeRange {
                    start: (START + from) * 60_000_000,
                    end: (START + from + rows) * 60_000_000,
                };
                let before = model.len();
                model.retain(|(key, at), _| *key != series || !range.contains(*at));
                let dropped = open.drop_bars(&series, range).unwrap();
                assert_eq!(dropped.rows as usize, before - model.len());
            }
        }
        let reader = store.as_ref().unwrap().reader().unwrap();
        assert_eq!(content(&reader), model);
    }
    drop(store);
    let reader = Reader::open(dir.path(), &small()).unwrap();
    assert_eq!(content(&reader), model);
    assert_eq!(sql_content(&reader), model);
    drop(reader);
    let verified = verify(dir.path(), &small()).unwrap();
    assert_eq!(verified.damage, []);
    assert_eq!(verified.rows as usize, model.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_the_model(steps in prop::collection::vec(step(), 1..16)) {
        run_steps(&steps);
    }
}

#[test]
fn a_second_writer_is_refused_with_the_pid_and_a_reader_sees_the_lake() {
    let dir = tempfile::tempdir().unwrap();
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
fn damage_is_refused_named_and_repaired_as_far_as_it_can_be() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm, usize); 5] = [
        (
            "a partition deleted",
            |dir| std::fs::remove_file(partition(dir, 2025)).unwrap(),
            65,
        ),
        (
            "a partition cut",
            |dir| {
                let path = partition(dir, 2025);
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
            },
            65,
        ),
        (
            "a bit flipped",
            |dir| {
                let path = partition(dir, 2025);
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[40] ^= 4;
                std::fs::write(&path, bytes).unwrap();
            },
            65,
        ),
        (
            "the catalog deleted",
            |dir| std::fs::remove_file(dir.join("staging.duckdb")).unwrap(),
            120,
        ),
        (
            "the catalog overwritten",
            |dir| std::fs::write(dir.join("staging.duckdb"), [7; 9000]).unwrap(),
            120,
        ),
    ];
    for (what, harm, left) in harms {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        harm(dir.path());
        let refused = Store::open(dir.path(), &small()).map(|_| ());
        let found = verify(dir.path(), &small()).map(|verified| verified.damage);
        if what != "a bit flipped" {
            assert!(refused.is_err(), "{what}");
        }
        assert!(
            found.as_ref().map_or(true, |damage| !damage.is_empty()),
            "{what}: {found:?}"
        );
        let repaired = repair(dir.path(), &small()).unwrap();
        assert!(!repaired.lost.is_empty(), "{what}");
        assert_eq!(verify(dir.path(), &small()).unwrap().damage, [], "{what}");
        let reader = Store::open(dir.path(), &small()).unwrap().reader().unwrap();
        assert_eq!(content(&reader).len(), left, "{what}");
        assert_eq!(reader.store_id(), repaired.store_id);
    }
}

#[test]
fn a_newer_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
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
