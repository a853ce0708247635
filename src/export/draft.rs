//! A file that appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::sink::Out;
use super::{Error, OutputFile};

/// Bytes gathered before the file system sees them.
const BUFFER_BYTES: usize = 1 << 18;
/// The ending of files being written.
const PART_SUFFIX: &str = ".part";
/// How many names are tried before giving up.
const NAMES_MAX: u32 = 100;

/// A file written next to its target. Dropped without [`publish`](Self::publish), it leaves nothing behind and the target
/// as it was. A target that cannot be replaced (a pipe, a device) is written to directly.
pub(crate) struct Draft {
    file: File,
    /// The file's name until it is published; `None` where it is the target itself.
    beside: Option<PathBuf>,
    target: OutputFile,
}

impl Draft {
    /// Begins a file for `target`, in its folder, under a hidden name that no glob for the target's ending matches. The name
    /// is this draft's alone, also if other processes write the same target.
    pub fn create(target: &OutputFile) -> Result<Self, Error> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let (typed, real) = (target.typed(), target.real());
        if let Some(special) = target.special() {
            return Ok(Self {
                file: special.try_clone().map_err(Error::io(typed))?,
                beside: None,
                target: target.clone(),
            });
        }
        let name = real
            .file_name()
            .ok_or_else(|| io::Error::other("a folder, not a file"))
            .map_err(Error::io(typed))?
            .to_string_lossy();
        for _ in 0..NAMES_MAX {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let hidden = format!(".{name}.{}-{number}{PART_SUFFIX}", std::process::id());
            let beside = real.with_file_name(hidden);
            match OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&beside)
            {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        beside: Some(beside),
                        target: target.clone(),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(typed)(error)),
            }
        }
        Err(Error::io(typed)(io::ErrorKind::AlreadyExists.into()))
    }

    /// Writes all of a small file.
    pub fn write(target: &OutputFile, content: &[u8]) -> Result<(), Error> {
        let draft = Self::create(target)?;
        let mut out = draft.out()?;
        (out.write_all(content).and_then(|()| out.flush())).map_err(Error::io(target.typed()))?;
        drop(out);
        draft.publish()
    }

    /// Where the file will be, as typed.
    pub fn target(&self) -> &Path {
        self.target.typed()
    }

    /// Where the file is until then; `None` if it is written in place.
    pub fn path(&self) -> Option<&Path> {
        self.beside.as_deref()
    }

    /// The file's writing end.
    pub fn out(&self) -> Result<Out, Error> {
        if let Some(special) = self.target.special_writer() {
            return Ok(Box::new(BufWriter::with_capacity(BUFFER_BYTES, special)));
        }
        let file = self.file.try_clone().map_err(Error::io(self.target()))?;
        Ok(Box::new(BufWriter::with_capacity(BUFFER_BYTES, file)))
    }

    /// Puts the file in its target's place; it is durable when this returns.
    pub fn publish(mut self) -> Result<(), Error> {
        let Some(beside) = &self.beside else {
            return Ok(());
        };
        self.file.sync_all().map_err(Error::io(beside))?;
        crate::store::rename(beside, self.target.real()).map_err(Error::io(self.target()))?;
        self.beside = None;
        sync_folder_of(self.target.real())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // Nothing can be done about a file that will not go.
            let _ = fs::remove_file(beside);
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
