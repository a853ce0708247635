//! DuckDB's log with a tail that is torn, zeroed or flipped.

use super::*;

/// Cuts of each kind.
const PLACES: usize = 24;

/// A store that was killed with three acknowledged commits of five bars in its log: its files, and where the log ended
/// after each commit.
struct Killed {
    dir: tempfile::TempDir,
    log: Vec<u8>,
    ends: Vec<usize>,
}

const COMMITS: usize = 3;
const BARS: usize = 5;

fn killed() -> Killed {
    let dir = scratch();
    let (live, kept) = (dir.path().join("live"), dir.path().join("kept"));
    let store = Store::open(&live, &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let mut ends = Vec::new();
    for commit in 0..COMMITS as i64 {
        let rows: Vec<(i64, f64)> = (0..BARS as i64)
            .map(|row| (commit * 10 + row, 1.0))
            .collect();
        let answers = store
            .commit(&run, vec![offer("A", &rows, OnConflict::Fail)])
            .unwrap();
        assert!(answers[0].is_ok());
        ends.push(
            std::fs::read(live.join("staging.duckdb.wal"))
                .unwrap()
                .len(),
        );
    }
    // As `kill -9` leaves it: the files as they are now.
    copy_dir(&live, &kept);
    drop(store);
    let log = std::fs::read(kept.join("staging.duckdb.wal")).unwrap();
    assert_eq!(log.len(), ends[COMMITS - 1]);
    Killed { dir, log, ends }
}

pub(super) fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Opens the killed store with another log. Returns how many commits are there, and the notices.
fn opened_with(killed: &Killed, log: &[u8]) -> (usize, Vec<String>, usize) {
    let dir = tempfile::tempdir_in(killed.dir.path()).unwrap();
    copy_dir(&killed.dir.path().join("kept"), dir.path());
    std::fs::write(dir.path().join("staging.duckdb.wal"), log).unwrap();
    let store = Store::open(dir.path(), &small()).unwrap();
    let notices = store.notices().to_vec();
    let rows = content(&store.reader().unwrap()).len();
    assert_eq!(rows % BARS, 0, "half a commit");
    // What is taken from here on is kept, under a number that none had.
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let more = offer("B", &[(0, 1.0)], OnConflict::Fail);
    let answers = store.commit(&run, vec![more]).unwrap();
    let (seq, _) = answers[0].as_ref().unwrap().commit.unwrap();
    assert_eq!(seq, COMMITS as u64 + 1);
    drop(store);
    let verified = verify(dir.path(), &small()).unwrap();
    assert_eq!(verified.damage, []);
    assert_eq!(verified.rows as usize, rows + 1);
    let kept = std::fs::read_dir(dir.path().join("quarantine")).map_or(0, Iterator::count);
    (rows / BARS, notices, kept)
}

/// Commits that are whole in the first `bytes` of the log.
fn whole_in(killed: &Killed, bytes: usize) -> usize {
    killed.ends.iter().filter(|end| **end <= bytes).count()
}

fn expect(what: &str, killed: &Killed, log: &[u8], commits: usize) {
    let (found, notices, kept) = opened_with(killed, log);
    assert_eq!(found, commits, "{what}: {notices:?}");
    let is_reported = notices
        .iter()
        .any(|line| line.contains("were acknowledged"));
    assert_eq!(is_reported, commits < COMMITS, "{what}: {notices:?}");
    // What was cut away is kept, where it may have been more than a kill leaves anyway. A log that ends with a
    // transaction has nothing to cut.
    let ends_well = killed.ends.contains(&log.len());
    assert_eq!(
        kept > 0,
        !ends_well || log != killed.log && log.len() == killed.log.len(),
        "{what}"
    );
}

fn places(killed: &Killed) -> Vec<usize> {
    // Spread over the log after the entry with its version, and the edges of each commit.
    let (first, last) = (8, killed.log.len());
    let mut places: Vec<usize> = (0..PLACES)
        .map(|n| first + (last - first) * n / PLACES)
        .collect();
    for end in &killed.ends {
        places.extend([end - 1, *end, end + 1]);
    }
    places.retain(|place| *place < last);
    places
}

#[test]
fn a_log_that_is_whole_loses_nothing() {
    let killed = killed();
    expect("whole", &killed, &killed.log, COMMITS);
}

#[test]
fn a_torn_tail_is_cut_and_reported() {
    let killed = killed();
    for place in places(&killed) {
        let torn = &killed.log[..place];
        expect(
            &format!("torn at {place}"),
            &killed,
            torn,
            whole_in(&killed, place),
        );
    }
}

#[test]
fn a_zeroed_tail_is_cut_and_reported() {
    let killed = killed();
    for place in places(&killed) {
        let mut zeroed = killed.log.clone();
        zeroed[place..].fill(0);
        // The last bytes may be zeros anyway.
        let commits = if zeroed == killed.log {
            COMMITS
        } else {
            whole_in(&killed, place)
        };
        expect(&format!("zeroed from {place}"), &killed, &zeroed, commits);
    }
}

#[test]
fn a_flipped_bit_is_cut_away_with_all_after_it() {
    let killed = killed();
    for (number, place) in places(&killed).into_iter().enumerate() {
        let mut flipped = killed.log.clone();
        flipped[place] ^= 1 << (number % 8);
        let commits = whole_in(&killed, place);
        expect(
            &format!("bit {} of byte {place} flipped", number % 8),
            &killed,
            &flipped,
            commits,
        );
    }
}

/// A kill in the middle of writing a commit that wasn't acknowledged: no message, no copy.
#[test]
fn a_transaction_that_was_never_acknowledged_goes_without_a_word() {
    let killed = killed();
    let mut log = killed.log.clone();
    log.extend_from_slice(&killed.log[killed.ends[0]..killed.ends[0] + 40]);
    let (commits, notices, kept) = opened_with(&killed, &log);
    assert_eq!((commits, notices, kept), (COMMITS, Vec::new(), 0));
}

#[test]
fn a_reader_mends_the_log_too() {
    let killed = killed();
    let dir = killed.dir.path().join("kept");
    std::fs::write(
        dir.join("staging.duckdb.wal"),
        &killed.log[..killed.ends[1] + 20],
    )
    .unwrap();
    let reader = Reader::open(&dir, &small()).unwrap();
    assert_eq!(content(&reader).len(), 2 * BARS);
    let is_reported = |reader: &Reader| {
        let mut notices = reader.notices().iter();
        notices.any(|line| line.contains("1 commits after number 2"))
    };
    assert!(is_reported(&reader), "{:?}", reader.notices());
    drop(reader);
    // And says it again, until the numbers are passed.
    assert!(is_reported(&Reader::open(&dir, &small()).unwrap()));
}
