//! Use case: what a store holds, from the counts in its catalog. No bars are read.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use chrono::NaiveDate;

use crate::calendar::{CalendarCache, Session};
use crate::gaps::{align, complete};
use crate::model::{SeriesKey, Timestamp};
use crate::store::{
    Error, Reader, RunningWriter, SeriesRow, SessionCount, TargetRow, running_writer,
};

/// What a store holds.
pub struct Overview {
    pub store: PathBuf,
    /// Its series, by interval and ticker.
    pub series: Vec<SeriesStatus>,
    /// Sync targets, in the order of [`SeriesStatus::unsynced`].
    pub targets: Vec<String>,
    /// Its size on disk.
    pub bytes: u64,
    /// Whether only the lake could be read, because another process writes.
    pub lake_only: bool,
    /// The process that is writing now.
    pub writer: Option<RunningWriter>,
}

/// What a store holds of one series.
pub struct SeriesStatus {
    pub row: SeriesRow,
    /// Its sessions; `None` if the exchange has no calendar.
    pub sessions: Option<Sessions>,
    /// Rows that each target lacked when it was last seen; `None` for a target that never had the
    /// series.
    pub unsynced: Vec<Option<Unsynced>>,
}

/// How many sessions are complete, from the first to the last with bars.
#[derive(Clone, Copy, Default)]
pub struct Sessions {
    /// Complete ones.
    pub complete: u64,
    /// All of them.
    pub expected: u64,
}

/// Rows that a target lacked.
#[derive(Clone, Copy)]
pub struct Unsynced {
    /// How many.
    pub rows: u64,
    /// When it was last seen.
    pub seen_at: Timestamp,
}

/// How complete a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It has enough bars.
    Complete,
    /// It has some bars.
    Short,
    /// It has no bars.
    Missing,
}

impl Overview {
    /// Reads the status of the series that `keep` accepts. `bytes` is the store's size on disk.
    pub fn read(
        reader: &Reader,
        keep: impl Fn(&SeriesRow) -> bool,
        calendars: &mut CalendarCache,
        bytes: u64,
    ) -> Result<Self, Error> {
        let lake_only = reader.is_lake_only().is_some();
        let (counts, seen) = if lake_only {
            (BTreeMap::new(), Vec::new())
        } else {
            (reader.sessions()?, reader.targets()?)
        };
        let mut targets: Vec<String> = seen.iter().map(|row| row.target.clone()).collect();
        targets.dedup();
        let seen: HashMap<(&str, &SeriesKey), &TargetRow> = seen
            .iter()
            .map(|row| ((row.target.as_str(), &row.series), row))
            .collect();
        let mut series = Vec::new();
        for row in reader.series()?.into_iter().filter(keep) {
            let sessions = counts
                .get(&row.key)
                .and_then(|counts| count_sessions(calendars, &row, counts));
            let mut unsynced = Vec::with_capacity(targets.len());
            for target in &targets {
                let target = seen.get(&(target.as_str(), &row.key));
                let lacked = target.map(|target| unsynced_rows(reader, &row, target));
                unsynced.push(lacked.transpose()?);
            }
            series.push(SeriesStatus {
                row,
                sessions,
                unsynced,
            });
        }
        Ok(Self {
            store: reader.dir().to_owned(),
            series,
            targets,
            bytes,
            lake_only,
            writer: running_writer(reader.dir())?,
        })
    }

    /// The sums over all series: rows, hot rows, sessions.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, Sessions) {
        let mut sessions = Sessions::default();
        for one in self.series.iter().filter_map(|series| series.sessions) {
            sessions.complete += one.complete;
            sessions.expected += one.expected;
        }
        (
            self.series.iter().map(|series| series.row.rows).sum(),
            self.series.iter().map(|series| series.row.hot_rows).sum(),
            sessions,
        )
    }
}

/// The state of each session of a series from its first to its last; empty if the exchange has no
/// calendar.
pub fn session_states(
    reader: &Reader,
    row: &SeriesRow,
    calendars: &mut CalendarCache,
) -> Result<Vec<(NaiveDate, SessionState)>, Error> {
    let counts = reader.sessions()?;
    let counts = counts.get(&row.key);
    let Some((sessions, bars)) = counts.and_then(|counts| bars_of(calendars, row, counts)) else {
        return Ok(Vec::new());
    };
    let complete = complete(sessions, &bars, row.key.interval);
    let states = bars
        .iter()
        .zip(complete)
        .map(|(bars, complete)| match bars {
            _ if complete => SessionState::Complete,
            0 => SessionState::Missing,
            _ => SessionState::Short,
        });
    let dates = sessions.iter().map(|session| session.date);
    Ok(dates.zip(states).collect())
}

fn unsynced_rows(reader: &Reader, row: &SeriesRow, target: &TargetRow) -> Result<Unsynced, Error> {
    let rows = if target.base_seq >= row.max_commit_seq {
        0
    } else {
        reader.rows_since(&row.key, target.base_seq)?
    };
    Ok(Unsynced {
        rows,
        seen_at: target.seen_at,
    })
}

fn count_sessions(
    calendars: &mut CalendarCache,
    row: &SeriesRow,
    counts: &[SessionCount],
) -> Option<Sessions> {
    let (sessions, bars) = bars_of(calendars, row, counts)?;
    let complete = complete(sessions, &bars, row.key.interval);
    Some(Sessions {
        complete: complete.iter().filter(|complete| **complete).count() as u64,
        expected: sessions.len() as u64,
    })
}

/// The sessions from the first to the last counted one, and the bars in each. Sessions outside the
/// calendar's span are left out.
fn bars_of<'a>(
    calendars: &'a mut CalendarCache,
    row: &SeriesRow,
    counts: &[SessionCount],
) -> Option<(&'a [Session], Vec<u32>)> {
    let (first, last) = (counts.first()?.session, counts.last()?.session);
    let sessions = calendars.sessions(&row.provenance.exchange, first, last)?;
    let bars = align(sessions, counts).map(|count| count.map_or(0, |count| count.regular));
    Some((sessions, bars.collect()))
}
