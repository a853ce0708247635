//! Conflicts, for the page: all of them by ratio, and the newest by day and one by one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Error, PageData};
use crate::documents;

/// The most conflicts in a document, and the most days with conflicts. The counts by ratio are always complete.
pub const CONFLICT_ROWS_MAX: usize = 20_000;

impl PageData<'_> {
    /// `backfill.conflicts/1`, with `total`, `days` and `ratios`.
    ///
    /// - `total`, `days_total`: how many conflicts there are, and how many `days` with conflicts of a
    ///   series.
    /// - `date` of a day is that of UTC; `from` and `to` are the trading dates of its first and last
    ///   conflict.
    /// - `ratios`: offered close / stored close, and how often it is there.
    pub fn conflicts(&mut self) -> Result<Value, Error> {
        let exchanges: BTreeMap<_, _> = (self.rows()?.into_iter())
            .map(|row| (row.key, row.provenance.exchange))
            .collect();
        let series: Vec<_> = exchanges.keys().cloned().collect();
        let days = self.reader.conflict_days(&series)?;
        let total: u64 = days.iter().map(|day| day.conflicts).sum();
        let rows = self.reader.newest_conflicts(&series, CONFLICT_ROWS_MAX)?;
        let mut document = documents::conflicts(&rows);
        document["total"] = json!(total);
        document["days_total"] = json!(days.len());
        document["days"] = (days.iter().take(CONFLICT_ROWS_MAX))
            .map(|day| {
                let calendar = (exchanges.get(&day.series))
                    .and_then(|exchange| self.calendars.calendar(exchange));
                let [from, to] = [day.span.0, day.span.1].map(|at| {
                    calendar.map_or_else(
                        || at.to_utc().date_naive(),
                        |calendar| calendar.session_date(at),
                    )
                });
                json!({
                    "from": from.to_string(),
                    "to": to.to_string(),
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
