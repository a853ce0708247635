//! Repair: rebuilds the catalog from the partitions in the lake.
//!
//! Nothing is deleted: what is damaged moves to `quarantine/`. What is lost is listed, and the
//! coverage of lost bars is removed, so that they count as never requested. The store gets a new
//! id, so that no sync target takes it for the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use rayon::prelude::*;
use uuid::Uuid;

use crate::calendar::{Calendar, Overrides};
use crate::model::{DateRange, SeriesKey, TimeRange};

use super::catalog::{Catalog, Opened, Part, PartitionMeta, SeriesMeta};
use super::durable;
use super::error::{Damage, Error, IoContext};
use super::folder::is_there;
use super::lake::read::Partition;
use super::lake_files;
use super::layout::{Layout, PartitionKey};
use super::lock::WriteLock;
use super::options::OpenOptions;
use super::progress;
use super::publish::{self, Pending};
use super::recover::{self, Place};
use super::segment;
use super::sessions;
use super::snapshot;
use super::spill;
use super::verify::check_partition;

/// What a repair did.
#[derive(Clone, Debug, Default)]
pub struct Repaired {
    /// The store's new id.
    pub store_id: Uuid,
    /// Partitions in the lake now, all intact.
    pub partitions: u64,
    /// Bars in them.
    pub rows: u64,
    /// What is lost, one line each.
    pub lost: Vec<String>,
    /// What was moved to quarantine.
    pub quarantined: Vec<PathBuf>,
}

/// Rebuilds the catalog of the store in `dir` from its lake, and keeps what can be read of the old catalog.
pub fn repair(dir: &Path, options: &OpenOptions) -> Result<Repaired, Error> {
    let layout = Layout::new(dir);
    if !is_there(dir)? {
        return Err(Error::Missing {
            dir: dir.to_path_buf(),
        });
    }
    let mut lock = WriteLock::acquire(&layout, options.wait_for_readers)?;
    progress::sweep(&layout);
    let mut out = Repaired {
        store_id: Uuid::new_v4(),
        ..Repaired::default()
    };
    let catalog = open_or_replace(&layout, options, lock.acknowledged(), &mut out)?;
    finish_intents(&layout, &catalog, &mut out)?;

    let listed = catalog.series()?;
    let mut sound = sound_partitions(&layout, &listed, &mut out)?;
    remove_copies(&layout, &listed, &mut sound, &mut out)?;
    quarantine_temporaries(&layout, &mut out)?;
    let lost = lost_partitions(&listed, &sound, &mut out);
    let lost_segments = lost_segments(&layout, &catalog, &listed, &sound, &mut out)?;
    out.partitions = sound.len() as u64;
    out.rows = sound.values().map(|(meta, _)| meta.rows).sum();
    let sealed = sound.values().map(|(meta, _)| meta.commit_seq).max();
    let known = catalog.max_commit_seq()?.max(sealed.unwrap_or(0));
    if lock.acknowledged() > known {
        out.lost.push(format!(
            "what {} commits after number {known} held: they were acknowledged, and neither catalog nor lake knows them",
            lock.acknowledged() - known
        ));
    }
    let kind = kind_of_bars(&layout, &catalog, &sound)?;

    let series = with_new_series(&catalog, listed, &sound)?;
    crate::crash_point!("repair.before-transaction");
    catalog.transaction(|catalog| {
        catalog.run("DELETE FROM partitions; DELETE FROM intents")?;
        for (key, meta) in &series {
            catalog.execute(
                "DELETE FROM series WHERE series_id = ?",
                duckdb::params![meta.id],
            )?;
            catalog.insert_series(meta.id, key, &meta.provenance)?;
        }
        for name in &lost_segments.names {
            catalog.delete_segment(name)?;
        }
        for (series, dates) in &lost_segments.dates {
            let (first, last) = (dates.map(DateRange::first), dates.map(DateRange::last));
            catalog.forget_coverage(series, first, last)?;
        }
        for (key, (meta, timestamps)) in &sound {
            let id = series.get(&key.series).map_or(0, |series| series.id);
            catalog.insert_partition(id, key.year, meta)?;
            catalog.delete_hot(&[(id, timestamps)])?;
        }
        for key in &lost {
            let dates = year_dates(key.year);
            let (first, last) = (dates.map(DateRange::first), dates.map(DateRange::last));
            catalog.forget_coverage(&key.series, first, last)?;
        }
        recount(catalog, &series, &sound, &options.calendars)?;
        catalog.adopt_commits()?;
        if let Some(kind) = kind {
            catalog.set_meta("bars", kind)?;
        }
        catalog.set_meta("store_id", &out.store_id.to_string())
    })?;
    crate::crash_point!("repair.after-transaction");
    lock.forget(catalog.max_commit_seq()?);
    drop(catalog.checkpoint(true));
    Ok(out)
}

