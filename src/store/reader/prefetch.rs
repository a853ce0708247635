//! Hot rows of the series that a caller will probably read next.
//!
//! A query takes a millisecond or two even if it finds nothing: half a minute for ten thousand
//! series. So when a caller reads series in the order of their keys, each query reads the rows of
//! several following series too.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use crate::model::{SeriesKey, TimeRange};
use crate::store::catalog::{Catalog, SeriesMeta};
use crate::store::error::Error;
use crate::store::rows::StagedRows;

/// Most series of one query.
const SERIES_MAX: usize = 256;
/// Most hot rows of one query, unless one series alone has more.
const ROWS_MAX: u64 = 262_144;

/// Rows that were read and not yet returned: at most twice [`ROWS_MAX`], with those of the next query.
#[derive(Debug, Default)]
pub(in crate::store) struct Prefetch {
    range: Option<TimeRange>,
    rows: HashMap<i32, StagedRows>,
    count: u64,
    /// The last series of the last query, and how many series it read. More are read only if the next
    /// wanted series follows it.
    last: Option<(SeriesKey, usize)>,
}

impl Prefetch {
    /// The hot rows of the series `key` inside `range`, sorted. `all` are the store's series, and
    /// `meta` is that of `key`.
    pub fn rows(
        &mut self,
        catalog: &Catalog,
        all: &BTreeMap<SeriesKey, SeriesMeta>,
        series: &SeriesKey,
        meta: &SeriesMeta,
        range: TimeRange,
    ) -> Result<StagedRows, Error> {
        if self.range != Some(range) {
            *self = Self {
                range: Some(range),
                ..Self::default()
            };
        }
        if let Some(rows) = self.rows.remove(&meta.id) {
            self.count -= rows.len() as u64;
            return Ok(rows);
        }
        if self.count > ROWS_MAX {
            self.rows.clear();
            self.count = 0;
        }
        let follows = |last: &SeriesKey| {
            let after = (Bound::Excluded(last), Bound::Unbounded);
            let mut next = all.range::<SeriesKey, _>(after);
            let next = next.find(|(_, meta)| meta.hot.values().any(|year| year.overlaps(range)));
            next.is_some_and(|(next, _)| next == series)
        };
        let series_max = match &self.last {
            Some((last, asked)) if follows(last) => SERIES_MAX.min(asked * 4),
            _ => 1,
        };
        let (mut ids, mut weight) = (vec![meta.id], meta.hot_rows());
        let mut last = series;
        let after = (Bound::Excluded(series), Bound::Unbounded);
        for (key, next) in all.range::<SeriesKey, _>(after) {
            if ids.len() == series_max {
                break;
            }
            if !next.hot.values().any(|year| year.overlaps(range)) {
                continue;
            }
            weight += next.hot_rows();
            if weight > ROWS_MAX {
                break;
            }
            last = key;
            if !self.rows.contains_key(&next.id) {
                ids.push(next.id);
            }
        }
        self.last = Some((last.clone(), ids.len()));
        let mut found = match catalog.hot_rows(&ids, range) {
            // The damaged segment may be one of another series.
            Err(_) if ids.len() > 1 => {
                ids.truncate(1);
                catalog.hot_rows(&ids, range)?
            }
            found => found?,
        };
        let wanted = found.remove(&meta.id).unwrap_or_default();
        for id in ids.into_iter().skip(1) {
            let rows = found.remove(&id).unwrap_or_default();
            self.count += rows.len() as u64;
            self.rows.insert(id, rows);
        }
        Ok(wanted)
    }
}
