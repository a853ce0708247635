//! Commits of many series: their hot rows are in segments, and no caller can see a difference.

use super::*;
use crate::store::segment::{self, Footer, PartRows};

const TICKERS: [&str; 4] = ["A", "B", "C", "D"];

fn rows(minutes: std::ops::Range<i64>, close: f64) -> Vec<(i64, f64)> {
    minutes.map(|minute| (minute, close)).collect()
}

/// The segments in a store's folder.
fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(Layout::new(dir).segments())
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

fn table_rows(store: &Store) -> i64 {
    let inner = store.inner();
    let count = inner
        .catalog
        .rows("SELECT count(*) FROM hot", [], |row| row.get(0));
    count.unwrap()[0]
}

/// A store with one commit of four series, ten rows each over the turn of a year.
fn filled(dir: &std::path::Path) -> (Store, RunId) {
    let store = Store::open(dir, &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let offers = TICKERS
        .map(|ticker| offer(ticker, &rows(55..65, 1.0), OnConflict::Fail))
        .to_vec();
    let answers = store.commit(&run, offers).unwrap();
    assert!(answers.iter().all(Result::is_ok));
    (store, run)
}

fn sound(dir: &std::path::Path, expected: &Model) {
    let verified = verify(dir, &small()).unwrap();
    assert_eq!(verified.damage, []);
    let reader = Reader::open(dir, &small()).unwrap();
    assert_eq!(content(&reader), *expected);
    assert_eq!(sql_content(&reader), *expected);
}

#[test]
fn parts_come_back_as_they_were_written() {
    let dir = scratch();
    let path = dir.path().join("s.parquet");
    // More rows than a row group holds; vwap and trades in some parts, in some rows.
    let bars: Vec<Bars> = (0..50_i64)
        .map(|part| {
            (0..4_000 + part)
                .map(|minute| Bar {
                    vwap: (part % 2 == 0 && minute % 3 == 0).then_some(0.5),
                    trades: (part % 5 == 0).then_some(minute),
                    ..bar(minute, (part * 10_000 + minute) as f64)
                })
                .collect()
        })
        .collect();
    let parts: Vec<PartRows<'_>> = (bars.iter().enumerate())
        .map(|(place, bars)| PartRows {
            part_id: place as i64,
            bars,
            range: 0..bars.len(),
        })
        .collect();
    segment::write(&path, &parts).unwrap();
    let mut start = 0;
    let mut ranges = Vec::new();
    for part in &bars {
        ranges.push(start..start + part.len());
        start += part.len();
    }
    let footer = Footer::read(&path).unwrap();
    let same = |wanted: &[usize]| {
        let asked: Vec<_> = wanted.iter().map(|part| ranges[*part].clone()).collect();
        let found = segment::read(&path, &footer, &asked).unwrap();
        assert_eq!(found.len(), wanted.len());
        for (part, found) in wanted.iter().zip(found) {
            assert!(bars[*part].iter().eq(found.iter()), "part {part}");
        }
    };
    let all: Vec<usize> = (0..50).collect();
    same(&all);
    same(&[]);
    for part in 0..50 {
        same(&[part]);
    }
    same(&[3, 4, 31, 33, 49]);
    let last = start - 1..start + 1;
    let beyond = segment::read(&path, &footer, std::slice::from_ref(&last));
    assert!(beyond.unwrap_err().to_string().contains("has only"));
}

#[test]
fn a_commit_of_many_series_goes_the_whole_way() {
    let dir = scratch();
    let (store, run) = filled(dir.path());
    assert_eq!(files(dir.path()).len(), 1);
    assert_eq!(table_rows(&store), 0);
    let mut expected = content(&store.reader().unwrap());
    assert_eq!(expected.len(), 40);

    // One restated row, one row of another minute, and one said again.
    let again = [(57, 2.0), (58, 1.0), (80, 3.0)];
    let answers = store
        .commit(&run, vec![offer("B", &again, OnConflict::Update)])
        .unwrap();
    let counts = answers[0].as_ref().unwrap().counts;
    assert_eq!((counts.committed, counts.updated), (2, 1));
    assert_eq!(counts.skipped_identical, 1);
    let micros = |minute: i64| (START + minute) * 60_000_000;
    expected.insert((key("B"), micros(57)), 2.0);
    expected.insert((key("B"), micros(80)), 3.0);
    assert_eq!(content(&store.reader().unwrap()), expected);

    let range = TimeRange {
        start: micros(58),
        end: micros(63),
    };
    assert_eq!(store.drop_bars(&key("C"), range).unwrap().rows, 5);
    expected.retain(|(series, at), _| *series != key("C") || !range.contains(*at));
    assert_eq!(content(&store.reader().unwrap()), expected);
    drop(store);
    sound(dir.path(), &expected);
    assert_eq!(files(dir.path()).len(), 1);

    // A reader that was made before the seal still finds what it lists; then the file goes.
    let store = Store::open(dir.path(), &small()).unwrap();
    let reader = store.reader().unwrap();
    let sealed = store.seal().unwrap();
    assert_eq!(sealed.rows as usize, expected.len());
    assert_eq!(files(dir.path()).len(), 1);
    assert_eq!(content(&reader), expected);
    drop(reader);
    drop(store);
    assert_eq!(files(dir.path()), Vec::<std::path::PathBuf>::new());
    sound(dir.path(), &expected);
}

#[test]
fn a_seal_removes_the_file_at_once_without_readers() {
    let dir = scratch();
    let (store, _) = filled(dir.path());
    store.seal().unwrap();
    assert_eq!(files(dir.path()), Vec::<std::path::PathBuf>::new());
    assert_eq!(content(&store.reader().unwrap()).len(), 40);
}

#[test]
fn timestamps_come_from_segments_too() {
    let dir = scratch();
    let (store, _) = filled(dir.path());
    let range = TimeRange {
        start: (START + 57) * 60_000_000,
        end: (START + 62) * 60_000_000,
    };
    let found = (store.reader().unwrap())
        .timestamps(&[(key("D"), vec![range]), (key("A"), Vec::new())])
        .unwrap();
    let minutes: Vec<i64> = found[0].iter().map(|at| at / 60_000_000 - START).collect();
    assert_eq!(minutes, [57, 58, 59, 60, 61]);
    assert_eq!(found[1], Vec::<i64>::new());
}

#[test]
fn a_segment_that_is_gone_or_damaged_is_named_and_everything_else_is_saved() {
    for gone in [true, false] {
        let dir = scratch();
        let (store, run) = filled(dir.path());
        // A partition of E, and hot rows in the table: of A, and of series between the others.
        store
            .commit(&run, vec![offer("E", &rows(0..20, 5.0), OnConflict::Fail)])
            .unwrap();
        store
            .commit(&run, vec![offer("A", &[(90, 9.0)], OnConflict::Fail)])
            .unwrap();
        for ticker in ["AA", "AB", "CC"] {
            store
                .commit(&run, vec![offer(ticker, &[(1, 1.0)], OnConflict::Fail)])
                .unwrap();
        }
        drop(store);
        let file = files(dir.path()).remove(0);
        if gone {
            std::fs::remove_file(&file).unwrap();
        } else {
            let mut bytes = std::fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&file, bytes).unwrap();
        }
        let said = |error: Error| {
            let said = error.to_string();
            assert!(said.contains("segment"), "{said}");
        };
        said(Store::open(dir.path(), &small()).map(|_| ()).unwrap_err());
        said(Reader::open(dir.path(), &small()).map(|_| ()).unwrap_err());
        // As when the damage comes after the opening.
        let reader = Reader::open_unchecked(dir.path(), &small()).unwrap();
        said(reader.sql().map(|_| ()).unwrap_err());
        said(
            (reader.scan(&key("A"), TimeRange::ALL))
                .map(|_| ())
                .unwrap_err(),
        );
        for ticker in ["AA", "AB", "CC", "E"] {
            let scan = reader.scan(&key(ticker), TimeRange::ALL).unwrap();
            assert!(scan.map(|batch| batch.unwrap().num_rows()).sum::<usize>() > 0);
        }
        drop(reader);
        let damage = verify(dir.path(), &small()).unwrap().damage;
        assert_eq!(damage.len(), 1, "{damage:?}");

        let repaired = repair(dir.path(), &small()).unwrap();
        assert!(repaired.lost[0].ends_with("40 bars"), "{:?}", repaired.lost);
        assert_eq!(repaired.quarantined.len(), usize::from(!gone));
        assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
        let store = Store::open(dir.path(), &small()).unwrap();
        let left = content(&store.reader().unwrap());
        assert_eq!(left.len(), 24);
    }
}

