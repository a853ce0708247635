//! Counts a session, kept by the commits so that status and gaps never scan bars.

use std::collections::{BTreeMap, HashMap};

use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, Int32Type, TimestampMicrosecondType};

use chrono::NaiveDate;

use crate::calendar::Calendar;
use crate::model::{DateRange, Interval, SeriesKey, Ticker, Timestamp};

use super::catalog::{SessionRow, date_from_days};
use super::error::Error;
use super::reader::{Reader, SessionCount};

/// Days in which every ticker that trades has at least one session.
const DAYS_A_SESSION_MAX: usize = 7;

/// The counts that sorted, new timestamps add. Without a calendar, a session is a UTC date and every bar is regular.
pub(crate) fn count(
    series_id: i32,
    timestamps: &[i64],
    calendar: Option<&Calendar>,
) -> Vec<SessionRow> {
    let Some(calendar) = calendar else {
        return count_utc(series_id, timestamps);
    };
    calendar
        .session_runs(timestamps)
        .map(|(session, range)| {
            let run = &timestamps[range];
            // Outside the calendar's span nothing says what was regular: then all of it counts.
            let regular = match calendar.session_on(session) {
                Ok(Some(hours)) => hours
                    .parts()
                    .map(|(open, close)| within(run, open.micros(), close.micros()))
                    .sum(),
                Ok(None) => 0,
                Err(_) => run.len(),
            };
            row(series_id, session, run, regular)
        })
        .collect()
}

fn count_utc(series_id: i32, timestamps: &[i64]) -> Vec<SessionRow> {
    timestamps
        .chunk_by(|a, b| {
            a.div_euclid(crate::model::DAY_MICROS) == b.div_euclid(crate::model::DAY_MICROS)
        })
        .map(|run| {
            row(
                series_id,
                Timestamp::from_micros(run[0]).to_utc().date_naive(),
                run,
                run.len(),
            )
        })
        .collect()
}

fn row(series_id: i32, session: chrono::NaiveDate, run: &[i64], regular: usize) -> SessionRow {
    SessionRow {
        series_id,
        session,
        bars: run.len() as u32,
        regular: regular as u32,
        first: Timestamp::from_micros(run[0]),
        last: Timestamp::from_micros(run[run.len() - 1]),
    }
}

fn within(run: &[i64], start: i64, end: i64) -> usize {
    run.partition_point(|ts| *ts < end) - run.partition_point(|ts| *ts < start)
}

impl Reader {
    /// Bars a session of every series.
    ///
    /// Five years of five hundred series are 630,000 rows. They are read as columns and added up here,
    /// which takes a third of the time of grouping and sorting them in SQL.
    pub fn sessions(&self) -> Result<BTreeMap<SeriesKey, Vec<SessionCount>>, Error> {
        self.sessions_where("")
    }

    /// Bars a session of some series.
    pub fn sessions_of(
        &self,
        series: &[SeriesKey],
    ) -> Result<BTreeMap<SeriesKey, Vec<SessionCount>>, Error> {
        let known = series.iter().filter_map(|key| self.series.get(key));
        let ids: Vec<String> = known.map(|meta| meta.id.to_string()).collect();
        match ids.is_empty() {
            true => Ok(BTreeMap::new()),
            false => self.sessions_where(&format!("WHERE series_id IN ({})", ids.join(", "))),
        }
    }

    fn sessions_where(
        &self,
        condition: &str,
    ) -> Result<BTreeMap<SeriesKey, Vec<SessionCount>>, Error> {
        let mut rows = self.session_rows_where(condition)?;
        rows.sort_by_key(|(id, count)| (*id, count.session));
        let by_id: HashMap<i32, &SeriesKey> = self
            .series
            .iter()
            .map(|(key, meta)| (meta.id, key))
            .collect();
        let mut out = BTreeMap::new();
        for of_series in rows.chunk_by(|a, b| a.0 == b.0) {
            let Some(key) = by_id.get(&of_series[0].0) else {
                continue;
            };
            let mut counts: Vec<SessionCount> = Vec::with_capacity(of_series.len());
            for of_session in of_series.chunk_by(|a, b| a.1.session == b.1.session) {
                let parts = || of_session.iter().map(|(_, part)| part);
                let bars: i64 = parts().map(|part| part.bars).sum();
                if bars > 0 {
                    counts.push(SessionCount {
                        session: date_from_days(of_session[0].1.session),
                        bars: bars as u32,
                        regular: parts().map(|part| part.regular).sum::<i64>().max(0) as u32,
                        first: Timestamp::from_micros(
                            parts().map(|part| part.first).min().unwrap_or(0),
                        ),
                        last: Timestamp::from_micros(
                            parts().map(|part| part.last).max().unwrap_or(0),
                        ),
                    });
                }
            }
            if !counts.is_empty() {
                out.insert((*key).clone(), counts);
            }
        }
        Ok(out)
    }

