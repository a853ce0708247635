//! Damaged files aren't deleted: they are moved to `quarantine/`.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::durable;
use super::error::{Error, IoContext};
use super::layout::Layout;

/// Moves a file of the store there, durably, and returns its new path.
pub(super) fn move_aside(layout: &Layout, path: &Path) -> Result<PathBuf, Error> {
    let target = place_for(layout, path)?;
    durable::rename(path, &target).at(path)?;
    flush(layout)?;
    if let Some(parent) = path.parent() {
        durable::sync_dir(parent).at(parent)?;
    }
    Ok(target)
}

/// Copies a file there, durably, and returns the copy's path. Not for a database that DuckDB has
/// open.
pub(super) fn copy_aside(layout: &Layout, path: &Path) -> Result<PathBuf, Error> {
    let target = place_for(layout, path)?;
    durable::copy(path, &target).at(&target)?;
    flush(layout)?;
    Ok(target)
}

fn place_for(layout: &Layout, path: &Path) -> Result<PathBuf, Error> {
    let dir = layout.quarantine();
    durable::create_dirs(layout.root(), &dir).at(&dir)?;
    let relative = path.strip_prefix(layout.root()).unwrap_or(path);
    let flat = relative.to_string_lossy().replace(['/', '\\'], "__");
    Ok(dir.join(format!("{flat}.{}", Uuid::new_v4().simple())))
}

fn flush(layout: &Layout) -> Result<(), Error> {
    let dir = layout.quarantine();
    durable::sync_dir(&dir).at(&dir)?;
    durable::sync_dir(layout.root()).at(layout.root())
}
