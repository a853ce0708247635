//! A file that appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::format::Out;
use super::{Error, OutputFile};
use crate::store;

/// Bytes in the buffer of a file being written.
const BUFFER_BYTES: usize = 1 << 18;
/// The extension of files being written.
const PART_SUFFIX: &str = ".part";
/// How many names are tried before giving up.
const NAMES_MAX: u32 = 100;

/// A file written next to its target and renamed over it. Dropped without
/// [`publish`](Self::publish), it is removed and the target is unchanged. A target that can't be
/// replaced (a pipe, a device) is written to directly.
///
/// The part file is locked while it is written. The lock ends with the process, so a part file that
/// can be locked was left by a killed one, and [`remove_abandoned`] removes it.
pub(crate) struct AtomicFile {
    file: File,
    /// The part file until it is published; `None` if the target is written to directly.
    part: Option<PathBuf>,
    target: OutputFile,
}

impl AtomicFile {
    /// Begins a file for `target`, in its folder, under a hidden name that no glob for the target's
    /// extension matches. No other process uses this name, even if it writes the same target.
    pub fn create(target: &OutputFile) -> Result<Self, Error> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let (typed, real) = (target.typed(), target.real());
        let failed = |source| Error::io(typed)(source);
        if let Some(special) = target.special() {
            return Ok(Self {
                file: special.try_clone().map_err(failed)?,
                part: None,
                target: target.clone(),
            });
        }
        let name = real
            .file_name()
            .ok_or_else(|| failed(io::Error::other("a folder, not a file")))?
            .to_string_lossy();
        for _ in 0..NAMES_MAX {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let hidden = format!(".{name}.{}-{number}{PART_SUFFIX}", std::process::id());
            let part = real.with_file_name(hidden);
            if let Some(file) = create_locked(&part).map_err(failed)? {
                return Ok(Self {
                    file,
                    part: Some(part),
                    target: target.clone(),
                });
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// Checks that a file can be created in the target's folder.
    pub fn check(target: &OutputFile) -> Result<(), Error> {
        Self::create(target).map(drop)
    }

    /// Writes all of a small file.
    pub fn write(target: &OutputFile, content: &[u8]) -> Result<(), Error> {
        Self::filled(target, content)?.publish()
    }

    /// Writes all of a small file that programs of other users read: its mode does not depend on the umask.
    pub fn write_for_all(target: &OutputFile, content: &[u8]) -> Result<(), Error> {
        let file = Self::filled(target, content)?;
        #[cfg(unix)]
        if file.part.is_some() {
            use std::os::unix::fs::PermissionsExt;
            let readable = fs::Permissions::from_mode(0o644);
            file.file
                .set_permissions(readable)
                .map_err(Error::io(target.typed()))?;
        }
        file.publish()
    }

    fn filled(target: &OutputFile, content: &[u8]) -> Result<Self, Error> {
        let file = Self::create(target)?;
        let mut out = file.out()?;
        out.write_all(content)
            .and_then(|()| out.flush())
            .map_err(Error::io(target.typed()))?;
        drop(out);
        Ok(file)
    }

    /// The path of the target as typed.
    pub fn target(&self) -> &Path {
        self.target.typed()
    }

    /// The path of the part file; `None` if the target is written to directly.
    pub fn path(&self) -> Option<&Path> {
        self.part.as_deref()
    }

    /// A buffered writer into the file.
    pub fn out(&self) -> Result<Out, Error> {
        if let Some(special) = self.target.special_writer() {
            return Ok(Box::new(BufWriter::with_capacity(BUFFER_BYTES, special)));
        }
        let file = self.file.try_clone().map_err(Error::io(self.target()))?;
        Ok(Box::new(BufWriter::with_capacity(BUFFER_BYTES, file)))
    }

    /// Renames the file over its target. It is durable when this returns.
    pub fn publish(mut self) -> Result<(), Error> {
        let Some(part) = &self.part else {
            return Ok(());
        };
        let real = self.target.real();
        self.file.sync_all().map_err(Error::io(part))?;
        store::rename(part, real).map_err(Error::io(self.target()))?;
        self.part = None;
        let folder = match real.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        store::sync_dir(folder).map_err(Error::io(folder))
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            let _ = fs::remove_file(part);
        }
    }
}

/// Creates and locks a new file; `None` if there is one already, or if [`remove_abandoned`] of
/// another process took it before it was locked.
fn create_locked(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = match options.read(true).write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        // Some file systems have no locks. There, no lock is ever free, and nothing is removed.
        Ok(()) | Err(fs::TryLockError::Error(_)) => Ok(path.exists().then_some(file)),
    }
}

/// Whether a file has the name of the part file of an exported `bars` file.
pub(super) fn is_part_name(name: &str) -> bool {
    name.starts_with(".bars.") && name.ends_with(PART_SUFFIX)
}

/// Removes a part file if the process that wrote it has ended.
pub(super) fn remove_abandoned(part: &Path) -> io::Result<()> {
    match File::open(part) {
        // The lock is held until the file is removed: see `create_locked`.
        Ok(file) if file.try_lock().is_ok() => store::remove_file(part),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
