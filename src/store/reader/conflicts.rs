//! Conflicts: all of them, the newest, or counted.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::model::columns::{COLUMN_COUNT, COLUMNS, Value};
use crate::model::{Bar, SeriesKey, TimeRange, Timestamp};
use crate::store::catalog::date_from_days;
use crate::store::columns::sql_list;
use crate::store::error::Error;

use super::Reader;

/// One conflict.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictRow {
    /// Whose bar.
    pub series: SeriesKey,
    pub staged: Bar,
    pub staged_source: String,
    pub offered: Bar,
    pub offered_source: String,
    /// `skipped` or `updated`.
    pub resolution: String,
    /// The run that offered it.
    pub run: String,
}

/// The conflicts of one series on one UTC date.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictDay {
    pub series: SeriesKey,
    /// The UTC date.
    pub date: NaiveDate,
    /// The times of the first and the last one.
    pub span: (Timestamp, Timestamp),
    pub conflicts: u64,
    /// Those that replaced the stored bar.
    pub updated: u64,
    /// The median of offered close / stored close.
    pub close_ratio: Option<f64>,
}

impl Reader {
    /// All conflicts, by series and timestamp.
    pub fn conflicts(&self) -> Result<Vec<ConflictRow>, Error> {
        self.conflict_rows("ORDER BY series_id, timestamp, run_id")
    }

    /// The conflicts that `clauses` (of a SELECT, from WHERE on) leave.
    fn conflict_rows(&self, clauses: &str) -> Result<Vec<ConflictRow>, Error> {
        let by_id = self.keys_by_id();
        let sql = format!(
            "SELECT series_id, epoch_us(timestamp), {}, {}, staged_source, offered_source, resolution, run_id
             FROM ({}) {clauses}",
            sql_list("staged_"),
            sql_list("offered_"),
            self.catalog()?.conflicts_select("main")?
        );
        let rows = self.catalog()?.rows(&sql, [], |row| {
            let timestamp = Timestamp::from_micros(row.get(1)?);
            let bar = |first: usize| -> duckdb::Result<Bar> {
                let mut values = COLUMNS.map(|column| Value::missing(column.kind));
                for (value, index) in values.iter_mut().zip(first..) {
                    *value = match value {
                        Value::Double(_) => Value::double(row.get(index)?),
                        Value::Integer(_) => Value::integer(row.get(index)?),
                    };
                }
                Ok(Bar::from_values(timestamp, values))
            };
            let staged = bar(2)?;
            let offered = bar(2 + COLUMN_COUNT)?;
            let words = 2 + 2 * COLUMN_COUNT;
            let words: [String; 4] = [
                row.get(words)?,
                row.get(words + 1)?,
                row.get(words + 2)?,
                row.get(words + 3)?,
            ];
            Ok((row.get::<_, i32>(0)?, staged, offered, words))
        })?;
        let named = |(id, staged, offered, [staged_source, offered_source, resolution, run]): (
            i32,
            Bar,
            Bar,
            [String; 4],
        )| {
            by_id.get(&id).map(|series| ConflictRow {
                series: (*series).clone(),
                staged,
                staged_source,
                offered,
                offered_source,
                resolution,
                run,
            })
        };
        Ok(rows.into_iter().filter_map(named).collect())
    }

    /// The newest conflicts of some series, by timestamp, newest first.
    pub fn newest_conflicts(
        &self,
        series: &[SeriesKey],
        max: usize,
    ) -> Result<Vec<ConflictRow>, Error> {
        self.conflict_rows(&format!(
            "WHERE {} ORDER BY timestamp DESC, series_id, run_id LIMIT {max}",
            self.is_of(series)
        ))
    }

    /// The conflicts of some series by UTC date, newest first.
    pub fn conflict_days(&self, series: &[SeriesKey]) -> Result<Vec<ConflictDay>, Error> {
        let by_id = self.keys_by_id();
        let sql = format!(
            "SELECT series_id, (timestamp AT TIME ZONE 'UTC')::DATE - DATE '1970-01-01', count(*)::BIGINT,
                    count(*) FILTER (resolution = 'updated')::BIGINT,
                    median(offered_close / nullif(staged_close, 0)),
                    epoch_us(min(timestamp)), epoch_us(max(timestamp))
             FROM ({}) WHERE {} GROUP BY 1, 2 ORDER BY 2 DESC, 1",
            self.catalog()?.conflicts_select("main")?,
            self.is_of(series)
        );
        let rows = self.catalog()?.rows(&sql, [], |row| {
            let counts: (i64, i64) = (row.get(2)?, row.get(3)?);
            Ok((
                row.get::<_, i32>(0)?,
                row.get::<_, i64>(1)?,
                counts,
                row.get(4)?,
                (row.get(5)?, row.get(6)?),
            ))
        })?;
        let day = |(id, date, (conflicts, updated), close_ratio, (first, last))| {
            Some(ConflictDay {
                span: (Timestamp::from_micros(first), Timestamp::from_micros(last)),
                series: (*by_id.get(&id)?).clone(),
                date: date_from_days(i32::try_from(date).ok()?),
                conflicts: conflicts as u64,
                updated: updated as u64,
                close_ratio,
            })
        };
        Ok(rows.into_iter().filter_map(day).collect())
    }

    /// The ratios of offered to stored closes in conflicts of some series, rounded to three decimals and
    /// sorted, each with its number of conflicts.
    pub fn conflict_ratios(&self, series: &[SeriesKey]) -> Result<Vec<(f64, u64)>, Error> {
        let sql = format!(
            "SELECT round(offered_close / nullif(staged_close, 0), 3) AS ratio, count(*)::BIGINT
             FROM ({}) WHERE {} GROUP BY ratio HAVING isfinite(ratio) ORDER BY ratio",
            self.catalog()?.conflicts_select("main")?,
            self.is_of(series)
        );
        self.catalog()?.rows(&sql, [], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))
        })
    }

    /// When a series has conflicts inside `range`: the first `max` times, each once.
    pub fn conflict_times(
        &self,
        series: &SeriesKey,
        range: TimeRange,
        max: usize,
    ) -> Result<Vec<Timestamp>, Error> {
        let sql = format!(
            "SELECT DISTINCT epoch_us(timestamp) AS micros FROM ({})
             WHERE {} AND micros >= {} AND micros < {} ORDER BY micros LIMIT {max}",
            self.catalog()?.conflicts_select("main")?,
            self.is_of(std::slice::from_ref(series)),
            range.start,
            range.end
        );
        self.catalog()?
            .rows(&sql, [], |row| Ok(Timestamp::from_micros(row.get(0)?)))
    }

    fn keys_by_id(&self) -> BTreeMap<i32, &SeriesKey> {
        (self.series.iter())
            .map(|(key, meta)| (meta.id, key))
            .collect()
    }

    /// A condition on the column `series_id`.
    fn is_of(&self, series: &[SeriesKey]) -> String {
        let known = series.iter().filter_map(|key| self.series.get(key));
        let ids: Vec<String> = known.map(|meta| meta.id.to_string()).collect();
        match ids.is_empty() {
            true => "FALSE".to_owned(),
            false => format!("series_id IN ({})", ids.join(", ")),
        }
    }
}