/// The old catalog, if DuckDB can open and read it; without its log, if only the log prevents that.
/// Otherwise the old one is moved to quarantine and a new one is made.
fn open_or_replace(
    layout: &Layout,
    options: &OpenOptions,
    acknowledged: u64,
    out: &mut Repaired,
) -> Result<Catalog, Error> {
    if !layout.database().exists() {
        out.lost.push(ALL_BUT_THE_LAKE.to_owned());
    }
    for (away, loss) in [
        (Vec::new(), None),
        (
            layout.database_logs().to_vec(),
            Some("what was in the catalog's log, which doesn't fit its database"),
        ),
    ] {
        let mut moved = false;
        for path in away.iter().filter(|path| path.exists()) {
            quarantine(layout, path, out)?;
            moved = true;
        }
        if loss.is_some() && !moved {
            break;
        }
        match open_whole(layout, options) {
            Ok(opened) => {
                out.lost.extend(loss.map(str::to_owned));
                if let Some(log) = opened.log {
                    if log.broke_off && acknowledged <= opened.catalog.max_commit_seq()? {
                        log.forget();
                    } else {
                        let cut_at = log.cut_at;
                        let lost = format!("what the catalog's log held after byte {cut_at}");
                        out.lost.push(lost);
                        out.quarantined.extend(log.copies);
                    }
                }
                return Ok(opened.catalog);
            }
            Err(error @ (Error::Newer { .. } | Error::Io { .. })) => return Err(error),
            Err(_) => {}
        }
    }
    quarantine(layout, &layout.database(), out)?;
    for path in layout.database_logs().iter().filter(|path| path.exists()) {
        quarantine(layout, path, out)?;
    }
    out.lost.push(ALL_BUT_THE_LAKE.to_owned());
    Catalog::open(layout, options.memory_limit_mib, options.threads).map(|opened| opened.catalog)
}

/// Opens the catalog and reads all of it: a damaged block shows only when it is read.
fn open_whole(layout: &Layout, options: &OpenOptions) -> Result<Opened, Error> {
    let opened = Catalog::open(layout, options.memory_limit_mib, options.threads)?;
    opened.catalog.read_whole()?;
    opened.catalog.series()?;
    Ok(opened)
}

/// Whether the bars are the simulator's or real ones, if the catalog doesn't say it and a partition does.
fn kind_of_bars(
    layout: &Layout,
    catalog: &Catalog,
    sound: &Sound,
) -> Result<Option<&'static str>, Error> {
    let (Some(key), None) = (sound.keys().next(), catalog.meta("bars")?) else {
        return Ok(None);
    };
    let source = Partition::open(&layout.partition(key))?.first_source()?;
    Ok(source.map(|source| if source.is_demo() { "demo" } else { "real" }))
}

const ALL_BUT_THE_LAKE: &str = "bars that were not sealed yet, coverage, conflicts and runs: the catalog was gone or unreadable";

/// Applies the intents that can be applied, and drops the others: their partitions are then checked
/// as they are in the lake.
fn finish_intents(layout: &Layout, catalog: &Catalog, out: &mut Repaired) -> Result<(), Error> {
    let (mut settle, mut forget) = (Vec::new(), Vec::new());
    for (one, place) in recover::recorded(layout, catalog)? {
        match place {
            Place::Nowhere => {
                if !one.intent.is_seal {
                    out.lost.push(Damage::IntentLost(one.key).to_string());
                }
                forget.push(one.intent);
            }
            _ => settle.push(one),
        }
    }
    let renames: Vec<Pending> = settle
        .iter()
        .filter(|one| one.intent.is_removal() || layout.tmp().join(&one.intent.temporary).is_file())
        .map(|one| Pending {
            key: one.key.clone(),
            intent: one.intent.clone(),
        })
        .collect();
    publish::rename_all(layout, &renames)?;
    publish::flush_renamed(layout, &settle)?;
    catalog.transaction(|catalog| {
        let settled: Vec<_> = settle.into_iter().map(|one| one.intent).collect();
        catalog.settle_intents(&settled)?;
        forget
            .iter()
            .try_for_each(|intent| catalog.drop_intent(intent))
    })
}

type Sound = BTreeMap<PartitionKey, (PartitionMeta, Vec<i64>)>;

