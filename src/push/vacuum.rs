//! Deletes data files that no version of the last hours needs: replaced ones, and what killed pushes left.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::delta::names::{self, LOG, LogFile};
use super::delta::read;
use super::error::{Error, ErrorKind};
use super::settings::runtime;
use super::storage::Storage;
use super::table::accept;
use crate::report::Stop;

/// Files that no version lists may belong to a push that hasn't committed yet. They are deleted only when
/// they are older than this.
const UNCOMMITTED_MS_MIN: i64 = 24 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;
/// Deletes of one request.
const DELETES_AT_ONCE: usize = 500;

/// What a clean-up deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    pub files: u64,
    pub bytes: u64,
}

/// Deletes the data files that no version of the last `hours` needs. With `dry_run` it only counts them.
pub fn vacuum(
    store: &Storage,
    hours: u32,
    now_ms: i64,
    dry_run: bool,
    stop: &Stop,
) -> Result<Vacuumed, Error> {
    runtime()?.block_on(clean(store, hours, now_ms, dry_run, stop))
}

async fn clean(
    store: &Storage,
    hours: u32,
    now_ms: i64,
    dry_run: bool,
    stop: &Stop,
) -> Result<Vacuumed, Error> {
    let failed = |error| store.failed("cleaning the table", &error);
    let missing = || Error::new(ErrorKind::Table, "there is no table");
    let cutoff = now_ms - i64::from(hours) * HOUR_MS;
    // Listed before the log is read: a file that is committed in between is in the log.
    let objects: Vec<ObjectMeta> = store.list(None).try_collect().await.map_err(failed)?;
    let snapshot = read::load(store).await?.ok_or_else(missing)?;
    accept(&snapshot)?;
    let removed_since = removed_since(store, &objects, cutoff).await?;
    let is_needed = |path: &str| {
        snapshot.live.contains_key(path)
            || removed_since.contains(path)
            || snapshot
                .removed
                .get(path)
                .is_some_and(|remove| remove.deletion_timestamp.is_none_or(|at| at >= cutoff))
    };
    let is_old = |object: &ObjectMeta| {
        let oldest = cutoff.min(now_ms - UNCOMMITTED_MS_MIN);
        object.last_modified.timestamp_millis() < oldest
    };
    let deleted: Vec<ObjectMeta> = objects
        .into_iter()
        .filter(|object| {
            let path = object.location.as_ref();
            let is_data = path.ends_with(".parquet") && !path.starts_with(['_', '.']);
            let was_listed = snapshot.removed.contains_key(path);
            is_data && !is_needed(path) && (was_listed || is_old(object))
        })
        .collect();
    let mut out = Vacuumed::default();
    for some in deleted.chunks(DELETES_AT_ONCE) {
        if stop.is_set() {
            return Err(Error::interrupted());
        }
        if !dry_run {
            let paths: Vec<Path> = some.iter().map(|object| object.location.clone()).collect();
            let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
            let mut results = store.delete_stream(paths);
            while let Some(result) = results.next().await {
                match result {
                    // Another clean-up deleted it.
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            crate::crash_point!("push.between-deletes");
        }
        out.files += some.len() as u64;
        out.bytes += some.iter().map(|object| object.size).sum::<u64>();
    }
    Ok(out)
}

/// The files that commits since `cutoff` removed. Checkpoints forget removed files after a week.
async fn removed_since(
    store: &Storage,
    objects: &[ObjectMeta],
    cutoff: i64,
) -> Result<HashSet<String>, Error> {
    let mut removed = HashSet::new();
    for object in objects {
        let name = object.location.as_ref().strip_prefix(LOG);
        let file = name.and_then(|name| names::parse(name.trim_start_matches('/')));
        let Some(LogFile::Commit(version)) = file else {
            continue;
        };
        if object.last_modified.timestamp_millis() < cutoff {
            continue;
        }
        let actions = read::read_commit(store, version).await?.unwrap_or_default();
        let paths = actions.into_iter().filter_map(|action| action.remove);
        removed.extend(paths.filter_map(|remove| names::decode(&remove.path)));
    }
    Ok(removed)
}
