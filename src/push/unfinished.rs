//! Unfinished files of killed pushes in a folder. A file is written as `name#1` and then renamed; the storage
//! doesn't list such names.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use super::delta::names::{self, LAST_CHECKPOINT, LOG};
use super::fresh::is_ours;

/// A file that no push finishes any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    pub path: PathBuf,
    pub bytes: u64,
}

/// The unfinished files in `folder` that were last written before `oldest_ms`.
pub fn find(folder: &Path, oldest_ms: i64) -> io::Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let object = format!("{prefix}{name}");
            // A link isn't followed: a push makes none.
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), format!("{object}/")));
            } else if is_unfinished(&object) {
                found.extend(older(&entry, oldest_ms)?);
            }
        }
    }
    Ok(found)
}

/// Whether an object is a push's, with the ending of an unfinished one.
fn is_unfinished(object: &str) -> bool {
    let Some((name, number)) = object.rsplit_once('#') else {
        return false;
    };
    let of_log = |name: &str| {
        let file = name
            .strip_prefix(LOG)
            .and_then(|rest| rest.strip_prefix('/'));
        name == LAST_CHECKPOINT || file.and_then(names::parse).is_some()
    };
    number.parse::<u32>().is_ok() && (is_ours(name) || of_log(name))
}

/// The file, if it wasn't finished or deleted meanwhile and is old enough.
fn older(entry: &DirEntry, oldest_ms: i64) -> io::Result<Option<Unfinished>> {
    let file = match entry.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let since_1970 = file.modified()?.duration_since(std::time::UNIX_EPOCH);
    let is_old = since_1970.is_ok_and(|at| (at.as_millis() as i64) < oldest_ms);
    Ok(is_old.then(|| Unfinished {
        path: entry.path(),
        bytes: file.len(),
    }))
}
