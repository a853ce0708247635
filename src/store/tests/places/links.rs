//! Symbolic links in a store's folder.
#![cfg(unix)]

use std::os::unix::fs::symlink;

use super::*;

/// No lock can be taken, so a writer elsewhere can't be kept out.
#[test]
fn a_lock_file_that_cannot_be_made_is_an_error_of_its_own() {
    let dir = scratch();
    filled(dir.path());
    let lock = dir.path().join("store.lock");
    fs::remove_file(&lock).unwrap();
    symlink(dir.path().join("gone/store.lock"), &lock).unwrap();
    let said = Reader::open(dir.path(), &small()).map(drop).unwrap_err();
    assert!(matches!(said, Error::NoLock { .. }), "{said}");
}

/// What opening the store in `dir` fails with, for a reader and for a writer.
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

#[test]
fn links_that_are_not_allowed_are_reported() {
    let dir = scratch();
    let root = dir.path().join("store");
    filled(&root);
    let aside = dir.path().join("aside");
    fs::create_dir(&aside).unwrap();

    let database = root.join("staging.duckdb");
    fs::rename(&database, aside.join("staging.duckdb")).unwrap();
    symlink(aside.join("staging.duckdb"), &database).unwrap();
    for said in refusals(&root) {
        assert!(said.contains("staging.duckdb is a symbolic link"), "{said}");
    }
    fs::remove_file(&database).unwrap();
    fs::rename(aside.join("staging.duckdb"), &database).unwrap();

    let year = root.join("lake/interval=1m/ticker=A/year=2025");
    for linked in [year.clone(), year.join("bars.parquet")] {
        fs::rename(&linked, aside.join("moved")).unwrap();
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
        fs::remove_file(&linked).unwrap();
        fs::rename(aside.join("moved"), &linked).unwrap();
    }

    let dangling = dir.path().join("dangling");
    symlink(dir.path().join("missing"), &dangling).unwrap();
    for said in refusals(&dangling) {
        assert!(said.contains("its target is missing"), "{said}");
    }
    assert_eq!(verify(&root, &small()).unwrap().damage, []);
}

/// DuckDB takes `[` and `*` for patterns, also in the path that a link leads to.
#[test]
fn a_linked_lake_is_read_whatever_the_name_of_its_target() {
    for name in ["l[a]ke", "l*ke", "plain"] {
        let dir = scratch();
        let root = dir.path().join("store");
        filled(&root);
        let target = dir.path().join(name);
        fs::rename(root.join("lake"), &target).unwrap();
        symlink(&target, root.join("lake")).unwrap();
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
