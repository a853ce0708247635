//! The ledger of conflicts, in the table and in files.

use super::*;

const TICKERS: [&str; 4] = ["A", "B", "C", "D"];

/// Files of conflicts in a store's folder.
fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(Layout::new(dir).segments()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_ledger = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("conflicts-")
    };
    paths.filter(is_ledger).collect()
}

/// Offers ten bars of each series with `close`.
fn update(store: &Store, close: f64) {
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let rows: Vec<(i64, f64)> = (55..65).map(|minute| (minute, close)).collect();
    let offers = TICKERS.map(|ticker| offer(ticker, &rows, OnConflict::Update));
    let results = store.commit(&run, offers.to_vec()).unwrap();
    assert!(results.iter().all(Result::is_ok));
}

/// Stored and offered close of each conflict of series A, once for each pair.
fn pairs(reader: &Reader) -> Vec<(f64, f64)> {
    let mut pairs: Vec<(f64, f64)> = (reader.conflicts().unwrap().iter())
        .filter(|row| row.series == key("A"))
        .map(|row| (row.staged.close, row.offered.close))
        .collect();
    pairs.dedup();
    pairs.sort_by(|a, b| a.partial_cmp(b).unwrap());
    pairs.dedup();
    pairs
}

fn sql_count(reader: &Reader) -> i64 {
    let sql =
        "SELECT count(*) FROM conflicts WHERE offered_close <> staged_close AND run IS NOT NULL";
    let count = reader.sql().unwrap().query_row(sql, [], |row| row.get(0));
    count.unwrap()
}

#[test]
fn many_conflicts_of_a_commit_are_in_a_file_that_stays() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    update(&store, 1.0);
    assert!(files(dir.path()).is_empty());
    update(&store, 2.0);
    assert_eq!(files(dir.path()).len(), 1);
    let reader = store.reader().unwrap();
    assert_eq!((pairs(&reader), sql_count(&reader)), (vec![(1.0, 2.0)], 40));
    let rows = reader.conflicts().unwrap();
    assert!(rows.iter().all(|row| row.offered.volume == 10.0
        && row.resolution == "updated"
        && row.staged_source == "csv"));
    drop(reader);

    // A few go into the table. What was offered before isn't recorded again, unless it replaced
    // something.
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let few = vec![offer("A", &[(55, 1.0), (56, 3.0)], OnConflict::Ignore)];
    store.commit(&run, few).unwrap()[0].as_ref().unwrap();
    assert_eq!(files(dir.path()).len(), 1);
    update(&store, 1.0);
    update(&store, 2.0);
    assert_eq!(files(dir.path()).len(), 3);
    store.seal().unwrap();
    drop(store);

    assert_eq!(files(dir.path()).len(), 3);
    let reader = Reader::open(dir.path(), &small()).unwrap();
    assert_eq!(pairs(&reader), [(1.0, 2.0), (2.0, 1.0), (2.0, 3.0)]);
    assert_eq!(sql_count(&reader), 122);
    drop(reader);
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
    let store = Store::open(dir.path(), &small()).unwrap();
    store.drop_bars(&key("A"), TimeRange::ALL).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!((pairs(&reader).len(), sql_count(&reader)), (0, 90));
}

#[test]
fn a_file_that_is_gone_or_damaged_is_named_and_a_repair_keeps_the_bars() {
    for gone in [true, false] {
        let dir = scratch();
        let store = Store::open(dir.path(), &small()).unwrap();
        update(&store, 1.0);
        update(&store, 2.0);
        let expected = content(&store.reader().unwrap());
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
        assert!(Store::open(dir.path(), &small()).is_err());
        let reader = Reader::open_unchecked(dir.path(), &small()).unwrap();
        assert!(reader.sql().is_err());
        drop(reader);
        assert_eq!(verify(dir.path(), &small()).unwrap().damage.len(), 1);
        let repaired = repair(dir.path(), &small()).unwrap();
        assert!(
            repaired.lost[0].contains("conflicts of run"),
            "{:?}",
            repaired.lost
        );
        assert_eq!(repaired.quarantined.len(), usize::from(!gone));
        let store = Store::open(dir.path(), &small()).unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(content(&reader), expected);
        assert!(reader.conflicts().unwrap().is_empty());
    }
}
