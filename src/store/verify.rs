//! Verify: every hash, count and order, each key once, and the catalog against the lake.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;

use crate::model::{SeriesKey, TimeRange};

use super::catalog::{PartitionMeta, SeriesMeta};
use super::columns::timestamps;
use super::drop_bars::recount;
use super::durable;
use super::error::{Damage, Error};
use super::lake::check::RowCheck;
use super::lake::read::Partition;
use super::lake::untrusted::UntrustedPartition;
use super::lake_files;
use super::layout::{Layout, PartitionKey};
use super::options::OpenOptions;
use super::publish;
use super::reader::Reader;
use super::rows::StagedRows;
use super::segment;

/// What a verification went through and found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Partitions read.
    pub partitions: u64,
    /// Bars in both tiers.
    pub rows: u64,
    /// Bars among them in the hot tier.
    pub hot_rows: u64,
    /// Every difference; empty if there is none.
    pub damage: Vec<Damage>,
}

/// Reads the whole store in `dir` and names every difference. Changes nothing, except that it finishes
/// what a killed writer left.
pub fn verify(dir: &Path, options: &OpenOptions) -> Result<Verified, Error> {
    let reader = match Reader::open_unchecked(dir, options) {
        Ok(reader) => reader,
        Err(Error::Damaged { what, .. }) => {
            // Opening stopped at the first difference; the lake can be read all the same.
            return with_lake(&Layout::new(dir), what);
        }
        Err(Error::Catalog { source, .. }) => {
            let what = Damage::CatalogUnreadable(source.to_string());
            return with_lake(&Layout::new(dir), what);
        }
        Err(error) => return Err(error),
    };
    let layout = &reader.layout;
    let whole = reader.catalog()?.read_whole();
    if let Err(Error::Catalog { source, .. }) = whole {
        return with_lake(layout, Damage::CatalogUnreadable(source.to_string()));
    }
    let mut walked = lake_files::walk_lake(layout)?;
    let mut in_lake = std::mem::take(&mut walked.partitions);
    let unknown_files = std::mem::take(&mut walked.unknown_files).into_iter();
    let mut damage: Vec<Damage> = unknown_files.map(Damage::UnknownFile).collect();
    let mut listed: Vec<(PartitionKey, &PartitionMeta)> = Vec::new();
    for (key, meta) in &reader.series {
        for (year, partition) in &meta.partitions {
            let key = PartitionKey::new(key, *year);
            if reader.overlay.contains_key(&key) {
                continue;
            }
            if in_lake.remove(&key).is_some() {
                listed.push((key, partition));
            } else {
                damage.push(walked.missing(layout, key));
            }
        }
    }
    // A publish that could not be carried out yet isn't damage.
    in_lake.retain(|key, _| !reader.overlay.contains_key(key));
    damage.extend(in_lake.into_keys().map(Damage::PartitionUnknown));
    let checked: Vec<Result<(), Damage>> = listed
        .par_iter()
        .map(|(key, meta)| check_partition(layout, key, Some(meta)).map(drop))
        .collect();
    damage.extend(checked.into_iter().filter_map(Result::err));

    let (in_segments, of_damaged) = check_segments(&reader)?;
    damage.extend(in_segments);

    let counts: Vec<Result<Vec<Damage>, Error>> = reader
        .series
        .par_iter()
        .map(|(key, meta)| check_series(&reader, key, meta))
        .collect();
    let mut unreadable: BTreeSet<SeriesKey> = damage.iter().filter_map(series_of).collect();
    unreadable.extend(of_damaged);
    for (series, result) in reader.series.keys().zip(counts) {
        match result {
            Ok(found) => damage.extend(found),
            // A partition or segment that can't be read is named above already.
            Err(_) if unreadable.contains(series) => {}
            Err(error) => return Err(error),
        }
    }
    let rows = reader.series()?;
    Ok(Verified {
        partitions: listed.len() as u64,
        rows: rows.iter().map(|row| row.rows).sum(),
        hot_rows: rows.iter().map(|row| row.hot_rows).sum(),
        damage,
    })
}

/// The segments that are not as they were written or listed, and the series with bars in them.
fn check_segments(reader: &Reader) -> Result<(Vec<Damage>, BTreeSet<SeriesKey>), Error> {
    let (mut damage, mut ids) = (Vec::new(), BTreeSet::new());
    let catalog = reader.catalog()?;
    for (name, digest) in catalog.segments()? {
        let parts = catalog.parts_of(&name)?;
        let what = match segment::check(&reader.layout, &name, &digest)? {
            Some(what) => Some(what),
            None if segment::run_of_conflicts(&name).is_some() => None,
            None => {
                let footer = catalog.check_segment(&name)?;
                let found = segment::part_ids(&reader.layout.segment(&name), &footer)?;
                let as_listed = parts.iter().all(|part| {
                    let there = found.get(part.range.clone()).unwrap_or_default();
                    !there.is_empty() && there.iter().all(|id| *id == part.part_id)
                });
                (!as_listed).then_some(Damage::SegmentDamaged(name))
            }
        };
        if let Some(what) = what {
            damage.push(what);
            ids.extend(parts.iter().map(|part| part.series_id));
        }
    }
    let series = (reader.series.iter())
        .filter(|(_, meta)| ids.contains(&meta.id))
        .map(|(key, _)| key.clone())
        .collect();
    Ok((damage, series))
}

