//! The private folder that a query spills into.
//!
//! It is in the store's `tmp/`, or, if the store can't be written, in a folder that the caller
//! names. It is removed when it is dropped; after a kill, the next writer and the next query remove
//! it (`held_dir.rs`).

use std::fs;
use std::io;
use std::path::Path;

use super::held_dir::{self, HeldDir};
use super::layout::Layout;

/// The start of the folder's name in a store.
const PREFIX: &str = "query-";
/// The start of the folder's name elsewhere.
const PREFIX_ELSEWHERE: &str = "backfill-query-";

/// A private folder for the temporary files of a query. Dropping it removes it with its content.
#[derive(Debug)]
pub struct Spill(HeldDir);

impl Spill {
    /// Makes a folder in the store's `tmp/`, or in `elsewhere` if the store can't be written. `None`
    /// if neither can be.
    pub(super) fn make(layout: &Layout, elsewhere: &Path) -> Option<Self> {
        // A copy of a store may lack its empty folders.
        let _ = fs::create_dir(layout.tmp());
        HeldDir::make(&layout.tmp(), PREFIX)
            .or_else(|_| HeldDir::make(elsewhere, PREFIX_ELSEWHERE))
            .ok()
            .map(Self)
    }

    /// Makes a folder for DuckDB's temporary files in a store's `tmp/`, or in the folder of a
    /// snapshot, which has no `tmp/`; `None` if it can't be written.
    pub(super) fn of_catalog(layout: &Layout) -> Option<Self> {
        let tmp = layout.tmp();
        let parent = if tmp.exists() {
            tmp
        } else {
            layout.root().to_path_buf()
        };
        HeldDir::make(&parent, PREFIX).ok().map(Self)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Removes the folders in a store's `tmp/` that killed queries left.
pub(super) fn sweep(tmp: &Path) {
    held_dir::sweep(tmp, PREFIX);
}

/// Removes a folder while threads of this process still write files into it, if that is possible.
pub fn remove_busy_dir(dir: &Path) {
    const ROUNDS_MAX: u32 = 100;
    for _ in 0..ROUNDS_MAX {
        match fs::remove_dir_all(dir) {
            // A file was added after the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            _ => return,
        }
    }
}
