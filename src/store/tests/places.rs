//! Where a store is, what else is in its folder, and a catalog and a lake of different times: a
//! reader sees the right bars, or refuses.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::log::copy_dir;
use super::*;
use crate::store::folder;

/// The bars of a store by both ways of reading, the second as `query` narrows it; `None` where the
/// store is refused.
fn seen(dir: &Path) -> Option<Model> {
    let reader = match Reader::open(dir, &small()) {
        Ok(reader) => reader,
        Err(Error::BadPath { .. } | Error::Damaged { .. }) => return None,
        Err(error) => panic!("{}: {error}", dir.display()),
    };
    let scanned = content(&reader);
    assert_eq!(narrowed(&reader), scanned, "{}", dir.display());
    Some(scanned)
}

/// The bars as SQL reads them, of the lake's and the segments' folders alone.
fn narrowed(reader: &Reader) -> Model {
    let connection = reader.sql().unwrap();
    let root = folder::real(reader.dir()).display().to_string();
    let root = root.replace('\'', "''");
    connection
        .execute_batch(&format!(
            "SET allowed_directories = ['{root}/lake', '{root}/segments'];
             SET enable_external_access = false"
        ))
        .unwrap();
    bars_of(&connection)
}

/// Partitions of two years and two intervals, hot rows in the table and in a segment, and odd
/// tickers.
fn mixed(dir: &Path) -> Model {
    let store = Store::open(dir, &small()).unwrap();
    let run = store.begin_run("test", Timestamp::from_micros(0)).unwrap();
    let rows: Vec<(i64, f64)> = (50..80).map(|minute| (minute, 1.0)).collect();
    let mut longer = offer("A", &[(60, 7.0)], OnConflict::Fail);
    longer.series.interval = Interval::M5;
    let sealed = vec![
        offer("A", &rows, OnConflict::Fail),
        offer("__HIVE_DEFAULT_PARTITION__", &rows, OnConflict::Fail),
        offer("NULL", &rows, OnConflict::Fail),
        longer,
    ];
    store.commit(&run, sealed).unwrap();
    store.seal().unwrap();
    let hot = ["A", "7203"].map(|ticker| offer(ticker, &[(90, 2.0)], OnConflict::Fail));
    store
        .commit(&run, hot.into_iter().take(1).collect())
        .unwrap();
    let of_segment: Vec<(i64, f64)> = (91..95).map(|minute| (minute, 3.0)).collect();
    let offers = ["B", "7203"].map(|ticker| offer(ticker, &of_segment, OnConflict::Fail));
    store.commit(&run, offers.into()).unwrap();
    assert_eq!(fs::read_dir(dir.join("segments")).unwrap().count(), 1);
    content(&store.reader().unwrap())
}

