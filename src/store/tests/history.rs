//! Bars as of an earlier commit, compared with what the store had then.

use proptest::prelude::*;

use super::*;

const TICKERS: [&str; 3] = ["A", "B/C", "NULL"];
const MODES: [OnConflict; 3] = [OnConflict::Fail, OnConflict::Ignore, OnConflict::Update];

/// What a reader scans, and that its SQL view has the same.
fn seen(reader: &Reader) -> Model {
    let mut out = Model::new();
    for series in reader.series().unwrap() {
        for batch in reader.scan(&series.key, TimeRange::ALL).unwrap() {
            let bars = bars_from_batch(&batch.unwrap()).unwrap();
            assert!(bars.is_sorted_unique());
            let bars = bars.iter();
            out.extend(bars.map(|bar| ((series.key.clone(), bar.timestamp.micros()), bar.close)));
        }
    }
    assert_eq!(sql_content(reader), out);
    out
}

fn open_as_of(dir: &std::path::Path, seq: u64) -> Result<Reader, Error> {
    Reader::open(dir, &small()).unwrap().as_of(seq)
}

type Call = Vec<(u8, Vec<(i64, u8)>, u8)>;

fn call() -> impl Strategy<Value = Call> {
    let rows = prop::collection::vec((0..90_i64, 1..4_u8), 1..25);
    prop::collection::vec((0..3_u8, rows, 0..3_u8), 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Inserts, restatements (also to a value that a bar had before), batches that are skipped, segments, and
    /// files of conflicts.
    #[test]
    fn each_state_can_be_read_later(calls in prop::collection::vec((call(), any::<bool>()), 2..9)) {
        let dir = scratch();
        let store = Store::open(dir.path(), &small()).unwrap();
        let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
        let mut states: Vec<(u64, Model)> = Vec::new();
        for (call, seals) in calls {
            let offers = call.into_iter().map(|(ticker, rows, mode)| {
                let rows: Vec<(i64, f64)> =
                    rows.into_iter().map(|(minute, close)| (minute, f64::from(close))).collect();
                offer(TICKERS[ticker as usize], &rows, MODES[mode as usize])
            });
            let offers: Vec<Offer> = offers.collect();
            store.commit(&run, offers).unwrap();
            if seals {
                store.seal().unwrap();
            }
            let reader = store.reader().unwrap();
            let newest = reader.max_commit_seq();
            let now = content(&reader);
            states.retain(|(seq, _)| *seq != newest);
            if newest > 0 {
                states.push((newest, now));
            }
        }
        for (seq, state) in &states {
            let reader = store.reader().unwrap().as_of(*seq).unwrap();
            prop_assert_eq!(&seen(&reader), state, "commit {}", seq);
            prop_assert_eq!(reader.forgotten().unwrap(), Vec::new());
        }
        store.seal().unwrap();
        drop(store);
        for (seq, state) in &states {
            prop_assert_eq!(&seen(&open_as_of(dir.path(), *seq).unwrap()), state, "commit {}", seq);
        }
    }
}

/// Three commits of one series: bars 0 to 20, bar 5 restated, bars 20 to 30.
fn three_commits(store: &Store) {
    let run = store.begin_run("test", Timestamp::from_micros(10)).unwrap();
    let rows = |minutes: std::ops::Range<i64>, close: f64| -> Vec<(i64, f64)> {
        minutes.map(|minute| (minute, close)).collect()
    };
    for rows in [rows(0..20, 1.0), rows(5..6, 2.0), rows(20..30, 1.0)] {
        let offers = vec![offer("A", &rows, OnConflict::Update)];
        store.commit(&run, offers).unwrap()[0].as_ref().unwrap();
    }
    let at = Timestamp::from_micros(20);
    store.finish_run(&run, at, "ok", "{}").unwrap();
}

fn sum(reader: &Reader) -> f64 {
    seen(reader).values().sum()
}

#[test]
fn a_commit_or_a_time_without_bars_is_refused() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    assert!(matches!(
        store.reader().unwrap().as_of(1),
        Err(Error::NoCommit { newest: 0, .. })
    ));
    three_commits(&store);
    for seq in [0, 4] {
        let refused = store.reader().unwrap().as_of(seq);
        assert!(matches!(refused, Err(Error::NoCommit { newest: 3, .. })));
    }
    let sums: Vec<f64> = (1..=3)
        .map(|seq| sum(&store.reader().unwrap().as_of(seq).unwrap()))
        .collect();
    assert_eq!(sums, [20.0, 21.0, 31.0]);
    let at = |micros| {
        store
            .reader()
            .unwrap()
            .commit_at(Timestamp::from_micros(micros))
    };
    assert!(matches!(at(9), Err(Error::NothingAt { .. })));
    assert!(matches!(
        at(15),
        Err(Error::RunAt {
            first: 1,
            last: 3,
            ..
        })
    ));
    assert_eq!(at(20).unwrap(), 3);
    // A killed run has no end before the next run begins.
    let killed = store.begin_run("test", Timestamp::from_micros(30)).unwrap();
    store
        .commit(&killed, vec![offer("B", &[(1, 1.0)], OnConflict::Fail)])
        .unwrap();
    assert!(matches!(
        at(1_000),
        Err(Error::RunAt {
            first: 4,
            last: 4,
            ..
        })
    ));
    // One without commits, that may have made some since.
    let run = store.begin_run("test", Timestamp::from_micros(40)).unwrap();
    assert!(matches!(at(40), Err(Error::CatalogBusy { .. })));
    let end = Timestamp::from_micros(50);
    store.finish_run(&run, end, "ok", "{}").unwrap();
    assert_eq!((at(29).unwrap(), at(45).unwrap()), (3, 4));
    // Two runs at once: the later one has the older commit.
    let runs = [60, 61].map(|at| store.begin_run("test", Timestamp::from_micros(at)).unwrap());
    for (run, minute) in [(&runs[1], 2), (&runs[0], 3)] {
        let offers = vec![offer("B", &[(minute, 1.0)], OnConflict::Fail)];
        store.commit(run, offers).unwrap()[0].as_ref().unwrap();
    }
    for run in &runs {
        let end = Timestamp::from_micros(70);
        store.finish_run(run, end, "ok", "{}").unwrap();
    }
    assert_eq!(at(70).unwrap(), 6);
    // A commit that the catalog has lost, as an older copy of it has.
    (store.inner().catalog)
        .run("DELETE FROM commits WHERE commit_seq = 5")
        .unwrap();
    let lost = store.reader().unwrap().as_of(5);
    assert!(matches!(lost, Err(Error::NoCommit { seq: 5, newest: 6 })));
}

