//! What a batch would do to its series: compared with what is staged, and judged by the policy.

use std::collections::HashMap;

use uuid::Uuid;

use crate::model::{
    Bar, Bars, Basis, BasisChange, Grid, Hours, Interval, OnConflict, Provenance, SeriesKey,
    TimeRange, Timestamp,
};
use crate::store::catalog::{ConflictRecord, HotYear, SeriesMeta};
use crate::store::error::{Error, Refusal};
use crate::store::handle::Store;
use crate::store::merge::{self, Compared, Sorted};
use crate::store::publish;
use crate::store::rows::StagedRows;

use super::{Offer, Prepared, Tally};

/// Restated bars that are looked at for a change of the price basis.
const BASIS_SAMPLE_MAX: usize = 500;

/// A sorted offer.
pub(super) struct Draft {
    pub offer: Offer,
    pub sorted: Sorted,
    pub offered: u64,
}

impl Store {
    /// What the catalog knows of the drafts' series, and their hot rows inside the drafts' range, in one query.
    #[allow(clippy::type_complexity)]
    pub(super) fn meta_of(
        &self,
        drafts: &[Draft],
    ) -> Result<(Vec<Option<SeriesMeta>>, HashMap<i32, StagedRows>), Error> {
        let inner = self.inner();
        for draft in drafts {
            let offered = draft.offer.source.is_demo();
            if inner.demo.is_some_and(|demo| demo != offered) {
                let word = |demo: bool| if demo { "demo" } else { "real" };
                return Err(Error::DemoMix {
                    dir: self.layout.root().to_path_buf(),
                    held: word(!offered),
                    offered: word(offered),
                });
            }
        }
        let meta: Vec<Option<SeriesMeta>> = drafts
            .iter()
            .map(|draft| inner.series.get(&draft.offer.series).cloned())
            .collect();
        let mut wanted = Vec::new();
        let mut range = TimeRange {
            start: i64::MAX,
            end: i64::MIN,
        };
        for (draft, meta) in drafts.iter().zip(&meta) {
            let Some(meta) = meta else { continue };
            let span = span(&draft.sorted.bars);
            let overlaps =
                |year: &HotYear| year.first.micros() < span.end && year.last.micros() >= span.start;
            if meta.hot.values().any(overlaps) {
                wanted.push(meta.id);
                range = TimeRange {
                    start: range.start.min(span.start),
                    end: range.end.max(span.end),
                };
            }
        }
        let hot = if wanted.is_empty() {
            Default::default()
        } else {
            inner.catalog.hot_rows(&wanted, range)?
        };
        Ok((meta, hot))
    }