/// The partitions whose values pass their own hash; the others go to quarantine.
fn sound_partitions(
    layout: &Layout,
    listed: &BTreeMap<SeriesKey, SeriesMeta>,
    out: &mut Repaired,
) -> Result<Sound, Error> {
    let mut walked = lake_files::walk_lake(layout)?;
    for path in walked.unknown_files {
        match move_to_new_path(layout, &path)? {
            // Its facts are read below; size and time count for nothing here.
            Some(key) => drop(walked.partitions.insert(key, (0, 0))),
            None => quarantine(layout, &path, out)?,
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
                quarantine(layout, &layout.partition(&key), out)?;
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
fn remove_copies(
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
        quarantine(layout, &layout.partition(&key), out)?;
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
fn lost_partitions(
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

/// Listed segments that are gone or fail their checksum, and the dates of the bars that they had.
#[derive(Default)]
struct LostSegments {
    names: Vec<String>,
    dates: Vec<(SeriesKey, Option<DateRange>)>,
}

/// Finds lost segments. Rows that the lake already has aren't lost: a seal wrote them there. Each file
/// that isn't an intact segment of this catalog is moved to quarantine.
fn lost_segments(
    layout: &Layout,
    catalog: &Catalog,
    listed: &BTreeMap<SeriesKey, SeriesMeta>,
    sound: &Sound,
    out: &mut Repaired,
) -> Result<LostSegments, Error> {
    let by_id: BTreeMap<i32, &SeriesKey> =
        (listed.iter()).map(|(key, meta)| (meta.id, key)).collect();
    let mut lost = LostSegments::default();
    let mut whole = BTreeSet::new();
    for (name, digest) in catalog.segments()? {
        let Some(what) = segment::check(layout, &name, &digest)? else {
            whole.insert(name);
            continue;
        };
        let mut rows = 0;
        for part in catalog.parts_of(&name)? {
            let Some(series) = by_id.get(&part.series_id).map(|key| SeriesKey::clone(key)) else {
                continue;
            };
            let key = PartitionKey {
                series,
                year: part.year,
            };
            let sealed = sound.get(&key).map_or(0, |(meta, _)| meta.commit_seq);
            if sealed < part.commit_seq {
                rows += part.range.len();
                lost.dates.push((key.series, dates_around(&part)));
            }
        }
        if let Some(run) = segment::run_of_conflicts(&name) {
            out.lost.push(format!("{what}: conflicts of run {run}"));
        }
        if rows > 0 {
            out.lost.push(format!("{what}: {rows} bars"));
        }
        lost.names.push(name);
    }
    for path in segment::unlisted(layout, &whole)? {
        quarantine(layout, &path, out)?;
    }
    Ok(lost)
}

/// The dates whose sessions can hold the bars of a part.
fn dates_around(part: &Part) -> Option<DateRange> {
    let first = part.first.to_utc().date_naive().pred_opt()?;
    let last = part.last.to_utc().date_naive().succ_opt()?;
    DateRange::new(first, last).ok()
}

/// The series of the old catalog, and those that only the lake knows.
fn with_new_series(
    catalog: &Catalog,
    mut series: BTreeMap<SeriesKey, SeriesMeta>,
    sound: &Sound,
) -> Result<BTreeMap<SeriesKey, SeriesMeta>, Error> {
    let mut next = catalog.next_series_id()?;
    for key in sound.keys() {
        if !series.contains_key(&key.series) {
            // The footer says what the series was recorded as.
            let layout = Layout::new(catalog.root());
            let provenance = Partition::open(&layout.partition(key))?.footer.provenance;
            series.insert(key.series.clone(), SeriesMeta::new(next, provenance));
            next += 1;
        }
    }
    Ok(series)
}

fn recount(
    catalog: &Catalog,
    series: &BTreeMap<SeriesKey, SeriesMeta>,
    sound: &Sound,
    overrides: &Overrides,
) -> Result<(), Error> {
    for (key, meta) in series {
        let hot = catalog
            .hot_rows(&[meta.id], TimeRange::ALL)?
            .remove(&meta.id)
            .unwrap_or_default();
        let mut timestamps = hot.bars.timestamps().to_vec();
        for (_, (_, sealed)) in sound
            .iter()
            .filter(|(partition, _)| partition.series == *key)
        {
            timestamps.extend_from_slice(sealed);
        }
        timestamps.sort_unstable();
        let calendar = Calendar::for_exchange_with(&meta.provenance.exchange, overrides).ok();
        catalog.replace_sessions(
            meta.id,
            &sessions::count(meta.id, &timestamps, calendar.as_ref()),
        )?;
    }
    Ok(())
}

fn quarantine_temporaries(layout: &Layout, out: &mut Repaired) -> Result<(), Error> {
    let tmp = layout.tmp();
    if !tmp.is_dir() {
        return Ok(());
    }
    spill::sweep(&tmp);
    snapshot::sweep(layout);
    for entry in std::fs::read_dir(&tmp).at(&tmp)? {
        let path = entry.at(&tmp)?.path();
        if path.is_file() {
            quarantine(layout, &path, out)?;
        }
    }
    Ok(())
}

fn quarantine(layout: &Layout, path: &Path, out: &mut Repaired) -> Result<(), Error> {
    out.quarantined
        .push(super::quarantine::move_aside(layout, path)?);
    Ok(())
}

/// The dates whose sessions can hold bars of a UTC year.
fn year_dates(year: i32) -> Option<DateRange> {
    let first = NaiveDate::from_ymd_opt(year - 1, 12, 31)?;
    let last = NaiveDate::from_ymd_opt(year + 1, 1, 1)?;
    DateRange::new(first, last).ok()
}