/// One difference that keeps the catalog from use, and what the lake by itself has.
fn with_lake(layout: &Layout, what: Damage) -> Result<Verified, Error> {
    let mut out = lake_alone(layout)?;
    out.damage.retain(|other| *other != what);
    out.damage.insert(0, what);
    Ok(out)
}

/// The partitions of a lake whose catalog can't be used, each checked by itself.
fn lake_alone(layout: &Layout) -> Result<Verified, Error> {
    let found = lake_files::walk_lake(layout)?.partitions;
    let mut out = Verified {
        partitions: found.len() as u64,
        ..Verified::default()
    };
    let keys: Vec<PartitionKey> = found.into_keys().collect();
    let checked: Vec<Result<Partition, Damage>> = keys
        .par_iter()
        .map(|key| {
            let partition = check_partition(layout, key, None)?;
            check_structure(layout, key)?;
            Ok(partition)
        })
        .collect();
    for result in checked {
        match result {
            Ok(partition) => out.rows += partition.footer.rows,
            Err(damage) => out.damage.push(damage),
        }
    }
    Ok(out)
}

fn series_of(damage: &Damage) -> Option<SeriesKey> {
    match damage {
        Damage::PartitionMissing(key)
        | Damage::PartitionLinked { key, .. }
        | Damage::PartitionDiffers(key, _)
        | Damage::PartitionUnreadable(key, _)
        | Damage::IntentLost(key) => Some(key.series.clone()),
        _ => None,
    }
}

/// Reads one partition whole: its values against its own hash, and its footer against the catalog where there is one.
pub(super) fn check_partition(
    layout: &Layout,
    key: &PartitionKey,
    meta: Option<&PartitionMeta>,
) -> Result<Partition, Damage> {
    let unreadable = |why: String| Damage::PartitionUnreadable(key.clone(), why);
    let path = layout.partition(key);
    let partition = Partition::open(&path).map_err(|error| unreadable(error.to_string()))?;
    if let Some(how) = meta.and_then(|meta| publish::differs(&partition, meta)) {
        return Err(Damage::PartitionDiffers(key.clone(), how));
    }
    let mut check = RowCheck::new(&partition.footer);
    let mut last = i64::MIN;
    let year = publish::year_range(key.year);
    for batch in partition
        .batches(TimeRange::ALL)
        .map_err(|error| unreadable(error.to_string()))?
    {
        let batch = batch.map_err(|error| unreadable(error.to_string()))?;
        let types = || unreadable("its columns are of other types".to_owned());
        check.update(&batch).ok_or_else(types)?;
        for timestamp in timestamps(&batch).ok_or_else(types)? {
            if *timestamp <= last || !year.contains(*timestamp) {
                return Err(unreadable(
                    "its rows are not sorted, unique and of its year".to_owned(),
                ));
            }
            last = *timestamp;
        }
    }
    if !check.passes() {
        return Err(unreadable("its values fail its hash".to_owned()));
    }
    // The values can be intact while the bytes around them are damaged.
    if let Some(meta) = meta {
        let found = durable::checksum(&path).map_err(|error| unreadable(error.to_string()))?;
        if found.is_none_or(|digest| digest.checksum != meta.digest.checksum) {
            return Err(unreadable("its bytes fail their checksum".to_owned()));
        }
    }
    Ok(partition)
}

/// Checks that no byte of a partition's file is outside its parts. Without a catalog there is no
/// checksum of the file, and the row hash covers the values only.
fn check_structure(layout: &Layout, key: &PartitionKey) -> Result<(), Damage> {
    let unreadable = |why: String| Damage::PartitionUnreadable(key.clone(), why);
    let bytes = std::fs::read(layout.partition(key)).map_err(|e| unreadable(e.to_string()))?;
    UntrustedPartition::open(bytes.into()).map_err(unreadable)?;
    Ok(())
}

/// A series as its readers see it: each key once, as many rows and sessions as counted.
fn check_series(reader: &Reader, key: &SeriesKey, meta: &SeriesMeta) -> Result<Vec<Damage>, Error> {
    let mut damage = Vec::new();
    let hot = match meta.hot.is_empty() {
        true => StagedRows::default(),
        false => reader.hot_rows_of(key, meta, TimeRange::ALL)?,
    };
    let mut twice = hot
        .bars
        .timestamps()
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .count() as u64;
    for (year, _) in super::catalog::years(hot.bars.timestamps()) {
        let is_overlaid = (reader.overlay.keys()).any(|one| one.series == *key && one.year == year);
        if let Some(partition) = meta.partitions.get(&year).filter(|_| !is_overlaid) {
            let sealed =
                publish::open_checked(&reader.layout, key, year, partition)?.timestamps()?;
            twice += (hot.bars.timestamps().iter())
                .filter(|ts| sealed.binary_search(ts).is_ok())
                .count() as u64;
        }
    }
    if twice > 0 {
        damage.push(Damage::DuplicateKeys(key.clone(), twice));
    }
    if recount(&hot) != meta.hot {
        let how = "its hot bars are not those that the catalog lists".to_owned();
        damage.push(Damage::CountsDiffer(key.clone(), how));
    }
    let counted = reader.session_rows(meta.id)?;
    let held = meta.sealed_rows() + meta.hot_rows();
    if reader.overlay.is_empty() && counted != held {
        let how = format!("{counted} counted by session, {held} held");
        damage.push(Damage::CountsDiffer(key.clone(), how));
    }
    Ok(damage)
}
