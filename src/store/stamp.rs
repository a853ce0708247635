//! A value that changes whenever a new reader would see other content.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::layout::Layout;
use super::snapshot;

/// The state of the files that a commit or a snapshot changes. Two equal stamps of a folder mean
/// that a reader opened at the first still sees what one opened at the second would see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    files: Vec<Option<(u64, SystemTime)>>,
    snapshots: Vec<PathBuf>,
}

/// The stamp of the store in `dir`. Opens no file.
#[must_use]
pub fn stamp(dir: &Path) -> Stamp {
    let layout = Layout::new(dir);
    let mut files = vec![layout.database()];
    files.extend(layout.database_logs());
    let state = |path: PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    Stamp {
        files: files.into_iter().map(state).collect(),
        snapshots: snapshot::published_folders(&layout),
    }
}
