//! One export per folder at a time.
//!
//! The lock is one of the operating system, on the folder itself: it leaves no file there, and ends
//! with the process. If a folder can't be locked (Windows, NFS), the hidden file
//! `.backfill-export.lock` is, and stays.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::Error;

/// The file that is locked if the folder can't be.
const LOCK_FILE: &str = ".backfill-export.lock";

/// The lock of one export on its folder, released when dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock; [`Error::Busy`] if another export has it.
    pub fn take(folder: &Path) -> Result<Self, Error> {
        let on_file = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(folder.join(LOCK_FILE))
        };
        match lock(File::open(folder)) {
            Err(TryLockError::Error(_)) => lock(on_file()),
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
