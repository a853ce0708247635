//! One series: its sessions, its counts and its coverage, judged. Pure.

use chrono::NaiveDate;

use super::Reason;
use crate::backfill::local_date;
use crate::calendar::{Calendar, Session, complete};
use crate::model::{DateRange, Grid, Hours, Interval, Timestamp};
use crate::store::{CoverageEntry, CoverageStatus, SessionCount};

/// The count of each session, in the order of the sessions; counts of other dates are left out.
pub fn align<'a>(
    sessions: &'a [Session],
    counts: &'a [SessionCount],
) -> impl Iterator<Item = Option<&'a SessionCount>> {
    let mut index = 0;
    sessions.iter().map(move |session| {
        while counts
            .get(index)
            .is_some_and(|count| count.session < session.date)
        {
            index += 1;
        }
        counts
            .get(index)
            .filter(|count| count.session == session.date)
    })
}

/// What coverage tells of a date: one good answer is enough, whatever came after it; else the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Answered(CoverageStatus),
}

/// A session that lacks bars, by its place among the sessions judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incomplete {
    pub index: usize,
    pub reason: Reason,
}

/// Which of `sessions` (all over, in order) lack bars, and why. `answers` come oldest first.
pub(super) fn judge(
    sessions: &[Session],
    counts: &[Option<&SessionCount>],
    answers: &[CoverageEntry],
    calendar: &Calendar,
    interval: Interval,
    hours: Hours,
) -> Vec<Incomplete> {
    let bars: Vec<u32> = (counts.iter())
        .map(|count| count.map_or(0, |count| count.regular))
        .collect();
    let whole = complete(sessions, &bars, interval);
    let mut incomplete = Vec::new();
    for (index, session) in sessions.iter().enumerate() {
        let came_in_part = was_mostly_rejects(answers, calendar, session);
        if whole[index]
            && !came_in_part
            && !(misses_last_bar(session, counts[index], interval, hours))
        {
            continue;
        }
        let told = told(answers, calendar, session);
        let reason = match (told, bars[index]) {
            (Told::Answered(CoverageStatus::Partial), _) => Reason::Partial,
            // As many bars as its neighbours: those came in part too.
            (Told::Answered(CoverageStatus::Failed), _) if came_in_part => Reason::Failed,
            // Enough bars, and nothing says that the last ones were not to be had.
            _ if whole[index] => continue,
            (Told::Answered(CoverageStatus::Failed), _) => Reason::Failed,
            (Told::Nothing, 0) => Reason::NeverAsked,
            (Told::Answered(CoverageStatus::Empty), 0) => Reason::Empty,
            _ => Reason::Short,
        };
        incomplete.push(Incomplete { index, reason });
    }
    incomplete
}

/// Whether a provider sent rows for a session of which most were not bars: a failed answer that
/// brought bars.
fn was_mostly_rejects(answers: &[CoverageEntry], calendar: &Calendar, session: &Session) -> bool {
    let date = local_date(calendar, session.open.micros());
    (answers.iter()).any(|answer| {
        answer.status == CoverageStatus::Failed && answer.rows > 0 && answer.dates.contains(date)
    })
}

/// Whether the last bar of a session's grid is not there.
fn misses_last_bar(
    session: &Session,
    count: Option<&SessionCount>,
    interval: Interval,
    hours: Hours,
) -> bool {
    let last = expected_opens(session, interval, hours).last().copied();
    count.is_none_or(|count| last.is_some_and(|last| count.last < last))
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

/// What coverage tells of a session. One over midnight lies on two local dates: then the worse of both counts.
fn told(answers: &[CoverageEntry], calendar: &Calendar, session: &Session) -> Told {
    let first = local_date(calendar, session.open.micros());
    let last = local_date(calendar, session.close.micros() - 1);
    let worse = |told: &Told| match told {
        Told::Answered(CoverageStatus::Failed) => 0,
        Told::Answered(CoverageStatus::Partial) => 1,
        Told::Nothing => 2,
        Told::Answered(CoverageStatus::Rows) => 3,
        Told::Answered(CoverageStatus::Empty) => 4,
    };
    (first.iter_days().take_while(|date| *date <= last))
        .map(|date| told_of_date(answers, date))
        .min_by_key(worse)
        .unwrap_or(Told::Nothing)
}

fn told_of_date(answers: &[CoverageEntry], date: NaiveDate) -> Told {
    let mut told = Told::Nothing;
    for answer in answers.iter().filter(|answer| answer.dates.contains(date)) {
        told = match (told, answer.status) {
            (Told::Answered(CoverageStatus::Rows), _) => told,
            (
                Told::Answered(CoverageStatus::Empty),
                CoverageStatus::Partial | CoverageStatus::Failed,
            ) => told,
            (_, status) => Told::Answered(status),
        };
    }
    told
}

/// First and last of the bars that `session` lacks; `held` are the timestamps staged inside it, sorted. Where all of the
/// grid is there, or none of it is known, the whole of it.
pub(super) fn missing(expected: &[Timestamp], held: &[i64]) -> Option<(Timestamp, Timestamp)> {
    let lacks = |open: &&Timestamp| held.binary_search(&open.micros()).is_err();
    let first = expected.iter().find(lacks).or(expected.first())?;
    let last = expected.iter().rev().find(lacks).or(expected.last())?;
    Some((*first, *last))
}

/// The dates that answers and counts speak of, from the first to the last.
pub(super) fn date_span(answers: &[CoverageEntry], counts: &[SessionCount]) -> Option<DateRange> {
    let asked = answers
        .iter()
        .flat_map(|a| [a.dates.first(), a.dates.last()]);
    let staged = counts.iter().map(|count| count.session);
    let (first, last) = asked.chain(staged).fold(None, |ends, date| match ends {
        None => Some((date, date)),
        Some((first, last)) => Some((date.min(first), date.max(last))),
    })?;
    DateRange::new(first, last).ok()
}
