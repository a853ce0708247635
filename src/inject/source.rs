//! The content of a file, which must not change while it is read, or of a pipe, which is read once.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use super::error::FileError;
use super::file_reader::FileReader;
use super::filename::Packing;
use super::input::lean::LeanFile;
use super::input::zip::Member;
use crate::report::Stop;

/// How often a wait for a pipe checks whether the run was stopped.
const CHECK_MS: u64 = 50;

/// The kind of what a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Pipe,
    /// A socket or a device, which may have no end.
    Other,
}

impl Kind {
    pub(super) fn of(metadata: &Metadata) -> Self {
        if metadata.is_file() {
            Self::File
        } else if metadata.is_dir() {
            Self::Folder
        } else if is_pipe(metadata) {
            Self::Pipe
        } else {
            Self::Other
        }
    }
}

#[cfg(unix)]
fn is_pipe(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
}

/// A file's content, which can be opened more than once.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// As the name says; `None` if the content decides.
    pub(super) packing: Option<Packing>,
    /// What the folders above it say about its rows: `ticker=AAPL`.
    pub(super) folders: Vec<(String, String)>,
    /// The member that is read, if the file is an archive.
    pub(super) member: Option<Member>,
    /// What its path shows if it is a file of LEAN.
    pub(super) lean: Option<LeanFile>,
    from: From,
}

#[derive(Clone, Debug)]
enum From {
    File { path: PathBuf, before: State },
    Copy(Arc<File>),
}

/// What changes when another process writes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl State {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

impl Source {
    /// The current content of a file.
    pub(super) fn file(path: &Path, packing: Option<Packing>) -> io::Result<Self> {
        Ok(Self {
            packing,
            folders: Vec::new(),
            member: None,
            lean: None,
            from: From::File {
                path: path.to_path_buf(),
                before: State::of(path)?,
            },
        })
    }

    /// The copy of a pipe, whose name says nothing about its content.
    pub(super) fn copy(file: Arc<File>) -> Self {
        Self {
            packing: None,
            folders: Vec::new(),
            member: None,
            lean: None,
            from: From::Copy(file),
        }
    }

    /// That of a member, if this is an archive.
    pub(super) fn of_member(self, packing: Option<Packing>, member: Member) -> Self {
        Self {
            packing,
            member: Some(member),
            ..self
        }
    }

    /// Reads from the first byte.
    pub(super) fn open(&self) -> io::Result<FileReader> {
        match &self.from {
            From::File { path, .. } => open_file(path),
            From::Copy(file) => FileReader::new(Arc::clone(file)),
        }
    }

    /// Fails if the file has changed since the source was made.
    pub(super) fn check_unchanged(&self) -> Result<(), FileError> {
        match &self.from {
            From::File { path, before } if State::of(path).ok() != Some(*before) => {
                Err(FileError::Changed)
            }
            _ => Ok(()),
        }
    }
}

/// Opens what must be a file.
pub(super) fn open_file(path: &Path) -> io::Result<FileReader> {
    let file = open_at_once(path)?;
    match Kind::of(&file.metadata()?) {
        Kind::File => FileReader::new(Arc::new(file)),
        Kind::Folder => Err(io::ErrorKind::IsADirectory.into()),
        Kind::Pipe | Kind::Other => Err(not_a_file()),
    }
}

/// Opens a file. If a pipe has replaced it since it was listed, this doesn't wait.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK);
    }
    options.open(path)
}

pub(super) fn not_a_file() -> io::Error {
    io::Error::other("it is neither a file nor a pipe")
}

/// Copies a pipe to its end, or standard input, into an anonymous temporary file that no other user
/// can open.
pub(super) fn copy_of(pipe: &Path, stop: &Stop) -> io::Result<File> {
    let file = tempfile::tempfile()?;
    let mut into = file.try_clone()?;
    let pipe = pipe.to_path_buf();
    let (done, ended) = channel();
    // On its own thread: a read of a pipe without a writer can't be ended. When the run is stopped,
    // the thread waits until the program ends.
    std::thread::Builder::new()
        .name("pipe".into())
        .spawn(move || {
            let copied = if is_stdin(&pipe) {
                io::copy(&mut io::stdin().lock(), &mut into)
            } else {
                File::open(pipe).and_then(|mut from| io::copy(&mut from, &mut into))
            };
            let _ = done.send(copied);
        })?;
    loop {
        match ended.recv_timeout(Duration::from_millis(CHECK_MS)) {
            Ok(copied) => return copied.map(|_| file),
            Err(RecvTimeoutError::Timeout) if stop.is_set() => {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("its reader ended early"));
            }
        }
    }
}

/// Whether a path typed is `-`, which is standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Whether a path typed leads to a file without a name: `-`, `/dev/stdin`, `/dev/fd/63`.
pub(super) fn is_nameless(path: &Path) -> bool {
    let is_below = |folder| path.starts_with(folder);
    is_stdin(path) || ["/dev/stdin", "/dev/fd", "/proc"].into_iter().any(is_below)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // tests make their files directly

    use super::*;

    #[test]
    fn a_file_that_grows_shrinks_or_goes_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("A.csv");
        for after in [Some("1\n"), Some("1\n2\n3\n"), None] {
            std::fs::write(&path, "1\n2\n").unwrap();
            let source = Source::file(&path, Some(Packing::Plain)).unwrap();
            source.check_unchanged().unwrap();
            match after {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            assert!(matches!(source.check_unchanged(), Err(FileError::Changed)));
        }
    }

    #[test]
    fn readers_of_a_copy_do_not_move_each_other() {
        use std::io::{Read, Write};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let source = Source::copy(Arc::new(file));
        let (mut one, mut other) = (source.open().unwrap(), source.open().unwrap());
        let mut half = [0; 5];
        one.read_exact(&mut half).unwrap();
        let mut all = String::new();
        other.read_to_string(&mut all).unwrap();
        assert_eq!((&half, all.as_str()), (b"01234", "0123456789"));
    }
}
