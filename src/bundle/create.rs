//! Create: writes the sealed partitions of a store into one file.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::archive::{write_end, write_member};
use super::digest::sha256;
use super::entry::{Entry, Totals, member_path};
use super::error::Error;
use super::filter::Filter;
use super::manifest::{Base, MANIFEST_BYTES_MAX, Manifest, SCHEMA};
use super::verify::{AT_ONCE, ROWS_AT_ONCE};
use crate::calendar::Overrides;
use crate::report::{Event, Observer, Stop};
use crate::store::lake::guard::PARTITION_BYTES_MAX;
use crate::store::lake::untrusted::UntrustedPartition;
use crate::store::lake::write::{Stamp, partition_bytes};
use crate::store::{PARTITION_FORMAT, PartitionFile, Reader, Store};

/// A bundle that was written.
#[derive(Clone, Debug)]
pub struct Created {
    pub manifest: Manifest,
    /// The manifest's hash, which identifies the bundle.
    pub hash: String,
}

/// Seals the store and writes the part that `filter` selects; with a base, only what was committed
/// after that.
///
/// `base` is another bundle's manifest with its hash. The same store always produces the same bytes.
pub fn create(
    store: &Store,
    filter: &Filter,
    base: Option<(&Manifest, &str)>,
    calendars: &Overrides,
    out: &mut dyn Write,
    observer: &dyn Observer,
    stop: &Stop,
) -> Result<Created, Error> {
    let (filter, base) = match base {
        None => (filter.clone(), None),
        Some((manifest, hash)) => {
            if let Some(part) = manifest.filter.contradiction(filter) {
                return Err(Error::OtherFilter { part });
            }
            check_base(&store.reader()?, manifest)?;
            let base = Base {
                manifest_sha256: hash.to_owned(),
                commit: manifest.commit.clone(),
            };
            (manifest.filter.clone(), Some(base))
        }
    };
    store.seal()?;
    crate::crash_point!("bundle.create.after-seal");
    let reader = store.reader()?;
    let mut manifest = Manifest {
        schema: SCHEMA.to_owned(),
        store_id: store.store_id(),
        store_schema_version: PARTITION_FORMAT,
        commit: reader.last_commit()?.map(Into::into),
        filter,
        base,
        spans: BTreeMap::new(),
        partitions: Vec::new(),
        totals: Totals::default(),
    };
    let mut files = reader.partition_files();
    files.retain(|file| {
        manifest.filter.has(&file.key.series) && file.commit_seq > manifest.after_seq()
    });
    files.sort_by_cached_key(|file| member_path(&file.key));
    observer.event(&Event::Planned {
        unit: "bytes",
        total: files.iter().map(|file| file.bytes).sum(),
    });
    let mut files = files.as_slice();
    while !files.is_empty() {
        if stop.is_set() {
            return Err(Error::Interrupted);
        }
        let (batch, rest) = files.split_at(at_once(files));
        files = rest;
        let read: Vec<Result<Option<(Entry, Bytes)>, Error>> = batch
            .par_iter()
            .map(|file| read_partition(file, &manifest, calendars))
            .collect();
        for (file, partition) in batch.iter().zip(read) {
            let partition = partition?;
            observer.event(&Event::Progress {
                done: file.bytes,
                bars: partition.as_ref().map_or(0, |(entry, _)| entry.rows),
            });
            if let Some((entry, bytes)) = partition {
                write_member(out, &entry.path, &bytes).map_err(Error::Write)?;
                manifest.partitions.push(entry);
            }
        }
        crate::crash_point!("bundle.create.between-partitions");
    }
    manifest.totals = Totals::of(&manifest.partitions);
    if manifest.filter.has_dates() {
        for entry in &manifest.partitions {
            if !manifest.spans.contains_key(&entry.exchange) {
                let range = manifest.filter.range(&entry.exchange, calendars)?;
                manifest.spans.insert(entry.exchange.clone(), range.into());
            }
        }
    }
    // The check that verify makes too: what it would refuse isn't written.
    manifest.check().map_err(Error::Invalid)?;
    let bytes = manifest.to_bytes();
    if bytes.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(Error::TooMany {
            partitions: manifest.totals.partitions,
        });
    }
    let hash = write_end(out, &bytes).map_err(Error::Write)?;
    out.flush().map_err(Error::Write)?;
    Ok(Created { manifest, hash })
}

/// The base must come from this store, which must still know its last commit.
fn check_base(reader: &Reader, base: &Manifest) -> Result<(), Error> {
    if base.store_id != reader.store_id() {
        return Err(Error::OtherStore {
            base: base.store_id,
            store: reader.store_id(),
        });
    }
    match &base.commit {
        Some(commit) if reader.commit_id(commit.seq)? != Some(commit.id) => {
            Err(Error::UnknownCommit {
                commit: commit.to_string(),
            })
        }
        _ => Ok(()),
    }
}

/// How many of the next partitions to read at once.
fn at_once(files: &[PartitionFile]) -> usize {
    let (mut count, mut rows) = (0, 0);
    for file in files.iter().take(AT_ONCE) {
        rows += file.rows;
        if count > 0 && rows > ROWS_AT_ONCE {
            break;
        }
        count += 1;
    }
    count
}

/// Reads and checks a whole partition, and cuts it down to what the bundle holds; `None` if nothing
/// is left.
fn read_partition(
    file: &PartitionFile,
    manifest: &Manifest,
    calendars: &Overrides,
) -> Result<Option<(Entry, Bytes)>, Error> {
    let damaged = |why: String| Error::Partition {
        path: file.path.clone(),
        why,
    };
    if file.bytes > PARTITION_BYTES_MAX {
        return Err(damaged("it is larger than a partition can be".to_owned()));
    }
    let bytes = std::fs::read(&file.path).map_err(|error| damaged(error.to_string()))?;
    if format!("{:032x}", xxh3_128(&bytes)) != file.checksum {
        return Err(damaged("its bytes fail their checksum".to_owned()));
    }
    let image = UntrustedPartition::open(bytes.into()).map_err(damaged)?;
    let contents = image.check(&file.key).map_err(damaged)?;
    let range = manifest
        .filter
        .range(&image.footer.provenance.exchange, calendars)?;
    let after_seq = manifest.after_seq();
    if range.contains(contents.first.micros())
        && range.contains(contents.last.micros())
        && contents.commits.0 > after_seq
    {
        let hash = sha256(image.bytes());
        let entry = Entry::of(&file.key, &image, &contents, hash);
        return Ok(Some((entry, image.bytes().clone())));
    }
    let rows = image.rows(range, after_seq).map_err(damaged)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let footer = &image.footer;
    let stamp = Stamp {
        store_id: footer.store_id,
        commit_seq: footer.commit_seq,
        commit_id: footer.commit_id,
        provenance: &footer.provenance,
    };
    let bytes = Bytes::from(partition_bytes(&file.key, rows, &stamp)?);
    let cut = UntrustedPartition::open(bytes).map_err(damaged)?;
    let contents = cut.check(&file.key).map_err(damaged)?;
    let entry = Entry::of(&file.key, &cut, &contents, sha256(cut.bytes()));
    Ok(Some((entry, cut.bytes().clone())))
}
