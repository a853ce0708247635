//! What a fill requests, and which sessions it requested without result. Pure.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::{Gap, Survey};
use crate::backfill::local_date;
use crate::calendar::CalendarCache;
use crate::model::{DateRange, Interval, Provenance, SeriesKey, Timestamp};
use crate::store::{CoverageEntry, RefillAttempts};

/// A session that this many refills returned empty is skipped.
pub const EMPTY_REFILLS_MAX: u16 = 2;

/// What series have in common that one job can request together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestKind {
    /// Length of the bars.
    pub interval: Interval,
    /// Exchange, price basis and hours.
    pub provenance: Provenance,
}

/// The sessions of one series that a fill requests.
#[derive(Clone, Debug)]
pub struct RefillRequest {
    pub series: SeriesKey,
    /// The provenance to request.
    pub provenance: Provenance,
    /// The gaps, oldest first.
    pub gaps: Vec<Gap>,
    /// The local dates of their bars, in order: what is requested.
    pub dates: Vec<NaiveDate>,
}

impl RefillRequest {
    /// What it has in common with the requests of the same job.
    #[must_use]
    pub fn kind(&self) -> RequestKind {
        RequestKind {
            interval: self.series.interval,
            provenance: self.provenance.clone(),
        }
    }
}

/// The requests that fill the gaps of a survey, and how many sessions were skipped after repeated
/// empty refills; `retry_empty` requests those too. `provenance` returns what to request for a
/// series from the provenance it is stored under.
pub fn refill_requests(
    survey: &Survey,
    attempts: &BTreeMap<SeriesKey, Vec<RefillAttempts>>,
    retry_empty: bool,
    calendars: &mut CalendarCache,
    provenance: impl Fn(&Provenance) -> Provenance,
) -> (Vec<RefillRequest>, usize) {
    let mut skipped = 0;
    let mut requests = Vec::new();
    for series in &survey.series {
        let attempts = attempts.get(&series.key).map_or(&[][..], Vec::as_slice);
        let mut gaps = Vec::new();
        let mut dates = Vec::new();
        for gap in &series.gaps {
            if !retry_empty && empty_refills(attempts, gap.session) >= EMPTY_REFILLS_MAX {
                skipped += 1;
                continue;
            }
            gaps.push(gap.clone());
            let exchange = &series.provenance.exchange;
            dates.extend(local_dates(calendars, exchange, gap.session));
        }
        dates.dedup();
        if !gaps.is_empty() {
            requests.push(RefillRequest {
                series: series.key.clone(),
                provenance: provenance(&series.provenance),
                gaps,
                dates,
            });
        }
    }
    (requests, skipped)
}

/// The local dates of a session; one over midnight has two.
fn local_dates(
    calendars: &mut CalendarCache,
    exchange: &str,
    session: NaiveDate,
) -> Vec<NaiveDate> {
    let Some(calendar) = calendars.calendar(exchange) else {
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

fn empty_refills(attempts: &[RefillAttempts], session: NaiveDate) -> u16 {
    let known = attempts.iter().find(|known| known.dates.contains(session));
    known.map_or(0, |known| known.fills)
}

/// The attempts to record after a fill that started at `started_at`. A session that it requested
/// without result counts once more; one that got bars is removed; one that was not requested, or
/// whose request failed, keeps its count.
pub fn attempts_after(
    request: &RefillRequest,
    before: &[RefillAttempts],
    after: &Survey,
    coverage: &[CoverageEntry],
    started_at: Timestamp,
    calendars: &mut CalendarCache,
) -> Vec<RefillAttempts> {
    let exchange = &request.provenance.exchange;
    let mut counts: BTreeMap<NaiveDate, u16> = BTreeMap::new();
    for known in before {
        let sessions = calendars.sessions(exchange, known.dates.first(), known.dates.last());
        let sessions = sessions.unwrap_or_default().iter();
        counts.extend(sessions.map(|session| (session.date, known.fills)));
    }
    let remaining = (after.series.iter())
        .find(|series| series.key == request.series)
        .map_or(&[][..], |series| series.gaps.as_slice());
    let is_answered = |date: &NaiveDate| {
        coverage.iter().any(|entry| {
            entry.asked_at >= started_at
                && entry.status.is_answered()
                && entry.dates.contains(*date)
        })
    };
    for gap in &request.gaps {
        let now = remaining.iter().find(|now| now.session == gap.session);
        if now.is_none_or(|now| now.bars != gap.bars) {
            counts.remove(&gap.session);
        } else if local_dates(calendars, exchange, gap.session)
            .iter()
            .all(is_answered)
        {
            let count = counts.entry(gap.session).or_default();
            *count = count.saturating_add(1);
        }
    }
    ranges(&counts, exchange, calendars)
}

/// Consecutive sessions with the same count as one range.
fn ranges(
    counts: &BTreeMap<NaiveDate, u16>,
    exchange: &str,
    calendars: &mut CalendarCache,
) -> Vec<RefillAttempts> {
    let mut ranges: Vec<RefillAttempts> = Vec::new();
    for (session, count) in counts.iter().filter(|(_, count)| **count > 0) {
        if let Some(last) = ranges.last_mut()
            && last.fills == *count
            && calendars
                .sessions(exchange, last.dates.last(), *session)
                .is_some_and(|between| between.len() == 2)
            && let Ok(dates) = DateRange::new(last.dates.first(), *session)
        {
            last.dates = dates;
        } else if let Ok(dates) = DateRange::new(*session, *session) {
            ranges.push(RefillAttempts {
                dates,
                fills: *count,
            });
        }
    }
    ranges
}
