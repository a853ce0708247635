//! Verify: checks that each byte of a bundle is one that `create` would have written.

use std::io::{Read, Seek};

use bytes::Bytes;
use rayon::prelude::*;

use super::archive::Archive;
use super::defect::Defect;
use super::digest::sha256;
use super::entry::Entry;
use super::error::Error;
use super::manifest::Manifest;
use crate::report::{Event, Observer, Stop};
use crate::store::lake::untrusted::UntrustedPartition;

/// The most partitions in memory at once.
pub(super) const AT_ONCE: usize = 4;
/// The most rows in memory at once, unless one partition alone has more.
pub(super) const ROWS_AT_ONCE: u64 = 524_288;

/// A bundle without a defect. Only [`verify`] makes one, and only a verified bundle can be applied.
pub struct VerifiedBundle<R>(pub(super) Archive<R>);

impl<R> std::ops::Deref for VerifiedBundle<R> {
    type Target = Archive<R>;

    fn deref(&self) -> &Archive<R> {
        &self.0
    }
}

/// Reads a bundle once from its first byte to its last, and stops at the first defect.
pub fn verify<R: Read + Seek>(
    mut archive: Archive<R>,
    observer: &dyn Observer,
    stop: &Stop,
) -> Result<VerifiedBundle<R>, Error> {
    observer.event(&Event::Planned {
        unit: "bytes",
        total: archive.manifest().totals.bytes,
    });
    archive.rewind()?;
    let mut at_end = false;
    while !at_end {
        if stop.is_set() {
            return Err(Error::Interrupted);
        }
        let mut batch: Vec<(usize, Bytes)> = Vec::new();
        let mut rows = 0;
        while batch.len() < AT_ONCE && rows < ROWS_AT_ONCE {
            match archive.next_partition() {
                Ok(Some((index, bytes))) => {
                    rows += archive.manifest().partitions[index].rows;
                    batch.push((index, bytes));
                }
                Ok(None) => {
                    at_end = true;
                    break;
                }
                // A partition before it may have the first defect.
                Err(defect) => {
                    check_all(archive.manifest(), batch, observer)?;
                    return Err(defect.into());
                }
            }
        }
        check_all(archive.manifest(), batch, observer)?;
    }
    Ok(VerifiedBundle(archive))
}

fn check_all(
    manifest: &Manifest,
    batch: Vec<(usize, Bytes)>,
    observer: &dyn Observer,
) -> Result<(), Defect> {
    let checked: Vec<Result<(), Defect>> = batch
        .into_par_iter()
        .map(|(index, bytes)| {
            let entry = &manifest.partitions[index];
            check(entry, bytes)?;
            observer.event(&Event::Progress {
                done: entry.bytes,
                bars: entry.rows,
            });
            Ok(())
        })
        .collect();
    checked.into_iter().collect()
}

/// The partition in `bytes`, which must have the hash in the manifest.
pub(super) fn open(entry: &Entry, bytes: Bytes) -> Result<UntrustedPartition, Defect> {
    if sha256(&bytes) != entry.sha256 {
        return Err(Defect::PartitionHash(entry.path.clone()));
    }
    UntrustedPartition::open(bytes).map_err(|why| invalid(entry, why))
}

fn invalid(entry: &Entry, why: impl Into<String>) -> Defect {
    Defect::Invalid {
        path: entry.path.clone(),
        why: why.into(),
    }
}

/// Checks a partition: its hash, its structure, each row, and each fact in the manifest.
fn check(entry: &Entry, bytes: Bytes) -> Result<(), Defect> {
    let image = open(entry, bytes)?;
    let key = entry
        .key()
        .ok_or_else(|| invalid(entry, "its path doesn't name a partition"))?;
    let contents = image.check(&key).map_err(|why| invalid(entry, why))?;
    let found = Entry::of(&key, &image, &contents, entry.sha256.clone());
    if let Some((fact, listed, found)) = entry.difference(&found) {
        return Err(Defect::Differs {
            path: entry.path.clone(),
            fact,
            listed,
            found,
        });
    }
    Ok(())
}
