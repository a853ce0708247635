//! What a store says and saves when its files are not what they were.

use super::*;

#[test]
fn damage_is_refused_named_and_repaired_as_far_as_it_can_be() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm, usize); 7] = [
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
        (
            "a series listed twice",
            |dir| list_twice(dir, "series"),
            120,
        ),
        (
            "a partition listed twice",
            |dir| list_twice(dir, "partitions"),
            120,
        ),
    ];
    for (what, harm, left) in harms {
        let dir = scratch();
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

/// Repeats the rows of a table, as a log does that is applied to a database which has them already.
fn list_twice(dir: &std::path::Path, table: &str) {
    let connection = duckdb::Connection::open(dir.join("staging.duckdb")).unwrap();
    let repeat = format!("INSERT INTO {table} SELECT * FROM {table}");
    connection.execute_batch(&repeat).unwrap();
}

/// Everything that can be flipped in a catalog: found, and after a repair the lake is all there.
#[test]
fn a_bit_flipped_anywhere_in_the_catalog_is_found_and_what_is_sealed_is_saved() {
    let dir = scratch();
    let whole = dir.path().join("whole");
    let truth = filled(&whole);
    let sealed = truth
        .keys()
        .filter(|(series, _)| *series == key("A"))
        .count();
    let database = std::fs::read(whole.join("staging.duckdb")).unwrap();
    let (mut refused, mut read_only_data) = (0, 0);
    // The three headers, then some of each block.
    let places = [9, 40, 4096 + 9, 8192 + 9]
        .into_iter()
        .chain((12_288..database.len()).step_by(database.len() / 24));
    for place in places {
        let hurt = dir.path().join(format!("at-{place}"));
        log::copy_dir(&whole, &hurt);
        let mut bytes = database.clone();
        bytes[place] ^= 8;
        std::fs::write(hurt.join("staging.duckdb"), &bytes).unwrap();
        let opened = Store::open(&hurt, &small()).map(|store| {
            drop(store);
        });
        // Opening may have rewritten a block that nothing uses: then nothing is damaged.
        let found = verify(&hurt, &small()).map_or(true, |verified| !verified.damage.is_empty());
        if opened.is_err() {
            refused += 1;
            assert!(found, "byte {place}: refused, and verify finds nothing");
        } else if found {
            read_only_data += 1;
        }
        let repaired = repair(&hurt, &small()).unwrap();
        assert_eq!(verify(&hurt, &small()).unwrap().damage, [], "byte {place}");
        let reader = Reader::open(&hurt, &small()).unwrap();
        let kept = content(&reader);
        assert!(
            kept.len() == truth.len() || kept.len() == sealed,
            "byte {place}: {}",
            kept.len()
        );
        assert!(
            kept.iter()
                .all(|(key, close)| truth.get(key) == Some(close))
        );
        if kept.len() < truth.len() {
            assert!(!repaired.lost.is_empty(), "byte {place}");
            assert!(!repaired.quarantined.is_empty(), "byte {place}");
        }
        drop(reader);
        std::fs::remove_dir_all(&hurt).unwrap();
    }
    assert!(refused + read_only_data > 0, "no flip was seen at all");
}

/// Yesterday's catalog with today's lake: it is found and refused for writing, and the repair loses
/// nothing of the lake.
#[test]
fn a_catalog_put_back_from_yesterday() {
    let dir = scratch();
    let (yesterday, today) = (dir.path().join("yesterday"), dir.path().join("today"));
    filled(&yesterday);
    log::copy_dir(&yesterday, &today);
    let truth = {
        let store = Store::open(&today, &small()).unwrap();
        let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
        let rows: Vec<(i64, f64)> = (0..40).map(|minute| (minute, 2.0)).collect();
        store
            .commit(&run, vec![offer("A", &rows, OnConflict::Update)])
            .unwrap();
        store
            .commit(&run, vec![offer("C", &rows[..3], OnConflict::Update)])
            .unwrap();
        content(&store.reader().unwrap())
    };
    std::fs::copy(
        yesterday.join("staging.duckdb"),
        today.join("staging.duckdb"),
    )
    .unwrap();
    let refused = Store::open(&today, &small())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("is damaged: partition A 1m 2024"),
        "{refused}"
    );
    assert!(!verify(&today, &small()).unwrap().damage.is_empty());
    let repaired = repair(&today, &small()).unwrap();
    // C was hot: only the number of the commit that brought it is known.
    assert!(
        repaired
            .lost
            .iter()
            .any(|line| line.contains("acknowledged")),
        "{:?}",
        repaired.lost
    );
    assert_eq!(verify(&today, &small()).unwrap().damage, []);
    let kept = content(&Reader::open(&today, &small()).unwrap());
    let sealed: Model = truth
        .into_iter()
        .filter(|((series, _), _)| *series != key("C"))
        .collect();
    assert_eq!(kept, sealed);
}

