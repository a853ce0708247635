//! Names of the folders above a store, and what else can be in its own.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

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
                    // A valid name: only the catalog shows that it isn't a partition.
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

/// A publish that was recorded and can't be carried out: its partition is read in `tmp/`. A query may read no other
/// file there, also if the folder's name has characters of a pattern.
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
