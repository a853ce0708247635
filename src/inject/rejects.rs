//! The rejects of all files of a run, in the order of the files.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::block::BadRow;
use super::error::{Error, write_error};
use crate::store::{RejectLine, RejectsFile};

/// Writes the rejects of a run, from several threads.
pub(super) struct Rejects(Option<Mutex<RejectsFile>>);

impl Rejects {
    /// Rejects go to `path`; `None` for a dry run, which doesn't write them.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self(path.map(|path| Mutex::new(RejectsFile::new(path))))
    }

    /// The file, if there are rejects.
    pub(super) fn written(&self) -> Option<PathBuf> {
        self.file()?.written().cloned()
    }

    /// Writes and flushes rejects of files, each with its index and name.
    pub(super) fn add<'a>(
        &self,
        files: impl Iterator<Item = (usize, &'a str, &'a [BadRow])>,
    ) -> Result<(), Error> {
        let Some(mut file) = self.file() else {
            return Ok(());
        };
        let parts = files.map(|(index, name, rows)| {
            let line = move |row: &'a BadRow| RejectLine {
                origin: name,
                line: row.line,
                reason: row.reason,
                raw: &row.raw,
            };
            (index, rows.iter().map(line))
        });
        let added = file.add(parts);
        added.map_err(write_error(file.path()))
    }

    /// Puts the rejects in the order of the files.
    pub(super) fn sort(&self) -> Result<(), Error> {
        let Some(mut file) = self.file() else {
            return Ok(());
        };
        let sorted = file.sort();
        sorted.map_err(write_error(file.path()))
    }

    fn file(&self) -> Option<MutexGuard<'_, RejectsFile>> {
        let file = self.0.as_ref()?;
        Some(file.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
