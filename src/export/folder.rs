//! A folder that an export fills: what it finds there of an earlier export, and only that, it replaces.
//!
//! No list of files is kept in the folder: a reader that takes a whole folder (Polars does) refuses one that holds
//! anything but bars. The files themselves tell: they are called `bars.parquet`, `bars.csv` or `bars.arrow`, stand in
//! the folder or in `ticker=` and `year=` folders, and carry the mark of an export in their footers (a CSV file: its header
//! line). A partition of a store's lake is called the same and carries no such mark.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::ipc::reader::FileReader;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;

use super::csv::Layout;
use super::draft::is_part_name;
use super::sink::EXPORT_KEY;
use super::{BadOutput, Error, Format};
use crate::store::is_store;

/// A file that an export left half written this long ago belongs to no running program.
const STALE_PART: Duration = Duration::from_secs(3600);

/// What stands in a folder of an earlier export.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files that an earlier export wrote.
    pub ours: BTreeSet<PathBuf>,
    /// Files called like ours that somebody else wrote.
    pub foreign: BTreeSet<PathBuf>,
    /// Files that a killed export left half written.
    parts: Vec<PathBuf>,
}

/// Looks through `folder`; finds nothing where there is no folder.
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
        if kind.is_dir() {
            let hive = name.starts_with("ticker=") || name.starts_with("year=");
            if hive && depth < 2 {
                if is_store(&path) {
                    return Err(BadOutput::HoldsStore { store: path }.into());
                }
                visit(&path, depth + 1, found)?;
            }
        } else if kind.is_file() {
            if is_part_name(name) && is_stale(&path) {
                found.parts.push(path);
            } else if let Some(format) = format_of_name(name) {
                if is_ours(&path, format) {
                    found.ours.insert(path);
                } else {
                    found.foreign.insert(path);
                }
            }
        }
    }
    Ok(())
}

fn format_of_name(name: &str) -> Option<Format> {
    name.strip_prefix("bars.")?.parse().ok()
}

/// Whether the file carries the mark of an export.
fn is_ours(path: &Path, format: Format) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    match format {
        Format::Parquet => SerializedFileReader::new(file).is_ok_and(|reader| {
            reader
                .metadata()
                .file_metadata()
                .key_value_metadata()
                .is_some_and(|pairs| pairs.iter().any(|pair| pair.key == EXPORT_KEY))
        }),
        Format::Csv => [false, true].into_iter().any(|extras| {
            let header = Layout { extras }.header().into_bytes();
            let mut start = vec![0; header.len()];
            io::Seek::rewind(&mut file).is_ok()
                && file.read_exact(&mut start).is_ok()
                && start == header
        }),
        Format::Arrow => FileReader::try_new(file, None)
            .is_ok_and(|reader| reader.custom_metadata().contains_key(EXPORT_KEY)),
    }
}

fn is_stale(path: &Path) -> bool {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|modified| modified.elapsed().ok())
        .is_some_and(|age| age > STALE_PART)
}

/// Removes what an earlier export wrote and this one did not, and the folders that this leaves empty.
pub(super) fn clear(
    folder: &Path,
    found: &Found,
    written: &BTreeSet<PathBuf>,
) -> Result<(), Error> {
    let gone = found.ours.difference(written).chain(&found.parts);
    for path in gone {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(path)(error)),
        }
        let mut empty = path.parent();
        while let Some(dir) = empty.filter(|dir| *dir != folder) {
            // Refused while anything stands in it.
            if fs::remove_dir(dir).is_err() {
                break;
            }
            empty = dir.parent();
        }
    }
    Ok(())
}
