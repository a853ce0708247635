//! Reads a file from any position.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// A reader of a file that may be shared, with its own position.
#[derive(Clone, Debug)]
pub(super) struct FileReader {
    file: Arc<File>,
    bytes: u64,
    at: u64,
}

impl FileReader {
    pub(super) fn new(file: Arc<File>) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes, at: 0 })
    }

    /// The file's size when it was opened.
    pub(super) fn size(&self) -> u64 {
        self.bytes
    }

    /// Another reader, which starts at `at`.
    pub(super) fn from(&self, at: u64) -> Self {
        Self { at, ..self.clone() }
    }

    /// Fills `into` with the bytes at a position.
    pub(super) fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.from(at).read_exact(into)
    }
}

impl Read for FileReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, into, self.at)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.file, into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
