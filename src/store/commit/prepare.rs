//! What a commit reads before it compares: the drafts, and the stored rows of their series.

use std::collections::HashMap;

use crate::model::{Bars, SeriesKey, TimeRange};
use crate::store::catalog::{HotYear, SeriesMeta};
use crate::store::error::Error;
use crate::store::handle::Store;
use crate::store::merge::{self, Sorted};
use crate::store::publish;
use crate::store::rows::StagedRows;

use super::Offer;

/// A sorted offer.
pub(super) struct Draft {
    /// Its index among the offers of the call.
    pub index: usize,
    /// Without its bars.
    pub offer: Offer,
    pub sorted: Sorted,
    /// Number of offered rows.
    pub offered: u64,
}

/// The drafts of one series, in the order of the offers.
pub(super) struct SeriesDrafts {
    pub series: SeriesKey,
    pub drafts: Vec<Draft>,
}

impl SeriesDrafts {
    pub fn new((series, offers): (SeriesKey, Vec<(usize, Offer)>)) -> Self {
        let draft = |(index, mut offer): (usize, Offer)| Draft {
            index,
            offered: offer.bars.len() as u64,
            sorted: merge::sort(std::mem::take(&mut offer.bars), offer.on_conflict),
            offer,
        };
        Self {
            series,
            drafts: offers.into_iter().map(draft).collect(),
        }
    }

    /// The range of all bars; empty if there are none.
    pub fn span(&self) -> TimeRange {
        let spans = self
            .drafts
            .iter()
            .filter_map(|draft| span(&draft.sorted.bars));
        spans
            .reduce(|a, b| TimeRange {
                start: a.start.min(b.start),
                end: a.end.max(b.end),
            })
            .unwrap_or(TimeRange { start: 0, end: 0 })
    }
}

/// The range of sorted bars; `None` if there are none.
pub(super) fn span(bars: &Bars) -> Option<TimeRange> {
    Some(TimeRange {
        start: *bars.timestamps().first()?,
        end: *bars.timestamps().last()? + 1,
    })
}

impl Store {
    /// The catalog's metadata of the drafts' series, in their order, and their hot rows in the range of
    /// all drafts, read by one query.
    #[allow(clippy::type_complexity)]
    pub(super) fn meta_of(
        &self,
        drafts: &[SeriesDrafts],
    ) -> Result<(Vec<Option<SeriesMeta>>, HashMap<i32, StagedRows>), Error> {
        let inner = self.inner();
        for draft in drafts.iter().flat_map(|drafts| &drafts.drafts) {
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
            .map(|drafts| inner.series.get(&drafts.series).cloned())
            .collect();
        let mut wanted = Vec::new();
        let mut range = TimeRange {
            start: i64::MAX,
            end: i64::MIN,
        };
        for (drafts, meta) in drafts.iter().zip(&meta) {
            let Some(meta) = meta else { continue };
            let span = drafts.span();
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

    /// The stored rows of a series in `range`, from both tiers, sorted. `hot` are its hot rows.
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
