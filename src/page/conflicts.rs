//! Conflicts, for the page: all of them by day and by ratio, and the newest one by one.

use serde_json::{Value, json};

use super::{Error, PageData};
use crate::documents;

/// The most conflicts in a document. The counts by day and by ratio are always complete.
pub const CONFLICT_ROWS_MAX: usize = 20_000;

impl PageData<'_> {
    /// `backfill.conflicts/1`, with `total`, `days` and `ratios`.
    pub fn conflicts(&self) -> Result<Value, Error> {
        let series: Vec<_> = self.rows()?.into_iter().map(|row| row.key).collect();
        let days = self.reader.conflict_days(&series)?;
        let total: u64 = days.iter().map(|day| day.conflicts).sum();
        let rows = self.reader.newest_conflicts(&series, CONFLICT_ROWS_MAX)?;
        let mut document = documents::conflicts(&rows);
        document["total"] = json!(total);
        document["days"] = (days.iter())
            .map(|day| {
                json!({
                    "interval_minutes": day.series.interval.minutes(),
                    "ticker": day.series.ticker.as_str(),
                    "date": day.date.to_string(),
                    "conflicts": day.conflicts,
                    "updated": day.updated,
                    "close_ratio": day.close_ratio,
                })
            })
            .collect();
        let ratios = self.reader.conflict_ratios(&series)?;
        document["ratios"] = json!(ratios);
        Ok(document)
    }
}
