//! The history of bars: from which commit on it is known, and the values that commits replaced.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use duckdb::params;

use crate::model::columns::COLUMNS;
use crate::model::{Interval, SeriesKey, Ticker, TimeRange};
use crate::store::columns::{BAR_COLUMNS, FIRST_VALUE, bars_from_arrays, sql_list};
use crate::store::error::Error;
use crate::store::rows::StagedRows;

use super::Catalog;

/// The key in the `meta` table of the commit from which on the history is complete. With interval and
/// ticker after it: the same for one series, after a drop.
const HISTORY_FROM: &str = "history_from";

impl Catalog {
    /// The first commit after which the bars are known. `None` for a store that an older program made and
    /// that wasn't opened for writing since.
    pub fn history_from(&self) -> Result<Option<u64>, Error> {
        Ok(self.meta(HISTORY_FROM)?.and_then(|text| text.parse().ok()))
    }

    /// Records that only the bars after the next commit and later ones will be known. Not those after the
    /// newest commit: bars may have been removed since, and a removal has no commit number.
    pub fn begin_history(&self) -> Result<(), Error> {
        self.set_meta(HISTORY_FROM, &(self.max_commit_seq()? + 1).to_string())
    }

    /// Records that bars of a series were removed: what it had before the next commit isn't known.
    pub fn forget_history(&self, series: &SeriesKey) -> Result<(), Error> {
        let minutes = series.interval.minutes();
        let key = format!("{HISTORY_FROM} {minutes} {}", series.ticker);
        self.set_meta(&key, &(self.max_commit_seq()? + 1).to_string())
    }

    /// The series whose bars after commit `seq` aren't known, because bars were removed since.
    pub fn forgotten_since(&self, seq: u64) -> Result<Vec<SeriesKey>, Error> {
        let marks = self.rows(
            "SELECT key, value FROM meta WHERE starts_with(key, ?) ORDER BY key",
            params![format!("{HISTORY_FROM} ")],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )?;
        let series = |(key, from): (String, String)| -> Option<SeriesKey> {
            let mut words = key.splitn(3, ' ').skip(1);
            let interval = Interval::from_minutes(words.next()?.parse().ok()?)?;
            let ticker = Ticker::new(words.next()?).ok()?;
            (seq < from.parse().ok()?).then_some(SeriesKey { interval, ticker })
        };
        Ok(marks.into_iter().filter_map(series).collect())
    }

    /// Whether a commit with this number is recorded. Those of a catalog that was lost or replaced by an older
    /// copy aren't.
    pub fn has_commit(&self, seq: u64) -> Result<bool, Error> {
        let found = self.rows(
            "SELECT 1 FROM commits WHERE commit_seq = ? LIMIT 1",
            params![seq as i64],
            |row| row.get::<_, i32>(0),
        )?;
        Ok(!found.is_empty())
    }

    /// A SELECT of the values that were stored after commit `seq` and replaced since: the conflicts of
    /// updates by later commits.
    pub fn replaced_select(&self, schema: &str, seq: u64) -> Result<String, Error> {
        Ok(format!(
            "SELECT * FROM ({}) WHERE resolution = 'updated' AND staged_seq <= {seq} AND commit_seq > {seq}",
            self.conflicts_select(schema)?
        ))
    }

    /// The rows of a series that were stored after commit `seq` and replaced since, sorted.
    pub fn replaced_rows(
        &self,
        series_id: i32,
        range: TimeRange,
        seq: u64,
    ) -> Result<StagedRows, Error> {
        let sql = format!(
            "SELECT epoch_us(timestamp) AS micros, {}, staged_source, staged_seq FROM ({})
               WHERE series_id = {series_id} AND micros >= {} AND micros < {} ORDER BY micros",
            sql_list("staged_"),
            self.replaced_select("main", seq)?,
            range.start,
            range.end
        );
        let failed = |error| self.failed(error);
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = StagedRows::default();
        for batch in statement.query_arrow([]).map_err(failed)? {
            let columns = batch.columns();
            let times = columns[0].as_primitive::<Int64Type>().values().to_vec();
            let Some(bars) = bars_from_arrays(times, &columns[FIRST_VALUE..=COLUMNS.len()]) else {
                continue;
            };
            let sources = columns[BAR_COLUMNS].as_string::<i32>();
            for name in sources {
                let index = rows.source_index(name.unwrap_or(""));
                rows.source.push(index);
            }
            let commits = columns[BAR_COLUMNS + 1].as_primitive::<Int64Type>();
            rows.commit_seq.extend_from_slice(commits.values());
            rows.bars.append(bars);
        }
        Ok(rows)
    }
}
