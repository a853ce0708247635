//! Verify: every byte of a bundle is one that `create` would have written.

use std::io::{Read, Seek};

use bytes::Bytes;
use rayon::prelude::*;

use super::archive::Archive;
use super::digest::sha256;
use super::entry::Entry;
use super::error::Error;
use super::fault::Fault;
use super::manifest::Manifest;
use crate::report::{Event, Observer, Stop};
use crate::store::lake::image::Image;

/// Partitions in hand at once …
pub(super) const AT_ONCE: usize = 4;
/// … and rows in them, unless one partition alone has more.
pub(super) const ROWS_AT_ONCE: u64 = 524_288;

/// A bundle that was read whole and found without a fault. Only [`verify`] makes one, and only such a one can be applied.
pub struct Sound<R>(pub(super) Archive<R>);

impl<R> std::ops::Deref for Sound<R> {
    type Target = Archive<R>;

    fn deref(&self) -> &Archive<R> {
        &self.0
    }
}

/// Reads a bundle from its first byte to its last, once, and stops at the first fault.
pub fn verify<R: Read + Seek>(
    mut archive: Archive<R>,
    observer: &dyn Observer,
    stop: &Stop,
) -> Result<Sound<R>, Error> {
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
                Ok(Some((place, bytes))) => {
                    rows += archive.manifest().partitions[place].rows;
                    batch.push((place, bytes));
                }
                Ok(None) => {
                    at_end = true;
                    break;
                }
                // What came before it may be the first fault.
                Err(fault) => {
                    check_all(archive.manifest(), batch, observer)?;
                    return Err(fault.into());
                }
            }
        }
        check_all(archive.manifest(), batch, observer)?;
    }
    Ok(Sound(archive))
}

fn check_all(
    manifest: &Manifest,
    batch: Vec<(usize, Bytes)>,
    observer: &dyn Observer,
) -> Result<(), Fault> {
    let checked: Vec<Result<(), Fault>> = batch
        .into_par_iter()
        .map(|(place, bytes)| {
            let entry = &manifest.partitions[place];
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

/// The partition whose bytes these are, which have the hash that the manifest says.
pub(super) fn open(entry: &Entry, bytes: Bytes) -> Result<Image, Fault> {
    if sha256(&bytes) != entry.sha256 {
        return Err(Fault::Bytes(entry.path.clone()));
    }
    Image::open(bytes).map_err(|why| unsound(entry, why))
}

fn unsound(entry: &Entry, why: impl Into<String>) -> Fault {
    Fault::Unsound {
        path: entry.path.clone(),
        why: why.into(),
    }
}

/// One partition: its hash, its structure, every row, and each fact of the manifest.
fn check(entry: &Entry, bytes: Bytes) -> Result<(), Fault> {
    let image = open(entry, bytes)?;
    let key = entry
        .key()
        .ok_or_else(|| unsound(entry, "its path names no partition"))?;
    let contents = image.check(&key).map_err(|why| unsound(entry, why))?;
    let found = Entry::of(&key, &image, &contents, entry.sha256.clone());
    if let Some((fact, listed, found)) = entry.difference(&found) {
        return Err(Fault::Differs {
            path: entry.path.clone(),
            fact,
            listed,
            found,
        });
    }
    Ok(())
}