#[test]
fn a_file_that_no_catalog_lists_is_swept_away_unless_it_may_be_what_was_lost() {
    let dir = scratch();
    let yesterday = scratch();
    let database = dir.path().join("staging.duckdb");
    drop(Store::open(dir.path(), &small()).unwrap());
    let kept = yesterday.path().join("staging.duckdb");
    std::fs::copy(&database, &kept).unwrap();
    let (store, _) = filled(dir.path());
    drop(store);
    let stray = Layout::new(dir.path()).segment("stray.parquet");
    std::fs::write(&stray, "left by a kill").unwrap();
    drop(Store::open(dir.path(), &small()).unwrap());
    assert!(!stray.exists());
    assert_eq!(files(dir.path()).len(), 1);

    // The catalog of yesterday knows nothing of the commit, and the lock file does.
    std::fs::copy(&kept, &database).unwrap();
    let store = Store::open(dir.path(), &small()).unwrap();
    assert!(
        (store.notices().iter()).any(|notice| notice.contains("acknowledged")),
        "{:?}",
        store.notices()
    );
    assert_eq!(files(dir.path()), Vec::<std::path::PathBuf>::new());
    let quarantined = std::fs::read_dir(Layout::new(dir.path()).quarantine()).unwrap();
    let segments = quarantined.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("segments__")
    });
    assert_eq!(segments.count(), 1);
}

