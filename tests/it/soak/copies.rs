//! A copy of the store, made file by file while a command writes to it.
//!
//! Such a copy mixes files of different times. A reader either returns values that the store had at
//! some time, each key once, or refuses the copy. Then the copy and the store sync to one table, and
//! no row may be left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::rng::Rng;
use super::state::{self, State};
use crate::support::{Database, Run, TestEnv};

/// The folder of the copy, next to the store's.
pub const FOLDER: &str = "copied";

const ENTRIES: [&str; 7] = [
    "staging.duckdb",
    "staging.duckdb.wal",
    "staging.duckdb.undo",
    "store.lock",
    "segments",
    "rejects",
    "lake",
];

/// A ticker on a UTC date.
type Cell = (String, String);

/// All values that each cell of the state has had.
#[derive(Default)]
pub struct Seen(BTreeMap<Cell, BTreeSet<(u64, u64, String)>>);

impl Seen {
    pub fn add(&mut self, state: &State) {
        for (cell, held) in state {
            self.0.entry(cell.clone()).or_default().insert(held.clone());
        }
    }

    fn check(&self, state: &State) -> Result<(), String> {
        for (cell, held) in state {
            if !self.0.get(cell).is_some_and(|values| values.contains(held)) {
                return Err(format!(
                    "the copy shows {cell:?} as {held:?}, a value that it never had"
                ));
            }
        }
        Ok(())
    }
}

/// Copies the entries of a store in a random order, with pauses.
pub fn make(rng: &mut Rng, env: &TestEnv, store: &str) {
    let (from, to) = (env.path(store), env.path(FOLDER));
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to).unwrap();
    let mut entries = ENTRIES.to_vec();
    while !entries.is_empty() {
        let entry = entries.remove(rng.below(entries.len() as u64) as usize);
        copy(&from.join(entry), &to.join(entry));
        std::thread::sleep(Duration::from_micros(rng.below(20_000)));
    }
}

/// Files that disappear meanwhile are left out.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        let _ = fs::copy(from, to);
    }
}

/// Reads the copy. `Ok(false)` if it is refused.
pub fn reads_true(env: &TestEnv, seen: &Seen) -> Result<bool, String> {
    let store = ["--store", FOLDER].map(str::to_owned);
    match state::read(env, &store) {
        Ok(state) => seen.check(&state).map(|()| true),
        Err(why) if why.contains("exit code: 1\n") && why.contains("error: ") => Ok(false),
        Err(why) => Err(why),
    }
}

/// Syncs the copy and then the store to one table, which must then have all bars of the store.
pub fn syncs_whole(
    env: &TestEnv,
    store: &[String],
    database: &Database,
    table: &str,
) -> Result<(), String> {
    let sync = |store: &[String], options: &str| -> Run {
        let line = format!("sync --create-table --allow-demo --table {table} {options}");
        let args = (store.iter().map(String::as_str)).chain(line.split_whitespace());
        env.program(args).env("DATABASE_URL", database.url()).run()
    };
    let copy = ["--store", FOLDER].map(str::to_owned);
    let run = sync(&copy, "--on-conflict update");
    if !matches!(run.code, Some(0 | 1)) {
        return Err(format!("the copy syncs with\n{}", run.snapshot()));
    }
    for options in ["--on-conflict update", "--on-conflict fail --full"] {
        let run = sync(store, options);
        // Killed before it made a store: the copy has no bars either.
        if run.stderr.contains("there is no store") {
            break;
        }
        if run.code != Some(0) {
            return Err(format!("after the copy, {options}:\n{}", run.snapshot()));
        }
        if options.contains("--full") && !run.stderr.contains("inserted=0 ") {
            return Err(format!("rows were left out before:\n{}", run.snapshot()));
        }
    }
    database.sql(&format!("DROP TABLE IF EXISTS {table}"));
    Ok(())
}
