//! One export per folder.
//!
//! The lock is the operating system's, on the folder itself, so that no file is left in it and the lock dies with its
//! process. Where a folder cannot be locked (Windows, NFS) it is on the hidden file `.backfill-export.lock`, which stays.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::Error;

/// The file that is locked where a folder cannot be.
const LOCK_FILE: &str = ".backfill-export.lock";

/// The hold of one export on its folder, released when dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock, or says that another export has it.
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
