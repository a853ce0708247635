//! Repair: rebuilds the catalog from the partitions in the lake.
//!
//! Nothing is deleted: what is damaged moves to `quarantine/`. What is lost is listed, and the
//! coverage of lost bars is removed, so that they count as never requested. The store gets a new
//! id, so that no sync target takes it for the old one.

mod catalog;
mod partitions;
mod report;
mod segments;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::calendar::{Calendar, Overrides};
use crate::model::{DateRange, SeriesKey, TimeRange};

use super::catalog::{Catalog, SeriesMeta};
use super::error::{Error, IoContext};
use super::folder::is_there;
use super::lake::read::Partition;
use super::layout::Layout;
use super::lock::WriteLock;
use super::options::OpenOptions;
use super::progress;
use super::sessions;
use super::snapshot;
use super::spill;
use catalog::{finish_intents, open_or_replace};
use partitions::{Sound, lost_partitions, remove_copies, sound_partitions};
pub use report::Repaired;
use segments::lost_segments;

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
        catalog.begin_history()?;
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

/// Whether the bars are the simulator's or real ones, if the catalog doesn't record it and a partition does.
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

/// The series of the old catalog, and those that only the lake knows.
fn with_new_series(
    catalog: &Catalog,
    mut series: BTreeMap<SeriesKey, SeriesMeta>,
    sound: &Sound,
) -> Result<BTreeMap<SeriesKey, SeriesMeta>, Error> {
    let mut next = catalog.next_series_id()?;
    for key in sound.keys() {
        if !series.contains_key(&key.series) {
            // The footer has what the series was recorded as.
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
            out.quarantine(layout, &path)?;
        }
    }
    Ok(())
}

/// The dates whose sessions can hold bars of a UTC year.
fn year_dates(year: i32) -> Option<DateRange> {
    let first = NaiveDate::from_ymd_opt(year - 1, 12, 31)?;
    let last = NaiveDate::from_ymd_opt(year + 1, 1, 1)?;
    DateRange::new(first, last).ok()
}
