//! `rejects/<run>.csv`: file, line, reason, raw text.

use std::fs::File;
use std::path::PathBuf;

use super::Error;
use crate::model::Reject;
use crate::store::sync_dir;

/// The rejects of a run; the file is made with the first of them.
pub(super) struct Rejects {
    path: PathBuf,
    writer: Option<csv::Writer<File>>,
}

impl Rejects {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, writer: None }
    }

    /// Writes rejects down, durably, before the bars of their windows are offered.
    pub(super) fn add(&mut self, rejects: &[Reject]) -> Result<(), Error> {
        if rejects.is_empty() {
            return Ok(());
        }
        let result = self.append(rejects);
        result.map_err(|source| Error::Rejects {
            path: self.path.clone(),
            source,
        })
    }

    fn append(&mut self, rejects: &[Reject]) -> std::io::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let folder = self.path.parent().unwrap_or(&self.path);
                std::fs::create_dir_all(folder)?;
                let mut writer = csv::Writer::from_path(&self.path)?;
                writer.write_record(["file", "line", "reason", "raw"])?;
                sync_dir(folder)?;
                self.writer.insert(writer)
            }
        };
        for reject in rejects {
            let line = reject.line.to_string();
            let record = [&reject.origin, &line, reject.reason.as_str(), &reject.raw];
            writer.write_record(record)?;
        }
        writer.flush()?;
        writer.get_ref().sync_data()
    }

    /// The path of the file, if there are any.
    pub(super) fn written(&self) -> Option<&PathBuf> {
        self.writer.as_ref().map(|_| &self.path)
    }
}