/// Stores that were made before there were segments.
#[test]
fn a_catalog_without_the_tables_is_read_as_it_is_and_gets_them_when_it_is_written() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    store
        .commit(&run, vec![offer("A", &rows(0..3, 1.0), OnConflict::Fail)])
        .unwrap();
    drop(store);
    let connection = duckdb::Connection::open(dir.path().join("staging.duckdb")).unwrap();
    connection
        .execute_batch("DROP TABLE segments; DROP TABLE segment_parts")
        .unwrap();
    drop(connection);
    let reader = Reader::open(dir.path(), &small()).unwrap();
    assert_eq!(content(&reader).len(), 3);
    assert_eq!(sql_content(&reader).len(), 3);
    drop(reader);
    let (store, _) = filled_after(dir.path());
    assert_eq!(content(&store.reader().unwrap()).len(), 3 + 3 * 10);
    assert_eq!(files(dir.path()).len(), 1);
}

fn filled_after(dir: &std::path::Path) -> (Store, RunId) {
    let store = Store::open(dir, &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let offers = (TICKERS[1..].iter())
        .map(|ticker| offer(ticker, &rows(55..65, 1.0), OnConflict::Fail))
        .collect();
    store.commit(&run, offers).unwrap();
    (store, run)
}

/// Rows that are no longer listed stay in the file: their number is not used again.
#[test]
fn a_part_of_a_new_segment_shows_no_rows_of_an_old_one() {
    let dir = scratch();
    let (store, run) = filled(dir.path());
    store
        .commit(
            &run,
            vec![offer("D", &rows(40..80, 1.0), OnConflict::Ignore)],
        )
        .unwrap();
    drop(store);
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let offers = ["E", "F"].map(|ticker| offer(ticker, &rows(55..65, 1.0), OnConflict::Fail));
    store.commit(&run, offers.to_vec()).unwrap();
    let expected = content(&store.reader().unwrap());
    assert_eq!(expected.len(), 90);
    drop(store);
    assert_eq!(files(dir.path()).len(), 2);
    sound(dir.path(), &expected);
}

/// A catalog that was put back from before a seal lists a segment that the seal removed: the lake has its bars.
#[test]
fn a_repair_calls_nothing_lost_that_the_lake_holds() {
    let dir = scratch();
    let (store, _) = filled(dir.path());
    let expected = content(&store.reader().unwrap());
    drop(store);
    let database = dir.path().join("staging.duckdb");
    let before = std::fs::read(&database).unwrap();
    let store = Store::open(dir.path(), &small()).unwrap();
    store.seal().unwrap();
    drop(store);
    std::fs::write(&database, before).unwrap();
    assert!(Store::open(dir.path(), &small()).is_err());
    let repaired = repair(dir.path(), &small()).unwrap();
    assert_eq!(repaired.lost, Vec::<String>::new());
    sound(dir.path(), &expected);
}

/// A seal of some series alone leaves the others where they are.
#[test]
fn a_segment_lives_until_its_last_part_is_sealed() {
    let dir = scratch();
    let (store, run) = filled(dir.path());
    // Enough rows to publish: A's hot rows of both years go into its partitions.
    store
        .commit(&run, vec![offer("A", &rows(30..50, 1.0), OnConflict::Fail)])
        .unwrap();
    assert_eq!(files(dir.path()).len(), 1);
    let expected = content(&store.reader().unwrap());
    assert_eq!(expected.len(), 60);
    for ticker in &TICKERS[1..] {
        assert_eq!(files(dir.path()).len(), 1, "{ticker}");
        store
            .commit(
                &run,
                vec![offer(ticker, &rows(30..90, 1.0), OnConflict::Ignore)],
            )
            .unwrap();
    }
    let hot: u64 = (store.reader().unwrap().series().unwrap().iter())
        .map(|row| row.hot_rows)
        .sum();
    // A's second year: the commit that published was of its first alone.
    assert_eq!(hot, 5);
    assert_eq!(files(dir.path()).len(), 1);
    store.seal().unwrap();
    assert_eq!(files(dir.path()).len(), 0);
}
