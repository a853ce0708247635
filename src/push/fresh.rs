//! A folder without a table: whether a push may create one there.

use futures_util::StreamExt;

use super::delta::names::LOG;
use super::error::{Error, ErrorKind};
use super::storage::Storage;
use crate::advice::PushAdvice;

/// Checks that a folder without a log is empty, or has only what a killed push left.
pub async fn check_folder(store: &Storage) -> Result<(), Error> {
    let mut objects = store.list(None);
    while let Some(object) = objects.next().await {
        let object = object.map_err(|error| store.failed("listing the target", &error))?;
        let path = object.location.as_ref();
        // Another machine may have made the table since the log was read, and several programs make an
        // empty object for a folder.
        let is_log = path
            .strip_prefix(LOG)
            .is_some_and(|rest| rest.starts_with('/'));
        if object.size > 0 && !is_log && !is_ours(path) {
            let message = format!("the target has files and isn't a Delta table, as {path}");
            return Err(Error::new(ErrorKind::Table, message).with_hint(PushAdvice::OtherTable));
        }
    }
    Ok(())
}

/// Whether a push uploads objects of such names.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let [interval, ticker, year, file] = parts[..] else {
        return false;
    };
    interval.starts_with("interval=")
        && ticker.starts_with("ticker=")
        && year.starts_with("year=")
        && file.starts_with("bars-")
        && file.ends_with(".parquet")
}
