//! Hot rows read ahead: whoever goes through the series one after another asks for all of them soon.
//!
//! A query costs a millisecond or two however few rows it finds, which is nothing for one ticker and half a minute for
//! ten thousand. So each miss reads more series than the one before, in the order of their keys.

use std::sync::PoisonError;

use crate::model::{SeriesKey, TimeRange};
use crate::store::catalog::SeriesFacts;
use crate::store::error::Error;
use crate::store::rows::StagedRows;

use super::Reader;

/// Series that one query asks for at most.
const SERIES_MAX: usize = 256;
/// Hot rows that they hold together at most, unless one series alone has more.
const ROWS_MAX: u64 = 262_144;

/// What was read and not yet asked for.
#[derive(Debug, Default)]
pub(in crate::store) struct Ahead {
    range: Option<TimeRange>,
    rows: std::collections::HashMap<i32, StagedRows>,
    count: u64,
    misses: u32,
}

impl Reader {
    /// The hot rows of a series inside `range`, sorted.
    pub(in crate::store) fn hot_rows_of(
        &self,
        series: &SeriesKey,
        facts: &SeriesFacts,
        range: TimeRange,
    ) -> Result<StagedRows, Error> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.range != Some(range) {
            *ahead = Ahead {
                range: Some(range),
                ..Ahead::default()
            };
        }
        if let Some(rows) = ahead.rows.remove(&facts.id) {
            ahead.count -= rows.len() as u64;
            return Ok(rows);
        }
        if ahead.count > ROWS_MAX {
            ahead.rows.clear();
            ahead.count = 0;
        }
        let series_max = SERIES_MAX.min(1 << (2 * ahead.misses.min(4)));
        ahead.misses += 1;
        let (mut ids, mut weight) = (vec![facts.id], facts.hot_rows());
        for (_, next) in self.series.range(series..).skip(1) {
            let overlaps = (next.hot.values())
                .any(|hot| hot.first.micros() < range.end && range.start <= hot.last.micros());
            if !overlaps || ahead.rows.contains_key(&next.id) {
                continue;
            }
            weight += next.hot_rows();
            if ids.len() == series_max || weight > ROWS_MAX {
                break;
            }
            ids.push(next.id);
        }
        let mut found = self.catalog()?.hot_rows(&ids, range)?;
        let wanted = found.remove(&facts.id).unwrap_or_default();
        for id in ids.into_iter().skip(1) {
            let rows = found.remove(&id).unwrap_or_default();
            ahead.count += rows.len() as u64;
            ahead.rows.insert(id, rows);
        }
        Ok(wanted)
    }
}
