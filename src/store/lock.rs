//! One writer, many readers.
//!
//! The lock is the operating system's, on the file `store.lock`, so it ends with its process. The pid
//! in the file is only for messages. The commit number after it shows whether the catalog is older
//! than what was acknowledged.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use super::error::{Error, IoContext};
use super::layout::Layout;

/// How long a writer waits for readers to finish.
pub const WAIT_FOR_READERS_MS_MAX: u64 = 30_000;
const POLL_MS: u64 = 25;

/// The writer's lock on a store, released when dropped.
#[derive(Debug)]
pub struct WriteLock {
    file: File,
    acknowledged: u64,
}

/// A reader's lock on a store, released when dropped.
#[derive(Debug)]
pub struct ReadLock {
    _file: File,
    acknowledged: u64,
}

impl ReadLock {
    /// The highest commit that any writer of this store has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
}

/// What a reader found.
#[derive(Debug)]
pub enum ReadAccess {
    /// No writer runs: both tiers can be read.
    Full(ReadLock),
    /// A writer runs, with this pid if it could be read: only its snapshot and the lake can be read.
    LakeOnly(Option<u32>),
}

impl WriteLock {
    /// Takes the lock. Waits up to `wait` for readers; if there is another writer, returns an error at
    /// once, with its pid.
    pub fn acquire(layout: &Layout, wait: Duration) -> Result<Self, Error> {
        let path = layout.lock();
        #[allow(clippy::disallowed_methods, clippy::suspicious_open_options)]
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .open(&path)
            .at(&path)?;
        let deadline = Instant::now() + wait.min(Duration::from_millis(WAIT_FOR_READERS_MS_MAX));
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(Error::io(&path, error)),
                Err(TryLockError::WouldBlock) => {}
            }
            match file.try_lock_shared() {
                // Only readers can share it: wait for them.
                Ok(()) => file.unlock().at(&path)?,
                Err(TryLockError::Error(error)) => return Err(Error::io(&path, error)),
                Err(TryLockError::WouldBlock) => {
                    // Two waiting writers can block each other for an instant; a pid means a real
                    // writer.
                    let pid = read_fields(&mut file).0;
                    if pid.is_some() || Instant::now() >= deadline {
                        return Err(Error::WriterRuns {
                            dir: layout.root().to_path_buf(),
                            pid,
                        });
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(Error::ReadersStay {
                    dir: layout.root().to_path_buf(),
                    seconds: wait.as_secs(),
                });
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        let acknowledged = read_fields(&mut file).1;
        let mut lock = Self { file, acknowledged };
        lock.write_fields(Some(std::process::id())).at(&path)?;
        Ok(lock)
    }

    /// The highest commit that any writer of this store has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Records an acknowledged commit. A failure only loses a notice, so it isn't reported.
    pub fn acknowledge(&mut self, seq: u64) {
        if seq > self.acknowledged {
            self.acknowledged = seq;
            let _ = self.write_fields(Some(std::process::id()));
        }
    }

    /// Forgets what was acknowledged, after a repair has listed what is lost.
    pub fn forget(&mut self, seq: u64) {
        self.acknowledged = seq;
        let _ = self.write_fields(Some(std::process::id()));
    }

    fn write_fields(&mut self, pid: Option<u32>) -> io::Result<()> {
        // Fixed width, so that overwriting it never leaves half a number.
        let pid = pid.map_or(String::from("-"), |pid| pid.to_string());
        self.file.seek(SeekFrom::Start(0))?;
        self.file
            .write_all(format!("{pid:<12} {:<20}\n", self.acknowledged).as_bytes())
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        // A failure only makes a later message less exact.
        let _ = self.write_fields(None);
        let _ = self.file.unlock();
    }
}

/// Takes a reader's lock, or reports that a writer runs.
pub fn read_access(layout: &Layout) -> Result<ReadAccess, Error> {
    let path = layout.lock();
    let mut file = match File::open(&path) {
        Ok(file) => file,
        // A store that was copied without its lock file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(layout)?,
        Err(error) => return Err(Error::io(&path, error)),
    };
    match file.try_lock_shared() {
        Ok(()) => {
            let acknowledged = read_fields(&mut file).1;
            Ok(ReadAccess::Full(ReadLock {
                _file: file,
                acknowledged,
            }))
        }
        Err(TryLockError::WouldBlock) => Ok(ReadAccess::LakeOnly(read_fields(&mut file).0)),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, error)),
    }
}

/// Makes the lock file of a store that lacks it. Without one, a writer can't be kept out.
fn create(layout: &Layout) -> Result<File, Error> {
    #[allow(clippy::disallowed_methods, clippy::suspicious_open_options)]
    let made = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .open(layout.lock());
    made.map_err(|source| Error::NoLock {
        dir: layout.root().to_path_buf(),
        source,
    })
}

/// The writer's pid, while there is one, and the highest commit acknowledged.
fn read_fields(file: &mut File) -> (Option<u32>, u64) {
    let mut text = String::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_string(&mut text));
    let mut fields = text.split_whitespace();
    let pid = fields.next().and_then(|field| field.parse().ok());
    let acknowledged = fields.next().and_then(|field| field.parse().ok());
    if read.is_ok() {
        (pid, acknowledged.unwrap_or(0))
    } else {
        (None, 0)
    }
}
