//! Cuts the power at every step of everything that writes. What wasn't flushed is lost, and the
//! store must have the state before or the state after. Also after a kill and its recovery.

use std::collections::BTreeSet;
use std::path::Path;

use super::layer::{self, Disk, Record, Views};
use super::*;

/// Steps whose recovery is cut by the power too; of the others only the end is looked at.
const RECOVERIES_CUT_EVERY: usize = 4;

/// Opens what the disk has: it must be one of `allowed`, and undamaged.
fn check(disk: &Disk, allowed: &[&Model], seen: &mut BTreeSet<u64>) {
    if !seen.insert(disk.picture()) {
        return;
    }
    let dir = scratch();
    disk.lay_out(dir.path());
    let found = match Store::open(dir.path(), &small()) {
        Ok(store) => content(&store.reader().unwrap()),
        Err(error) => panic!("{}: {error}", disk.what),
    };
    assert!(
        allowed.contains(&&found),
        "{}: {} bars are none of {:?}",
        disk.what,
        found.len(),
        allowed.iter().map(|model| model.len()).collect::<Vec<_>>()
    );
    let verified = verify(dir.path(), &small()).unwrap();
    assert_eq!(verified.damage, [], "{}", disk.what);
}

/// Runs `work` on a store that `before` filled, and cuts the power at each step of it.
fn cut_at_each_step(name: &str, before: impl Fn(&Store, &RunId), work: impl Fn(&Store, &RunId)) {
    let dir = scratch();
    let root = dir.path().join("store");
    let (old, run) = {
        let store = Store::open(&root, &small()).unwrap();
        let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
        before(&store, &run);
        (content(&store.reader().unwrap()), run)
    };
    let views = Views::of(&root);
    let store = Store::open(&root, &small()).unwrap();
    layer::start(
        &root,
        Record {
            views,
            every: 1,
            ..Record::default()
        },
    );
    work(&store, &run);
    let at_rest = layer::now(&root);
    let record = layer::stop(&root);
    let new = content(&store.reader().unwrap());
    drop(store);
    assert!(!record.disks.is_empty(), "{name} takes no step");

    let mut seen = BTreeSet::new();
    for disk in &record.disks {
        check(disk, &[&old, &new], &mut seen);
    }
    // What was reported as done is done, whenever the power is cut from now on.
    let mut seen = BTreeSet::new();
    for disk in &at_rest {
        check(disk, &[&new], &mut seen);
    }
    for (place, killed) in record.kills.iter().enumerate() {
        recover_and_cut(
            name,
            killed,
            &[&old, &new],
            place % RECOVERIES_CUT_EVERY == 0,
        );
    }
}

/// A process was killed, the next one recovers what it left, and then the power goes.
fn recover_and_cut(name: &str, killed: &layer::Killed, allowed: &[&Model], inside: bool) {
    let dir = scratch();
    let root = dir.path().join("store");
    std::fs::create_dir(&root).unwrap();
    killed.disk.lay_out(&root);
    layer::start(
        &root,
        Record {
            views: killed.views.clone(),
            every: u64::from(inside),
            ..Record::default()
        },
    );
    let store = Store::open(&root, &small());
    let at_rest = layer::now(&root);
    let record = layer::stop(&root);
    let store = store.unwrap_or_else(|error| panic!("{name}, {}: {error}", killed.what));
    let found = content(&store.reader().unwrap());
    drop(store);
    assert!(allowed.contains(&&found), "{name}, {}", killed.what);
    let mut seen = BTreeSet::new();
    for disk in &at_rest {
        check(disk, &[&found], &mut seen);
    }
    if inside {
        for disk in &record.disks {
            check(disk, allowed, &mut seen);
        }
    }
}

fn rows(minutes: std::ops::Range<i64>, close: f64) -> Vec<(i64, f64)> {
    minutes.map(|minute| (minute, close)).collect()
}

fn put(store: &Store, run: &RunId, ticker: &str, rows: &[(i64, f64)]) {
    let offers = vec![offer(ticker, rows, OnConflict::Update)];
    let answers = store.commit(run, offers).unwrap();
    assert!(answers[0].is_ok());
}

#[test]
fn a_hot_commit_and_a_seal() {
    cut_at_each_step(
        "hot commit",
        |store, run| put(store, run, "A", &rows(0..5, 1.0)),
        |store, run| {
            put(store, run, "A", &rows(50..70, 1.0)[..11]);
            store.seal().unwrap();
        },
    );
}

#[test]
fn a_publish_of_a_new_series_over_two_years() {
    cut_at_each_step(
        "publish",
        |_, _| {},
        |store, run| put(store, run, "A", &rows(40..80, 1.0)),
    );
}

#[test]
fn an_update_of_sealed_bars() {
    cut_at_each_step(
        "update",
        |store, run| put(store, run, "A", &rows(40..80, 1.0)),
        |store, run| put(store, run, "A", &rows(55..65, 2.0)),
    );
}

#[test]
fn a_drop_of_one_year_and_half_another() {
    let range = TimeRange {
        start: (START + 50) * 60_000_000,
        end: (START + 500) * 60_000_000,
    };
    cut_at_each_step(
        "drop",
        |store, run| put(store, run, "A", &rows(40..80, 1.0)),
        |store, _| assert!(store.drop_bars(&key("A"), range).unwrap().rows > 0),
    );
}

/// A commit of several series: its hot rows are a segment.
fn put_many(store: &Store, run: &RunId, rows: &[(i64, f64)]) {
    let offers = ["A", "B", "C"].map(|ticker| offer(ticker, rows, OnConflict::Update));
    let answers = store.commit(run, offers.to_vec()).unwrap();
    assert!(answers.iter().all(Result::is_ok));
}

