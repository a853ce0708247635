//! Uploads data files, and makes their entries for the log.

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::json;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::delta::action::Add;
use super::delta::names;
use super::error::{Error, ErrorKind};
use super::identity::{self, Contributions};
use super::storage::Storage;
use crate::advice::Advice;
use crate::model::{Provenance, Timestamp};
use crate::store::lake::guard::PARTITION_BYTES_MAX;
use crate::store::{Layout, PartitionFile, PartitionKey};

/// Reads a partition of the store. Its bytes must have the checksum in the catalog: what is damaged isn't
/// published.
pub async fn read(file: &PartitionFile) -> Result<Bytes, Error> {
    let file = file.clone();
    let read = tokio::task::spawn_blocking(move || {
        let damaged = |why: String| {
            let message = format!("the partition {} is damaged: {why}", file.path.display());
            Error::new(ErrorKind::Damaged, message).with_hint(Advice::VerifyStore)
        };
        if file.bytes > PARTITION_BYTES_MAX {
            return Err(damaged("it is larger than a partition can be".to_owned()));
        }
        let bytes = std::fs::read(&file.path).map_err(|error| damaged(error.to_string()))?;
        if format!("{:032x}", xxh3_128(&bytes)) != file.checksum {
            return Err(damaged("its bytes fail their checksum".to_owned()));
        }
        Ok(Bytes::from(bytes))
    });
    read.await.unwrap_or_else(|error| {
        let message = format!("reading a partition failed: {error}");
        Err(Error::new(ErrorKind::Store, message))
    })
}

/// A name for a new data file of a partition. **A name is used once**: a clean-up by any program deletes
/// files by age, and must not find a new file under the name of an old one.
#[must_use]
pub fn new_name(key: &PartitionKey) -> String {
    let relative = Layout::partition_relative(key);
    let folders: Vec<_> = relative
        .iter()
        .skip(1)
        .filter_map(|part| part.to_str())
        .filter(|part| part.contains('='))
        .collect();
    format!(
        "{}/bars-{}.parquet",
        folders.join("/"),
        Uuid::new_v4().simple()
    )
}

/// Writes an object; a large one in parts.
pub async fn put(
    store: &Storage,
    name: &str,
    bytes: Bytes,
    part_bytes: usize,
) -> Result<(), Error> {
    let failed = |error| store.failed(&format!("writing {name}"), &error);
    let path = Path::parse(name).map_err(|error| failed(error.into()))?;
    if bytes.len() <= part_bytes {
        store.put(&path, bytes.into()).await.map_err(failed)?;
        return Ok(());
    }
    let mut upload = store.put_multipart(&path).await.map_err(failed)?;
    for start in (0..bytes.len()).step_by(part_bytes) {
        let part = bytes.slice(start..bytes.len().min(start + part_bytes));
        if let Err(error) = upload.put_part(part.into()).await {
            let _ = upload.abort().await;
            return Err(failed(error));
        }
    }
    upload.complete().await.map_err(failed)?;
    Ok(())
}

/// The size of an object; `None` if there is none.
pub async fn size(store: &Storage, name: &str) -> Result<Option<u64>, Error> {
    let failed = |error| store.failed(&format!("looking for {name}"), &error);
    let path = Path::parse(name).map_err(|error| failed(error.into()))?;
    match store.head(&path).await {
        Ok(found) => Ok(Some(found.size)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// What a new file has.
pub struct NewFile<'a> {
    pub key: &'a PartitionKey,
    pub name: &'a str,
    pub bytes: u64,
    pub rows: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    pub contributions: &'a Contributions,
    pub provenance: &'a Provenance,
}

impl NewFile<'_> {
    /// Its entry in the log.
    #[must_use]
    pub fn add(&self, now_ms: i64) -> Add {
        let stats = json!({
            "numRecords": self.rows,
            "minValues": {"timestamp": self.first.to_utc().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()},
            "maxValues": {"timestamp": self.last.to_utc().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()},
            "nullCount": {"timestamp": 0},
        });
        Add {
            path: names::encode(self.name),
            partition_values: identity::partition_values(self.key),
            size: self.bytes as i64,
            modification_time: now_ms,
            data_change: true,
            stats: Some(stats.to_string()),
            tags: Some(identity::tags(self.contributions, self.provenance)),
            deletion_vector: None,
        }
    }
}
