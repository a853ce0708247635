//! What `status` tells, put together from the catalog's counts: no bar is read.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use chrono::NaiveDate;

use crate::calendar::{Book, Session, complete};
use crate::gaps::align;
use crate::model::{Interval, SeriesKey, Timestamp};
use crate::store::{Error, Reader, SeriesRow, SessionCount, TargetRow};

/// All that is told.
pub(super) struct Overview {
    pub store: PathBuf,
    pub series: Vec<SeriesStatus>,
    /// Sync targets, in the order of the `unsynced` of each series.
    pub targets: Vec<String>,
    pub bytes: u64,
    /// While another process writes, the lake alone is seen.
    pub lake_only: bool,
}

/// One line.
pub(super) struct SeriesStatus {
    pub row: SeriesRow,
    /// `None` where nothing is known of the exchange's sessions.
    pub sessions: Option<Sessions>,
    /// Rows that each target lacked when it was last seen; `None` for a target that never saw the series.
    pub unsynced: Vec<Option<Unsynced>>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Sessions {
    pub complete: u64,
    pub expected: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Unsynced {
    pub rows: u64,
    pub seen_at: Timestamp,
}

impl Overview {
    pub fn read(
        reader: &Reader,
        keep: impl Fn(&SeriesRow) -> bool,
        calendars: &mut Book,
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
                .and_then(|counts| judge(calendars, &row, counts));
            let mut unsynced = Vec::with_capacity(targets.len());
            for target in &targets {
                unsynced.push(match seen.get(&(target.as_str(), &row.key)) {
                    None => None,
                    Some(target) => Some(Unsynced {
                        rows: if target.base_seq >= row.max_commit_seq {
                            0
                        } else {
                            reader.rows_since(&row.key, target.base_seq)?
                        },
                        seen_at: target.seen_at,
                    }),
                });
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
        })
    }

    /// The sums of all lines: rows, hot rows, sessions.
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

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Complete,
    Short,
    Missing,
}

/// The sessions of a series from its first to its last, and how each stands; empty where nothing is known of them.
pub(super) fn marks(
    reader: &Reader,
    row: &SeriesRow,
    calendars: &mut Book,
) -> Result<Vec<(NaiveDate, Mark)>, Error> {
    let counts = reader.sessions()?;
    let Some(counts) = counts.get(&row.key) else {
        return Ok(Vec::new());
    };
    let Some((sessions, bars)) = aligned(calendars, row, counts) else {
        return Ok(Vec::new());
    };
    let whole = complete(sessions, &bars, row.key.interval);
    Ok(sessions
        .iter()
        .zip(bars.iter().zip(whole))
        .map(|(session, (bars, whole))| {
            let mark = match (bars, whole) {
                (_, true) => Mark::Complete,
                (0, false) => Mark::Missing,
                (_, false) => Mark::Short,
            };
            (session.date, mark)
        })
        .collect())
}

/// Compares what was counted with what the exchange's calendar says. Outside its span nothing can be expected.
fn judge(calendars: &mut Book, row: &SeriesRow, counts: &[SessionCount]) -> Option<Sessions> {
    let (sessions, bars) = aligned(calendars, row, counts)?;
    Some(judged(sessions, &bars, row.key.interval))
}

/// The sessions from the first to the last counted one, and the bars in each.
fn aligned<'a>(
    calendars: &'a mut Book,
    row: &SeriesRow,
    counts: &[SessionCount],
) -> Option<(&'a [Session], Vec<u32>)> {
    let (first, last) = (counts.first()?.session, counts.last()?.session);
    let sessions = calendars.sessions(&row.provenance.exchange, first, last)?;
    let bars = align(sessions, counts).map(|count| count.map_or(0, |count| count.regular));
    Some((sessions, bars.collect()))
}

fn judged(sessions: &[Session], bars: &[u32], interval: Interval) -> Sessions {
    let whole = complete(sessions, bars, interval);
    Sessions {
        complete: whole.iter().filter(|whole| **whole).count() as u64,
        expected: sessions.len() as u64,
    }
}
