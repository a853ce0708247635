//! The files of the lake, and whether they are those that the catalog lists.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::model::SeriesKey;

use super::catalog::{Intent, PartitionMeta, SeriesMeta};
use super::durable::{self, Digest};
use super::error::{Damage, Error, IoContext};
use super::lake::read::Partition;
use super::layout::{Layout, PartitionKey};
use super::publish;
use super::segment;

/// Recorded intents that could not be applied, with the file that has each partition.
pub(super) type Overlay = BTreeMap<PartitionKey, (PathBuf, Intent)>;

/// Partitions by key, each with its file's size and modification time in nanoseconds.
pub(super) type InLake = BTreeMap<PartitionKey, (u64, i64)>;

/// What is below `lake/`.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub partitions: InLake,
    /// Symbolic links, which aren't followed.
    pub links: Vec<PathBuf>,
    /// Every other file, and every link, sorted.
    pub unknown_files: Vec<PathBuf>,
}

impl Walked {
    /// The damage if the catalog lists a partition that wasn't found.
    pub fn missing(&self, layout: &Layout, key: PartitionKey) -> Damage {
        let path = layout.partition(&key);
        match self.links.iter().find(|link| path.starts_with(link)) {
            Some(link) => Damage::PartitionLinked {
                key,
                link: link.clone(),
            },
            None => Damage::PartitionMissing(key),
        }
    }

    /// The notice about files in the lake that aren't read.
    pub fn notice(&self, layout: &Layout) -> Option<String> {
        let first = self.unknown_files.first()?;
        let lake = layout.lake();
        let (lake, first) = (lake.display(), first.display());
        Some(match self.unknown_files.len() {
            1 => {
                format!("{first} is in the lake and isn't a partition of this store: it isn't read")
            }
            count => format!(
                "{count} files in {lake} aren't partitions of this store and aren't read; the first is {first}"
            ),
        })
    }
}

/// All partitions in the lake, and what else is there. A file that vanishes is left out:
/// a writer may be running.
pub(super) fn walk_lake(layout: &Layout) -> Result<Walked, Error> {
    let mut found = Vec::new();
    walk(layout, &layout.lake(), &mut found)?;
    let mut walked = Walked::default();
    for one in found {
        match one {
            Found::Partition(key, meta) => {
                walked.partitions.insert(key, meta);
            }
            Found::Link(path) => {
                walked.links.push(path.clone());
                walked.unknown_files.push(path);
            }
            Found::UnknownFile(path) => walked.unknown_files.push(path),
        }
    }
    walked.unknown_files.sort_unstable();
    Ok(walked)
}

enum Found {
    Partition(PartitionKey, (u64, i64)),
    Link(PathBuf),
    UnknownFile(PathBuf),
}

fn walk(layout: &Layout, folder: &Path, found: &mut Vec<Found>) -> Result<(), Error> {
    let is_gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let mut folders = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(Error::io(folder, error)),
    };
    for entry in entries {
        let entry = entry.at(folder)?;
        let path = entry.path();
        let kind = entry.file_type().at(&path)?;
        if kind.is_dir() {
            folders.push(path);
            continue;
        }
        if kind.is_symlink() {
            found.push(Found::Link(path));
            continue;
        }
        let relative = path.strip_prefix(layout.root()).ok();
        let Some(key) = relative.and_then(Layout::parse_partition) else {
            found.push(Found::UnknownFile(path));
            continue;
        };
        match entry.metadata() {
            Ok(metadata) => {
                let meta = (metadata.len(), durable::modified_ns(&metadata));
                found.push(Found::Partition(key, meta));
            }
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(Error::io(&path, error)),
        }
    }
    let below: Vec<Vec<Found>> = folders
        .par_iter()
        .map(|folder| {
            let mut found = Vec::new();
            walk(layout, folder, &mut found).map(|()| found)
        })
        .collect::<Result<_, _>>()?;
    found.extend(below.into_iter().flatten());
    Ok(())
}

/// Compares catalog and lake, cheaply: a file whose size and time are as recorded is trusted,
/// every other is opened and its footer compared. A difference is an error, for readers as for
/// writers. Partitions of `overlay` are about to be replaced, and are compared with their
/// intents. What isn't a partition is named in a notice.
pub(super) fn compare(
    layout: &Layout,
    series: &BTreeMap<SeriesKey, SeriesMeta>,
    overlay: &Overlay,
    segments: &BTreeMap<String, Digest>,
) -> Result<Option<String>, Error> {
    let mut walked = walk_lake(layout)?;
    let mut damage = Vec::new();
    let mut doubtful = Vec::new();
    for (key, meta) in series {
        for (year, partition) in &meta.partitions {
            let key = PartitionKey::new(key, *year);
            if overlay.contains_key(&key) {
                continue;
            }
            match walked.partitions.remove(&key) {
                None => damage.push(walked.missing(layout, key)),
                Some(found) if found == (partition.digest.bytes, partition.digest.modified_ns) => {}
                Some(_) => doubtful.push((key, partition)),
            }
        }
    }
    damage.par_extend(
        (doubtful.par_iter()).filter_map(|(key, meta)| compare_footer(layout, key, meta)),
    );
    let mut unknown = std::mem::take(&mut walked.partitions);
    unknown.retain(|key, _| !overlay.contains_key(key));
    damage.extend(unknown.into_keys().map(Damage::PartitionUnknown));
    for (name, digest) in segments {
        damage.extend(segment::quick_check(layout, name, digest)?);
    }
    if damage.is_empty() {
        Ok(walked.notice(layout))
    } else {
        Err(damaged(layout, damage))
    }
}

fn compare_footer(layout: &Layout, key: &PartitionKey, meta: &PartitionMeta) -> Option<Damage> {
    match Partition::open(&layout.partition(key)) {
        Ok(partition) => {
            publish::differs(&partition, meta).map(|how| Damage::PartitionDiffers(key.clone(), how))
        }
        Err(error) => Some(Damage::PartitionUnreadable(key.clone(), error.to_string())),
    }
}

pub(super) fn damaged(layout: &Layout, mut damage: Vec<Damage>) -> Error {
    let more = damage.len().saturating_sub(1);
    Error::Damaged {
        dir: layout.root().to_path_buf(),
        what: damage.swap_remove(0),
        more,
    }
}