/// Names of folders that DuckDB, hive readers or SQL could take for something else.
fn name() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "ticker=",
        "interval=",
        "year=",
        "source=",
        "close=",
        "commit_seq=",
        "ZZZ",
        "5m",
        "1999",
        "a",
        "b",
        "[",
        "]",
        "[a]",
        "*",
        "?",
        "\\",
        "'",
        "\"",
        " ",
        "%41",
        "%",
        "{",
        "}",
        ",",
        ";",
        "ü",
        "日",
        "👍",
        "lake",
        "~",
        ":",
        "s3:",
        "--",
        "\n",
        "$",
        ".",
    ]);
    prop::collection::vec(piece, 1..5)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("not a name of its own", |name| {
            !matches!(name.as_str(), "." | "..")
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_folder_above_changes_nothing(names in prop::collection::vec(name(), 1..3)) {
        let dir = scratch();
        let made = dir.path().join("made");
        let truth = mixed(&made);
        // A folder next to it that a pattern would match.
        copy_dir(&made, &dir.path().join("a").join("a"));
        let mut at = dir.path().to_path_buf();
        at.extend(&names);
        fs::create_dir_all(&at).unwrap();
        let store = at.join("store");
        copy_dir(&made, &store);
        let has_pattern = |name: &String| name.contains(['[', '*']);
        let refused = names.iter().any(|name| name.contains('?'))
            || names.iter().any(|name| name.contains('\\')) && names.iter().any(has_pattern);
        prop_assert_eq!(seen(&store), (!refused).then_some(truth));
        let written = Store::open(&store, &small()).map(drop);
        prop_assert_eq!(written.is_err(), refused);
    }
}

/// Places in a store's folder, and what may be found there.
#[derive(Clone, Debug)]
enum Stray {
    /// A copy of the partition's folder under this name, next to it.
    Copy(String),
    /// A file or an empty folder in a folder of the store.
    Other {
        folder: &'static str,
        name: String,
        is_file: bool,
    },
}

fn stray() -> impl Strategy<Value = Stray> {
    let copied = prop::sample::select(vec![
        "ticker=A.bak",
        "ticker=A (copy)",
        "ticker=ZZZ",
        "ticker=a",
        "ticker=",
        "A",
        ".ticker=A",
        "ticker=NULL",
        "ticker=A%2E",
    ]);
    let folder = prop::sample::select(vec![
        "",
        "lake",
        "lake/interval=1m",
        "lake/interval=1m/ticker=A",
        "lake/interval=1m/ticker=A/year=2025",
        "segments",
        "tmp",
        "quarantine",
        "rejects",
    ]);
    let name = prop::sample::select(vec![
        ".x.parquet",
        "bars.parquet.bak",
        "x.parquet",
        "bars (1).parquet",
        ".DS_Store",
        "interval=1m.bak",
        "year=2031",
        "ticker=Q",
        "0.parquet",
        "staging.duckdb.bak",
    ]);
    prop_oneof![
        copied.prop_map(|name| Stray::Copy(name.to_owned())),
        (folder, name, any::<bool>()).prop_map(|(folder, name, is_file)| Stray::Other {
            folder,
            name: name.to_owned(),
            is_file
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_added_to_the_folder_is_not_read(strays in prop::collection::vec(stray(), 1..4)) {
        let dir = scratch();
        let truth = mixed(dir.path());
        let of_a = dir.path().join("lake/interval=1m/ticker=A");
        let mut is_refused = false;
        let mut is_named = false;
        for stray in &strays {
            match stray {
                Stray::Copy(name) => {
                    copy_dir(&of_a.join("year=2025"), &of_a.with_file_name(name).join("year=2025"));
                    // A valid name: only the catalog can say that it is no partition.
                    is_refused |= name == "ticker=ZZZ";
                    is_named |= name != "ticker=ZZZ";
                }
                Stray::Other { folder, name, is_file } => {
                    let at = dir.path().join(folder).join(name);
                    if *is_file {
                        fs::create_dir_all(at.parent().unwrap()).unwrap();
                        if !at.exists() {
                            fs::copy(of_a.join("year=2025/bars.parquet"), &at).unwrap();
                        }
                        is_named |= folder.starts_with("lake");
                    } else if !at.exists() {
                        fs::create_dir_all(&at).unwrap();
                    }
                }
            }
        }
        prop_assert_eq!(seen(dir.path()), (!is_refused).then_some(truth));
        if !is_refused {
            let of_reader = Reader::open(dir.path(), &small()).unwrap().notices().len();
            let of_writer = Store::open(dir.path(), &small()).unwrap().notices().len();
            prop_assert_eq!((of_reader, of_writer), (usize::from(is_named), usize::from(is_named)));
        }
    }
}

/// One step of a store's history.
#[derive(Clone, Debug)]
enum Step {
    Commit(u8, i64, i64, u8),
    Many(i64),
    Seal,
    Drop(u8, i64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_u8, 50..70_i64, 1..20_i64, 1..4_u8).prop_map(|(t, from, count, close)| Step::Commit(t, from, count, close)),
        2 => (50..70_i64).prop_map(Step::Many),
        3 => Just(Step::Seal),
        1 => (0..2_u8, 55..65_i64).prop_map(|(ticker, from)| Step::Drop(ticker, from)),
        2 => Just(Step::Reopen),
    ]
}

/// The store after each step, copied as it was (with the catalog's log, where the store is open),
/// and its bars.
fn history(dir: &Path, steps: &[Step]) -> Vec<(PathBuf, Model)> {
    let at = dir.join("store");
    let mut store = Some(Store::open(&at, &small()).unwrap());
    let mut states = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let open = store.get_or_insert_with(|| Store::open(&at, &small()).unwrap());
        let run = open.begin_run("test", Timestamp::from_micros(0)).unwrap();
        let commit = |offers| drop(open.commit(&run, offers).unwrap());
        match step {
            Step::Commit(ticker, from, count, close) => {
                let rows: Vec<_> = (*from..from + count)
                    .map(|at| (at, f64::from(*close)))
                    .collect();
                commit(vec![offer(
                    ["A", "B"][*ticker as usize],
                    &rows,
                    OnConflict::Update,
                )]);
            }
            Step::Many(from) => {
                let rows: Vec<_> = (*from..from + 5).map(|at| (at, 9.0)).collect();
                commit(
                    ["C", "D"]
                        .map(|ticker| offer(ticker, &rows, OnConflict::Update))
                        .into(),
                );
            }
            Step::Seal => drop(open.seal().unwrap()),
            Step::Drop(ticker, from) => {
                let range = TimeRange {
                    start: (START + from) * 60_000_000,
                    end: (START + from + 8) * 60_000_000,
                };
                open.drop_bars(&key(["A", "B"][*ticker as usize]), range)
                    .unwrap();
            }
            Step::Reopen => {}
        }
        let bars = content(&open.reader().unwrap());
        if matches!(step, Step::Reopen) {
            store = None;
        }
        let copy = dir.join(format!("after-{number}"));
        copy_dir(&at, &copy);
        states.push((copy, bars));
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn a_catalog_and_a_lake_of_different_times(steps in prop::collection::vec(step(), 2..6)) {
        let dir = scratch();
        let states = history(dir.path(), &steps);
        for (of_catalog, (catalog, bars)) in states.iter().enumerate() {
            for (of_lake, (lake, _)) in states.iter().enumerate() {
                let both = dir.path().join("both");
                fs::create_dir(&both).unwrap();
                for name in ["staging.duckdb", "staging.duckdb.wal", "store.lock"] {
                    if catalog.join(name).exists() {
                        fs::copy(catalog.join(name), both.join(name)).unwrap();
                    }
                }
                for name in ["lake", "segments"] {
                    if lake.join(name).exists() {
                        copy_dir(&lake.join(name), &both.join(name));
                    }
                }
                let found = seen(&both);
                prop_assert!(found.is_none() || found.as_ref() == Some(bars), "catalog {of_catalog}, lake {of_lake}");
                prop_assert!(found.is_some() || of_catalog != of_lake, "the copy {of_catalog} is refused");
                fs::remove_dir_all(&both).unwrap();
            }
        }
    }
}

/// The scan of a copy whose catalog is older than a seal, and the view over it, would count bars
/// twice or not at all.
#[test]
fn a_seal_between_the_copies_of_catalog_and_lake_is_refused_by_reader_and_writer_alike() {
    for catalog_first in [true, false] {
        let dir = scratch();
        let steps = [
            Step::Commit(0, 65, 10, 1),
            Step::Seal,
            Step::Commit(0, 80, 5, 1),
            Step::Reopen,
            Step::Seal,
            Step::Reopen,
        ];
        let states = history(dir.path(), &steps);
        let (before, after) = (&states[3].0, &states[5].0);
        let (catalog, lake) = if catalog_first {
            (before, after)
        } else {
            (after, before)
        };
        fs::remove_dir_all(lake.join("segments")).ok();
        fs::copy(catalog.join("staging.duckdb"), lake.join("staging.duckdb")).unwrap();
        for refused in [
            Reader::open(lake, &small()).map(drop).unwrap_err(),
            Store::open(lake, &small()).map(drop).unwrap_err(),
        ] {
            let said = refused.to_string();
            assert!(
                said.contains("is damaged: partition A 1m 2025 is not the one"),
                "{said}"
            );
        }
        assert_eq!(verify(lake, &small()).unwrap().damage.len(), 1);
        repair(lake, &small()).unwrap();
        let left = seen(lake).unwrap().len();
        assert_eq!(left, if catalog_first { 15 } else { 10 });
    }
}

/// A copy has other times of modification, and its footers agree; so does one whose times were
/// kept.
#[test]
fn a_plain_copy_opens() {
    let dir = scratch();
    let made = dir.path().join("made");
    let truth = mixed(&made);
    let copy = dir.path().join("copy");
    copy_dir(&made, &copy);
    assert_eq!(seen(&copy), Some(truth));
}

/// Stores of earlier versions have a partition in a folder that hive readers take for no ticker.
#[test]
fn a_partition_under_its_old_name_is_named_and_a_repair_moves_it() {
    let dir = scratch();
    let truth = mixed(dir.path());
    let series = dir.path().join("lake/interval=1m");
    let old = series.join("ticker=__HIVE_DEFAULT_PARTITION__");
    fs::rename(series.join("ticker=%5F_HIVE_DEFAULT_PARTITION__"), &old).unwrap();
    let said = Reader::open(dir.path(), &small()).map(drop).unwrap_err();
    assert!(
        said.to_string()
            .contains("partition __HIVE_DEFAULT_PARTITION__ 1m 20"),
        "{said}"
    );
    let repaired = repair(dir.path(), &small()).unwrap();
    assert_eq!(repaired.lost, Vec::<String>::new());
    assert_eq!(repaired.quarantined, Vec::<PathBuf>::new());
    assert_eq!(seen(dir.path()), Some(truth));
}

/// A publish that was recorded and can't be carried out: its partition is read in `tmp/`, where a query may read no
/// other file, whatever the folder's name.
#[test]
fn a_partition_that_waits_in_tmp_can_be_queried() {
    for above in ["plain", "a[b]c"] {
        let dir = scratch();
        let at = dir.path().join(above);
        let truth = mixed(&at);
        let layout = Layout::new(&at);
        let key = PartitionKey {
            series: key("A"),
            year: 2025,
        };
        let mut reader = Reader::open_unchecked(&at, &small()).unwrap();
        let meta = reader.series[&key.series].clone();
        let moved = layout.tmp().join("waiting.parquet");
        fs::create_dir_all(layout.tmp()).unwrap();
        fs::rename(layout.partition(&key), &moved).unwrap();
        let intent = crate::store::catalog::Intent {
            series_id: meta.id,
            year: key.year,
            // Older than the hot rows, which are still to be seen.
            new: meta.partitions[&key.year].clone(),
            temporary: "waiting.parquet".into(),
            old_checksum: None,
            is_seal: true,
        };
        reader.overlay.insert(key, (moved, intent));
        assert_eq!(narrowed(&reader), truth, "{above}");
    }
}

/// No lock can be taken, so a writer elsewhere can't be kept out.
#[cfg(unix)]
#[test]
fn a_lock_file_that_cannot_be_made_is_an_error_of_its_own() {
    let dir = scratch();
    filled(dir.path());
    let lock = dir.path().join("store.lock");
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(dir.path().join("gone/store.lock"), &lock).unwrap();
    let said = Reader::open(dir.path(), &small()).map(drop).unwrap_err();
    assert!(matches!(said, Error::NoLock { .. }), "{said}");
}

/// What opening the store in `dir` fails with, for a reader and for a writer.
#[cfg(unix)]
fn refusals(dir: &Path) -> [String; 2] {
    [
        Reader::open(dir, &small())
            .map(drop)
            .unwrap_err()
            .to_string(),
        Store::open(dir, &small())
            .map(drop)
            .unwrap_err()
            .to_string(),
    ]
}

#[cfg(unix)]
#[test]
fn links_in_the_wrong_places_are_named() {
    use std::os::unix::fs::symlink;

    let dir = scratch();
    let root = dir.path().join("store");
    filled(&root);
    let aside = dir.path().join("aside");
    std::fs::create_dir(&aside).unwrap();

    let database = root.join("staging.duckdb");
    std::fs::rename(&database, aside.join("staging.duckdb")).unwrap();
    symlink(aside.join("staging.duckdb"), &database).unwrap();
    for said in refusals(&root) {
        assert!(said.contains("staging.duckdb is a symbolic link"), "{said}");
    }
    std::fs::remove_file(&database).unwrap();
    std::fs::rename(aside.join("staging.duckdb"), &database).unwrap();

    let year = root.join("lake/interval=1m/ticker=A/year=2025");
    for linked in [year.clone(), year.join("bars.parquet")] {
        std::fs::rename(&linked, aside.join("moved")).unwrap();
        symlink(aside.join("moved"), &linked).unwrap();
        let mut said = refusals(&root).to_vec();
        said.extend(
            verify(&root, &small())
                .unwrap()
                .damage
                .iter()
                .map(Damage::to_string),
        );
        let expected = format!(
            "A 1m 2025 can't be read: {} is a symbolic link",
            linked.display()
        );
        assert_eq!(
            said.iter().filter(|said| said.contains(&expected)).count(),
            3,
            "{said:?}"
        );
        std::fs::remove_file(&linked).unwrap();
        std::fs::rename(aside.join("moved"), &linked).unwrap();
    }

    let dangling = dir.path().join("dangling");
    symlink(dir.path().join("missing"), &dangling).unwrap();
    for said in refusals(&dangling) {
        assert!(said.contains("its target is missing"), "{said}");
    }
    assert_eq!(verify(&root, &small()).unwrap().damage, []);
}

/// DuckDB takes `[` and `*` for patterns, also in the path that a link leads to.
#[cfg(unix)]
#[test]
fn a_lake_behind_a_link_is_read_whatever_the_name_of_its_target() {
    for name in ["l[a]ke", "l*ke", "plain"] {
        let dir = scratch();
        let root = dir.path().join("store");
        filled(&root);
        let target = dir.path().join(name);
        std::fs::rename(root.join("lake"), &target).unwrap();
        std::os::unix::fs::symlink(&target, root.join("lake")).unwrap();
        let reader = Reader::open(&root, &small()).unwrap();
        assert_eq!(content(&reader).len(), 125, "{name}");
        assert_eq!(sql_content(&reader).len(), 125, "{name}");
        let connection = reader.sql().unwrap();
        let dirs = reader.bar_folders().map(|dir| folder::real(&dir));
        let dirs = dirs.map(|dir| format!("'{}'", dir.display()));
        let locked = format!(
            "SET allowed_directories = [{}]; SET enable_external_access = false",
            dirs.join(", ")
        );
        connection.execute_batch(&locked).unwrap();
        assert_eq!(bars_of(&connection).len(), 125, "{name}");
    }
}
