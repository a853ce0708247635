//! One export per folder at a time, and one process at a time that continues a file.
//!
//! Both are locks of the operating system, which end with the process. That of an export is on the
//! folder itself and leaves no file there. If a folder can't be locked (Windows, NFS), the hidden
//! file `.backfill-export.lock` is, and stays.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::links::{id, id_of};
use super::{Error, OutputFile};

/// The file that is locked if the folder can't be.
const LOCK_FILE: &str = ".backfill-export.lock";
/// How often a [`Turn`] is tried, and the time between two tries: 10 s in all.
const TURN_TRIES: u32 = 1000;
const TURN_PAUSE: Duration = Duration::from_millis(10);

/// The lock of one export on its folder, released when dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock; [`Error::Busy`] if another export has it.
    pub fn take(folder: &Path) -> Result<Self, Error> {
        match lock(File::open(folder)) {
            Err(TryLockError::Error(_)) => lock(lock_file(&folder.join(LOCK_FILE))),
            locked => locked,
        }
        .map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy {
                path: folder.to_owned(),
            },
            TryLockError::Error(source) => Error::io(folder)(source),
        })
    }
}

fn lock(file: io::Result<File>) -> Result<FolderLock, TryLockError> {
    let file = file.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(FolderLock { _file: file })
}

/// Opens a file that is only there to be locked, and creates it if it is missing.
fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    options.open(path)
}

/// The turn of one process to read a file and replace it, released when dropped. A hidden file next
/// to it is locked and removed at the end, because each replacement is another file.
#[derive(Debug)]
pub(crate) struct Turn {
    _file: File,
    path: PathBuf,
}

impl Turn {
    /// Waits for the turn. `None` if the target isn't replaced (a pipe, a device), if there are no
    /// locks in its folder, or if a process that was stopped keeps its turn for longer than 10 s.
    pub fn take(target: &OutputFile) -> Option<Self> {
        if target.special().is_some() {
            return None;
        }
        let name = target.real().file_name()?.to_string_lossy();
        let path = target.real().with_file_name(format!(".{name}.lock"));
        for _ in 0..TURN_TRIES {
            let file = lock_file(&path).ok()?;
            match file.try_lock() {
                // The process that had the turn removes the file, and a file that was removed
                // excludes no other process.
                Ok(()) if id_of(&path) == id(&file.metadata().ok()?) => {
                    return Some(Self { _file: file, path });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => thread::sleep(TURN_PAUSE),
                Err(TryLockError::Error(_)) => {
                    let _ = fs::remove_file(&path);
                    return None;
                }
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Guard;

    #[test]
    fn turns_exclude_each_other() {
        const THREADS: u32 = 4;
        const TURNS: u32 = 100;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("count");
        fs::write(&path, "0").unwrap();
        // A killed process leaves its file.
        fs::write(folder.path().join(".count.lock"), "").unwrap();
        let target = Guard::default().file(&path).unwrap();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..TURNS {
                        let turn = Turn::take(&target).unwrap();
                        let count = fs::read_to_string(&path).unwrap();
                        let next = count.parse::<u32>().unwrap() + 1;
                        fs::write(&path, next.to_string()).unwrap();
                        drop(turn);
                    }
                });
            }
        });
        let count = fs::read_to_string(&path).unwrap();
        assert_eq!(count, (THREADS * TURNS).to_string());
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "only the file itself");
    }
}
