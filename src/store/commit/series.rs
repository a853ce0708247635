//! The batches of one series in a commit: each is compared with the stored rows and with the
//! batches before it, and its policy is applied.

use std::borrow::Cow;

use uuid::Uuid;

use crate::model::{
    Bar, Bars, Basis, BasisChange, Grid, Hours, Interval, OnConflict, Provenance, SeriesKey,
    Source, TimeRange, Timestamp,
};
use crate::store::catalog::SeriesMeta;
use crate::store::conflicts::{Conflicts, KnownConflicts, Origin};
use crate::store::coverage::CoverageEntry;
use crate::store::error::Refusal;
use crate::store::merge::{self, Compared, Sorted};
use crate::store::options::SealRule;
use crate::store::rows::StagedRows;

use super::batch::PreparedBatch;
use super::prepare::{Draft, span};
use super::{Offer, Prepared, Tally};

/// The most restated bars that are compared to find a change of the price basis.
const BASIS_SAMPLE_MAX: usize = 500;

/// What the batches of a series add up to, before they are written.
pub(super) struct SeriesBatches<'a> {
    series: &'a SeriesKey,
    meta: Option<&'a SeriesMeta>,
    /// The stored rows in the range of all batches.
    stored: &'a StagedRows,
    /// The provenance that the series has once the accepted batches are stored.
    provenance: Option<Provenance>,
    /// What the accepted batches write. The commit number is missing.
    rows: StagedRows,
    replaced: Vec<i64>,
    new_timestamps: Vec<i64>,
    conflicts: Conflicts,
    coverage: Vec<CoverageEntry>,
    accepted: Vec<PreparedBatch>,
}

impl<'a> SeriesBatches<'a> {
    pub fn new(
        series: &'a SeriesKey,
        meta: Option<&'a SeriesMeta>,
        stored: &'a StagedRows,
    ) -> Self {
        Self {
            series,
            meta,
            stored,
            provenance: meta.map(|meta| meta.provenance.clone()),
            rows: StagedRows::default(),
            replaced: Vec::new(),
            new_timestamps: Vec::new(),
            conflicts: Conflicts::default(),
            coverage: Vec::new(),
            accepted: Vec::new(),
        }
    }

    /// Adds a batch, unless its policy or its provenance refuses it.
    pub fn add(&mut self, draft: Draft) -> Result<(), Refusal> {
        let Draft {
            index,
            offer,
            sorted,
            offered,
        } = draft;
        let provenance = self.joined_provenance(&offer)?;
        let current = match span(&sorted.bars) {
            Some(range) => self.current_rows(range),
            None => Cow::Owned(StagedRows::default()),
        };
        let compared = merge::compare(&sorted.bars, &current);
        if offer.on_conflict == OnConflict::Fail {
            check_conflicts(&offer, offered, &sorted, &compared)?;
        }
        let basis_change = basis_change(&compared, &sorted.bars, &current);
        let conflicts = conflicts(&offer, &sorted, &compared, &current);
        drop(current);
        let counts = tally(&offer, &sorted, &compared);
        // The series has two bases only if some bars get the new one and others keep the old one.
        let mixes = counts.committed > counts.updated
            || (counts.updated > 0 && counts.updated < self.rows_before());
        self.provenance = Some(provenance);
        self.coverage.extend(offer.coverage);
        self.conflicts.append(conflicts);
        self.write(
            sorted.bars,
            compared,
            offer.on_conflict == OnConflict::Update,
            &offer.source,
        );
        self.accepted.push(PreparedBatch {
            index,
            counts,
            basis_change: basis_change.filter(|_| mixes),
        });
        Ok(())
    }

    /// The provenance of the series after `offer` joined it.
    fn joined_provenance(&self, offer: &Offer) -> Result<Provenance, Refusal> {
        let Some(recorded) = &self.provenance else {
            return Ok(offer.provenance.clone());
        };
        let merged = merge_provenance(recorded, &offer.provenance, self.series.interval);
        merged.ok_or_else(|| Refusal::Mismatch {
            series: self.series.clone(),
            recorded: recorded.clone(),
            offered: offer.provenance.clone(),
        })
    }

