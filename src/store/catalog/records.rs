//! Records other than bars: commits, conflicts, coverage, runs, counts per session.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Int16Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use chrono::NaiveDate;
use duckdb::params;
use uuid::Uuid;

use crate::model::{DAY_MICROS, Provenance, SeriesKey, Timestamp, date_micros};
use crate::store::error::Error;
use crate::store::run::RunId;

use super::{Catalog, date, instant};

/// The most commits in one query.
const COMMITS_ASKED_MAX: usize = 1_000;

/// One commit, as recorded.
#[derive(Clone, Debug)]
pub(crate) struct CommitRecord {
    pub commit_seq: u64,
    pub commit_id: Uuid,
    pub series_id: i32,
    pub rows: u64,
    pub updated: u64,
}

/// Bars that a commit adds to one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionRow {
    pub series_id: i32,
    pub session: NaiveDate,
    pub bars: u32,
    pub regular: u32,
    pub first: Timestamp,
    pub last: Timestamp,
}

pub(in crate::store) fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<StringArray>())
}

pub(in crate::store) fn instants(values: impl Iterator<Item = Timestamp>) -> ArrayRef {
    let micros: Vec<i64> = values.map(Timestamp::micros).collect();
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

pub(in crate::store) fn dates(values: impl Iterator<Item = NaiveDate>) -> ArrayRef {
    let days: Vec<i32> = values
        .map(|day| (date_micros(day) / DAY_MICROS) as i32)
        .collect();
    Arc::new(Date32Array::from(days))
}

impl Catalog {
    /// Records new series, all at once: a daily flat file brings ten thousand.
    pub fn insert_all_series(
        &self,
        series: &[(i32, &SeriesKey, &Provenance)],
    ) -> Result<(), Error> {
        let minutes = |key: &SeriesKey| key.interval.minutes() as i16;
        self.append(
            "series",
            vec![
                Arc::new(series.iter().map(|(id, ..)| *id).collect::<Int32Array>()),
                Arc::new(
                    series
                        .iter()
                        .map(|(_, key, _)| minutes(key))
                        .collect::<Int16Array>(),
                ),
                texts(series.iter().map(|(_, key, _)| key.ticker.as_str())),
                texts(
                    series
                        .iter()
                        .map(|(.., provenance)| provenance.exchange.as_str()),
                ),
                texts(
                    series
                        .iter()
                        .map(|(.., provenance)| provenance.basis.as_str()),
                ),
                texts(
                    series
                        .iter()
                        .map(|(.., provenance)| provenance.hours.as_str()),
                ),
            ],
        )
    }

    /// Records commits.
    pub fn insert_commits(&self, run: &RunId, commits: &[CommitRecord]) -> Result<(), Error> {
        let run = run.to_string();
        let ids: Vec<String> = commits
            .iter()
            .map(|commit| commit.commit_id.to_string())
            .collect();
        self.append(
            "commits",
            vec![
                Arc::new(
                    commits
                        .iter()
                        .map(|c| c.commit_seq as i64)
                        .collect::<Int64Array>(),
                ),
                texts(ids.iter().map(String::as_str)),
                Arc::new(commits.iter().map(|c| c.series_id).collect::<Int32Array>()),
                texts(commits.iter().map(|_| run.as_str())),
                Arc::new(
                    commits
                        .iter()
                        .map(|c| c.rows as i64)
                        .collect::<Int64Array>(),
                ),
                Arc::new(
                    commits
                        .iter()
                        .map(|c| c.updated as i64)
                        .collect::<Int64Array>(),
                ),
            ],
        )
    }

    /// The ids of some commits.
    pub fn commit_ids(&self, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, Error> {
        let mut found = HashMap::with_capacity(seqs.len());
        // As a list, because a temporary table can't be filled if the catalog is open for reading.
        for some in seqs.chunks(COMMITS_ASKED_MAX) {
            let wanted: Vec<String> = some.iter().map(u64::to_string).collect();
            let sql = format!(
                "SELECT DISTINCT commit_seq, commit_id FROM commits WHERE commit_seq IN ({})",
                wanted.join(", ")
            );
            let rows = self.rows(&sql, [], |row| {
                Ok((row.get::<_, i64>(0)? as u64, row.get::<_, String>(1)?))
            })?;
            let ids = rows.into_iter();
            found.extend(ids.filter_map(|(seq, id)| Some((seq, Uuid::parse_str(&id).ok()?))));
        }
        Ok(found)
    }

    /// The highest commit in the catalog, 0 if there is none.
    pub fn max_commit_seq(&self) -> Result<u64, Error> {
        let found = self.rows(
            "SELECT greatest((SELECT coalesce(max(commit_seq), 0) FROM commits), (SELECT coalesce(max(commit_seq), 0) FROM partitions),
                (SELECT coalesce(max(commit_seq), 0) FROM intents))",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(found.first().copied().unwrap_or(0) as u64)
    }

    /// Records the last commit of each series that a sync target has, in one transaction.
    pub fn record_targets_seen(
        &self,
        seen: &[(String, &SeriesKey, u64)],
        seen_at: Timestamp,
    ) -> Result<(), Error> {
        let minutes = seen.iter().map(|(_, series, _)| series.interval.minutes());
        let columns: Vec<ArrayRef> = vec![
            texts(seen.iter().map(|(target, ..)| target.as_str())),
            Arc::new(
                minutes
                    .map(|minutes| minutes as i16)
                    .collect::<Int16Array>(),
            ),
            texts(seen.iter().map(|(_, series, _)| series.ticker.as_str())),
            Arc::new(
                seen.iter()
                    .map(|(.., seq)| *seq as i64)
                    .collect::<Int64Array>(),
            ),
            instants(seen.iter().map(|_| seen_at)),
        ];
        self.transaction(|catalog| {
            catalog.run("CREATE OR REPLACE TEMP TABLE seen AS FROM targets LIMIT 0")?;
            catalog.append("seen", columns)?;
            catalog.run(
                "DELETE FROM targets t USING seen s
                 WHERE t.target = s.target AND t.interval = s.interval AND t.ticker = s.ticker;
                 INSERT INTO targets FROM seen;
                 DROP TABLE seen",
            )
        })
    }

    /// Adds to the counts per session.
    pub fn insert_sessions(&self, sessions: &[SessionRow]) -> Result<(), Error> {
        self.append(
            "sessions",
            vec![
                Arc::new(
                    sessions
                        .iter()
                        .map(|row| row.series_id)
                        .collect::<Int32Array>(),
                ),
                dates(sessions.iter().map(|row| row.session)),
                Arc::new(
                    sessions
                        .iter()
                        .map(|row| row.bars as i32)
                        .collect::<Int32Array>(),
                ),
                Arc::new(
                    sessions
                        .iter()
                        .map(|row| row.regular as i32)
                        .collect::<Int32Array>(),
                ),
                instants(sessions.iter().map(|row| row.first)),
                instants(sessions.iter().map(|row| row.last)),
            ],
        )
    }

    /// Replaces the counts of one series.
    pub fn replace_sessions(&self, series_id: i32, sessions: &[SessionRow]) -> Result<(), Error> {
        self.execute(
            "DELETE FROM sessions WHERE series_id = ?",
            params![series_id],
        )?;
        self.insert_sessions(sessions)
    }

    /// Folds the counts of one session into one row each, once appending has made many of them.
    pub fn fold_sessions(&self) -> Result<(), Error> {
        let counts = self.rows(
            "SELECT count(*), count(DISTINCT (series_id, session)) FROM sessions",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )?;
        if counts
            .first()
            .is_none_or(|(rows, distinct)| *rows < 2 * distinct + 1_000)
        {
            return Ok(());
        }
        self.transaction(|catalog| {
            catalog.run(
                "CREATE OR REPLACE TEMP TABLE folded AS SELECT series_id, session, sum(bars)::INTEGER AS bars,
                     sum(regular)::INTEGER AS regular, min(first) AS first, max(last) AS last
                   FROM sessions GROUP BY series_id, session;
                 DELETE FROM sessions; INSERT INTO sessions FROM folded; DROP TABLE folded",
            )
        })
    }

    /// Records that a run began.
    pub fn insert_run(
        &self,
        run: &RunId,
        command: &str,
        started_at: Timestamp,
    ) -> Result<(), Error> {
        self.execute(
            "INSERT INTO runs VALUES (?, ?, ?, NULL, 'running', NULL)",
            params![run.to_string(), command, instant(started_at.micros())],
        )?;
        Ok(())
    }

    /// Records how a run ended.
    pub fn finish_run(
        &self,
        run: &RunId,
        finished_at: Timestamp,
        status: &str,
        summary: &str,
    ) -> Result<(), Error> {
        self.execute(
            "UPDATE runs SET finished_at = ?, status = ?, summary = ? WHERE run_id = ?",
            params![
                instant(finished_at.micros()),
                status,
                summary,
                run.to_string()
            ],
        )?;
        Ok(())
    }

    /// Records that the runs without an end were killed. The caller has the writer's lock and has
    /// not begun a run.
    pub fn end_killed_runs(&self) -> Result<(), Error> {
        let running = self.rows(
            "SELECT 1 FROM runs WHERE status = 'running' LIMIT 1",
            [],
            |row| row.get::<_, i32>(0),
        )?;
        if running.is_empty() {
            return Ok(());
        }
        self.execute(
            "UPDATE runs SET status = 'killed' WHERE status = 'running'",
            [],
        )?;
        crate::crash_point!("open.after-killed-runs");
        Ok(())
    }

    /// Requests spent on a day under one fingerprint of a key.
    pub fn requests_spent(&self, fingerprint: &str, day: NaiveDate) -> Result<u64, Error> {
        let spent = self.rows(
            "SELECT coalesce(sum(spent), 0)::BIGINT FROM requests WHERE fingerprint = ? AND day = ?",
            params![fingerprint, date(day)],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(spent.first().copied().unwrap_or(0) as u64)
    }

    /// Adds to the requests spent on a day.
    pub fn add_requests(&self, fingerprint: &str, day: NaiveDate, count: u64) -> Result<(), Error> {
        self.transaction(|catalog| {
            let before = catalog.requests_spent(fingerprint, day)?;
            catalog.execute(
                "DELETE FROM requests WHERE fingerprint = ? AND day = ?",
                params![fingerprint, date(day)],
            )?;
            catalog.execute(
                "INSERT INTO requests VALUES (?, ?, ?)",
                params![fingerprint, date(day), (before + count) as i64],
            )?;
            Ok(())
        })
    }
}
