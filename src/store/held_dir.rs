//! Folders that live as long as a process uses them.
//!
//! Every process that uses such a folder holds a lock on a file inside it. The system releases the
//! lock when the process ends, however it ends, so a folder whose lock is free is a leftover and can
//! be removed. (A process id in the name wouldn't do: it may be given to another process.)

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::durable;

/// The file inside the folder that its users keep locked.
const LOCK: &str = "lock";
/// Before a new folder is locked, another process may remove it as a leftover. Then another is made.
const ATTEMPTS_MAX: u32 = 10;

/// A folder in use by this process. Dropping it removes it, unless another process uses it too.
#[derive(Debug)]
pub(super) struct HeldDir {
    path: PathBuf,
    lock: File,
}

impl HeldDir {
    /// Makes a folder in `parent` that no other process can join yet, and that only this user may
    /// enter. Leftovers with the same prefix are removed first.
    pub fn make(parent: &Path, prefix: &str) -> io::Result<Self> {
        sweep(parent, prefix);
        let name = format!("{prefix}{}-", std::process::id());
        let mut attempts = 0;
        loop {
            let made = private_dir(parent, &name).and_then(|path| {
                let lock = claim(&path)?;
                Ok(Self { path, lock })
            });
            match made {
                Err(_) if attempts < ATTEMPTS_MAX => attempts += 1,
                made => return made,
            }
        }
    }

    /// Joins the folder of another process, which has shared it.
    pub fn join(path: PathBuf) -> io::Result<Self> {
        let lock = File::open(path.join(LOCK))?;
        lock.try_lock_shared()?;
        let lock = still_there(&path.join(LOCK), lock)?;
        Ok(Self { path, lock })
    }

    /// Gives the folder a new name next to its old one, under which other processes may join it: all
    /// that may enter its parent.
    pub fn share_as(&mut self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(parent) = self.path.parent() {
            let as_parent = fs::metadata(parent)?.permissions();
            fs::set_permissions(&self.path, as_parent)?;
        }
        // Not one step: another process may take the folder for a leftover in between.
        self.lock.unlock()?;
        self.lock.try_lock_shared()?;
        durable::rename(&self.path, path)?;
        self.path = path.to_path_buf();
        Ok(())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for HeldDir {
    fn drop(&mut self) {
        if self.lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes the folders in `parent` that killed processes left. One that can't be removed does no
/// harm.
pub(super) fn sweep(parent: &Path, prefix: &str) {
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
            // Renamed first, so that a process that has just made it and is about to lock it fails.
            let aside = parent.join(format!("{prefix}{}", uuid::Uuid::new_v4().simple()));
            if durable::rename(&dir, &aside).is_ok() {
                let _ = fs::remove_dir_all(&aside);
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

pub(super) fn starts_with(name: &OsStr, prefix: &str) -> bool {
    name.as_encoded_bytes().starts_with(prefix.as_bytes())
}

/// Takes the lock of a folder, unless a process uses the folder or is removing it.
fn claim(dir: &Path) -> io::Result<File> {
    let path = dir.join(LOCK);
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)?;
    lock.try_lock()?;
    still_there(&path, lock)
}

/// A lock on a file that was removed after it was opened protects nothing.
fn still_there(path: &Path, lock: File) -> io::Result<File> {
    match path.try_exists()? {
        true => Ok(lock),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

fn private_dir(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(name);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let owner_only = fs::Permissions::from_mode(0o700);
        let dir = builder
            .permissions(owner_only.clone())
            .tempdir_in(parent)?
            .keep();
        // A umask can have taken the owner's own rights.
        fs::set_permissions(&dir, owner_only)?;
        Ok(dir)
    }
    #[cfg(not(unix))]
    Ok(builder.tempdir_in(parent)?.keep())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "query-";

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
        let used = HeldDir::make(parent.path(), PREFIX).unwrap();
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
        // A folder with another name.
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();

        sweep(parent.path(), PREFIX);
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
        sweep(parent.path(), PREFIX);
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
                        let held = HeldDir::make(parent.path(), PREFIX).unwrap();
                        fs::write(held.path().join("rows.tmp"), "rows").unwrap();
                        std::thread::yield_now();
                        assert!(held.path().join("rows.tmp").is_file());
                    }
                });
            }
        });
        assert_eq!(folders(parent.path()), Vec::<PathBuf>::new());
    }
}
