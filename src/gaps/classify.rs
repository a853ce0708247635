//! Finds the incomplete sessions of one series by its sessions, its counts and its coverage. Pure.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Reason;
use super::completeness::{Completeness, Shortage, completeness};
use crate::backfill::local_date;
use crate::calendar::{Calendar, Session};
use crate::model::{Grid, Hours, Interval, Timestamp};
use crate::store::{CoverageEntry, CoverageStatus, SessionCount};

/// The count of each session, in the order of the sessions. Counts of other dates are left out.
pub fn align<'a>(
    sessions: &'a [Session],
    counts: &'a [SessionCount],
) -> impl Iterator<Item = Option<&'a SessionCount>> {
    let mut counts = counts.iter().peekable();
    sessions.iter().map(move |session| {
        while counts
            .next_if(|count| count.session < session.date)
            .is_some()
        {}
        counts.next_if(|count| count.session == session.date)
    })
}

/// The number of rejected rows of each session, in the order of the sessions.
pub fn rejected_of(sessions: &[Session], rejected: &BTreeMap<NaiveDate, u32>) -> Vec<u32> {
    let rows = |session: &Session| rejected.get(&session.date).copied().unwrap_or_default();
    sessions.iter().map(rows).collect()
}

/// A session that lacks bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incomplete {
    /// Its index among the checked sessions.
    pub index: usize,
    pub reason: Reason,
    /// If the reason is [`Reason::Short`].
    pub shortage: Option<Shortage>,
}

/// Which of `sessions` lack bars, and why. All of them are over and in order; `coverage` is in the
/// order of its requests. `rejected` are the rejected rows of each session whose bars aren't stored.
pub(super) fn classify(
    sessions: &[Session],
    (counts, rejected): (&[Option<&SessionCount>], &[u32]),
    coverage: &[CoverageEntry],
    calendar: &Calendar,
    interval: Interval,
    hours: Hours,
) -> Vec<Incomplete> {
    let found = completeness(sessions, counts, rejected, interval);
    let mut incomplete = Vec::new();
    for (index, session) in sessions.iter().enumerate() {
        let is_complete = found[index] == Completeness::Complete;
        let mostly_rejects = was_mostly_rejects(coverage, calendar, session);
        let misses_last = || misses_last_bar(session, counts[index], interval, hours);
        if is_complete && !mostly_rejects && !misses_last() {
            continue;
        }
        let (reason, shortage) = match (status(coverage, calendar, session), found[index]) {
            (Some(CoverageStatus::Partial), _) => (Reason::Partial, None),
            // Even if it has as many bars as its neighbours: they may lack rows too.
            (Some(CoverageStatus::Failed), _) if mostly_rejects => (Reason::Failed, None),
            // It has enough bars, and no bars were withheld: its last minutes had no trades.
            (_, Completeness::Complete) => continue,
            (Some(CoverageStatus::Failed), _) => (Reason::Failed, None),
            (Some(CoverageStatus::Empty), Completeness::Missing) => (Reason::Empty, None),
            (None, Completeness::Missing) => (Reason::NeverAsked, None),
            (Some(CoverageStatus::Rows), Completeness::Missing) => (Reason::Short, None),
            (_, Completeness::Short(shortage)) => (Reason::Short, Some(shortage)),
        };
        incomplete.push(Incomplete {
            index,
            reason,
            shortage,
        });
    }
    incomplete
}

/// Whether most rows of a session were rejects: its request failed although it returned bars.
fn was_mostly_rejects(coverage: &[CoverageEntry], calendar: &Calendar, session: &Session) -> bool {
    let mut rejects = (coverage.iter())
        .filter(|entry| entry.status == CoverageStatus::Failed && entry.rows > 0)
        .peekable();
    // Most series have none, and a local date takes a while.
    rejects.peek().is_some() && {
        let date = local_date(calendar, session.open.micros());
        rejects.any(|entry| entry.dates.contains(date))
    }
}

/// Whether the last bar of a session's grid is missing.
fn misses_last_bar(
    session: &Session,
    count: Option<&SessionCount>,
    interval: Interval,
    hours: Hours,
) -> bool {
    let ends = expected_ends(session, interval, hours);
    count.is_none_or(|count| ends.is_some_and(|(_, _, last)| count.last < last))
}

/// The opens of a session's bars, on the grid of the store.
pub(super) fn expected_opens(
    session: &Session,
    interval: Interval,
    hours: Hours,
) -> Vec<Timestamp> {
    if Grid::of(interval, hours) == Grid::Session {
        return session.grid(interval);
    }
    let hour = interval.micros();
    let first = session.open.micros().div_euclid(hour) * hour;
    (first..session.close.micros())
        .step_by(usize::try_from(hour).unwrap_or(usize::MAX))
        .map(Timestamp::from_micros)
        .filter(|open| session.contains(*open))
        .collect()
}

/// How many [`expected_opens`] a session has, and the first and the last of them; `None` if it has none.
pub(super) fn expected_ends(
    session: &Session,
    interval: Interval,
    hours: Hours,
) -> Option<(usize, Timestamp, Timestamp)> {
    if Grid::of(interval, hours) == Grid::Session {
        let last = session.last_open(interval)?;
        return Some((session.expected(interval), session.open, last));
    }
    let opens = expected_opens(session, interval, hours);
    Some((opens.len(), *opens.first()?, *opens.last()?))
}

/// How the requests of a session were answered; `None` if there were none. A session over midnight
/// has two local dates: then the worse of both statuses counts.
fn status(
    coverage: &[CoverageEntry],
    calendar: &Calendar,
    session: &Session,
) -> Option<CoverageStatus> {
    let first = local_date(calendar, session.open.micros());
    let last = local_date(calendar, session.close.micros() - 1);
    let from_worst = |status: &Option<CoverageStatus>| match status {
        Some(CoverageStatus::Failed) => 0,
        Some(CoverageStatus::Partial) => 1,
        None => 2,
        Some(CoverageStatus::Rows) => 3,
        Some(CoverageStatus::Empty) => 4,
    };
    first
        .iter_days()
        .take_while(|date| *date <= last)
        .map(|date| status_of_date(coverage, date))
        .min_by_key(from_worst)
        .flatten()
}

/// How the requests of a date were answered. One answered entry is enough, even if later requests
/// failed; without one, the last entry counts.
fn status_of_date(coverage: &[CoverageEntry], date: NaiveDate) -> Option<CoverageStatus> {
    use CoverageStatus::{Empty, Failed, Partial, Rows};
    let entries = coverage.iter().filter(|entry| entry.dates.contains(date));
    entries.fold(None, |known, entry| match (known, entry.status) {
        (Some(Rows), _) | (Some(Empty), Partial | Failed) => known,
        (_, status) => Some(status),
    })
}

/// The first and the last of the `expected` bars that are not in `stored`, which is sorted. If none
/// is missing, the first and last of all.
pub(super) fn missing(expected: &[Timestamp], stored: &[i64]) -> Option<(Timestamp, Timestamp)> {
    let is_missing = |open: &&Timestamp| stored.binary_search(&open.micros()).is_err();
    let first = expected.iter().find(is_missing).or(expected.first())?;
    let last = expected.iter().rfind(is_missing).or(expected.last())?;
    Some((*first, *last))
}
