//! The segments of the hot tier that are lost.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{DateRange, SeriesKey};
use crate::store::catalog::{Catalog, Part, SeriesMeta};
use crate::store::error::Error;
use crate::store::layout::{Layout, PartitionKey};
use crate::store::segment;

use super::partitions::Sound;
use super::report::Repaired;

/// Listed segments that are gone or fail their checksum, and the dates of the bars that they had.
#[derive(Default)]
pub(super) struct LostSegments {
    pub(super) names: Vec<String>,
    pub(super) dates: Vec<(SeriesKey, Option<DateRange>)>,
}

/// Finds lost segments. Rows that the lake already has aren't lost: a seal wrote them there. Each file
/// that isn't an intact segment of this catalog is moved to quarantine.
pub(super) fn lost_segments(
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
        out.quarantine(layout, &path)?;
    }
    Ok(lost)
}

/// The dates whose sessions can hold the bars of a part.
fn dates_around(part: &Part) -> Option<DateRange> {
    let first = part.first.to_utc().date_naive().pred_opt()?;
    let last = part.last.to_utc().date_naive().succ_opt()?;
    DateRange::new(first, last).ok()
}
