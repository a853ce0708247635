//! What a fill asks for, and what is known when it has. Pure.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::{Gap, Survey};
use crate::backfill::local_date;
use crate::calendar::Book;
use crate::model::{DateRange, Interval, Provenance, SeriesKey, Timestamp};
use crate::store::{CoverageEntry, RefillAttempts};

/// A session that so many fills asked for in vain is left out.
pub const EMPTY_REFILLS_MAX: u16 = 2;

/// Series that one job can ask for together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestKind {
    /// Length of the bars.
    pub interval: Interval,
    /// Exchange, price basis and hours.
    pub provenance: Provenance,
}

/// The sessions of one series that a fill asks for.
#[derive(Clone, Debug)]
pub struct RefillRequest {
    /// Whose sessions.
    pub series: SeriesKey,
    /// As what they are asked for.
    pub provenance: Provenance,
    /// The gaps, oldest first.
    pub gaps: Vec<Gap>,
    /// The local dates on which their bars lie, in order: what is asked for.
    pub dates: Vec<NaiveDate>,
}

/// What a fill of these gaps asks for, and how many sessions it leaves out because fills asked for them in vain.
/// `provenance` says as what a series is asked for.
pub fn asked(
    survey: &Survey,
    in_vain: &BTreeMap<SeriesKey, Vec<RefillAttempts>>,
    again: bool,
    book: &mut Book,
    provenance: impl Fn(&Provenance) -> Provenance,
) -> (Vec<RefillRequest>, usize) {
    let mut left_out = 0;
    let mut all = Vec::new();
    for series in &survey.series {
        let known = in_vain.get(&series.key).map_or(&[][..], Vec::as_slice);
        let mut gaps = Vec::new();
        let mut dates = Vec::new();
        for gap in &series.gaps {
            if !again && fills_in_vain(known, gap.session) >= EMPTY_REFILLS_MAX {
                left_out += 1;
                continue;
            }
            gaps.push(gap.clone());
            dates.extend(local_dates(book, &series.provenance.exchange, gap.session));
        }
        dates.dedup();
        if !gaps.is_empty() {
            all.push(RefillRequest {
                series: series.key.clone(),
                provenance: provenance(&series.provenance),
                gaps,
                dates,
            });
        }
    }
    (all, left_out)
}

/// The local dates on which a session lies; one over midnight lies on two.
fn local_dates(book: &mut Book, exchange: &str, session: NaiveDate) -> Vec<NaiveDate> {
    let Some(calendar) = book.calendar(exchange) else {
        return vec![session];
    };
    let Ok(Some(found)) = calendar.session_on(session) else {
        return vec![session];
    };
    let last = local_date(calendar, found.close.micros() - 1);
    local_date(calendar, found.open.micros())
        .iter_days()
        .take_while(|date| *date <= last)
        .collect()
}

fn fills_in_vain(known: &[RefillAttempts], session: NaiveDate) -> u16 {
    (known.iter().find(|one| one.dates.contains(session))).map_or(0, |one| one.fills)
}

/// What is known after a fill that began at `began`: the dates of `asked` that it asked for in vain are counted once more,
/// those that it filled are forgotten, and those that it did not come to, or that failed, are as they were.
pub fn outcome(
    asked: &RefillRequest,
    before: &[RefillAttempts],
    after: &Survey,
    answers: &[CoverageEntry],
    began: Timestamp,
    book: &mut Book,
) -> Vec<RefillAttempts> {
    let exchange = &asked.provenance.exchange;
    let mut fills: BTreeMap<NaiveDate, u16> = BTreeMap::new();
    for one in before {
        let sessions = book.sessions(exchange, one.dates.first(), one.dates.last());
        let sessions = sessions.unwrap_or_default().iter();
        fills.extend(sessions.map(|session| (session.date, one.fills)));
    }
    let still = (after.series.iter())
        .find(|series| series.key == asked.series)
        .map_or(&[][..], |series| series.gaps.as_slice());
    for gap in &asked.gaps {
        let now = still.iter().find(|still| still.session == gap.session);
        if now.is_none_or(|now| now.bars != gap.bars) {
            fills.remove(&gap.session);
            continue;
        }
        let answered = |date: &NaiveDate| {
            answers.iter().any(|answer| {
                answer.asked_at >= began
                    && answer.status.is_answered()
                    && answer.dates.contains(*date)
            })
        };
        if local_dates(book, exchange, gap.session)
            .iter()
            .all(answered)
        {
            let count = fills.entry(gap.session).or_default();
            *count = count.saturating_add(1);
        }
    }
    ranges(&fills, exchange, book)
}

/// Neighbouring sessions with one count as one range.
fn ranges(
    fills: &BTreeMap<NaiveDate, u16>,
    exchange: &str,
    book: &mut Book,
) -> Vec<RefillAttempts> {
    let mut ranges: Vec<RefillAttempts> = Vec::new();
    for (session, count) in fills.iter().filter(|(_, count)| **count > 0) {
        if let Some(last) = ranges.last_mut()
            && last.fills == *count
            && book
                .sessions(exchange, last.dates.last(), *session)
                .is_some_and(|between| between.len() == 2)
            && let Ok(dates) = DateRange::new(last.dates.first(), *session)
        {
            last.dates = dates;
            continue;
        }
        if let Ok(dates) = DateRange::new(*session, *session) {
            ranges.push(RefillAttempts {
                dates,
                fills: *count,
            });
        }
    }
    ranges
}
