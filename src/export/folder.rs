//! A folder that an export fills. It replaces the files of an earlier export, and nothing else.
//!
//! The folder holds no list of files, because readers that take a whole folder (Polars does) refuse
//! one with anything but bars in it. The files identify themselves: they are named `bars` with the
//! ending of a format, are in the folder or in `ticker=` and `year=` folders, and carry the
//! mark of an export (a CSV file: its header line). A partition of a lake has the same name and no
//! mark.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::atomic_file::{is_part_name, remove_abandoned};
use super::{BadOutput, Error, Format};
use crate::store::is_store;

/// The deepest hive folders: `ticker=…/year=…`.
const DEPTH_MAX: usize = 2;

/// The files of a folder that are named like those of an export.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files that an earlier export wrote.
    pub exported: BTreeSet<PathBuf>,
    /// Other files with such a name.
    pub foreign: BTreeSet<PathBuf>,
    /// Files that an export is writing or left half written.
    parts: Vec<PathBuf>,
}

/// Looks through `folder`, which may be missing.
pub(super) fn survey(folder: &Path) -> Result<Found, Error> {
    let mut found = Found::default();
    visit(folder, 0, &mut found)?;
    Ok(found)
}

fn visit(folder: &Path, depth: usize, found: &mut Found) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && depth == 0 => return Ok(()),
        Err(error) => return Err(Error::io(folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io(folder))?;
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let kind = entry.file_type().map_err(Error::io(&path))?;
        if kind.is_dir() && is_hive(name) && depth < DEPTH_MAX {
            if is_store(&path) {
                return Err(BadOutput::HoldsStore { store: path }.into());
            }
            visit(&path, depth + 1, found)?;
        } else if kind.is_file() && is_part_name(name) {
            found.parts.push(path);
        } else if let Some(format) = format_of_name(name).filter(|_| kind.is_file()) {
            if is_exported(&path, format) {
                found.exported.insert(path);
            } else {
                found.foreign.insert(path);
            }
        }
    }
    Ok(())
}

fn is_hive(name: &str) -> bool {
    name.starts_with("ticker=") || name.starts_with("year=")
}

fn format_of_name(name: &str) -> Option<Format> {
    name.strip_prefix("bars.")?.parse().ok()
}

fn is_exported(path: &Path, format: Format) -> bool {
    File::open(path).is_ok_and(|file| format.is_exported(file))
}

/// The nearest folder above `folder` that has files of another export. That export owns its
/// subfolders: it would remove what is written there, and readers of its folder would read it.
pub(super) fn outer_export(folder: &Path) -> Option<&Path> {
    let mut above = folder.ancestors().skip(1);
    above.find(|above| has_export(above, folder, 0))
}

/// Whether an export wrote a file into `dir` or its hive folders, `except` not counted. A folder
/// that can't be read has none.
fn has_export(dir: &Path, except: &Path, depth: usize) -> bool {
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.any(|entry| {
        let path = entry.path();
        let name = entry.file_name();
        let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else {
            return false;
        };
        if kind.is_dir() {
            let is_inside = is_hive(name) && depth < DEPTH_MAX && path != except;
            return is_inside && has_export(&path, except, depth + 1);
        }
        let format = format_of_name(name).filter(|_| kind.is_file());
        format.is_some_and(|format| is_exported(&path, format))
    })
}

/// Removes what an earlier export wrote and this one didn't, what a killed one left half written,
/// and the folders that are empty then.
pub(super) fn clear(
    folder: &Path,
    found: &Found,
    written: &BTreeSet<PathBuf>,
) -> Result<(), Error> {
    for path in found.exported.difference(written) {
        crate::store::remove_file(path).map_err(Error::io(path))?;
    }
    for path in &found.parts {
        remove_abandoned(path).map_err(Error::io(path))?;
    }
    for path in found.exported.difference(written).chain(&found.parts) {
        let mut empty = path.parent();
        while let Some(dir) = empty.filter(|dir| *dir != folder) {
            // Fails if anything is in it.
            if fs::remove_dir(dir).is_err() {
                break;
            }
            empty = dir.parent();
        }
    }
    Ok(())
}
