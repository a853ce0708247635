//! The private folder that a query spills into.
//!
//! It is in the store's `tmp/`, or, if the store can't be written, in a folder that the caller names. Only its owner may
//! enter it, whatever the umask. It is removed when it is dropped. After a kill, the next writer and the next query remove
//! it. They recognise a folder that is in use by the lock on a file inside it: the system releases that lock when the
//! process ends, and a process id, which can be given to another process, isn't needed.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::durable;
use super::reader::Reader;

/// The file in the folder that its process keeps locked.
const LOCK: &str = "lock";
/// The start of the folder's name in a store.
const PREFIX: &str = "query-";
/// The start of the folder's name elsewhere.
const PREFIX_ELSEWHERE: &str = "backfill-query-";
/// How many folders are made before giving up: another process may take a new one for a leftover.
const ATTEMPTS_MAX: u32 = 10;

/// A private folder for the temporary files of a query. Removed with all that is in it when dropped.
#[derive(Debug)]
pub struct Spill {
    dir: TempDir,
    /// Declared last, so that it is released after the folder is removed.
    _lock: File,
}

impl Spill {
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn make(parent: &Path, prefix: &str) -> io::Result<Self> {
        sweep_named(parent, prefix);
        let name = format!("{prefix}{}-", std::process::id());
        let mut attempts = 0;
        loop {
            let made = private_dir(parent, &name)
                .and_then(|dir| claim(dir.path()).map(|lock| (dir, lock)));
            match made {
                Ok((dir, lock)) => return Ok(Self { dir, _lock: lock }),
                Err(_) if attempts < ATTEMPTS_MAX => attempts += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Reader {
    /// Makes a folder for a query to spill into, and removes those that killed queries left. It is in the store; if the
    /// store can't be written, it is in `elsewhere`. `None` if neither can be written.
    #[must_use]
    pub fn spill(&self, elsewhere: &Path) -> Option<Spill> {
        // A copy of a store may lack its empty folders.
        let _ = fs::create_dir(self.layout.tmp());
        Spill::make(&self.layout.tmp(), PREFIX)
            .or_else(|_| Spill::make(elsewhere, PREFIX_ELSEWHERE))
            .ok()
    }
}

/// Removes the folders in a store's `tmp/` that killed queries left. One that can't be removed does no harm.
pub(super) fn sweep(tmp: &Path) {
    sweep_named(tmp, PREFIX);
}

fn sweep_named(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        // Not through a symbolic link: that would lead out of the folder.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_dir || !starts_with(&entry.file_name(), prefix) || !is_own(&entry) {
            continue;
        }
        let dir = entry.path();
        if let Ok(_lock) = claim(&dir) {
            // Under another name first: its maker, if it is only about to claim it, then notices.
            let aside = parent.join(format!("{prefix}{}", uuid::Uuid::new_v4().simple()));
            if durable::rename(&dir, &aside).is_ok() {
                drop(fs::remove_dir_all(&aside));
            }
        }
    }
}

/// Whether this user made the entry. Another user's folder could hold links that lead anywhere.
#[cfg(unix)]
fn is_own(entry: &fs::DirEntry) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid().as_raw();
    entry.metadata().is_ok_and(|meta| meta.uid() == user)
}

#[cfg(not(unix))]
fn is_own(_: &fs::DirEntry) -> bool {
    true
}

fn starts_with(name: &OsStr, prefix: &str) -> bool {
    name.as_encoded_bytes().starts_with(prefix.as_bytes())
}

/// Takes the lock of a folder, unless the process that made it, or one that is removing it, has it.
fn claim(dir: &Path) -> io::Result<File> {
    let path = dir.join(LOCK);
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)?;
    lock.try_lock()?;
    // The file that was just locked may have been removed since it was opened. Its lock is worth nothing then.
    match path.try_exists()? {
        true => Ok(lock),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(unix)]
fn private_dir(parent: &Path, name: &str) -> io::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let owner_only = fs::Permissions::from_mode(0o700);
    let dir = tempfile::Builder::new()
        .prefix(name)
        .permissions(owner_only.clone())
        .tempdir_in(parent)?;
    // A umask can have taken the owner's own rights.
    fs::set_permissions(dir.path(), owner_only)?;
    Ok(dir)
}

#[cfg(not(unix))]
fn private_dir(parent: &Path, name: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(name).tempdir_in(parent)
}

/// Removes a folder while threads of this process still write files into it, as far as that is possible.
pub fn remove_busy_dir(dir: &Path) {
    const ROUNDS_MAX: u32 = 100;
    for _ in 0..ROUNDS_MAX {
        match fs::remove_dir_all(dir) {
            // A file was added after the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn folders(parent: &Path) -> Vec<PathBuf> {
        let mut found: Vec<_> = fs::read_dir(parent)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        found.sort();
        found
    }

    #[test]
    fn a_folder_in_use_stays_and_a_leftover_goes() {
        let parent = tempfile::tempdir().unwrap();
        let used = Spill::make(parent.path(), PREFIX).unwrap();
        fs::write(used.path().join("rows.tmp"), "rows").unwrap();
        // As a kill leaves it, with this process's own id: the lock is free.
        let left = parent
            .path()
            .join(format!("{PREFIX}{}-left", std::process::id()));
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("rows.tmp"), "rows").unwrap();
        // As a kill in the middle of a removal leaves it.
        let half = parent.path().join(format!("{PREFIX}1-half"));
        fs::create_dir(&half).unwrap();
        fs::write(half.join("rows.tmp"), "rows").unwrap();
        // What isn't a query's.
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();

        sweep(parent.path());
        let mut expected = vec![used.path().to_owned(), other.clone()];
        expected.sort();
        assert_eq!(folders(parent.path()), expected);
        assert!(used.path().join("rows.tmp").is_file());

        drop(used);
        assert_eq!(folders(parent.path()), [other]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        fs::write(target.path().join("mine"), "mine").unwrap();
        let link = parent.path().join(format!("{PREFIX}1-link"));
        std::os::unix::fs::symlink(target.path(), &link).unwrap();
        sweep(parent.path());
        assert!(target.path().join("mine").is_file());
        assert!(!target.path().join(LOCK).exists());
    }

    /// Many processes make and sweep at once: none loses a folder that it holds.
    #[test]
    fn folders_survive_sweeps_from_all_sides() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        // Making a folder sweeps first.
                        let spill = Spill::make(parent.path(), PREFIX).unwrap();
                        fs::write(spill.path().join("rows.tmp"), "rows").unwrap();
                        std::thread::yield_now();
                        assert!(spill.path().join("rows.tmp").is_file());
                    }
                });
            }
        });
        assert_eq!(folders(parent.path()), Vec::<PathBuf>::new());
    }
}
