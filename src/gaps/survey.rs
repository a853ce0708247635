//! All series of a store: what each lacks.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Gap;
use super::judge::{Incomplete, align, date_span, expected_opens, judge, missing};
use crate::calendar::{Book, Session};
use crate::model::{
    Basis, DateRange, Interval, Provenance, SeriesKey, Ticker, TimeRange, Timestamp,
};
use crate::store::{CoverageEntry, Error, Reader, SessionCount, Wanted};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// These tickers; all where there are none.
    pub tickers: Vec<Ticker>,
    /// Bars of this length; all where it is open.
    pub interval: Option<Interval>,
    /// From this date; from the first session asked for or staged where it is open.
    pub start: Option<NaiveDate>,
    /// To this date; to the last session asked for or staged where it is open.
    pub end: Option<NaiveDate>,
    /// The time of day: a session that is not over lacks nothing yet.
    pub now: Timestamp,
}

/// What one series lacks.
#[derive(Clone, Debug)]
pub struct SeriesGaps {
    /// Whose sessions.
    pub key: SeriesKey,
    /// As what it is staged; where nothing is, as what it was last asked for.
    pub provenance: Provenance,
    /// The sessions that lack bars, oldest first.
    pub gaps: Vec<Gap>,
    /// Sessions looked at.
    pub expected: u64,
}

impl SeriesGaps {
    /// Sessions that lack nothing.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.expected - self.gaps.len() as u64
    }
}

/// What all series lack.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// By interval and ticker; those that lack nothing too.
    pub series: Vec<SeriesGaps>,
    /// Tickers that were named, and of which nothing is staged and nothing was ever asked.
    pub unknown_tickers: Vec<Ticker>,
    /// What could not be judged, in words for a person.
    pub notices: Vec<String>,
}

impl Survey {
    /// All gaps, by series and session.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.series.iter().flat_map(|series| &series.gaps)
    }

    /// Complete and expected sessions.
    #[must_use]
    pub fn completeness(&self) -> (u64, u64) {
        let complete = self.series.iter().map(SeriesGaps::complete).sum();
        let expected = self.series.iter().map(|series| series.expected).sum();
        (complete, expected)
    }

    /// Whether complete ÷ expected is at least `share`. A ticker that nothing is known of lacks everything.
    #[must_use]
    pub fn reaches(&self, share: f64) -> bool {
        let (complete, expected) = self.completeness();
        let whole = expected == 0 || complete as f64 / expected as f64 >= share;
        whole && (share <= 0.0 || self.unknown_tickers.is_empty())
    }
}

/// Judges every series of `scope`.
pub fn survey(reader: &Reader, scope: &Scope, book: &mut Book) -> Result<Survey, Error> {
    let wanted = |key: &SeriesKey| {
        (scope.tickers.is_empty() || scope.tickers.contains(&key.ticker))
            && scope
                .interval
                .is_none_or(|interval| key.interval == interval)
    };
    let mut counts = reader.sessions()?;
    let mut answers = reader.all_coverage()?;
    let mut known: BTreeMap<SeriesKey, Option<Provenance>> = (answers.keys())
        .filter(|key| wanted(key))
        .map(|key| (key.clone(), None))
        .collect();
    for row in reader.series()?.into_iter().filter(|row| wanted(&row.key)) {
        known.insert(row.key, Some(row.provenance));
    }
    let mut survey = Survey::default();
    let mut short_of: Vec<Vec<Short>> = Vec::new();
    for (key, staged) in known {
        let answers = answers.remove(&key).unwrap_or_default();
        let counts = counts.remove(&key).unwrap_or_default();
        let provenance = match staged.or_else(|| Some(answers.last()?.provenance.clone())) {
            Some(provenance) => provenance,
            None => continue,
        };
        let answers: Vec<CoverageEntry> = (answers.into_iter())
            .filter(|answer| is_of(&answer.provenance, &provenance))
            .collect();
        let notices = &mut survey.notices;
        let (series, short) = of_series(scope, book, &key, provenance, &answers, &counts, notices);
        survey.series.push(series);
        short_of.push(short);
    }
    look_up(reader, &mut survey.series, &short_of)?;
    survey.notices.sort_unstable();
    survey.notices.dedup();
    survey.unknown_tickers = (scope.tickers.iter())
        .filter(|ticker| !(survey.series.iter()).any(|series| series.key.ticker == **ticker))
        .cloned()
        .collect();
    Ok(survey)
}

