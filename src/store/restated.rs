//! Compares bars with the stored ones before they are offered.

use crate::model::{Bar, Bars, OnConflict, Provenance, SeriesKey, Ticker, TimeRange, Timestamp};

use super::error::Error;
use super::handle::Store;
use super::merge;

/// Offered bars next to the stored ones of the same keys.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Each stored bar that differs, with the offered one.
    pub restated: Vec<(Bar, Bar)>,
    /// Number of bars that are stored with the same values.
    pub identical: u64,
}

impl Store {
    /// Compares bars with the stored ones of a series. Stores nothing.
    ///
    /// Locks nothing: the result is outdated after the next commit into the series.
    pub fn compare(&self, series: &SeriesKey, bars: &Bars) -> Result<Comparison, Error> {
        self.check_whole()?;
        let timestamps = bars.timestamps();
        let (Some(first), Some(last)) = (timestamps.iter().min(), timestamps.iter().max()) else {
            return Ok(Comparison::default());
        };
        let range = TimeRange {
            start: *first,
            end: *last + 1,
        };
        let inner = self.inner();
        let Some(meta) = inner.series.get(series).cloned() else {
            return Ok(Comparison::default());
        };
        let overlaps = |first: Timestamp, last: Timestamp| {
            first.micros() < range.end && range.start <= last.micros()
        };
        let is_hot = meta
            .hot
            .values()
            .any(|year| overlaps(year.first, year.last));
        let is_sealed = meta
            .partitions
            .values()
            .any(|year| overlaps(year.first, year.last));
        if !(is_hot || is_sealed) {
            return Ok(Comparison::default());
        }
        let hot = match is_hot {
            true => inner.catalog.hot_rows(&[meta.id], range)?.remove(&meta.id),
            false => None,
        };
        drop(inner);
        let staged = self.staged_in(series, &meta, range, hot.as_ref())?;
        let sorted = merge::sort(bars.clone(), OnConflict::Ignore);
        let compared = merge::compare(&sorted.bars, &staged);
        Ok(Comparison {
            restated: compared
                .restated
                .iter()
                .map(|(offered, stored)| (staged.bars.get(*stored), sorted.bars.get(*offered)))
                .collect(),
            identical: compared.identical,
        })
    }

    /// First and last stored bar of a series; `None` if there is none.
    #[must_use]
    pub fn time_bounds(&self, series: &SeriesKey) -> Option<(Timestamp, Timestamp)> {
        let inner = self.inner();
        let meta = inner.series.get(series)?;
        Some((meta.first()?, meta.last()?))
    }

    /// The ticker and the exchange of each series with bars.
    #[must_use]
    pub fn exchanges(&self) -> Vec<(Ticker, String)> {
        let inner = self.inner();
        let series = inner.series.iter();
        series
            .filter(|(_, meta)| meta.first().is_some())
            .map(|(key, meta)| (key.ticker.clone(), meta.provenance.exchange.clone()))
            .collect()
    }

    /// Whether bars of this provenance may join a series, by exchange, basis and hours.
    #[must_use]
    pub fn accepts(&self, series: &SeriesKey, offered: &Provenance) -> bool {
        let inner = self.inner();
        inner.series.get(series).is_none_or(|meta| {
            super::commit::merge_provenance(&meta.provenance, offered, series.interval).is_some()
        })
    }
}
