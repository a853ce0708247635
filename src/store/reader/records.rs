//! What the catalog has besides bars: commits, runs, sync targets, requests.

use std::collections::HashMap;

use duckdb::params;
use uuid::Uuid;

use crate::model::{SeriesKey, TimeRange, Timestamp};
use crate::store::error::Error;
use crate::store::rows::StagedRows;

use super::{Reader, SeriesRow};

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Its id.
    pub run: String,
    pub command: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` if it is running or was killed.
    pub finished_at: Option<Timestamp>,
    /// `ok`, `partial`, …; `running` or `killed` if it has no end.
    pub status: String,
    /// Its summary, as JSON.
    pub summary: Option<String>,
}

/// How far a sync target had come when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// The target, without its password.
    pub target: String,
    pub series: SeriesKey,
    /// Every commit of the series up to this one was there.
    pub base_seq: u64,
    pub seen_at: Timestamp,
}

impl Reader {
    /// The id of a commit; `None` where the store knows no such commit.
    pub fn commit_id(&self, seq: u64) -> Result<Option<Uuid>, Error> {
        Ok(self.catalog()?.commit_ids(&[seq])?.remove(&seq))
    }

    /// The ids of many commits at once; those that the store does not know are missing.
    pub fn commit_ids(&self, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, Error> {
        self.catalog()?.commit_ids(seqs)
    }

    /// Bars of one series as counted by session.
    pub(in crate::store) fn session_rows(&self, series_id: i32) -> Result<u64, Error> {
        let counted = self.catalog()?.rows(
            "SELECT coalesce(sum(bars), 0)::BIGINT FROM sessions WHERE series_id = ?",
            params![series_id],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(counted.first().copied().unwrap_or(0) as u64)
    }

    /// Approximately the number of sessions, of all series, that the catalog has counts of.
    pub fn session_total(&self) -> Result<u64, Error> {
        let counted = self
            .catalog()?
            .rows("SELECT count(*)::BIGINT FROM sessions", [], |row| {
                row.get::<_, i64>(0)
            })?;
        Ok(counted.first().copied().unwrap_or(0) as u64)
    }

    /// Requests spent on a day under one fingerprint of a provider's key, by all runs.
    pub fn requests_spent(&self, fingerprint: &str, day: chrono::NaiveDate) -> Result<u64, Error> {
        self.catalog()?.requests_spent(fingerprint, day)
    }

    /// All runs, oldest first.
    pub fn runs(&self) -> Result<Vec<RunRow>, Error> {
        let sql = format!(
            "SELECT run_id, command, epoch_us(started_at), epoch_us(finished_at), {}, summary
             FROM runs ORDER BY started_at, run_id",
            self.run_status()
        );
        self.catalog()?.rows(&sql, [], |row| {
            Ok(RunRow {
                run: row.get(0)?,
                command: row.get(1)?,
                started_at: Timestamp::from_micros(row.get(2)?),
                finished_at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_micros),
                status: row.get(4)?,
                summary: row.get(5)?,
            })
        })
    }

    /// The SQL for the status of a run. Without a writer, a run without an end was killed; the next
    /// writer records that.
    pub(in crate::store) fn run_status(&self) -> &'static str {
        match self.has_writer() {
            true => "status",
            false => "replace(status, 'running', 'killed')",
        }
    }

    /// Whether the bars of a series are the simulator's. A series has one kind, so one bar is enough.
    pub fn is_demo(&self, row: &SeriesRow) -> Result<bool, Error> {
        let first = TimeRange {
            start: row.first.micros(),
            end: row.first.micros() + 1,
        };
        for batch in self.scan(&row.key, first)? {
            let rows = StagedRows::from_batch(&batch?);
            let first = rows.and_then(|rows| {
                let source = usize::try_from(*rows.source.first()?).ok()?;
                rows.sources.get(source).cloned()
            });
            if let Some(source) = first {
                return Ok(source.is_demo());
            }
        }
        Ok(false)
    }

    /// Sync targets as last seen.
    pub fn targets(&self) -> Result<Vec<TargetRow>, Error> {
        let rows = self.catalog()?.rows(
            "SELECT target, interval, ticker, base_seq, epoch_us(seen_at) FROM targets ORDER BY target, interval, ticker",
            [],
            |row| {
                let (target, minutes, ticker): (String, u32, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((target, minutes, ticker, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
            },
        )?;
        Ok(rows
            .into_iter()
            .filter_map(|(target, minutes, ticker, base_seq, seen_at)| {
                let interval = crate::model::Interval::from_minutes(minutes)?;
                let ticker = crate::model::Ticker::new(&ticker).ok()?;
                Some(TargetRow {
                    target,
                    series: SeriesKey { interval, ticker },
                    base_seq: base_seq as u64,
                    seen_at: Timestamp::from_micros(seen_at),
                })
            })
            .collect())
    }

    /// Rows of a series that commits after `seq` wrote: what a target whose base is `seq` still lacks.
    pub fn rows_since(&self, series: &SeriesKey, seq: u64) -> Result<u64, Error> {
        let Some(meta) = self.series.get(series) else {
            return Ok(0);
        };
        let counted = self.catalog()?.rows(
            "SELECT coalesce(sum(rows), 0)::BIGINT FROM commits WHERE series_id = ? AND commit_seq > ?",
            params![meta.id, seq as i64],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(counted.first().copied().unwrap_or(0) as u64)
    }
}
