//! What offered bars would restate, before they are offered.

use crate::model::{Bar, Bars, OnConflict, Provenance, SeriesKey, TimeRange, Timestamp};

use super::error::Error;
use super::handle::Store;
use super::merge;

impl Store {
    /// The staged bars of a series that `bars` say otherwise, each with the bar that says so.
    ///
    /// Nothing is locked: what is told holds for as long as nobody else commits into the series.
    pub fn restated(&self, series: &SeriesKey, bars: &Bars) -> Result<Vec<(Bar, Bar)>, Error> {
        self.check_whole()?;
        let timestamps = bars.timestamps();
        let (Some(first), Some(last)) = (timestamps.iter().min(), timestamps.iter().max()) else {
            return Ok(Vec::new());
        };
        let range = TimeRange {
            start: *first,
            end: *last + 1,
        };
        let inner = self.inner();
        let Some(facts) = inner.series.get(series).cloned() else {
            return Ok(Vec::new());
        };
        let overlaps = |first: Timestamp, last: Timestamp| {
            first.micros() < range.end && range.start <= last.micros()
        };
        let is_hot = (facts.hot.values()).any(|year| overlaps(year.first, year.last));
        let is_sealed = (facts.partitions.values()).any(|year| overlaps(year.first, year.last));
        if !(is_hot || is_sealed) {
            return Ok(Vec::new());
        }
        let hot = match is_hot {
            true => inner
                .catalog
                .hot_rows(&[facts.id], range)?
                .remove(&facts.id),
            false => None,
        };
        drop(inner);
        let staged = self.staged_in(series, &facts, range, hot.as_ref())?;
        let sorted = merge::sort(bars.clone(), OnConflict::Ignore);
        let compared = merge::compare(&sorted.bars, &staged);
        Ok((compared.restated.iter())
            .map(|(offered, held)| (staged.bars.get(*held), sorted.bars.get(*offered)))
            .collect())
    }

    /// First and last staged bar of a series; `None` where there is none.
    #[must_use]
    pub fn ends_of(&self, series: &SeriesKey) -> Option<(Timestamp, Timestamp)> {
        let inner = self.inner();
        let facts = inner.series.get(series)?;
        Some((facts.first()?, facts.last()?))
    }

    /// Whether bars of this provenance may join a series, as far as exchange, basis and hours go.
    #[must_use]
    pub fn takes(&self, series: &SeriesKey, offered: &Provenance) -> bool {
        let inner = self.inner();
        inner.series.get(series).is_none_or(|facts| {
            super::commit::mix(&facts.provenance, offered, series.interval).is_some()
        })
    }
}