    /// Compares a draft with what is staged and applies the policy.
    pub(super) fn prepare(
        &self,
        draft: Draft,
        meta: Option<&SeriesMeta>,
        hot: Option<&StagedRows>,
    ) -> Result<Result<Prepared, Refusal>, Error> {
        let Draft {
            offer,
            sorted,
            offered,
        } = draft;
        let Offer {
            series,
            source,
            on_conflict,
            ..
        } = &offer;
        let mut provenance = offer.provenance.clone();
        if let Some(meta) = meta {
            match merge_provenance(&meta.provenance, &offer.provenance, series.interval) {
                Some(mixed) => provenance = mixed,
                None => {
                    return Ok(Err(Refusal::Mismatch {
                        series: series.clone(),
                        recorded: meta.provenance.clone(),
                        offered: offer.provenance,
                    }));
                }
            }
        }
        let staged = match meta {
            Some(meta) => self.staged_in(series, meta, span(&sorted.bars), hot)?,
            None => StagedRows::default(),
        };
        let compared = merge::compare(&sorted.bars, &staged);
        let restated = compared.restated.len() as u64 + sorted.clashes.len() as u64;
        let identical_counts = if offer.asked_again {
            0
        } else {
            compared.identical
        };
        if *on_conflict == OnConflict::Fail && identical_counts + restated > 0 {
            let first_clash = sorted.clashes.iter().map(|(kept, _)| kept.timestamp).min();
            let first = if offer.asked_again {
                compared.first_restated
            } else {
                compared.first_conflict
            };
            return Ok(Err(Refusal::Conflicts {
                series: series.clone(),
                offered,
                identical: identical_counts,
                restated,
                first: first
                    .into_iter()
                    .chain(first_clash)
                    .min()
                    .unwrap_or(Timestamp::from_micros(0)),
            }));
        }

        let basis_change = basis_change(&compared, &sorted.bars, &staged);
        let stored = meta.map_or(0, |meta| meta.sealed_rows() + meta.hot_rows());
        let (series_id, is_new_series) = meta.as_ref().map_or((0, true), |meta| (meta.id, false));
        let updates = *on_conflict == OnConflict::Update;
        let mut conflicts: Vec<ConflictRecord> = Vec::new();
        for (batch_place, staged_place) in &compared.restated {
            conflicts.push(ConflictRecord {
                series_id,
                staged: staged.bars.get(*staged_place),
                staged_source: staged.sources[staged.source[*staged_place] as usize]
                    .as_str()
                    .to_owned(),
                offered: sorted.bars.get(*batch_place),
                offered_source: source.as_str().to_owned(),
                resolution: if updates { "updated" } else { "skipped" },
            });
        }
        for (kept, dropped) in &sorted.clashes {
            conflicts.push(ConflictRecord {
                series_id,
                staged: *kept,
                staged_source: source.as_str().to_owned(),
                offered: *dropped,
                offered_source: source.as_str().to_owned(),
                resolution: "skipped",
            });
        }

        let all_new = compared.new.len() == sorted.bars.len();
        let timestamps = sorted.bars.timestamps();
        let new_timestamps: Vec<i64> = compared
            .new
            .iter()
            .map(|place| timestamps[*place])
            .collect();
        let replaced: Vec<i64> = if updates {
            compared
                .restated
                .iter()
                .map(|(place, _)| timestamps[*place])
                .collect()
        } else {
            Vec::new()
        };
        let counts = Tally {
            committed: (new_timestamps.len() + replaced.len()) as u64,
            updated: replaced.len() as u64,
            skipped_identical: compared.identical + sorted.identical,
            skipped_restated: if updates {
                0
            } else {
                compared.restated.len() as u64
            } + sorted.clashes.len() as u64,
        };
        // Two bases in one series need new bars next to old ones, or old ones next to replaced ones.
        let mixes =
            counts.committed > counts.updated || (counts.updated > 0 && counts.updated < stored);
        let basis_change = basis_change.filter(|_| mixes);
        let bars = if all_new {
            sorted.bars
        } else {
            let mut places = compared.new;
            if updates {
                places.extend(compared.restated.iter().map(|(place, _)| *place));
                places.sort_unstable();
            }
            sorted.bars.select(&places)
        };
        let restates_sealed = meta.as_ref().is_some_and(|meta| {
            replaced.iter().any(|ts| {
                meta.partitions
                    .contains_key(&Timestamp::from_micros(*ts).year())
            })
        });
        let commit_seq = self.take_seq();
        Ok(Ok(Prepared {
            publishes: restates_sealed || bars.len() as u64 >= self.options.seal.publish_rows_min,
            rows: StagedRows::of_commit(bars, source, commit_seq),
            series: series.clone(),
            series_id,
            is_new_series,
            provenance,
            demo: source.is_demo(),
            commit_seq,
            commit_id: Uuid::new_v4(),
            replaced,
            conflicts,
            new_timestamps,
            coverage: offer.coverage,
            counts,
            basis_change,
        }))
    }

    /// The staged rows of a series inside `range`, from both tiers, sorted.
    pub(in crate::store) fn staged_in(
        &self,
        series: &SeriesKey,
        meta: &SeriesMeta,
        range: TimeRange,
        hot: Option<&StagedRows>,
    ) -> Result<StagedRows, Error> {
        let mut sealed = StagedRows::default();
        for (year, partition) in &meta.partitions {
            if partition.first.micros() < range.end && partition.last.micros() >= range.start {
                let open = publish::open_checked(&self.layout, series, *year, partition)?;
                sealed.append(open.rows(range)?);
            }
        }
        let hot = hot.map_or_else(StagedRows::default, |hot| {
            let ts = hot.bars.timestamps();
            hot.slice(
                ts.partition_point(|t| *t < range.start)..ts.partition_point(|t| *t < range.end),
            )
        });
        Ok(sealed.merge(hot))
    }
}

/// The change of the price basis that restated bars show, judged by an even sample of them.
fn basis_change(compared: &Compared, offered: &Bars, staged: &StagedRows) -> Option<BasisChange> {
    let step = compared.restated.len().div_ceil(BASIS_SAMPLE_MAX).max(1);
    let sample: Vec<(Bar, Bar)> = (compared.restated.iter().step_by(step))
        .map(|(of_offered, of_staged)| (staged.bars.get(*of_staged), offered.get(*of_offered)))
        .collect();
    BasisChange::between(&sample, compared.identical / step as u64)
}

/// The range that sorted bars span; empty for no bars.
fn span(bars: &Bars) -> TimeRange {
    match (bars.timestamps().first(), bars.timestamps().last()) {
        (Some(first), Some(last)) => TimeRange {
            start: *first,
            end: *last + 1,
        },
        _ => TimeRange { start: 0, end: 0 },
    }
}

/// What a series is recorded as after bars of `offered` join it; `None` when they must not mix.
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
