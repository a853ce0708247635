//! Checks the folder of a store before any file in it is opened.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{Error, IoContext};
use super::layout::Layout;

/// Characters that make a file's name a pattern for DuckDB. (A store's path can't have a `?`.)
pub(super) const PATTERN: [char; 2] = ['[', '*'];

/// Checks that `dir` can hold a store: it is a folder that this user may enter, or isn't there yet,
/// and DuckDB can open files in it. Every opening of a store begins here.
pub fn check_folder(dir: &Path) -> Result<(), Error> {
    let layout = Layout::new(dir);
    let opened = [dir.to_path_buf(), real(dir)].into_iter();
    let linked = [layout.lake(), layout.segments()].map(|dir| real(&dir));
    if let Some(what) = opened.chain(linked).find_map(|path| bad_path(&path)) {
        return Err(Error::BadPath {
            dir: dir.to_path_buf(),
            what,
        });
    }
    if is_link(dir) && !dir.exists() {
        return Err(Error::DanglingLink {
            dir: dir.to_path_buf(),
        });
    }
    let database = layout.database();
    match fs::symlink_metadata(&database) {
        // DuckDB keeps its log next to the target of a link.
        Ok(found) if found.is_symlink() => Err(Error::LinkedCatalog { path: database }),
        Ok(_) => Ok(()),
        Err(error) => not_entered(dir, error.kind()).map_or(Ok(()), Err),
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// The error of the folder, if that is why a file in `dir` can't be read. Any other error is reported
/// with its file.
fn not_entered(dir: &Path, kind: ErrorKind) -> Option<Error> {
    let dir = dir.to_path_buf();
    match kind {
        ErrorKind::NotADirectory => Some(Error::NotAFolder { dir }),
        ErrorKind::PermissionDenied => Some(Error::NoEntry { dir }),
        _ => None,
    }
}

/// Whether there is a store in `dir`, whole or damaged.
pub fn is_there(dir: &Path) -> Result<bool, Error> {
    check_folder(dir)?;
    let layout = Layout::new(dir);
    for path in [layout.database(), layout.lake()] {
        if path.try_exists().at(&path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The path in the form that DuckDB needs. It is absolute, because `~/`, `s3:` and the like have a
/// meaning at its beginning. Links are resolved, because DuckDB resolves them when it checks which files
/// a query may read.
pub(super) fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut missing = Vec::new();
    for there in absolute.ancestors() {
        if let Ok(real) = there.canonicalize() {
            return missing
                .iter()
                .rev()
                .fold(real, |path, name| path.join(name));
        }
        missing.extend(there.file_name());
    }
    absolute
}

/// A pattern of DuckDB's `read_parquet` that only the file at `path` matches.
pub(super) fn pattern(path: &Path) -> String {
    literal(&real(path).display().to_string())
}

/// A pattern that only the path itself matches.
pub(super) fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for letter in path.chars() {
        if PATTERN.contains(&letter) {
            pattern.extend(['[', letter, ']']);
        } else {
            pattern.push(letter);
        }
    }
    pattern
}

/// What makes DuckDB unable to open files at a path, if anything.
fn bad_path(path: &Path) -> Option<&'static str> {
    match path.to_str() {
        None => Some("characters that aren't UTF-8"),
        // It puts the log of its database elsewhere.
        Some(text) if text.contains('?') => Some("a question mark"),
        // Patterns are taken literally in brackets (see views.rs), but not next to a backslash.
        Some(text) if cfg!(unix) && text.contains('\\') && text.contains(['[', '*']) => {
            Some("a backslash and a bracket or asterisk")
        }
        Some(_) => None,
    }
}

/// The bytes of all files below a folder. Files that vanish meanwhile aren't counted.
#[must_use]
pub fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_may_not_be_entered_is_not_taken_for_a_missing_store() {
        let said = |kind| not_entered(Path::new("s"), kind).map(|error| error.to_string());
        let denied = said(ErrorKind::PermissionDenied).unwrap_or_default();
        assert!(
            denied.contains("this user may not enter the folder"),
            "{denied}"
        );
        assert_eq!(said(ErrorKind::NotFound), None);
    }

    #[test]
    fn a_path_is_made_absolute_as_far_as_it_is_there() {
        let dir = std::env::temp_dir();
        let missing = dir.join("not").join("there");
        let expected = dir.canonicalize().unwrap_or(dir).join("not").join("there");
        assert_eq!(real(&missing), expected);
    }
}
