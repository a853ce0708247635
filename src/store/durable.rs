//! The one door for durable writes.
//!
//! A file that must be whole or absent goes through here: written beside, flushed to the disk, renamed over its
//! target, and the folders flushed too, so that neither a kill nor a power cut leaves half of it. `clippy.toml` bans the
//! bare calls elsewhere.
#![allow(clippy::disallowed_methods)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

/// From how many files and folders on the file system is flushed once instead of each by itself.
#[cfg(target_os = "linux")]
const WHOLE_FLUSH_MIN: usize = 64;

/// A step of this door, as the tests' file layer is told of it.
#[cfg_attr(not(test), allow(dead_code))]
pub(super) enum Step<'a> {
    Create(&'a Path),
    Write(&'a Path),
    FlushFile(&'a Path),
    FlushDir(&'a Path),
    FlushAll(&'a Path),
    Rename(&'a Path, &'a Path),
    Remove(&'a Path),
    MakeDir(&'a Path),
    RemoveDir(&'a Path),
}

/// Takes one step. In the tests of the store the file layer sees it before and after, and may refuse it.
fn step<T>(what: &Step<'_>, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(test)]
    super::tests::layer::before(what)?;
    let done = work()?;
    #[cfg(test)]
    super::tests::layer::after(what);
    let _ = what;
    Ok(done)
}

/// A file under construction that counts and hashes what goes through it.
pub struct HashedFile {
    file: File,
    path: PathBuf,
    hash: Xxh3,
    bytes: u64,
}

/// What a finished file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// xxh3 (128 bits) of all bytes, in hexadecimal.
    pub checksum: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Modification time, in nanoseconds since 1970, or 0 where the file system has none.
    pub modified_ns: i64,
}

impl HashedFile {
    /// Makes a new file; an existing one of that name is an error.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: step(&Step::Create(path), || File::create_new(path))?,
            path: path.to_path_buf(),
            hash: Xxh3::new(),
            bytes: 0,
        })
    }

    /// Flushes the file to the disk and tells what it holds.
    pub fn finish(self) -> io::Result<Digest> {
        self.finish_in(&Flush::Each)
    }

    /// Tells what the file holds; flushes it now, or leaves that to the end of its group.
    pub fn finish_in(self, flush: &Flush) -> io::Result<Digest> {
        if matches!(flush, Flush::Each) {
            step(&Step::FlushFile(&self.path), || self.file.sync_all())?;
        }
        let digest = Digest {
            checksum: format!("{:032x}", self.hash.digest128()),
            bytes: self.bytes,
            modified_ns: modified_ns(&self.file.metadata()?),
        };
        Ok(digest)
    }

    /// Where the file stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for HashedFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let file = &mut self.file;
        let written = step(&Step::Write(&self.path), || file.write(buffer))?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// How the files and folders of a group reach the disk.
///
/// Flushing a file takes a turn of the disk each, and a partition needs three or four: of ten thousand small ones that is
/// minutes. Flushing the whole file system once takes the time of writing what is not written yet.
pub enum Flush {
    /// Each file and folder by itself.
    Each,
    /// The file system once, at the end. Opened at the beginning, for errors of writing are told to those only who had a
    /// file open when they happened (Linux 5.8 and later).
    #[cfg(target_os = "linux")]
    Whole(PathBuf, File),
}

impl Flush {
    /// Begins a group of so many files and folders below `root`.
    pub fn begin(root: &Path, count: usize) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if count >= WHOLE_FLUSH_MIN {
            return Ok(Self::Whole(root.to_path_buf(), File::open(root)?));
        }
        let _ = (root, count);
        Ok(Self::Each)
    }

    /// Ends the group: flushes `dirs`, and with [`Flush::Whole`] all that the group wrote.
    pub fn end<'p>(self, mut dirs: impl Iterator<Item = &'p Path>) -> io::Result<()> {
        match self {
            Self::Each => dirs.try_for_each(sync_dir),
            #[cfg(target_os = "linux")]
            Self::Whole(root, file) => {
                step(&Step::FlushAll(&root), || Ok(rustix::fs::syncfs(file)?))
            }
        }
    }
}

/// Modification time of a file in nanoseconds since 1970, 0 where it is not known.
#[must_use]
pub fn modified_ns(metadata: &fs::Metadata) -> i64 {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|elapsed| i64::try_from(elapsed.as_nanos()).ok())
        .unwrap_or(0)
}

/// The checksum of a file as it stands, or `None` where there is no file.
pub fn checksum(path: &Path) -> io::Result<Option<Digest>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut hash = Xxh3::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    Ok(Some(Digest {
        checksum: format!("{:032x}", hash.digest128()),
        bytes,
        modified_ns: modified_ns(&file.metadata()?),
    }))
}

/// Makes a folder and its missing parents below `root`; tells which folders gained an entry, to be flushed later.
pub fn create_dirs(root: &Path, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    let mut at = dir;
    while !at.is_dir() {
        missing.push(at.to_path_buf());
        match at.parent() {
            Some(parent) if at != root => at = parent,
            _ => break,
        }
    }
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    for made in missing
        .iter()
        .rev()
        .filter(|dir| !dir.as_os_str().is_empty())
    {
        step(&Step::MakeDir(made), || match fs::create_dir(made) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && made.is_dir() => Ok(()),
            other => other,
        })?;
    }
    Ok(missing
        .iter()
        .filter_map(|made| made.parent().map(Path::to_path_buf))
        .collect())
}

/// Flushes a folder's entries to the disk.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    step(&Step::FlushDir(dir), || File::open(dir)?.sync_all())
}

/// Copies a file to a new one, and flushes that; its folder is the caller's to flush.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    step(&Step::Create(to), || fs::copy(from, to))?;
    step(&Step::FlushFile(to), || File::open(to)?.sync_all())
}

/// Renames `from` over `to`, without flushing the folder: the caller flushes each folder once.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step(&Step::Rename(from, to), || fs::rename(from, to))
}

/// Removes a file; one that is gone already is no error.
pub fn remove_file(path: &Path) -> io::Result<()> {
    step(&Step::Remove(path), || match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    })
}

/// Removes a folder if it is empty; tells whether it is gone.
pub fn remove_empty_dir(dir: &Path) -> io::Result<bool> {
    step(&Step::RemoveDir(dir), || match fs::remove_dir(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(error),
    })
}

/// Writes a whole small file durably: beside, flush, rename, flush the folder.
pub fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = dir.join(format!(".{name}.{}", uuid::Uuid::new_v4().simple()));
    let write = || {
        let mut file = HashedFile::create(&beside)?;
        file.write_all(content)?;
        file.finish()?;
        rename(&beside, path)?;
        sync_dir(dir)
    };
    write().inspect_err(|_| drop(remove_file(&beside)))
}
