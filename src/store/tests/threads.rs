//! Many threads on one store.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Rows that each of two threads brings of the same ticker, in small and large batches by turns.
const BATCHES: i64 = 12;

fn batch(thread: i64, number: i64) -> Vec<(i64, f64)> {
    // Both threads bring the minutes of a range that overlaps the other's by half.
    let first = number * 20 + thread * 5;
    let rows = if number % 3 == 0 { 15 } else { 4 };
    (first..first + rows)
        .map(|minute| (minute, minute as f64 + 1.0))
        .collect()
}

#[test]
fn two_files_of_one_ticker_at_once() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let (start, mut truth) = (Barrier::new(2), Model::new());
    let counted: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|thread| {
                let (store, run, start) = (&store, &run, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut committed = 0;
                    for number in 0..BATCHES {
                        let offer = offer("A", &batch(thread, number), OnConflict::Ignore);
                        let answers = store.commit(run, vec![offer]).unwrap();
                        committed += answers[0].as_ref().unwrap().counts.committed;
                    }
                    committed
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for (thread, number) in (0..2).flat_map(|thread| (0..BATCHES).map(move |n| (thread, n))) {
        for (minute, close) in batch(thread, number) {
            truth.insert((key("A"), (START + minute) * 60_000_000), close);
        }
    }
    // Each key was counted once, by the thread that committed it first.
    assert_eq!(counted.iter().sum::<u64>() as usize, truth.len());
    assert_eq!(content(&store.reader().unwrap()), truth);
    drop(store);
    let verified = verify(dir.path(), &small()).unwrap();
    assert_eq!(
        (verified.damage, verified.rows as usize),
        (Vec::new(), truth.len())
    );
}

#[test]
fn hot_commits_during_seals_and_drops_of_other_series() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let ended = AtomicBool::new(false);
    let mut truth = Model::new();
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| {
            let mut seals = 0;
            while !ended.load(Ordering::SeqCst) {
                seals += store.seal().unwrap().partitions;
            }
            seals
        });
        // A series that comes, by publish, and goes again: its first bars are under way while others are forgotten.
        let dropping = scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                let rows: Vec<(i64, f64)> = (0..20).map(|minute| (minute, 1.0)).collect();
                store
                    .commit(&run, vec![offer("GONE", &rows, OnConflict::Ignore)])
                    .unwrap();
                store.drop_bars(&key("GONE"), TimeRange::ALL).unwrap();
            }
        });
        for number in 0..40 {
            for ticker in ["A", "B"] {
                let rows: Vec<(i64, f64)> =
                    (number * 3..number * 3 + 3).map(|m| (m, 1.0)).collect();
                let offers = vec![offer(ticker, &rows, OnConflict::Fail)];
                assert!(store.commit(&run, offers).unwrap()[0].is_ok());
            }
            let large: Vec<(i64, f64)> =
                (0..13).map(|minute| (number * 13 + minute, 1.0)).collect();
            let fresh = format!("N{number}");
            let offers = vec![offer(&fresh, &large, OnConflict::Fail)];
            assert!(store.commit(&run, offers).unwrap()[0].is_ok());
            truth.extend(
                large
                    .iter()
                    .map(|(m, close)| ((key(&fresh), (START + m) * 60_000_000), *close)),
            );
        }
        ended.store(true, Ordering::SeqCst);
        dropping.join().unwrap();
        sealing.join().unwrap();
    });
    for ticker in ["A", "B"] {
        truth.extend((0..120).map(|m| ((key(ticker), (START + m) * 60_000_000), 1.0)));
    }
    assert_eq!(content(&store.reader().unwrap()), truth);
    drop(store);
    let verified = verify(dir.path(), &small()).unwrap();
    assert_eq!(
        (verified.damage, verified.rows as usize),
        (Vec::new(), truth.len())
    );
}

/// Readers of the lake, with no lock and no tool of ours, while partitions are replaced under them: old or new, and no
/// key twice.
#[test]
fn a_reader_of_the_lake_during_publishes() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let all = |close: f64| -> Vec<(i64, f64)> { (0..120).map(|minute| (minute, close)).collect() };
    store
        .commit(&run, vec![offer("A", &all(1.0), OnConflict::Update)])
        .unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let glob = dir.path().join("lake/*/*/*/bars.parquet");
            let sql = format!(
                "SELECT year(timestamp)::INTEGER, count(*), count(DISTINCT timestamp), min(close), max(close)
                 FROM read_parquet('{}') GROUP BY ALL ORDER BY ALL",
                glob.display()
            );
            let connection = duckdb::Connection::open_in_memory().unwrap();
            let mut looks = 0;
            while !ended.load(Ordering::SeqCst) || looks == 0 {
                let mut statement = connection.prepare(&sql).unwrap();
                let rows: Vec<(i32, i64, i64, f64, f64)> = statement
                    .query_map([], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                    })
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                assert_eq!(rows.len(), 2, "{rows:?}");
                for (year, count, keys, least, most) in rows {
                    assert_eq!((count, keys), (60, 60), "{year}");
                    assert_eq!(least, most, "{year} holds values of two updates");
                }
                // A reader of this process during the write: the lake alone, each partition whole.
                let reader = Reader::open(dir.path(), &small()).unwrap();
                assert!(reader.is_lake_only().is_some());
                assert_eq!(content(&reader).len(), 120);
                looks += 1;
            }
        });
        for number in 2..30 {
            let offers = vec![offer("A", &all(f64::from(number)), OnConflict::Update)];
            assert_eq!(
                store.commit(&run, offers).unwrap()[0]
                    .as_ref()
                    .unwrap()
                    .counts
                    .updated,
                120
            );
            // A reader from the writer itself: both tiers.
            assert_eq!(content(&store.reader().unwrap()).len(), 120);
        }
        ended.store(true, Ordering::SeqCst);
        reading.join().unwrap();
    });
}
