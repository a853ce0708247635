//! The partitions of the lake: which are intact and this store's own, and which are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use uuid::Uuid;

use crate::model::SeriesKey;
use crate::store::catalog::{PartitionMeta, SeriesMeta};
use crate::store::durable;
use crate::store::error::{Error, IoContext};
use crate::store::lake_files;
use crate::store::layout::{Layout, PartitionKey};
use crate::store::verify::check_partition;

use super::report::Repaired;

/// Intact partitions, with the times of their bars.
pub(super) type Sound = BTreeMap<PartitionKey, (PartitionMeta, Vec<i64>)>;

/// The partitions whose values pass their own hash; the others go to quarantine.
pub(super) fn sound_partitions(
    layout: &Layout,
    listed: &BTreeMap<SeriesKey, SeriesMeta>,
    out: &mut Repaired,
) -> Result<Sound, Error> {
    let mut walked = lake_files::walk_lake(layout)?;
    for path in walked.unknown_files {
        match move_to_new_path(layout, &path)? {
            // Its metadata is read below; size and time aren't used here.
            Some(key) => drop(walked.partitions.insert(key, (0, 0))),
            None => out.quarantine(layout, &path)?,
        }
    }
    let keys: Vec<PartitionKey> = walked.partitions.into_keys().collect();
    let checked: Vec<Result<(PartitionMeta, Vec<i64>), String>> = keys
        .par_iter()
        .map(|key| sound_partition(layout, key))
        .collect();
    let mut sound = Sound::new();
    for (key, result) in keys.into_iter().zip(checked) {
        match result {
            Ok(meta) => drop(sound.insert(key, meta)),
            Err(why) => {
                let rows = listed
                    .get(&key.series)
                    .and_then(|meta| meta.partitions.get(&key.year));
                let rows = rows.map_or(String::new(), |meta| format!(" with {} bars", meta.rows));
                out.lost.push(format!("{why}{rows}"));
                out.quarantine(layout, &layout.partition(&key))?;
            }
        }
    }
    Ok(sound)
}

/// Takes out partitions that are copies, and not this store's own. A footer names neither ticker nor
/// interval, so a file copied into another folder of the lake would become bars of another series.
///
/// A catalog that lists partitions shows which are the store's own. Without one, two partitions of one
/// commit with the same bars can't be distinguished: both stay, and are reported.
pub(super) fn remove_copies(
    layout: &Layout,
    listed: &BTreeMap<SeriesKey, SeriesMeta>,
    sound: &mut Sound,
    out: &mut Repaired,
) -> Result<(), Error> {
    let is_listed = |key: &PartitionKey| {
        (listed.get(&key.series)).is_some_and(|meta| meta.partitions.contains_key(&key.year))
    };
    let own_ids: BTreeSet<Uuid> = (listed.values())
        .flat_map(|meta| meta.partitions.values())
        .map(|partition| partition.store_id)
        .collect();
    let mut same: BTreeMap<(Uuid, &str), Vec<PartitionKey>> = BTreeMap::new();
    for (key, (meta, _)) in sound.iter() {
        let content = (meta.commit_id, meta.row_hash.as_str());
        same.entry(content).or_default().push(key.clone());
    }
    let mut copies: Vec<PartitionKey> = Vec::new();
    for keys in same.into_values().filter(|keys| keys.len() > 1) {
        if keys.iter().any(is_listed) {
            copies.extend(keys.into_iter().filter(|key| !is_listed(key)));
        } else {
            let names: Vec<String> = keys.iter().map(PartitionKey::to_string).collect();
            out.lost.push(format!(
                "which of the partitions {} is the original: they hold the same bars of one commit; drop the wrong ones",
                names.join(", ")
            ));
        }
    }
    if !own_ids.is_empty() {
        let foreign = sound
            .iter()
            .filter(|(key, (meta, _))| !is_listed(key) && !own_ids.contains(&meta.store_id));
        copies.extend(foreign.map(|(key, _)| key.clone()));
    }
    copies.sort();
    copies.dedup();
    for key in copies {
        sound.remove(&key);
        out.quarantine(layout, &layout.partition(&key))?;
    }
    Ok(())
}

/// Moves the file of a partition that had another path in earlier versions.
fn move_to_new_path(layout: &Layout, path: &Path) -> Result<Option<PartitionKey>, Error> {
    let relative = path.strip_prefix(layout.root()).ok();
    let Some(key) = relative.and_then(Layout::parse_old_partition) else {
        return Ok(None);
    };
    let target = layout.partition(&key);
    if target.exists() {
        return Ok(None);
    }
    let dir = target.parent().unwrap_or(layout.root());
    let mut changed = durable::create_dirs(layout.root(), dir).at(dir)?;
    changed.push(dir.to_path_buf());
    durable::rename(path, &target).at(&target)?;
    changed.extend(path.parent().map(Path::to_path_buf));
    for dir in &changed {
        durable::sync_dir(dir).at(dir)?;
    }
    Ok(Some(key))
}

fn sound_partition(
    layout: &Layout,
    key: &PartitionKey,
) -> Result<(PartitionMeta, Vec<i64>), String> {
    let partition = check_partition(layout, key, None).map_err(|damage| damage.to_string())?;
    let timestamps = partition.timestamps().map_err(|error| error.to_string())?;
    let digest = durable::checksum(&layout.partition(key)).map_err(|error| error.to_string())?;
    let (Some(digest), Some(bounds)) = (digest, partition.bounds()) else {
        return Err(format!("partition {key} is empty"));
    };
    let meta = PartitionMeta::new(&partition.footer, bounds, digest);
    Ok((meta, timestamps))
}

/// Partitions that the catalog listed and the lake no longer holds.
pub(super) fn lost_partitions(
    listed: &BTreeMap<SeriesKey, SeriesMeta>,
    sound: &Sound,
    out: &mut Repaired,
) -> BTreeSet<PartitionKey> {
    let mut lost = BTreeSet::new();
    for (series, meta) in listed {
        for (year, partition) in &meta.partitions {
            let key = PartitionKey::new(series, *year);
            match sound.get(&key) {
                None => {
                    let line = format!("partition {key} with {} bars", partition.rows);
                    // One that failed its hash is listed already, with the reason.
                    if !out
                        .lost
                        .iter()
                        .any(|line| line.starts_with(&format!("partition {key} ")))
                    {
                        out.lost.push(line);
                    }
                    lost.insert(key);
                }
                Some((found, _)) if found.rows < partition.rows => {
                    out.lost.push(format!(
                        "{} bars of partition {key}: its file is an older one",
                        partition.rows - found.rows
                    ));
                    lost.insert(key);
                }
                Some(_) => {}
            }
        }
    }
    lost
}
