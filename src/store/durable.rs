//! All durable writes.
//!
//! A file that must be whole or absent is written here under another name, flushed to the disk and
//! renamed over its target, and the folder is flushed too, so neither a kill nor a power failure
//! leaves half of it. `clippy.toml` bans the bare calls elsewhere.
#![allow(clippy::disallowed_methods)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

/// With this many files and folders or more, the file system is flushed once instead of each of them.
#[cfg(target_os = "linux")]
const WHOLE_FLUSH_MIN: usize = 64;

/// A file-system step, reported to the tests' file layer.
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

/// Runs one step. In the store's tests the file layer sees it before and after, and may refuse it.
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

    /// Flushes the file to the disk and returns its digest.
    pub fn finish(self) -> io::Result<Digest> {
        self.finish_in(&Flush::Each)
    }

    /// Returns the digest of the file. Flushes it now, or leaves that to the end of its group.
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
/// Each flush of a file waits for the disk, and a partition needs three or four: ten thousand small
/// ones would take minutes. Flushing the whole file system once only takes the time of writing what
/// isn't written yet.
pub enum Flush {
    /// Each file and folder by itself.
    Each,
    /// The file system once, at the end. The file is opened at the beginning, because Linux (5.8 and
    /// later) reports a write error only to processes that had a file open when it happened.
    #[cfg(target_os = "linux")]
    Whole(PathBuf, File),
}

impl Flush {
    /// Begins a group of `count` files and folders below `root`.
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

/// Modification time of a file in nanoseconds since 1970, or 0 if it isn't known.
#[must_use]
pub fn modified_ns(metadata: &fs::Metadata) -> i64 {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|elapsed| i64::try_from(elapsed.as_nanos()).ok())
        .unwrap_or(0)
}

/// The digest of a file, or `None` if there is no file.
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

/// Makes a folder and its missing parents below `root`. Returns the folders that gained an entry, for
/// the caller to flush.
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

/// Removes a file. A missing file isn't an error.
pub fn remove_file(path: &Path) -> io::Result<()> {
    step(&Step::Remove(path), || match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    })
}

/// Removes a folder if it is empty. Returns whether it is gone.
pub fn remove_empty_dir(dir: &Path) -> io::Result<bool> {
    step(&Step::RemoveDir(dir), || match fs::remove_dir(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(error),
    })
}

/// Writes a small file durably: writes it under another name, flushes, renames, flushes the folder.
pub fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}", uuid::Uuid::new_v4().simple()));
    let write = || {
        let mut file = HashedFile::create(&temporary)?;
        file.write_all(content)?;
        file.finish()?;
        rename(&temporary, path)?;
        sync_dir(dir)
    };
    write().inspect_err(|_| drop(remove_file(&temporary)))
}