/// Judges one series. What its calendar does not reach is not judged, and said to `notices`.
#[allow(clippy::too_many_arguments)]
fn of_series(
    scope: &Scope,
    book: &mut Book,
    key: &SeriesKey,
    provenance: Provenance,
    answers: &[CoverageEntry],
    counts: &[SessionCount],
    notices: &mut Vec<String>,
) -> (SeriesGaps, Vec<Short>) {
    let mut found = SeriesGaps {
        key: key.clone(),
        provenance,
        gaps: Vec::new(),
        expected: 0,
    };
    let exchange = &found.provenance.exchange;
    let Some(date_span) = date_span(answers, counts) else {
        return (found, Vec::new());
    };
    let first = scope.start.unwrap_or(date_span.first());
    let last = scope.end.unwrap_or(date_span.last());
    let Ok(dates) = DateRange::new(first, last) else {
        return (found, Vec::new());
    };
    let Some(calendar) = book.calendar(exchange).cloned() else {
        notices.push(format!(
            "no calendar is known of {exchange}: its sessions are not judged"
        ));
        return (found, Vec::new());
    };
    let today = calendar.session_date(scope.now);
    if let Some(span) = calendar.span()
        && (dates.first() < span.first() || dates.last().min(today) > span.last())
    {
        notices.push(format!(
            "the calendar of {exchange} covers {span}: what lies outside is not judged"
        ));
    }
    // What is usual around a session is judged from all that is there, also outside the dates asked about.
    let (from, to) = (first.min(date_span.first()), last.max(date_span.last()));
    let Some(sessions) = book.sessions(exchange, from, to.min(today)) else {
        return (found, Vec::new());
    };
    let over = sessions.partition_point(|session| session.close <= scope.now);
    let sessions = &sessions[..over];
    let aligned: Vec<Option<&SessionCount>> = align(sessions, counts).collect();
    let (interval, hours) = (key.interval, found.provenance.hours);
    let mut incomplete = judge(sessions, &aligned, answers, &calendar, interval, hours);
    incomplete.retain(|incomplete| dates.contains(sessions[incomplete.index].date));
    let inside = |session: &&Session| dates.contains(session.date);
    found.expected = sessions.iter().filter(inside).count() as u64;
    let mut short = Vec::new();
    for Incomplete { index, reason } in incomplete {
        let session = &sessions[index];
        let expected = expected_opens(session, interval, hours);
        let Some((first_missing, last_missing)) = missing(&expected, &[]) else {
            continue;
        };
        let bars = aligned[index].map_or(0, |count| count.regular);
        if bars > 0 {
            short.push(Short {
                gap: found.gaps.len(),
                session: *session,
            });
        }
        found.gaps.push(Gap {
            series: key.clone(),
            session: session.date,
            expected: expected.len() as u32,
            bars,
            first_missing,
            last_missing,
            reason,
        });
    }
    (found, short)
}

/// Whether what was asked for is what is staged.
fn is_of(asked: &Provenance, staged: &Provenance) -> bool {
    asked.exchange == staged.exchange
        && (asked.basis == staged.basis || staged.basis == Basis::Unknown)
}

/// A gap with some bars: which, only their timestamps tell.
struct Short {
    /// Its place among the gaps of its series.
    gap: usize,
    session: Session,
}

/// Settles first and last missing bar of sessions that have some, for all series at once.
fn look_up(
    reader: &Reader,
    series: &mut [SeriesGaps],
    short_of: &[Vec<Short>],
) -> Result<(), Error> {
    let range = |short: &Short| TimeRange {
        start: short.session.open.micros(),
        end: short.session.close.micros(),
    };
    let (indices, wanted): (Vec<usize>, Vec<Wanted>) = (short_of.iter().enumerate())
        .filter(|(_, short)| !short.is_empty())
        .map(|(index, short)| {
            let ranges = short.iter().map(range).collect();
            (index, (series[index].key.clone(), ranges))
        })
        .unzip();
    for (index, held) in indices.into_iter().zip(reader.timestamps(&wanted)?) {
        let series = &mut series[index];
        for short in &short_of[index] {
            let TimeRange { start, end } = range(short);
            let held = &held[held.partition_point(|at| *at < start)..];
            let held = &held[..held.partition_point(|at| *at < end)];
            let (interval, hours) = (series.key.interval, series.provenance.hours);
            let expected = expected_opens(&short.session, interval, hours);
            if let Some((first, last)) = missing(&expected, held) {
                series.gaps[short.gap].first_missing = first;
                series.gaps[short.gap].last_missing = last;
            }
        }
    }
    Ok(())
}
