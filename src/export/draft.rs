//! A file that appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Error;
use super::sink::Out;

/// Bytes gathered before the file system sees them.
const BUFFER_BYTES: usize = 1 << 18;
/// The ending of files being written.
const PART_SUFFIX: &str = ".part";
/// How many names are tried before giving up.
const NAMES_MAX: u32 = 100;

/// A file written beside its target. Dropped without [`publish`](Self::publish), it leaves nothing behind and the
/// target as it was.
pub(crate) struct Draft {
    file: File,
    beside: PathBuf,
    target: PathBuf,
    published: bool,
}

impl Draft {
    /// Begins a file for `target`, in its folder, under a hidden name that no glob for the target's ending matches.
    pub fn create(target: &Path) -> Result<Self, Error> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::other("a folder, not a file"))
            .map_err(Error::io(target))?
            .to_string_lossy();
        for _ in 0..NAMES_MAX {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let hidden = format!(".{name}.{}-{number}{PART_SUFFIX}", std::process::id());
            let beside = target.with_file_name(hidden);
            match OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&beside)
            {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        beside,
                        target: target.to_owned(),
                        published: false,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(target)(error)),
            }
        }
        Err(Error::io(target)(io::ErrorKind::AlreadyExists.into()))
    }

    /// Where the file will stand.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The file's writing end.
    pub fn out(&self) -> Result<Out, Error> {
        let file = self.file.try_clone().map_err(Error::io(&self.beside))?;
        Ok(Box::new(BufWriter::with_capacity(BUFFER_BYTES, file)))
    }

    /// Puts the file in its target's place; it is durable when this returns.
    pub fn publish(mut self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io(&self.beside))?;
        crate::store::rename(&self.beside, &self.target).map_err(Error::io(&self.target))?;
        self.published = true;
        sync_folder_of(&self.target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about a file that will not go.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Whether a file is called like a [`Draft`] of an export's folder.
pub(super) fn is_part_name(name: &str) -> bool {
    name.starts_with(".bars.") && name.ends_with(PART_SUFFIX)
}

/// Makes the names in the folder of `path` durable.
fn sync_folder_of(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io(folder))
}
