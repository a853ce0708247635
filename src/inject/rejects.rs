//! `rejects/<run>.csv`: all rejects of a run with their reasons, in the order of the files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::block::BadRow;
use super::error::{Error, write_error};
use crate::store::{HashedFile, rename, sync_dir};

const HEADER: &[u8] = b"file,line,reason,raw\n";

/// Writes the rejects of a run. The first reject creates the file.
///
/// Rejects are flushed to disk before the bars around them are committed, so several files' are
/// mixed. [`sort`](Self::sort) puts them in the order of the files at the end.
pub(super) struct Rejects {
    path: Option<PathBuf>,
    log: Mutex<Option<Log>>,
}

struct Log {
    file: File,
    length: u64,
    parts: Vec<Part>,
}

/// The rejects of one piece of a file.
#[derive(Clone, Copy)]
struct Part {
    /// The file's index among the files of the run.
    index: usize,
    at: u64,
    bytes: u64,
}

impl Rejects {
    /// Rejects go to `path`; `None` for a dry run, which doesn't write them.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            log: Mutex::new(None),
        }
    }

    /// The file, if there are rejects.
    pub(super) fn written(&self) -> Option<&PathBuf> {
        self.lock().as_ref().and(self.path.as_ref())
    }

    /// Writes and flushes rejects of files, each with its index and name.
    pub(super) fn add<'a>(
        &self,
        files: impl Iterator<Item = (usize, &'a str, &'a [BadRow])>,
    ) -> Result<(), Error> {
        let mut files = files.filter(|(.., rows)| !rows.is_empty()).peekable();
        let Some(path) = self.path.as_ref().filter(|_| files.peek().is_some()) else {
            return Ok(());
        };
        let mut log = self.lock();
        append(&mut log, path, files).map_err(write_error(path))
    }

    /// Puts the rejects in the order of the files.
    pub(super) fn sort(&self) -> Result<(), Error> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut log = self.lock();
        match log.as_mut() {
            Some(log) if !log.parts.is_sorted_by_key(|part| part.index) => {
                rewrite(log, path).map_err(write_error(path))
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Log>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn append<'a>(
    log: &mut Option<Log>,
    path: &Path,
    files: impl Iterator<Item = (usize, &'a str, &'a [BadRow])>,
) -> io::Result<()> {
    let log = match log {
        Some(log) => log,
        None => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new()
                .create_new(true)
                .read(true)
                .append(true)
                .open(path)?;
            file.write_all(HEADER)?;
            path.parent().map_or(Ok(()), sync_dir)?;
            log.insert(Log {
                file,
                length: HEADER.len() as u64,
                parts: Vec::new(),
            })
        }
    };
    for (index, name, rows) in files {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.write_record([name, &row.line.to_string(), row.reason.as_str(), &row.raw])?;
        }
        let text = writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        log.file.write_all(&text)?;
        log.parts.push(Part {
            index,
            at: log.length,
            bytes: text.len() as u64,
        });
        log.length += text.len() as u64;
    }
    log.file.sync_data()
}

/// Writes the parts in order to a new file, and replaces the old one by it.
fn rewrite(log: &mut Log, path: &Path) -> io::Result<()> {
    let new = path.with_extension("csv.tmp");
    let mut sorted = HashedFile::create(&new)?;
    sorted.write_all(HEADER)?;
    log.parts.sort_by_key(|part| part.index);
    for part in &log.parts {
        log.file.seek(SeekFrom::Start(part.at))?;
        io::copy(&mut (&log.file).take(part.bytes), &mut sorted)?;
    }
    sorted.finish()?;
    rename(&new, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}