    /// The rows in `range`, stored or from the batches before.
    fn current_rows(&self, range: TimeRange) -> Cow<'a, StagedRows> {
        let (stored, written) = (self.stored.range(range), self.rows.range(range));
        if written.is_empty() && stored.len() == self.stored.len() {
            return Cow::Borrowed(self.stored);
        }
        Cow::Owned(self.stored.slice(stored).merge(self.rows.slice(written)))
    }

    /// Number of rows in the series before the next batch.
    fn rows_before(&self) -> u64 {
        let stored = self
            .meta
            .map_or(0, |meta| meta.sealed_rows() + meta.hot_rows());
        stored + self.new_timestamps.len() as u64
    }

    /// Adds the bars of an accepted batch that are new, and under `update` those that are restated.
    fn write(&mut self, bars: Bars, compared: Compared, updates: bool, source: &Source) {
        let timestamps = bars.timestamps();
        let is_all_new = compared.new.len() == bars.len();
        let new = compared.new.iter().map(|index| timestamps[*index]);
        self.new_timestamps.extend(new);
        let mut written = compared.new;
        if updates {
            let stored = self.stored.bars.timestamps();
            let restated = || compared.restated.iter().map(|(index, _)| *index);
            let keys = restated().map(|index| timestamps[index]);
            self.replaced
                .extend(keys.filter(|key| stored.binary_search(key).is_ok()));
            written.extend(restated());
            written.sort_unstable();
        }
        let bars = if is_all_new {
            bars
        } else {
            bars.select(&written)
        };
        let rows = StagedRows::of_commit(bars, source, 0);
        self.rows = std::mem::take(&mut self.rows).merge(rows);
    }

    /// What the accepted batches write; `None` if all were refused.
    pub fn finish(mut self, take_seq: impl FnOnce() -> u64, rule: &SealRule) -> Option<Prepared> {
        if self.accepted.is_empty() {
            return None;
        }
        let commit_seq = take_seq();
        self.rows.commit_seq.fill(commit_seq as i64);
        self.conflicts.set_commit(commit_seq);
        self.new_timestamps.sort_unstable();
        self.replaced.sort_unstable();
        self.replaced.dedup();
        let mut counts = Tally::default();
        self.accepted
            .iter()
            .for_each(|batch| counts += batch.counts);
        // Must be published at once: readers add hot bars and lake without comparing keys, so they
        // would return a bar that is in both twice.
        let restates_sealed = self.meta.is_some_and(|meta| {
            let mut years = self
                .replaced
                .iter()
                .map(|ts| Timestamp::from_micros(*ts).year());
            years.any(|year| meta.partitions.contains_key(&year))
        });
        Some(Prepared {
            publishes: restates_sealed || self.rows.len() as u64 >= rule.publish_rows_min,
            series: self.series.clone(),
            series_id: self.meta.map_or(0, |meta| meta.id),
            is_new_series: self.meta.is_none(),
            provenance: self.provenance?,
            demo: self.rows.sources.first().is_some_and(Source::is_demo),
            commit_seq,
            commit_id: Uuid::new_v4(),
            rows: self.rows,
            replaced: self.replaced,
            conflicts: self.conflicts.without(0, &KnownConflicts::new()),
            new_timestamps: self.new_timestamps,
            coverage: self.coverage,
            counts,
            batches: self.accepted,
        })
    }
}

/// The rule of `fail`: no offered key may be stored already. If the program repeated a request, identical
/// rows are allowed.
fn check_conflicts(
    offer: &Offer,
    offered: u64,
    sorted: &Sorted,
    compared: &Compared,
) -> Result<(), Refusal> {
    let restated = (compared.restated.len() + sorted.clashes.len()) as u64;
    let (identical, first) = if offer.is_repeated_request {
        (0, compared.first_restated)
    } else {
        (compared.identical, compared.first_conflict)
    };
    if identical + restated == 0 {
        return Ok(());
    }
    let clashes = sorted.clashes.iter().map(|(kept, _)| kept.timestamp);
    Err(Refusal::Conflicts {
        series: offer.series.clone(),
        offered,
        identical,
        restated,
        first: clashes
            .chain(first)
            .min()
            .unwrap_or(Timestamp::from_micros(0)),
    })
}

/// The restated rows of a batch, and the rows that it has twice with different values.
fn conflicts(
    offer: &Offer,
    sorted: &Sorted,
    compared: &Compared,
    current: &StagedRows,
) -> Conflicts {
    let origin = |stored: &usize| Origin {
        staged: current.sources[current.source[*stored] as usize].clone(),
        offered: offer.source.clone(),
        is_update: offer.on_conflict == OnConflict::Update,
        staged_seq: current.commit_seq[*stored],
        commit_seq: 0,
    };
    let (rows, stored): (Vec<usize>, Vec<usize>) = compared.restated.iter().copied().unzip();
    let mut conflicts = Conflicts {
        staged: current.bars.select(&stored),
        offered: sorted.bars.select(&rows),
        origins: stored.iter().map(origin).collect(),
    };
    for (kept, dropped) in &sorted.clashes {
        let origin = Origin {
            staged: offer.source.clone(),
            offered: offer.source.clone(),
            is_update: false,
            staged_seq: 0,
            commit_seq: 0,
        };
        conflicts.push(kept, dropped, origin);
    }
    conflicts
}

fn tally(offer: &Offer, sorted: &Sorted, compared: &Compared) -> Tally {
    let restated = compared.restated.len() as u64;
    let (updated, skipped) = if offer.on_conflict == OnConflict::Update {
        (restated, 0)
    } else {
        (0, restated)
    };
    Tally {
        committed: compared.new.len() as u64 + updated,
        updated,
        skipped_identical: compared.identical + sorted.identical,
        skipped_restated: skipped + sorted.clashes.len() as u64,
    }
}

/// The change of the price basis that an even sample of the restated bars shows.
fn basis_change(compared: &Compared, offered: &Bars, staged: &StagedRows) -> Option<BasisChange> {
    let step = compared.restated.len().div_ceil(BASIS_SAMPLE_MAX).max(1);
    let sample: Vec<(Bar, Bar)> = (compared.restated.iter().step_by(step))
        .map(|(of_offered, of_staged)| (staged.bars.get(*of_staged), offered.get(*of_offered)))
        .collect();
    BasisChange::between(&sample, compared.identical / step as u64)
}

/// The provenance of a series after bars of `offered` joined it; `None` if they must not mix.
pub(in crate::store) fn merge_provenance(
    recorded: &Provenance,
    offered: &Provenance,
    interval: Interval,
) -> Option<Provenance> {
    if recorded.exchange != offered.exchange {
        return None;
    }
    let basis = match (recorded.basis, offered.basis) {
        (Basis::Unknown, other) | (other, Basis::Unknown) => other,
        (a, b) if a == b => a,
        _ => return None,
    };
    let hours = match (recorded.hours, offered.hours) {
        (Hours::Unknown, other) | (other, Hours::Unknown) => other,
        (a, b) if a == b => a,
        // One series has one grid. On the same grid, extended hours only add bars.
        (a, b) if Grid::of(interval, a) != Grid::of(interval, b) => return None,
        _ => Hours::Extended,
    };
    Some(Provenance {
        exchange: recorded.exchange.clone(),
        basis,
        hours,
    })
}
