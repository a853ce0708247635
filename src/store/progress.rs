//! The progress of a running writer, for other processes: `tmp/progress.json`.
//!
//! The writer replaces the file by rename about once a second while its run lasts. It counts only
//! while the writer that made it holds the store's lock, so what a killed writer left is never
//! shown. Nothing is flushed to the disk: after a power failure no process needs it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::durable;
use super::error::Error;
use super::folder::is_there;
use super::handle::Store;
use super::layout::Layout;
use super::lock::{ReadAccess, read_access};

/// The most bytes that are read: a file of this program has a few hundred.
const BYTES_MAX: u64 = 64 << 10;

/// How far a run is. Times are microseconds since 1970 in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    pub pid: u32,
    pub run: String,
    pub command: String,
    pub started_at_us: i64,
    pub updated_at_us: i64,
    /// What `done` and `total` count, plural: `windows`, `bytes`. Empty before the work is planned.
    pub unit: String,
    pub done: u64,
    pub total: u64,
    /// Units of `done` per second, lately.
    pub per_second: f64,
    /// Tickers or files that failed.
    pub failed: u64,
    pub rows_committed: u64,
    /// Requests sent, with retries; `None` for a run that sends none.
    pub requests: Option<u64>,
}

impl RunProgress {
    /// The time that the rest takes at the present rate.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let rest = self.total.saturating_sub(self.done) as f64;
        Duration::try_from_secs_f64(rest / self.per_second).ok()
    }
}

/// The process that writes into a store.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningWriter {
    /// Its process id, if its lock file shows it.
    pub pid: Option<u32>,
    /// Its run; `None` before the run begins, after it ends, and for a command without a run.
    pub progress: Option<RunProgress>,
}

/// The progress file of this process. Dropping it removes the file; drop it before the store.
#[derive(Debug)]
pub struct ProgressFile {
    path: PathBuf,
    temporary: PathBuf,
    rows_committed: Arc<AtomicU64>,
}

impl RunProgress {
    /// The progress in the bytes of a file; `None` if they aren't one. Its texts can be printed.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let progress: Self = serde_json::from_slice(bytes).ok()?;
        let texts = [&progress.run, &progress.command, &progress.unit];
        let is_plain = texts.iter().all(|text| !text.contains(char::is_control));
        is_plain.then_some(progress)
    }
}

impl Store {
    /// The file for the progress of a run of this process.
    #[must_use]
    pub fn progress_file(&self) -> ProgressFile {
        ProgressFile {
            path: path(&self.layout),
            temporary: temporary(&self.layout),
            rows_committed: Arc::clone(&self.rows_committed),
        }
    }
}

impl ProgressFile {
    /// Rows that this process has committed.
    #[must_use]
    pub fn rows_committed(&self) -> u64 {
        self.rows_committed.load(Ordering::Relaxed)
    }

    /// Replaces the file. After an error the last one stays, and the run can continue.
    pub fn write(&self, progress: &RunProgress) -> io::Result<()> {
        let text = serde_json::to_vec(progress)?;
        let mut options = OpenOptions::new();
        let mut file = (options.write(true).create(true).truncate(true)).open(&self.temporary)?;
        file.write_all(&text)?;
        drop(file);
        crate::crash_point!("progress.before-rename");
        durable::rename(&self.temporary, &self.path)
    }
}

impl Drop for ProgressFile {
    fn drop(&mut self) {
        let _ = durable::remove_file(&self.temporary);
        let _ = durable::remove_file(&self.path);
    }
}

/// The process that writes into the store in `dir`; `None` if there is none. Opens no catalog.
pub fn running_writer(dir: &Path) -> Result<Option<RunningWriter>, Error> {
    if !is_there(dir)? {
        return Err(Error::Missing {
            dir: dir.to_path_buf(),
        });
    }
    let layout = Layout::new(dir);
    Ok(match read_access(&layout)? {
        ReadAccess::Full(_) => None,
        ReadAccess::LakeOnly(pid) => Some(RunningWriter {
            pid,
            // Another one's was left by a kill.
            progress: read(&layout).filter(|progress| Some(progress.pid) == pid),
        }),
    })
}

/// Removes what a killed writer left. The caller has the writer's lock.
pub(super) fn sweep(layout: &Layout) {
    let _ = durable::remove_file(&temporary(layout));
    let _ = durable::remove_file(&path(layout));
}

fn path(layout: &Layout) -> PathBuf {
    layout.tmp().join("progress.json")
}

fn temporary(layout: &Layout) -> PathBuf {
    layout.tmp().join("progress.json.new")
}

fn read(layout: &Layout) -> Option<RunProgress> {
    let mut bytes = Vec::new();
    let file = File::open(path(layout)).ok()?;
    file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    RunProgress::parse(&bytes)
}

#[cfg(test)]
mod tests {
    use super::super::options::OpenOptions as StoreOptions;
    use super::*;

    fn progress(pid: u32) -> RunProgress {
        RunProgress {
            pid,
            run: "20250102T143000Z-1a2b3c4d".to_owned(),
            command: "concurrent".to_owned(),
            started_at_us: 1_735_828_200_000_000,
            updated_at_us: 1_735_828_201_000_000,
            unit: "windows".to_owned(),
            done: 3,
            total: 10,
            per_second: 1.5,
            failed: 1,
            rows_committed: 390,
            requests: Some(4),
        }
    }

    #[test]
    fn progress_is_shown_while_its_writer_runs() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let file = store.progress_file();
        let shown = || running_writer(dir.path()).unwrap().unwrap().progress;
        assert_eq!(shown(), None);
        let own = progress(std::process::id());
        file.write(&own).unwrap();
        assert_eq!(shown(), Some(own.clone()));
        // What another process left.
        file.write(&progress(std::process::id() + 1)).unwrap();
        assert_eq!(shown(), None);
        file.write(&own).unwrap();
        std::mem::forget(file);
        drop(store);
        assert_eq!(running_writer(dir.path()).unwrap(), None);
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        assert_eq!(shown(), None);
        drop(store);
        assert_eq!(
            std::fs::read_dir(dir.path().join("tmp")).unwrap().count(),
            0
        );
    }

    #[test]
    fn texts_that_a_terminal_would_obey_are_refused() {
        let bytes = serde_json::to_vec(&progress(7)).unwrap();
        assert_eq!(RunProgress::parse(&bytes), Some(progress(7)));
        let mut escapes = progress(7);
        escapes.command = "\x1b[2J".to_owned();
        let bytes = serde_json::to_vec(&escapes).unwrap();
        assert_eq!(RunProgress::parse(&bytes), None);
    }
}