#[test]
fn a_commit_of_many_series() {
    cut_at_each_step(
        "segment",
        |_, _| {},
        |store, run| put_many(store, run, &rows(57..63, 1.0)),
    );
}

/// The seal removes the segment: each state holds the same bars.
#[test]
fn a_seal_of_a_segment() {
    cut_at_each_step(
        "seal of a segment",
        |store, run| put_many(store, run, &rows(57..63, 1.0)),
        |store, _| assert_eq!(store.seal().unwrap().rows, 18),
    );
}

/// Parts that an update and a drop moved into the table, and parts that stayed.
#[test]
fn a_seal_of_what_is_left_of_a_segment() {
    let range = TimeRange {
        start: (START + 58) * 60_000_000,
        end: (START + 500) * 60_000_000,
    };
    cut_at_each_step(
        "seal of half a segment",
        |store, run| {
            put_many(store, run, &rows(57..63, 1.0));
            put(store, run, "B", &rows(58..61, 2.0));
            assert_eq!(store.drop_bars(&key("A"), range).unwrap().rows, 5);
        },
        |store, _| assert_eq!(store.seal().unwrap().rows, 13),
    );
}

/// Enough partitions that the file system is flushed as a whole.
#[test]
fn a_seal_of_many_partitions() {
    let tickers: Vec<String> = (0..40).map(|number| format!("T{number}")).collect();
    let dir = scratch();
    let root = dir.path().join("store");
    let store = Store::open(&root, &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let offers = tickers
        .iter()
        .map(|ticker| offer(ticker, &rows(59..61, 1.0), OnConflict::Fail))
        .collect();
    store.commit(&run, offers).unwrap();
    let old = content(&store.reader().unwrap());
    drop(store);
    let views = Views::of(&root);
    let store = Store::open(&root, &small()).unwrap();
    layer::start(
        &root,
        Record {
            views,
            every: 61,
            ..Record::default()
        },
    );
    store.seal().unwrap();
    let at_rest = layer::now(&root);
    let record = layer::stop(&root);
    drop(store);
    let mut seen = BTreeSet::new();
    for disk in record.disks.iter().chain(&at_rest) {
        check(disk, &[&old], &mut seen);
    }
}

/// A store that is being made: nothing, or an empty store.
#[test]
fn a_first_opening() {
    let dir = scratch();
    let root = dir.path().join("store");
    std::fs::create_dir(&root).unwrap();
    let record = Record {
        every: 1,
        ..Record::default()
    };
    layer::start(&root, record);
    let store = Store::open(&root, &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    put(&store, &run, "A", &rows(0..5, 1.0));
    let at_rest = layer::now(&root);
    let record = layer::stop(&root);
    let new = content(&store.reader().unwrap());
    drop(store);
    let mut seen = BTreeSet::new();
    for disk in &record.disks {
        check(disk, &[&Model::new(), &new], &mut seen);
    }
    let mut seen = BTreeSet::new();
    for disk in &at_rest {
        check(disk, &[&new], &mut seen);
    }
}

/// A full disk at each step that takes room: a clear error, the state before or after, and the same again goes well.
#[test]
fn a_full_disk_at_each_step() {
    let work = |store: &Store, run: &RunId| -> Result<(), Error> {
        store.commit(
            run,
            vec![offer("A", &rows(40..80, 2.0), OnConflict::Update)],
        )?;
        store.commit(run, vec![offer("B", &rows(0..5, 1.0), OnConflict::Update)])?;
        let many = ["C", "D"].map(|ticker| offer(ticker, &rows(0..5, 1.0), OnConflict::Update));
        store.commit(run, many.to_vec())?;
        store.seal()?;
        Ok(())
    };
    let prepared = |root: &Path| {
        let store = Store::open(root, &small()).unwrap();
        let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
        put(&store, &run, "A", &rows(0..60, 1.0));
        run
    };
    let dir = scratch();
    let whole = dir.path().join("whole");
    let run = prepared(&whole);
    layer::start(
        &whole,
        Record {
            ..Record::default()
        },
    );
    let store = Store::open(&whole, &small()).unwrap();
    work(&store, &run).unwrap();
    let truth = content(&store.reader().unwrap());
    drop(store);
    let steps = layer::stop(&whole).steps;
    let mut refused = 0;
    for full_from in 1..=steps {
        let root = dir.path().join(format!("full-{full_from}"));
        let run = prepared(&root);
        layer::start(
            &root,
            Record {
                full_from: Some(full_from),
                ..Record::default()
            },
        );
        let done = Store::open(&root, &small()).and_then(|store| work(&store, &run));
        layer::stop(&root);
        if let Err(error) = done {
            refused += 1;
            let said = error.to_string();
            assert!(
                said.contains("no storage space") || said.contains("cut off"),
                "{said}"
            );
        }
        // With room again, the next opening finishes or forgets, and the same work comes to the truth.
        let store = Store::open(&root, &small()).unwrap();
        work(&store, &run).unwrap();
        assert_eq!(
            content(&store.reader().unwrap()),
            truth,
            "full from step {full_from}"
        );
        drop(store);
        assert_eq!(verify(&root, &small()).unwrap().damage, []);
        std::fs::remove_dir_all(&root).unwrap();
    }
    assert!(refused > 5, "{refused} of {steps} steps were refused");
}

/// A snapshot is of no use after a kill or a power failure, and does no harm.
#[test]
fn a_snapshot_between_two_commits() {
    cut_at_each_step(
        "a snapshot between two commits",
        |store, run| put(store, run, "A", &rows(0..120, 1.0)),
        |store, run| {
            let published = crate::store::snapshot::publish_now(&store.shared).unwrap();
            put(store, run, "A", &rows(0..120, 2.0));
            drop(published);
        },
    );
}