#[test]
fn what_a_drop_removed_is_not_known() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    three_commits(&store);
    let run = store.begin_run("test", Timestamp::from_micros(30)).unwrap();
    store
        .commit(&run, vec![offer("B", &[(1, 1.0)], OnConflict::Fail)])
        .unwrap();
    store.drop_bars(&key("A"), TimeRange::ALL).unwrap();
    store
        .commit(&run, vec![offer("A", &[(1, 7.0)], OnConflict::Fail)])
        .unwrap();
    let forgotten = |seq| {
        store
            .reader()
            .unwrap()
            .as_of(seq)
            .unwrap()
            .forgotten()
            .unwrap()
    };
    // A drop has no number: after commit 4 the series was there, and then it wasn't.
    assert_eq!(
        (forgotten(3), forgotten(4)),
        (vec![key("A")], vec![key("A")])
    );
    assert_eq!(forgotten(5), vec![]);
    // The view has no bars of a series that isn't known.
    let before = store.reader().unwrap().as_of(4).unwrap();
    let tickers: Vec<String> = (sql_content(&before).into_keys())
        .map(|(series, _)| series.ticker.to_string())
        .collect();
    assert_eq!(tickers, ["B"]);
    assert_eq!(sum(&store.reader().unwrap().as_of(5).unwrap()), 8.0);
}

#[test]
fn nothing_is_known_before_a_repair() {
    let dir = scratch();
    let store = Store::open(dir.path(), &small()).unwrap();
    three_commits(&store);
    store.seal().unwrap();
    drop(store);
    // Also without the catalog, which had the times of the runs.
    std::fs::remove_file(dir.path().join("staging.duckdb")).unwrap();
    repair(dir.path(), &small()).unwrap();
    assert!(matches!(
        open_as_of(dir.path(), 3),
        Err(Error::NoHistory { seq: 3, from: 4 })
    ));
    let at = Timestamp::from_micros(20);
    let reader = Reader::open(dir.path(), &small()).unwrap();
    assert!(matches!(reader.commit_at(at), Err(Error::UnknownAt { .. })));
    drop(reader);
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(30)).unwrap();
    store
        .commit(&run, vec![offer("B", &[(1, 1.0)], OnConflict::Fail)])
        .unwrap();
    assert_eq!(sum(&store.reader().unwrap().as_of(4).unwrap()), 32.0);
}

#[test]
fn an_older_store_is_known_from_its_first_opening_on() {
    let dir = scratch();
    three_commits(&Store::open(dir.path(), &small()).unwrap());
    let connection = duckdb::Connection::open(dir.path().join("staging.duckdb")).unwrap();
    connection
        .execute_batch(
            "ALTER TABLE conflicts DROP COLUMN staged_seq; ALTER TABLE conflicts DROP COLUMN commit_seq;
             UPDATE meta SET value = '1' WHERE key = 'schema_version';
             DELETE FROM meta WHERE key = 'history_from'",
        )
        .unwrap();
    drop(connection);
    assert!(matches!(
        open_as_of(dir.path(), 2),
        Err(Error::NoHistory { .. })
    ));
    assert_eq!(
        Reader::open(dir.path(), &small())
            .unwrap()
            .conflicts()
            .unwrap()
            .len(),
        1
    );
    let store = Store::open(dir.path(), &small()).unwrap();
    let format = store.inner().catalog.meta("schema_version").unwrap();
    assert_eq!(format.as_deref(), Some("5"));
    let run = store.begin_run("test", Timestamp::from_micros(30)).unwrap();
    store
        .commit(&run, vec![offer("A", &[(6, 3.0)], OnConflict::Update)])
        .unwrap();
    store
        .commit(&run, vec![offer("A", &[(6, 4.0)], OnConflict::Update)])
        .unwrap();
    assert_eq!(store.reader().unwrap().conflicts().unwrap().len(), 3);
    let as_of = |seq| store.reader().unwrap().as_of(seq);
    assert!(matches!(as_of(3), Err(Error::NoHistory { from: 4, .. })));
    assert_eq!(
        (sum(&as_of(4).unwrap()), sum(&as_of(5).unwrap())),
        (33.0, 34.0)
    );
}
