//! Readers that hold no lock: what they see stays the same while writers work.

use super::*;

fn rows(minutes: std::ops::Range<i64>, close: f64) -> Vec<(i64, f64)> {
    minutes.map(|minute| (minute, close)).collect()
}

fn commit(store: &Store, tickers: &[(&str, Vec<(i64, f64)>)]) {
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let offers = (tickers.iter())
        .map(|(ticker, rows)| offer(ticker, rows, OnConflict::Update))
        .collect();
    for answer in store.commit(&run, offers).unwrap() {
        answer.unwrap();
    }
}

/// Bars of every kind: a sealed partition of two years, rows in the hot table, a segment.
fn filled(dir: &std::path::Path) -> Store {
    let store = Store::open(dir, &small()).unwrap();
    commit(&store, &[("A", rows(0..120, 1.0))]);
    commit(
        &store,
        &[("A", rows(120..123, 1.0)), ("B", rows(0..2, 1.0))],
    );
    commit(&store, &[("C", rows(0..4, 1.0)), ("D", rows(0..4, 1.0))]);
    let hot = store.reader().unwrap().series().unwrap();
    let hot: Vec<u64> = hot.iter().map(|row| row.hot_rows).collect();
    assert_eq!(hot, [3, 2, 4, 4]);
    assert_eq!(std::fs::read_dir(dir.join("segments")).unwrap().count(), 1);
    store
}

/// Rewrites, seals, removes and adds, in a way that replaces every file of [`filled`].
fn change_everything(store: &Store) {
    commit(store, &[("A", rows(0..130, 2.0)), ("B", rows(0..30, 2.0))]);
    commit(store, &[("E", rows(0..3, 2.0))]);
    store.drop_bars(&key("D"), TimeRange::ALL).unwrap();
    store.seal().unwrap();
}

fn folders_in_tmp(dir: &std::path::Path) -> usize {
    let names = std::fs::read_dir(dir.join("tmp")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("snapshot-") || name.starts_with("published-"))
        .count()
}

#[test]
fn a_detached_reader_keeps_its_state_and_keeps_no_writer_waiting() {
    let dir = scratch();
    drop(filled(dir.path()));
    let reader = Reader::open_detached(dir.path(), &small()).unwrap();
    let before = content(&reader);
    assert_eq!(before.len(), 133);
    assert_eq!(folders_in_tmp(dir.path()), 1);

    let at_once = OpenOptions {
        wait_for_readers: std::time::Duration::ZERO,
        ..small()
    };
    let store = Store::open(dir.path(), &at_once).unwrap();
    change_everything(&store);
    let after = content(&store.reader().unwrap());
    assert_ne!(after, before);
    drop(store);

    assert_eq!(content(&reader), before);
    assert_eq!(sql_content(&reader), before);
    assert_eq!(folders_in_tmp(dir.path()), 1);
    drop(reader);
    assert_eq!(folders_in_tmp(dir.path()), 0);
    assert_eq!(content(&Reader::open(dir.path(), &small()).unwrap()), after);
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
}

#[test]
fn a_writer_removes_the_snapshots_of_killed_readers() {
    let dir = scratch();
    drop(filled(dir.path()));
    let left = dir.path().join("tmp/snapshot-1-left/lake");
    std::fs::create_dir_all(&left).unwrap();
    let reader = Reader::open_detached(dir.path(), &small()).unwrap();
    assert_eq!(folders_in_tmp(dir.path()), 1);
    drop(Store::open(dir.path(), &small()).unwrap());
    assert_eq!(folders_in_tmp(dir.path()), 1);
    drop(reader);
}

/// Without a place for a snapshot, a reader reads the store itself, under its lock.
#[test]
fn a_reader_without_a_snapshot_holds_the_lock() {
    let dir = scratch();
    drop(filled(dir.path()));
    std::fs::remove_dir(dir.path().join("tmp")).unwrap();
    std::fs::write(dir.path().join("tmp"), "").unwrap();
    let reader = Reader::open_detached(dir.path(), &small()).unwrap();
    assert_eq!(content(&reader).len(), 133);
    std::fs::remove_file(dir.path().join("tmp")).unwrap();
    let at_once = OpenOptions {
        wait_for_readers: std::time::Duration::ZERO,
        ..small()
    };
    let refused = Store::open(dir.path(), &at_once).map(drop).unwrap_err();
    assert!(matches!(refused, Error::ReadersStay { .. }), "{refused}");
}

fn publishing() -> OpenOptions {
    use std::time::Duration;
    OpenOptions {
        snapshots: SnapshotRule {
            first_after: Some(Duration::ZERO),
            every: Duration::ZERO,
            wait: Duration::from_secs(60),
        },
        ..small()
    }
}

