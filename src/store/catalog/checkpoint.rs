//! This program's checkpoints, which can be undone after a kill (`undo.rs`).

use crate::store::durable;
use crate::store::error::{Error, IoContext};
use crate::store::layout::Layout;

use super::Catalog;
use super::undo::read_before;

/// The log is moved into the database when it is longer than this, and when the store closes.
pub(super) const LOG_BYTES_MAX: u64 = 16 << 20;

impl Catalog {
    /// Moves the log into the database if it is long, or if `now`. `false` if there was nothing to do,
    /// or another connection was reading.
    pub fn checkpoint(&self, now: bool) -> Result<bool, Error> {
        let layout = Layout::new(self.root());
        let log = layout.database_log();
        let bytes = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let Some(file) = self.file.as_deref() else {
            return Ok(false);
        };
        if bytes == 0 || !(now || bytes > LOG_BYTES_MAX) {
            return Ok(false);
        }
        let mut blocks = self.rows(
            "SELECT DISTINCT block_id FROM pragma_metadata_info()",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        blocks.sort_unstable();
        let undo = layout.database_undo();
        let before = read_before(file, &blocks).at(self.path())?;
        durable::write_file(&undo, &before).at(&undo)?;
        crate::crash_point!("checkpoint.before");
        let done = self.run("CHECKPOINT");
        crate::crash_point!("checkpoint.after");
        if done.is_err() {
            // Another connection reads, so nothing was begun; or it failed halfway, and the database
            // refuses everything.
            self.run("SELECT 1")?;
        }
        durable::remove_file(&undo).at(&undo)?;
        durable::sync_dir(layout.root()).at(layout.root())?;
        Ok(done.is_ok())
    }
}