    /// Of every series with bars of `interval` the first session and the last `count` ones up to
    /// `until`, in order: for runs that continue from them. Of a ticker that
    /// trades less than weekly the last ones can be fewer.
    pub fn end_sessions(
        &self,
        interval: Interval,
        count: usize,
        until: NaiveDate,
    ) -> Result<HashMap<Ticker, Vec<NaiveDate>>, Error> {
        let days = count.saturating_mul(DAYS_A_SESSION_MAX);
        let sql = format!(
            "WITH sessions AS (SELECT series_id, session FROM main.sessions WHERE session <= '{until}'::DATE),
             ends AS (SELECT series_id, min(session) AS first, max(session) AS last FROM sessions GROUP BY series_id)
             SELECT series_id, first AS session FROM ends
             UNION SELECT series_id, last FROM ends
             UNION SELECT s.series_id, s.session FROM sessions s JOIN ends USING (series_id)
               WHERE {count} > 1 AND s.session > ends.last - {days}::INTEGER
             ORDER BY series_id, session"
        );
        let mut found = self.dates_by_ticker(&sql, interval)?;
        for sessions in found.values_mut() {
            let last = sessions.len().saturating_sub(count.max(1)).max(1);
            sessions.drain(1..last.min(sessions.len()));
        }
        Ok(found)
    }

    /// Of every series with bars of `interval` the stored sessions inside `dates`, and the nearest one
    /// before and after, in order: what new bars of these dates can be compared with.
    pub fn sessions_around(
        &self,
        interval: Interval,
        dates: DateRange,
    ) -> Result<HashMap<Ticker, Vec<NaiveDate>>, Error> {
        let (first, last) = (dates.first(), dates.last());
        let sql = format!(
            "SELECT series_id, session FROM sessions WHERE session BETWEEN DATE '{first}' AND DATE '{last}'
             UNION SELECT series_id, max(session) FROM sessions WHERE session < DATE '{first}' GROUP BY series_id
             UNION SELECT series_id, min(session) FROM sessions WHERE session > DATE '{last}' GROUP BY series_id
             ORDER BY series_id, session"
        );
        self.dates_by_ticker(&sql, interval)
    }

    /// Runs a query for (series_id, date) and groups the dates by ticker, for the series of `interval`.
    fn dates_by_ticker(
        &self,
        sql: &str,
        interval: Interval,
    ) -> Result<HashMap<Ticker, Vec<NaiveDate>>, Error> {
        let by_id: HashMap<i32, &SeriesKey> = (self.series.iter())
            .filter(|(key, _)| key.interval == interval)
            .map(|(key, meta)| (meta.id, key))
            .collect();
        let catalog = self.catalog()?;
        let failed = |error| catalog.failed(error);
        let mut statement = catalog.connection.prepare(sql).map_err(failed)?;
        let mut found: HashMap<Ticker, Vec<NaiveDate>> = HashMap::new();
        for batch in statement.query_arrow([]).map_err(failed)? {
            let ids = batch.column(0).as_primitive::<Int32Type>().values();
            let dates = batch.column(1).as_primitive::<Date32Type>().values();
            for (id, date) in ids.iter().zip(dates) {
                if let Some(key) = by_id.get(id) {
                    let of_ticker = found.entry(key.ticker.clone()).or_default();
                    of_ticker.push(date_from_days(*date));
                }
            }
        }
        Ok(found)
    }

    fn session_rows_where(&self, condition: &str) -> Result<Vec<(i32, CountPart)>, Error> {
        let catalog = self.catalog()?;
        let sql = format!(
            "SELECT series_id, session, bars, regular, first, last FROM sessions {condition}"
        );
        let mut statement =
            (catalog.connection.prepare(&sql)).map_err(|error| catalog.failed(error))?;
        let batches = statement
            .query_arrow([])
            .map_err(|error| catalog.failed(error))?;
        let mut rows = Vec::new();
        for batch in batches {
            let int = |column: usize| batch.column(column).as_primitive::<Int32Type>().values();
            let time = |column: usize| {
                batch
                    .column(column)
                    .as_primitive::<TimestampMicrosecondType>()
                    .values()
            };
            let (ids, bars, regular) = (int(0), int(2), int(3));
            let sessions = batch.column(1).as_primitive::<Date32Type>().values();
            let (first, last) = (time(4), time(5));
            rows.extend((0..batch.num_rows()).map(|row| {
                let part = CountPart {
                    session: sessions[row],
                    bars: i64::from(bars[row]),
                    regular: i64::from(regular[row]),
                    first: first[row],
                    last: last[row],
                };
                (ids[row], part)
            }));
        }
        Ok(rows)
    }
}

/// One row of the catalog's table: what one commit, or many folded together, added to a session.
struct CountPart {
    session: i32,
    bars: i64,
    regular: i64,
    first: i64,
    last: i64,
}
