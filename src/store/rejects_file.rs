//! `rejects/<run>.csv`: the rejected rows of a run with their reasons.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::model::Reason;

use super::durable::{HashedFile, rename, sync_dir};

const HEADER: &[u8] = b"file,line,reason,raw\n";

/// The file with the rejects of a run. The first reject creates it.
///
/// Each [`add`](Self::add) is on disk when it returns. Rejects are written before the bars around
/// them are committed, so those of several origins are mixed; [`sort`](Self::sort) puts them in
/// order at the end.
#[derive(Debug)]
pub struct RejectsFile {
    path: PathBuf,
    log: Option<Log>,
}

/// A rejected row.
#[derive(Clone, Copy, Debug)]
pub struct RejectLine<'a> {
    /// The file, or the URL of the request without its key.
    pub origin: &'a str,
    pub line: u64,
    pub reason: Reason,
    pub raw: &'a str,
}

#[derive(Debug)]
struct Log {
    file: File,
    length: u64,
    parts: Vec<Part>,
}

/// Consecutive rejects of one origin.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Its index in the final order.
    index: usize,
    at: u64,
    bytes: u64,
}

impl RejectsFile {
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, log: None }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path, if there are rejects.
    #[must_use]
    pub fn written(&self) -> Option<&PathBuf> {
        self.log.as_ref().map(|_| &self.path)
    }

    /// Writes and flushes rejects in parts, each with its index in the final order.
    pub fn add<'a, R>(&mut self, parts: impl Iterator<Item = (usize, R)>) -> io::Result<()>
    where
        R: ExactSizeIterator<Item = RejectLine<'a>>,
    {
        let mut parts = parts.filter(|(_, rows)| rows.len() > 0).peekable();
        if parts.peek().is_none() {
            return Ok(());
        }
        let log = match &mut self.log {
            Some(log) => log,
            None => self.log.insert(Log::create(&self.path)?),
        };
        for (index, rows) in parts {
            log.append(index, rows)?;
        }
        log.file.sync_data()
    }

    /// Puts the rejects in the order of their parts.
    pub fn sort(&mut self) -> io::Result<()> {
        match &mut self.log {
            Some(log) if !log.parts.is_sorted_by_key(|part| part.index) => log.rewrite(&self.path),
            _ => Ok(()),
        }
    }
}

impl Log {
    fn create(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .append(true)
            .open(path)?;
        file.write_all(HEADER)?;
        path.parent().map_or(Ok(()), sync_dir)?;
        Ok(Self {
            file,
            length: HEADER.len() as u64,
            parts: Vec::new(),
        })
    }

    fn append<'a>(
        &mut self,
        index: usize,
        rows: impl Iterator<Item = RejectLine<'a>>,
    ) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            let line = row.line.to_string();
            writer.write_record([row.origin, &line, row.reason.as_str(), row.raw])?;
        }
        let text = (writer.into_inner()).map_err(csv::IntoInnerError::into_error)?;
        self.file.write_all(&text)?;
        let bytes = text.len() as u64;
        let at = self.length;
        self.length += bytes;
        match self.parts.last_mut() {
            Some(last) if last.index == index => last.bytes += bytes,
            _ => self.parts.push(Part { index, at, bytes }),
        }
        Ok(())
    }

    /// Writes the parts in order to a new file, and replaces the old one by it.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("csv.tmp");
        let mut sorted = HashedFile::create(&new)?;
        sorted.write_all(HEADER)?;
        self.parts.sort_by_key(|part| part.index);
        for part in &self.parts {
            self.file.seek(SeekFrom::Start(part.at))?;
            io::copy(&mut (&self.file).take(part.bytes), &mut sorted)?;
        }
        sorted.finish()?;
        rename(&new, path)?;
        path.parent().map_or(Ok(()), sync_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(file: &mut RejectsFile, parts: &[(usize, &[&str])]) {
        let parts = parts.iter().map(|(index, rows)| {
            let rows = rows.iter().map(|raw| RejectLine {
                origin: "A.csv",
                line: 2,
                reason: Reason::BadNumber,
                raw,
            });
            (*index, rows)
        });
        file.add(parts).unwrap();
    }

    #[test]
    fn rejects_are_in_the_order_of_their_parts_after_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects/run.csv");
        let mut file = RejectsFile::new(path.clone());
        add(&mut file, &[(3, &[])]);
        file.sort().unwrap();
        assert!(file.written().is_none() && !path.exists());
        add(&mut file, &[(2, &["e"]), (0, &["a", "b,\"c\""])]);
        add(&mut file, &[(2, &["f"]), (1, &["d"]), (1, &["d2"])]);
        let raws = || -> Vec<String> {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let rows = reader.records().map(|row| row.unwrap());
            rows.map(|row| row[3].to_owned()).collect()
        };
        assert_eq!(raws(), ["e", "a", "b,\"c\"", "f", "d", "d2"]);
        file.sort().unwrap();
        assert_eq!(raws(), ["a", "b,\"c\"", "d", "d2", "e", "f"]);
        assert_eq!(file.written(), Some(&path));
        let others: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(others.len(), 1);
    }
}