/// A lost catalog of a store without sealed bars is reported, not silently made again.
#[test]
fn a_catalog_that_is_gone_with_hot_bars_alone() {
    let dir = scratch();
    {
        let store = Store::open(dir.path(), &small()).unwrap();
        let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
        store
            .commit(&run, vec![offer("A", &[(0, 1.0)], OnConflict::Fail)])
            .unwrap();
    }
    std::fs::remove_file(dir.path().join("staging.duckdb")).unwrap();
    for refused in [
        Store::open(dir.path(), &small()).map(drop).unwrap_err(),
        Reader::open(dir.path(), &small()).map(drop).unwrap_err(),
    ] {
        assert!(refused.to_string().contains("no catalog"), "{refused}");
    }
    assert_eq!(
        verify(dir.path(), &small()).unwrap().damage,
        [Damage::NoCatalog]
    );
    assert!(!repair(dir.path(), &small()).unwrap().lost.is_empty());
    drop(Store::open(dir.path(), &small()).unwrap());
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
}

/// A flipped value must not be merged into a new partition, where a new hash would vouch for it.
#[test]
fn a_damaged_partition_is_not_merged() {
    let dir = scratch();
    let whole = dir.path().join("whole");
    filled(&whole);
    let bytes = std::fs::read(partition(&whole, 2025)).unwrap();
    let modified = std::fs::metadata(partition(&whole, 2025))
        .unwrap()
        .modified();
    let (mut reported, mut harmless) = (0, 0);
    for place in (4..bytes.len() - 400).step_by(bytes.len() / 40) {
        let hurt = dir.path().join(format!("at-{place}"));
        log::copy_dir(&whole, &hurt);
        let path = partition(&hurt, 2025);
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        // Size and time are as recorded, so that opening trusts the file.
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(*modified.as_ref().unwrap()).unwrap();
        drop(file);
        let store = Store::open(&hurt, &small()).unwrap();
        let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
        let rows: Vec<(i64, f64)> = (200..220).map(|minute| (minute, 2.0)).collect();
        match store.commit(&run, vec![offer("A", &rows, OnConflict::Update)]) {
            Err(error) => {
                reported += 1;
                let named = ["bars.parquet", "partition A 1m 2025"];
                let text = error.to_string();
                assert!(named.iter().any(|name| text.contains(name)), "{text}");
            }
            // A bit on which no value depends.
            Ok(_) => {
                harmless += 1;
                let content = content(&store.reader().unwrap());
                assert_eq!(content.len(), 145);
                assert!(
                    content.values().all(|close| [1.0, 2.0].contains(close)),
                    "byte {place}"
                );
                drop(store);
                assert_eq!(verify(&hurt, &small()).unwrap().damage, []);
            }
        }
        std::fs::remove_dir_all(&hurt).unwrap();
    }
    assert!(reported > 5, "{reported} reported, {harmless} harmless");
}

/// The mark of demo or real bars comes back with a repair, before any commit.
#[test]
fn a_repaired_store_knows_what_its_bars_are() {
    let dir = scratch();
    filled(dir.path());
    std::fs::remove_file(dir.path().join("staging.duckdb")).unwrap();
    repair(dir.path(), &small()).unwrap();
    let store = Store::open(dir.path(), &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let mut demo = offer("A", &[(500, 1.0)], OnConflict::Fail);
    demo.source = Source::new("demo");
    let refused = store.commit(&run, vec![demo]).unwrap_err();
    assert!(
        matches!(refused, Error::DemoMix { held: "real", .. }),
        "{refused}"
    );
}

/// A reader of a lake that lacks a partition says so, and does not count what is left.
#[test]
fn a_lake_with_a_hole_is_refused_for_reading() {
    let dir = scratch();
    filled(dir.path());
    std::fs::remove_file(partition(dir.path(), 2025)).unwrap();
    let opened = Reader::open(dir.path(), &small()).map(drop);
    let refused = opened.unwrap_err().to_string();
    assert!(refused.contains("partition A 1m 2025 is gone"), "{refused}");
}

/// A folder where nothing may be written, and a process that may open no more files: errors that name what was refused.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = scratch();
    filled(dir.path());
    // Root may write anywhere: a file where the folder should be refuses root too.
    std::fs::remove_dir_all(dir.path().join("tmp")).unwrap();
    std::fs::write(dir.path().join("tmp"), b"").unwrap();
    let refused = Store::open(dir.path(), &small())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("tmp"), "{refused}");
    std::fs::remove_file(dir.path().join("tmp")).unwrap();
    assert_eq!(verify(dir.path(), &small()).unwrap().damage, []);
}
