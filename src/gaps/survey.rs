//! All series of a store: what is missing from each.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Gap;
use super::classify::{
    Incomplete, align, classify, expected_ends, expected_opens, missing, rejected_of,
};
use crate::calendar::{CalendarCache, Session};
use crate::model::{
    Basis, DateRange, Hours, Interval, Provenance, SeriesKey, Ticker, TimeRange, Timestamp,
};
use crate::store::{CoverageEntry, Error, MissingRows, Reader, SessionCount, Wanted};

/// Which sessions are checked.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The tickers; empty for all.
    pub tickers: Vec<Ticker>,
    /// The length of the bars; `None` for all.
    pub interval: Option<Interval>,
    /// The first date; `None` for the first session that was requested or is stored.
    pub start: Option<NaiveDate>,
    /// The last date; `None` for the last session that was requested or is stored.
    pub end: Option<NaiveDate>,
    /// The time. A session that isn't over has no gap.
    pub now: Timestamp,
}

/// What is missing from one series.
#[derive(Clone, Debug)]
pub struct SeriesGaps {
    pub key: SeriesKey,
    /// Provenance of the stored bars, or of the last request if none are stored.
    pub provenance: Provenance,
    /// The sessions that lack bars, oldest first.
    pub gaps: Vec<Gap>,
    /// How many sessions were checked.
    pub expected: u64,
    /// The first and last of them; `None` if there are none.
    pub checked: Option<DateRange>,
}

impl SeriesGaps {
    /// How many sessions are complete.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.expected - self.gaps.len() as u64
    }
}

/// What is missing from all series.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// All checked series, by interval and ticker.
    pub series: Vec<SeriesGaps>,
    /// Tickers of the scope that have no stored bars and were never requested.
    pub unknown_tickers: Vec<Ticker>,
    /// What could not be checked, as text for the user.
    pub notices: Vec<String>,
}

impl Survey {
    /// All gaps, by series and session.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.series.iter().flat_map(|series| &series.gaps)
    }

    /// The numbers of complete and of expected sessions.
    #[must_use]
    pub fn completeness(&self) -> (u64, u64) {
        let complete = self.series.iter().map(SeriesGaps::complete).sum();
        let expected = self.series.iter().map(|series| series.expected).sum();
        (complete, expected)
    }

    /// Whether complete ÷ expected is at least `share`. An unknown ticker has no complete session.
    #[must_use]
    pub fn reaches(&self, share: f64) -> bool {
        let (complete, expected) = self.completeness();
        let reaches = expected == 0 || complete as f64 / expected as f64 >= share;
        reaches && (share <= 0.0 || self.unknown_tickers.is_empty())
    }
}

/// What the catalog knows of the sessions of some series.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub counts: BTreeMap<SeriesKey, Vec<SessionCount>>,
    pub coverage: BTreeMap<SeriesKey, Vec<CoverageEntry>>,
    /// Rejected rows whose bars aren't stored.
    pub rejected: BTreeMap<SeriesKey, MissingRows>,
}

impl Facts {
    /// Of all series of the store.
    pub fn of_all(reader: &Reader) -> Result<Self, Error> {
        Ok(Self {
            counts: reader.sessions()?,
            coverage: reader.all_coverage()?,
            rejected: reader.missing_rows()?,
        })
    }

    /// Of some series.
    pub fn of(reader: &Reader, series: &[SeriesKey]) -> Result<Self, Error> {
        Ok(Self {
            counts: reader.sessions_of(series)?,
            coverage: reader.coverage_of_series(series)?,
            rejected: reader.missing_rows_of(series)?,
        })
    }
}

/// Checks every series of `scope`.
pub fn survey(
    reader: &Reader,
    scope: &Scope,
    calendars: &mut CalendarCache,
) -> Result<Survey, Error> {
    let (mut survey, short_of) = by_counts(reader, scope, &Facts::of_all(reader)?, calendars)?;
    find_missing_bars(reader, &mut survey.series, &short_of)?;
    Ok(survey)
}

