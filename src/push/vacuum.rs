//! Deletes data files that no version of the last hours needs: replaced ones, and what killed pushes left. Also
//! files of the log that only versions of more than a month ago need.

use std::collections::HashSet;
use std::io;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::delta::names::{self, LOG, LogFile};
use super::delta::read;
use super::delta::snapshot::Snapshot;
use super::error::{Error, ErrorKind};
use super::settings::runtime;
use super::storage::Storage;
use super::table::accept;
use super::unfinished::{self, Unfinished};
use crate::report::Stop;

/// Files that no version lists may belong to a push that hasn't committed yet. They are deleted only when
/// they are older than this.
const UNCOMMITTED_MS_MIN: i64 = 24 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;
/// The log shows at least the versions of this time, as Delta's own clean-up keeps them.
const LOG_MS_MIN: i64 = 30 * 24 * HOUR_MS;
/// Properties of a table with another rule for its log: that is left to programs that know them.
const LOG_RULES: [&str; 2] = [
    "delta.logRetentionDuration",
    "delta.enableExpiredLogCleanup",
];
/// Deletes of one request.
const DELETES_AT_ONCE: usize = 500;

/// What a clean-up deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    pub files: u64,
    pub bytes: u64,
    /// Files of the log. They aren't in the other counts.
    pub log_files: u64,
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
    let oldest = cutoff.min(now_ms - UNCOMMITTED_MS_MIN);
    let is_old = |object: &ObjectMeta| object.last_modified.timestamp_millis() < oldest;
    let log = old_log(&snapshot, &objects, cutoff.min(now_ms - LOG_MS_MIN));
    let deleted: Vec<ObjectMeta> = objects
        .into_iter()
        .filter(|object| {
            let path = object.location.as_ref();
            let is_data = path.ends_with(".parquet") && !path.starts_with(['_', '.']);
            let was_listed = snapshot.removed.contains_key(path);
            is_data && !is_needed(path) && (was_listed || is_old(object))
        })
        .collect();
    let unfinished = unfinished(store, now_ms - UNCOMMITTED_MS_MIN)?;
    let out = Vacuumed {
        files: (deleted.len() + unfinished.len()) as u64,
        bytes: deleted.iter().map(|object| object.size).sum::<u64>()
            + unfinished.iter().map(|file| file.bytes).sum::<u64>(),
        log_files: log.len() as u64,
    };
    if dry_run {
        return Ok(out);
    }
    for file in unfinished {
        match std::fs::remove_file(&file.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(folder_failed(&error));
            }
            _ => {}
        }
    }
    let deleted = deleted.into_iter().map(|object| object.location);
    let deleted: Vec<Path> = deleted.chain(log).collect();
    for some in deleted.chunks(DELETES_AT_ONCE) {
        if stop.is_set() {
            return Err(Error::interrupted());
        }
        let paths: Vec<_> = some.iter().cloned().map(Ok).collect();
        let mut results = store.delete_stream(stream::iter(paths).boxed());
        while let Some(result) = results.next().await {
            match result {
                // Another clean-up deleted it.
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        crate::crash_point!("push.between-deletes");
    }
    Ok(out)
}

fn unfinished(store: &Storage, oldest: i64) -> Result<Vec<Unfinished>, Error> {
    match store.folder() {
        Some(folder) => unfinished::find(folder, oldest).map_err(|error| folder_failed(&error)),
        None => Ok(Vec::new()),
    }
}

fn folder_failed(error: &io::Error) -> Error {
    Error::new(
        ErrorKind::Target,
        format!("cleaning the table failed: {error}"),
    )
}

/// The files of the log before the newest checkpoint that was written before `cutoff`. Later versions don't
/// need them.
fn old_log(snapshot: &Snapshot, objects: &[ObjectMeta], cutoff: i64) -> Vec<Path> {
    let properties = snapshot
        .metadata
        .iter()
        .map(|metadata| &metadata.configuration);
    let mut properties = properties.flat_map(|properties| properties.keys());
    if properties.any(|name| LOG_RULES.contains(&name.as_str())) {
        return Vec::new();
    }
    let files: Vec<(LogFile, &ObjectMeta)> = (objects.iter())
        .filter_map(|object| Some((log_file(object)?, object)))
        .collect();
    let bases = files.iter().filter_map(|(file, object)| match file {
        LogFile::Checkpoint {
            version, parts: 1, ..
        } => (object.last_modified.timestamp_millis() < cutoff).then_some(*version),
        _ => None,
    });
    let base = bases.max().unwrap_or(0);
    let old = files.iter().filter(|(file, _)| file.version() < base);
    old.map(|(_, object)| object.location.clone()).collect()
}

fn log_file(object: &ObjectMeta) -> Option<LogFile> {
    let name = object.location.as_ref().strip_prefix(LOG)?;
    names::parse(name.strip_prefix('/')?)
}

/// The files that commits since `cutoff` removed. Checkpoints forget removed files after a week.
async fn removed_since(
    store: &Storage,
    objects: &[ObjectMeta],
    cutoff: i64,
) -> Result<HashSet<String>, Error> {
    let mut removed = HashSet::new();
    for object in objects {
        let Some(LogFile::Commit(version)) = log_file(object) else {
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
