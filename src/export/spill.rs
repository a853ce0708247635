//! Bars that wait in memory, and beyond a limit in an unnamed temporary file.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::columns::timestamps;
use super::{Error, OutputFile};
use crate::store::columns::BAR_SCHEMA;

/// Bytes in memory; a small run never uses the disk.
const MEMORY_BYTES_MAX: usize = 64 << 20;

/// Batches of bars, which can be read back in any order.
pub(super) struct Spill {
    folder: PathBuf,
    file: Option<File>,
    end: u64,
    memory_bytes: usize,
}

/// One waiting batch: sorted, unique, not empty.
pub(super) struct Block {
    /// Timestamp of its first bar.
    pub first: i64,
    /// Timestamp of its last bar.
    pub last: i64,
    location: Location,
}

enum Location {
    Memory(RecordBatch),
    File { offset: u64, bytes: usize },
}

impl Spill {
    /// A spill with its file in the folder of `target`, or in the system's temporary folder if the
    /// target is a pipe or a device. The file is made when it is needed.
    pub fn next_to(target: &OutputFile) -> Self {
        let folder = match (target.special(), target.real().parent()) {
            (Some(_), _) => std::env::temp_dir(),
            (None, Some(folder)) if folder != Path::new("") => folder.to_owned(),
            (None, _) => PathBuf::from("."),
        };
        Self {
            folder,
            file: None,
            end: 0,
            memory_bytes: 0,
        }
    }

    /// Whether bars are on the disk.
    #[cfg(test)]
    pub fn path_is_used(&self) -> bool {
        self.file.is_some()
    }

    /// Adds a batch.
    pub fn add(&mut self, bars: RecordBatch) -> Result<Block, Error> {
        let times = timestamps(&bars);
        let (first, last) = (times[0], times[times.len() - 1]);
        let bytes = bars.get_array_memory_size();
        let location = if self.memory_bytes + bytes <= MEMORY_BYTES_MAX {
            self.memory_bytes += bytes;
            Location::Memory(bars)
        } else {
            self.write(&bars)?
        };
        Ok(Block {
            first,
            last,
            location,
        })
    }

    fn write(&mut self, bars: &RecordBatch) -> Result<Location, Error> {
        let encode = || -> Result<Vec<u8>, ArrowError> {
            let mut writer = StreamWriter::try_new(Vec::new(), &BAR_SCHEMA)?;
            writer.write(bars)?;
            writer.into_inner()
        };
        let encoded = encode().map_err(Error::arrow(&self.folder))?;
        let offset = self.end;
        let folder = self.folder.clone();
        self.file()?
            .write_all(&encoded)
            .map_err(Error::io(&folder))?;
        self.end += encoded.len() as u64;
        Ok(Location::File {
            offset,
            bytes: encoded.len(),
        })
    }

    fn file(&mut self) -> Result<&mut File, Error> {
        if self.file.is_none() {
            // A file without a name ends with the process, and no other process can open it.
            let file = tempfile::tempfile_in(&self.folder);
            self.file = Some(file.map_err(Error::io(&self.folder))?);
        }
        self.file
            .as_mut()
            .ok_or_else(|| Error::io(&self.folder)(std::io::ErrorKind::NotFound.into()))
    }

    /// Reads a batch back.
    pub fn read(&mut self, block: &Block) -> Result<RecordBatch, Error> {
        let (offset, bytes) = match &block.location {
            Location::Memory(bars) => return Ok(bars.clone()),
            Location::File { offset, bytes } => (*offset, *bytes),
        };
        let mut encoded = vec![0; bytes];
        let folder = self.folder.clone();
        let file = self.file()?;
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut encoded))
            .map_err(Error::io(&folder))?;
        let mut reader =
            StreamReader::try_new(Cursor::new(encoded), None).map_err(Error::arrow(&folder))?;
        match reader.next() {
            Some(bars) => bars.map_err(Error::arrow(&folder)),
            None => Err(Error::io(&folder)(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }
}
