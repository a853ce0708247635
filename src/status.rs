//! Use case: what a store holds, from the counts in its catalog. No bars are read, except the times
//! of those in sessions with rejected rows.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use chrono::NaiveDate;

use crate::calendar::CalendarCache;
use crate::gaps::{Completeness, align, completeness, rejected_of};
use crate::model::{SeriesKey, Timestamp};
use crate::store::{
    Error, MissingRows, Reader, RunningWriter, SeriesRow, SessionCount, TargetRow, running_writer,
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

impl Sessions {
    fn count(states: &[(NaiveDate, SessionState)]) -> Self {
        let complete = states
            .iter()
            .filter(|(_, state)| *state == SessionState::Complete);
        Self {
            complete: complete.count() as u64,
            expected: states.len() as u64,
        }
    }
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
    /// It is complete by the rule of [`gaps`](crate::gaps::completeness).
    Complete,
    /// It has bars, and others are missing.
    Short,
    /// It has no bars, and isn't complete.
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
        let (counts, rejected) = match lake_only {
            true => (BTreeMap::new(), BTreeMap::new()),
            false => (reader.sessions()?, reader.missing_rows()?),
        };
        Self::with(reader, keep, calendars, bytes, &counts, &rejected)
    }

    /// The same without the numbers of sessions: for stores with too many to count them each time.
    pub fn without_sessions(
        reader: &Reader,
        keep: impl Fn(&SeriesRow) -> bool,
        bytes: u64,
    ) -> Result<Self, Error> {
        let mut calendars = CalendarCache::default();
        let (counts, rejected) = (BTreeMap::new(), BTreeMap::new());
        Self::with(reader, keep, &mut calendars, bytes, &counts, &rejected)
    }

    fn with(
        reader: &Reader,
        keep: impl Fn(&SeriesRow) -> bool,
        calendars: &mut CalendarCache,
        bytes: u64,
        counts: &BTreeMap<SeriesKey, Vec<SessionCount>>,
        rejected: &BTreeMap<SeriesKey, MissingRows>,
    ) -> Result<Self, Error> {
        let lake_only = reader.is_lake_only().is_some();
        let seen = match lake_only {
            true => Vec::new(),
            false => reader.targets()?,
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
                .and_then(|counts| states_of(calendars, &row, counts, rejected.get(&row.key)))
                .map(|states| Sessions::count(&states));
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
    let (counts, rejected) = (reader.sessions()?, reader.missing_rows()?);
    let counts = counts.get(&row.key);
    let states =
        counts.and_then(|counts| states_of(calendars, row, counts, rejected.get(&row.key)));
    Ok(states.unwrap_or_default())
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

/// The state of each session from the first to the last with bars or rejected rows. Sessions outside
/// the calendar's span are left out.
fn states_of(
    calendars: &mut CalendarCache,
    row: &SeriesRow,
    counts: &[SessionCount],
    rejected: Option<&MissingRows>,
) -> Option<Vec<(NaiveDate, SessionState)>> {
    let none = BTreeMap::new();
    let rejected = rejected.map_or(&none, |rejected| &rejected.sessions);
    let stored = counts.iter().map(|count| count.session);
    let dates = stored.chain(rejected.keys().copied());
    let (first, last) = (dates.clone().min()?, dates.max()?);
    let sessions = calendars.sessions(&row.provenance.exchange, first, last)?;
    let counts: Vec<Option<&SessionCount>> = align(sessions, counts).collect();
    let rejected = rejected_of(sessions, rejected);
    let found = completeness(sessions, &counts, &rejected, row.key.interval);
    let states = found.into_iter().zip(counts).map(|(found, count)| {
        match (found, count.map_or(0, |count| count.regular)) {
            (Completeness::Complete, _) => SessionState::Complete,
            (_, 0) => SessionState::Missing,
            _ => SessionState::Short,
        }
    });
    Some(
        (sessions.iter().map(|session| session.date))
            .zip(states)
            .collect(),
    )
}
