//! A catalog and a lake that were copied at different times.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

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
