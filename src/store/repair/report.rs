//! What a repair did.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::store::error::Error;
use crate::store::layout::Layout;
use crate::store::quarantine;

/// What a repair did.
#[derive(Clone, Debug, Default)]
pub struct Repaired {
    /// The store's new id.
    pub store_id: Uuid,
    /// Partitions in the lake now, all intact.
    pub partitions: u64,
    /// Bars in them.
    pub rows: u64,
    /// What is lost, one line each.
    pub lost: Vec<String>,
    /// What was moved to quarantine.
    pub quarantined: Vec<PathBuf>,
}

impl Repaired {
    /// Moves a file to quarantine.
    pub(super) fn quarantine(&mut self, layout: &Layout, path: &Path) -> Result<(), Error> {
        self.quarantined.push(quarantine::move_aside(layout, path)?);
        Ok(())
    }
}
