//! Tries a target, and leaves its table as it is.

use super::delta::read;
use super::error::Error;
use super::fresh;
use super::settings::runtime;
use super::storage::Storage;
use super::table::{accept, check_conditional};

/// What a target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// No table. Whether the target takes conditional writes is found out by the first push.
    Empty,
    Table {
        version: u64,
        files: usize,
        /// Whether conditional writes were tried. Not if only a checkpoint of the version is there.
        is_tried: bool,
    },
}

/// Checks that the target can be reached, and that its table can take bars. The newest commit is offered again,
/// as each push does before it commits: storage with conditional writes refuses it, and other storage writes the
/// same bytes.
pub fn probe(store: &Storage) -> Result<Probed, Error> {
    runtime()?.block_on(async {
        let Some(snapshot) = read::load(store).await? else {
            fresh::check_folder(store).await?;
            return Ok(Probed::Empty);
        };
        accept(&snapshot)?;
        let text = read::commit_text(store, snapshot.version).await?;
        if let Some(text) = &text {
            check_conditional(store, snapshot.version, text).await?;
        }
        Ok(Probed::Table {
            version: snapshot.version,
            files: snapshot.live.len(),
            is_tried: text.is_some(),
        })
    })
}