/// Each commit writes the same close into every bar, hot or sealed. A reader in another process
/// sees the bars of one commit, all of them, however the files are replaced meanwhile.
#[test]
fn readers_see_one_state_of_the_store_while_it_is_written() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let dir = scratch();
    let store = Store::open(dir.path(), &publishing()).unwrap();
    let all = |close: f64| [("A", rows(0..120, close)), ("B", rows(0..5, close))];
    commit(&store, &all(1.0));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut seen, mut last) = (std::collections::BTreeSet::new(), 0);
            while !ended.load(Ordering::SeqCst) || seen.len() < 3 {
                let reader = Reader::open(dir.path(), &publishing()).unwrap();
                let snapshot = reader.writer_snapshot().unwrap();
                assert_eq!(snapshot.pid, Some(std::process::id()));
                let bars = content(&reader);
                assert_eq!(sql_content(&reader), bars);
                let closes: std::collections::BTreeSet<i64> =
                    bars.values().map(|close| *close as i64).collect();
                if bars.is_empty() {
                    continue;
                }
                assert_eq!((bars.len(), closes.len()), (125, 1), "{closes:?}");
                let close = closes.into_iter().next().unwrap();
                assert!(close >= last, "{close} after {last}");
                last = close;
                seen.insert(close);
            }
        });
        let mut close = 1.0;
        while !reading.is_finished() && (close < 40.0 || !ended.load(Ordering::SeqCst)) {
            close += 1.0;
            commit(&store, &all(close));
            if close as i64 % 3 == 0 {
                store.seal().unwrap();
            }
            ended.store(close >= 40.0, Ordering::SeqCst);
        }
        reading.join().unwrap();
    });
    drop(store);
    assert_eq!(folders_in_tmp(dir.path()), 0);
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
}

/// A snapshot outlives the writer's next one, and the writer, while a reader uses it.
#[test]
fn a_published_snapshot_stays_while_it_is_read() {
    let dir = scratch();
    drop(filled(dir.path()));
    let store = Store::open(dir.path(), &small()).unwrap();
    let first = crate::store::snapshot::publish_now(&store.shared).unwrap();
    let reader = Reader::open(dir.path(), &small()).unwrap();
    assert!(reader.writer_snapshot().is_some());
    let before = content(&reader);
    change_everything(&store);
    let second = crate::store::snapshot::publish_now(&store.shared).unwrap();
    drop(first);
    let after = content(&Reader::open(dir.path(), &small()).unwrap());
    assert_eq!(after, content(&store.reader().unwrap()));
    assert_ne!(after, before);
    drop((second, store));
    assert_eq!(content(&reader), before);
    assert_eq!(sql_content(&reader), before);
    assert_eq!(folders_in_tmp(dir.path()), 1);
    drop(reader);
    assert_eq!(folders_in_tmp(dir.path()), 0);
}

/// As a kill leaves it: the snapshot of a writer that no longer runs is older than what it
/// committed, so no process may read it.
#[test]
fn the_snapshot_of_a_killed_writer_is_not_read() {
    let dir = scratch();
    let store = filled(dir.path());
    let published = crate::store::snapshot::publish_now(&store.shared).unwrap();
    let copy = scratch();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(dir.path().join("."))
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    drop((published, store));
    assert_eq!(folders_in_tmp(copy.path()), 1);
    // A writer that has not published: with the leftover in place, as if it could not be removed.
    let lock =
        crate::store::lock::WriteLock::acquire(&Layout::new(copy.path()), small().wait_for_readers);
    let reader = Reader::open(copy.path(), &small()).unwrap();
    assert!(reader.is_lake_only().is_some());
    drop((reader, lock));
    drop(Store::open(copy.path(), &small()).unwrap());
    assert_eq!(folders_in_tmp(copy.path()), 0);
}

/// The temporary files of DuckDB are in a folder that only this user may enter, not next to the
/// database; what a killed process left there is removed by the next reader.
#[cfg(unix)]
#[test]
fn catalogs_spill_into_a_private_folder() {
    use std::os::unix::fs::PermissionsExt;

    let dir = scratch();
    drop(filled(dir.path()));
    let left = dir.path().join("tmp/query-1-left");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("duckdb_temp_storage-0.tmp"), "rows").unwrap();
    let reader = Reader::open(dir.path(), &small()).unwrap();
    assert!(!left.exists());
    let connection = &reader.catalog().unwrap().connection;
    let folder: String = connection
        .query_row("SELECT current_setting('temp_directory')", [], |row| {
            row.get(0)
        })
        .unwrap();
    let folder = std::path::Path::new(&folder);
    assert_eq!(
        folder.parent(),
        Some(dir.path().canonicalize().unwrap().join("tmp").as_path())
    );
    let mode = std::fs::metadata(folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
