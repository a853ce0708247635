//! Reads the log: the newest checkpoint, and the commits after it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use super::action::{self, Action};
use super::checkpoint;
use super::names::{self, LAST_CHECKPOINT, LOG, LogFile};
use super::snapshot::Snapshot;
use crate::push::error::{Error, ErrorKind};
use crate::push::storage::Storage;

/// The largest commit that is read. One of a thousand files has a megabyte.
const COMMIT_BYTES_MAX: u64 = 64 << 20;
/// The largest part of a checkpoint that is read. One of 200,000 files has some 30 MB.
const CHECKPOINT_BYTES_MAX: u64 = 512 << 20;
/// Requests at the same time.
const AT_ONCE: usize = 8;

/// What `_last_checkpoint` has.
#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

/// Reads the newest state; `None` if there is no table.
pub async fn load(store: &Storage) -> Result<Option<Snapshot>, Error> {
    let hinted = last_checkpoint(store).await?;
    let mut files = list(store, hinted).await?;
    if hinted.is_some() && newest_checkpoint(&files).0.is_none() {
        // The hint is about files that are gone. Older ones can have the same state.
        files = list(store, None).await?;
    }
    let (base, parts) = newest_checkpoint(&files);
    let mut snapshot = Snapshot::default();
    for part in &parts {
        let bytes = get(store, part, CHECKPOINT_BYTES_MAX).await?;
        let bytes = bytes.ok_or_else(|| unreadable(part, "it is missing"))?;
        let read = tokio::task::spawn_blocking(move || checkpoint::read(&bytes));
        let actions = read
            .await
            .map_err(|_| unreadable(part, "it can't be decoded"))?;
        snapshot.apply(actions.map_err(|why| unreadable(part, &why))?);
    }
    let commits: BTreeSet<u64> = files
        .iter()
        .filter_map(|file| match file {
            LogFile::Commit(version) => Some(*version),
            LogFile::Checkpoint { .. } => None,
        })
        .filter(|version| base.is_none_or(|base| *version > base))
        .collect();
    let (Some(version), first) = (
        commits.last().copied().or(base),
        base.map_or(0, |base| base + 1),
    ) else {
        return Ok(None);
    };
    if let Some(missing) = (first..=version).find(|version| !commits.contains(version)) {
        let why = format!("its log lacks version {missing}");
        return Err(table(&why));
    }
    if commits.is_empty() {
        snapshot.version = version;
        let text = commit_text(store, version).await?;
        snapshot.text_hash = text.as_deref().map(xxh3_128);
    }
    let mut read = stream::iter(commits)
        .map(|version| async move { (version, commit_text(store, version).await) })
        .buffered(AT_ONCE);
    while let Some((version, text)) = read.next().await {
        let text = text?.ok_or_else(|| table("its log changed while it was read"))?;
        apply(&mut snapshot, version, &text)?;
    }
    Ok(Some(snapshot))
}

/// Applies the commits that were made since. Returns whether there were any.
pub async fn refresh(store: &Storage, snapshot: &mut Snapshot) -> Result<bool, Error> {
    let before = snapshot.version;
    while let Some(text) = commit_text(store, snapshot.version + 1).await? {
        apply(snapshot, snapshot.version + 1, &text)?;
    }
    Ok(snapshot.version > before)
}

fn apply(snapshot: &mut Snapshot, version: u64, text: &[u8]) -> Result<(), Error> {
    snapshot.apply(parse(version, text)?);
    snapshot.version = version;
    snapshot.text_hash = Some(xxh3_128(text));
    Ok(())
}

/// The actions of a commit; `None` if there is no such version.
pub async fn read_commit(store: &Storage, version: u64) -> Result<Option<Vec<Action>>, Error> {
    let text = commit_text(store, version).await?;
    text.map(|text| parse(version, &text)).transpose()
}

fn parse(version: u64, text: &[u8]) -> Result<Vec<Action>, Error> {
    action::parse(text).map_err(|why| unreadable(&names::commit(version), &why))
}

/// The text of a commit; `None` if there is no such version.
pub async fn commit_text(store: &Storage, version: u64) -> Result<Option<Bytes>, Error> {
    get(store, &names::commit(version), COMMIT_BYTES_MAX).await
}

/// The bytes of an object; `None` if there is none.
pub async fn get(store: &Storage, name: &str, bytes_max: u64) -> Result<Option<Bytes>, Error> {
    let failed = |error| store.failed(&format!("reading {name}"), &error);
    let path = Path::parse(name).map_err(|error| failed(error.into()))?;
    let found = match store.get(&path).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        found => found.map_err(failed)?,
    };
    if found.meta.size > bytes_max {
        return Err(unreadable(
            name,
            &format!("it has more than {bytes_max} bytes"),
        ));
    }
    Ok(Some(found.bytes().await.map_err(failed)?))
}

/// The version that `_last_checkpoint` names. It is a hint: without it the whole log is listed.
async fn last_checkpoint(store: &Storage) -> Result<Option<u64>, Error> {
    let text = get(store, LAST_CHECKPOINT, COMMIT_BYTES_MAX).await?;
    let read = text.and_then(|text| serde_json::from_slice::<LastCheckpoint>(&text).ok());
    let version = read.map(|last| last.version);
    Ok(version.filter(|version| i64::try_from(*version).is_ok()))
}

/// The files of the log from version `from` on.
async fn list(store: &Storage, from: Option<u64>) -> Result<Vec<LogFile>, Error> {
    let failed = |error| store.failed("listing the table's log", &error);
    let prefix = Path::from(LOG);
    let listed = match from {
        // The offset isn't included, and names of the version are after its bare number.
        Some(version) => {
            store.list_with_offset(Some(&prefix), &Path::from(format!("{LOG}/{version:020}")))
        }
        None => store.list(Some(&prefix)),
    };
    let names = listed.map_ok(|object| object.location.filename().and_then(names::parse));
    let files: Vec<Option<LogFile>> = names.try_collect().await.map_err(failed)?;
    Ok(files.into_iter().flatten().collect())
}

/// The newest checkpoint of which all parts are there.
fn newest_checkpoint(files: &[LogFile]) -> (Option<u64>, Vec<String>) {
    let mut found: BTreeMap<(u64, u32), BTreeSet<u32>> = BTreeMap::new();
    for file in files {
        if let LogFile::Checkpoint {
            version,
            part,
            parts,
        } = *file
        {
            found.entry((version, parts)).or_default().insert(part);
        }
    }
    let whole = |((_, parts), some): &(&(u64, u32), &BTreeSet<u32>)| some.len() == *parts as usize;
    match found.iter().rev().find(whole) {
        Some((&(version, parts), _)) => {
            let names = (1..=parts).map(|part| names::checkpoint(version, part, parts));
            (Some(version), names.collect())
        }
        None => (None, Vec::new()),
    }
}

fn unreadable(name: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Table,
        format!("{name} of the table can't be read: {why}"),
    )
}

fn table(why: &str) -> Error {
    Error::new(ErrorKind::Table, format!("the table can't be read: {why}"))
}