/// Checks every series of `scope` as [`survey`] does, and reads no file of bars: in a session with
/// some bars, the first and last missing one are those of the whole session. `facts` has at least
/// these series.
pub fn survey_by_counts(
    reader: &Reader,
    scope: &Scope,
    facts: &Facts,
    calendars: &mut CalendarCache,
) -> Result<Survey, Error> {
    Ok(by_counts(reader, scope, facts, calendars)?.0)
}

fn by_counts(
    reader: &Reader,
    scope: &Scope,
    facts: &Facts,
    calendars: &mut CalendarCache,
) -> Result<(Survey, Vec<Vec<Short>>), Error> {
    let wanted = |key: &SeriesKey| key.is_among(&scope.tickers, scope.interval);
    let mut known: BTreeMap<SeriesKey, Option<Provenance>> = (facts.coverage.keys())
        .chain(facts.rejected.keys())
        .filter(|key| wanted(key))
        .map(|key| (key.clone(), None))
        .collect();
    for row in reader.series()?.into_iter().filter(|row| wanted(&row.key)) {
        known.insert(row.key, Some(row.provenance));
    }
    let no_rejected = BTreeMap::new();
    let mut survey = Survey::default();
    let mut short_of: Vec<Vec<Short>> = Vec::new();
    for (key, stored) in known {
        let requested = facts.coverage.get(&key).map_or(&[][..], Vec::as_slice);
        let rejected = facts.rejected.get(&key);
        let provenance = stored
            .or_else(|| Some(requested.last()?.provenance.clone()))
            .or_else(|| Some(of_rejected(rejected?)));
        let Some(provenance) = provenance else {
            continue;
        };
        let coverage: Vec<CoverageEntry> = (requested.iter())
            .filter(|entry| matches(&entry.provenance, &provenance))
            .cloned()
            .collect();
        let known = Known {
            coverage,
            counts: facts.counts.get(&key).map_or(&[], Vec::as_slice),
            rejected: rejected.map_or(&no_rejected, |rejected| &rejected.sessions),
        };
        let notices = &mut survey.notices;
        let (series, short) = classify_series(scope, calendars, &key, provenance, &known, notices);
        survey.series.push(series);
        short_of.push(short);
    }
    survey.notices.sort_unstable();
    survey.notices.dedup();
    survey.unknown_tickers = (scope.tickers.iter())
        .filter(|ticker| !(survey.series.iter()).any(|series| series.key.ticker == **ticker))
        .cloned()
        .collect();
    Ok((survey, short_of))
}

/// What the store knows of the sessions of one series.
struct Known<'a> {
    coverage: Vec<CoverageEntry>,
    counts: &'a [SessionCount],
    /// Rejected rows whose bars aren't stored.
    rejected: &'a BTreeMap<NaiveDate, u32>,
}

impl Known<'_> {
    /// From the first to the last date with coverage, bars or rejected rows.
    fn date_span(&self) -> Option<DateRange> {
        let requested =
            (self.coverage.iter()).flat_map(|entry| [entry.dates.first(), entry.dates.last()]);
        let stored = self.counts.iter().map(|count| count.session);
        let dates = (requested.chain(stored)).chain(self.rejected.keys().copied());
        DateRange::new(dates.clone().min()?, dates.max()?).ok()
    }
}

/// The provenance of a series of which nothing is stored and only rejected rows are known.
fn of_rejected(rejected: &MissingRows) -> Provenance {
    Provenance {
        exchange: rejected.exchange.clone(),
        basis: Basis::Unknown,
        hours: Hours::Unknown,
    }
}

