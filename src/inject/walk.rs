//! Which files a run takes, and in which order.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::filename::stem_of;
use super::settings::Input;

/// Folders within folders, at most; a loop of links ends before.
const DEPTH_MAX: usize = 64;

/// A file to be injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dump {
    pub(super) path: PathBuf,
    /// The path relative to the folder, as it is shown.
    pub(super) name: String,
    /// Its length on disk.
    pub(super) bytes: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In path order.
    pub(super) dumps: Vec<Dump>,
    /// Files that are no dumps, by the names shown.
    pub(super) others: Vec<String>,
    /// Folders inside that cannot be listed.
    pub(super) unreadable: Vec<(String, io::Error)>,
}

/// Lists the dumps of `input`.
pub(super) fn find(input: &Input) -> Result<Found, Error> {
    let mut found = Found::default();
    match input {
        Input::Folder(root) => {
            let listed = list_root(root)?;
            let mut visited = HashSet::new();
            visited.extend(fs::canonicalize(root));
            descend(root, listed, &mut visited, 0, &mut found);
        }
        Input::Files(paths) => {
            for path in paths {
                found.dumps.push(Dump {
                    path: path.clone(),
                    name: path.display().to_string(),
                    bytes: bytes(path),
                });
            }
        }
    }
    found.dumps.sort_by(|a, b| a.path.cmp(&b.path));
    found.dumps.dedup_by(|a, b| a.path == b.path);
    found.others.sort();
    Ok(found)
}

/// Checks that a folder is there and can be listed.
pub(super) fn check(input: &Input) -> Result<(), Error> {
    match input {
        Input::Folder(root) => list_root(root).map(|_| ()),
        Input::Files(_) => Ok(()),
    }
}

fn list_root(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = |source| Error::Folder {
        path: root.to_path_buf(),
        source,
    };
    if !fs::metadata(root).map_err(folder)?.is_dir() {
        return Err(Error::NotAFolder {
            path: root.to_path_buf(),
        });
    }
    list(root).map_err(folder)
}

fn bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}

fn descend(
    root: &Path,
    entries: Vec<PathBuf>,
    visited: &mut HashSet<PathBuf>,
    depth: usize,
    found: &mut Found,
) {
    for path in entries {
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let is_folder = fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_folder {
            let new = fs::canonicalize(&path).is_ok_and(|real| visited.insert(real));
            if depth == DEPTH_MAX || !new {
                continue;
            }
            match list(&path) {
                Ok(entries) => descend(root, entries, visited, depth + 1, found),
                Err(error) => found.unreadable.push((name, error)),
            }
        } else if path
            .file_name()
            .is_some_and(|file| stem_of(&file.to_string_lossy()).is_some())
        {
            found.dumps.push(Dump {
                bytes: bytes(&path),
                path,
                name,
            });
        } else {
            found.others.push(name);
        }
    }
}
