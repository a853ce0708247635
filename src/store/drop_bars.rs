//! Drop: removes stored bars and their coverage, with the same redo log as a publish.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::model::{SeriesKey, TimeRange, Timestamp};

use super::catalog::{HotYear, SeriesMeta, years};
use super::error::Error;
use super::handle::Store;
use super::publish;
use super::rows::StagedRows;
use super::sessions;
use super::state::Inner;

/// What a drop removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Bars removed.
    pub rows: u64,
}

impl Store {
    /// Removes the bars of a series inside `range`, with the coverage of their dates, durably.
    ///
    /// Exports and sync targets that have the bars already keep them. A series that has no bars left is
    /// forgotten, so it can be stored again with another exchange or price basis. If a series was
    /// requested and never had bars, its coverage is removed.
    pub fn drop_bars(&self, series: &SeriesKey, range: TimeRange) -> Result<Dropped, Error> {
        self.check_whole()?;
        let held = self.locks.lock([series.clone()].into());
        let (meta, hot, calendar) = {
            let mut inner = self.inner();
            let Some(meta) = inner.series.get(series).cloned() else {
                inner.forget_answers(series, range)?;
                return Ok(Dropped::default());
            };
            let hot = inner
                .catalog
                .hot_rows(&[meta.id], TimeRange::ALL)?
                .remove(&meta.id)
                .unwrap_or_default();
            let calendar = inner.calendar(&meta.provenance.exchange);
            (meta, hot, calendar)
        };
        let before = meta.sealed_rows() + meta.hot_rows();
        let kept = self.timestamps_outside(series, &meta, &hot, range)?;
        let dropped = before - kept.len() as u64;
        let planned = publish::encode_without(self, series, &meta, &hot, range)?;
        let pending: Vec<_> = planned
            .into_iter()
            .map(|one| one.with_series_id(meta.id))
            .collect();
        let publishing = publish::begin(self);
        let recorded = {
            let mut inner = self.inner();
            inner.open_entries.forget();
            let counts = sessions::count(meta.id, &kept, calendar.as_ref());
            let (first, last) = dates_of(range, calendar.as_ref());
            inner.catalog.transaction(|catalog| {
                catalog.delete_hot_range(meta.id, range)?;
                catalog.replace_sessions(meta.id, &counts)?;
                catalog.forget_coverage(series, first, last)?;
                catalog.forget_history(series)?;
                catalog.insert_intents(&pending.iter().map(|one| &one.intent))
            })
        };
        if let Err(error) = recorded {
            publish::abort_recorded(self, &pending, &error);
            return Err(error);
        }
        crate::crash_point!("drop.after-transaction");
        publish::apply_intents(self, pending)?;
        drop(publishing);
        let mut inner = self.inner();
        if let Some(meta) = inner.series.get_mut(series) {
            // Published years have no hot rows any more. The others have lost those inside the range.
            let left = recount(&outside(&hot, range));
            meta.hot = left
                .into_iter()
                .filter(|(year, _)| meta.hot.contains_key(year))
                .collect();
        }
        inner.forget_empty_series(Some(series))?;
        drop(inner);
        drop(held);
        Ok(Dropped { rows: dropped })
    }

    /// The timestamps of a series that lie outside `range`, both tiers, sorted.
    fn timestamps_outside(
        &self,
        series: &SeriesKey,
        meta: &SeriesMeta,
        hot: &StagedRows,
        range: TimeRange,
    ) -> Result<Vec<i64>, Error> {
        let mut kept: Vec<i64> = hot.bars.timestamps().to_vec();
        for (year, partition) in &meta.partitions {
            kept.extend(
                publish::open_checked(&self.layout, series, *year, partition)?.timestamps()?,
            );
        }
        kept.retain(|timestamp| !range.contains(*timestamp));
        kept.sort_unstable();
        Ok(kept)
    }
}

impl Inner {
    /// Removes the coverage of a series without bars. Only that coverage names its exchange.
    fn forget_answers(&mut self, series: &SeriesKey, range: TimeRange) -> Result<(), Error> {
        let Some(exchange) = self.catalog.exchange_asked(series)? else {
            return Ok(());
        };
        let (first, last) = dates_of(range, self.calendar(&exchange).as_ref());
        self.open_entries.forget();
        (self.catalog).transaction(|catalog| catalog.forget_coverage(series, first, last))
    }
}

/// The rows that lie outside `range`.
pub(super) fn outside(rows: &StagedRows, range: TimeRange) -> StagedRows {
    let timestamps = rows.bars.timestamps();
    let first = timestamps.partition_point(|ts| *ts < range.start);
    let end = timestamps.partition_point(|ts| *ts < range.end).max(first);
    let mut out = rows.slice(0..first);
    out.extend_from(rows, end..rows.len());
    out
}

/// Sorted hot rows, counted by year.
pub(super) fn recount(hot: &StagedRows) -> BTreeMap<i32, HotYear> {
    let timestamps = hot.bars.timestamps();
    years(timestamps)
        .into_iter()
        .map(|(year, places)| {
            let counts = HotYear {
                rows: places.len() as u64,
                first: Timestamp::from_micros(timestamps[places.start]),
                last: Timestamp::from_micros(timestamps[places.end - 1]),
                max_commit_seq: hot.commit_seq[places].iter().copied().max().unwrap_or(0) as u64,
            };
            (year, counts)
        })
        .collect()
}

/// The first and the last exchange-local date of `range`; `None` for an open end.
fn dates_of(
    range: TimeRange,
    calendar: Option<&crate::calendar::Calendar>,
) -> (Option<NaiveDate>, Option<NaiveDate>) {
    let date = |micros: i64| {
        let at = Timestamp::from_micros(micros);
        at.is_in_range().then(|| {
            calendar.map_or_else(
                || at.to_utc().date_naive(),
                |calendar| calendar.session_date(at),
            )
        })
    };
    (date(range.start), date(range.end.saturating_sub(1)))
}
