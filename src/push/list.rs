//! Lists the files of a table, for programs that read Parquet and not Delta.

use super::delta::{names, read};
use super::error::Error;
use super::settings::runtime;
use super::storage::Storage;
use super::table::accept;

/// The files of the newest version, below the table's folder, sorted; `None` if there is no table.
pub fn list(store: &Storage) -> Result<Option<Vec<String>>, Error> {
    let Some(snapshot) = runtime()?.block_on(read::load(store))? else {
        return Ok(None);
    };
    // A newer protocol can hide rows of a file.
    accept(&snapshot)?;
    // A file elsewhere has its whole address in the log.
    let name = |path: &String| names::decode(path).unwrap_or_else(|| path.clone());
    let mut files: Vec<String> = snapshot.live.values().map(|add| name(&add.path)).collect();
    files.sort();
    Ok(Some(files))
}