/// Checks one series. Dates outside its calendar are not checked; a notice names them.
fn classify_series(
    scope: &Scope,
    calendars: &mut CalendarCache,
    key: &SeriesKey,
    provenance: Provenance,
    known: &Known<'_>,
    notices: &mut Vec<String>,
) -> (SeriesGaps, Vec<Short>) {
    let mut found = SeriesGaps {
        key: key.clone(),
        provenance,
        gaps: Vec::new(),
        expected: 0,
        checked: None,
    };
    let exchange = &found.provenance.exchange;
    let Some(date_span) = known.date_span() else {
        return (found, Vec::new());
    };
    let first = scope.start.unwrap_or(date_span.first());
    let last = scope.end.unwrap_or(date_span.last());
    let Ok(dates) = DateRange::new(first, last) else {
        return (found, Vec::new());
    };
    let Some(calendar) = calendars.calendar(exchange).cloned() else {
        notices.push(format!(
            "there is no calendar for {exchange}: its sessions are not checked"
        ));
        return (found, Vec::new());
    };
    let today = calendar.session_date(scope.now);
    if let Some(span) = calendar.span()
        && (dates.first() < span.first() || dates.last().min(today) > span.last())
    {
        notices.push(format!(
            "the calendar of {exchange} covers {span}: sessions outside it are not checked"
        ));
    }
    // The usual number of bars is taken from all stored sessions, also those outside the scope.
    let (from, to) = (first.min(date_span.first()), last.max(date_span.last()));
    let Some(sessions) = calendars.sessions(exchange, from, to.min(today)) else {
        return (found, Vec::new());
    };
    let ended = sessions.partition_point(|session| session.close <= scope.now);
    let sessions = &sessions[..ended];
    let aligned: Vec<Option<&SessionCount>> = align(sessions, known.counts).collect();
    let rejected = rejected_of(sessions, known.rejected);
    let (interval, hours) = (key.interval, found.provenance.hours);
    let mut incomplete = classify(
        sessions,
        (&aligned, &rejected),
        &known.coverage,
        &calendar,
        interval,
        hours,
    );
    incomplete.retain(|incomplete| dates.contains(sessions[incomplete.index].date));
    let inside = |session: &&Session| dates.contains(session.date);
    found.expected = sessions.iter().filter(inside).count() as u64;
    let mut checked = sessions.iter().filter(inside).map(|session| session.date);
    found.checked = (checked.next())
        .and_then(|first| DateRange::new(first, checked.next_back().unwrap_or(first)).ok());
    let mut short = Vec::new();
    for Incomplete {
        index,
        reason,
        shortage,
    } in incomplete
    {
        let session = &sessions[index];
        let ends = expected_ends(session, interval, hours);
        let Some((expected, first_missing, last_missing)) = ends else {
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
            expected: expected as u32,
            bars,
            first_missing,
            last_missing,
            reason,
            shortage,
            rejected: rejected[index],
        });
    }
    (found, short)
}

/// Whether a request was for bars like the stored ones.
fn matches(requested: &Provenance, stored: &Provenance) -> bool {
    requested.exchange == stored.exchange
        && (requested.basis == stored.basis || stored.basis == Basis::Unknown)
}

/// A gap with some bars: only their timestamps show which are missing.
struct Short {
    /// Its index among the gaps of its series.
    gap: usize,
    session: Session,
}

/// Sets the first and last missing bar of the short sessions, for all series at once.
fn find_missing_bars(
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
    for (index, stored) in indices.into_iter().zip(reader.timestamps(&wanted)?) {
        let series = &mut series[index];
        for short in &short_of[index] {
            let TimeRange { start, end } = range(short);
            let stored = &stored[stored.partition_point(|at| *at < start)..];
            let stored = &stored[..stored.partition_point(|at| *at < end)];
            let (interval, hours) = (series.key.interval, series.provenance.hours);
            let expected = expected_opens(&short.session, interval, hours);
            if let Some((first, last)) = missing(&expected, stored) {
                series.gaps[short.gap].first_missing = first;
                series.gaps[short.gap].last_missing = last;
            }
        }
    }
    Ok(())
}
