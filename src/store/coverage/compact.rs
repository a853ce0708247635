//! Keeps coverage short: a whole range of dates is one entry.
//!
//! If windows of a run follow each other and were answered alike, one entry is extended as they are
//! committed. Daily runs still add an entry each, and repeated requests add entries of the same dates.
//! When there are many, they are merged. Everything here is pure, except for the calendar.

use std::collections::{BTreeSet, HashMap};

use chrono::{Days, NaiveDate};

use crate::calendar::Calendar;
use crate::model::{DateRange, Provenance, SeriesKey, Timestamp, date_micros};

use super::{CoverageEntry, CoverageStatus};
use crate::store::run::RunId;

/// The newest entries of a series are kept apart by run. Older neighbours are merged across runs.
const RECENT_ENTRIES_MAX: usize = 8;
/// Coverage is compacted when it has this many entries for each series, plus [`ENTRIES_SPARE`].
const ENTRIES_PER_SERIES_MAX: u64 = 24;
const ENTRIES_SPARE: u64 = 1_000;

/// Whether `entries` of `series` should be compacted.
pub(in crate::store) fn is_long(entries: u64, series: u64) -> bool {
    entries > series * ENTRIES_PER_SERIES_MAX + ENTRIES_SPARE
}

/// How new entries are to be recorded.
#[derive(Debug, Default)]
pub(crate) struct CoveragePlan {
    pub inserts: Vec<CoverageEntry>,
    pub extensions: Vec<Extension>,
    open_entries: HashMap<Key, OpenEntry>,
}

/// A recorded entry that a new one extends.
#[derive(Debug)]
pub(crate) struct Extension {
    pub provider: String,
    pub series: SeriesKey,
    pub was: DateRange,
    pub last: NaiveDate,
    pub rows: u64,
    pub asked_at: Timestamp,
}

type Key = (String, SeriesKey);

/// The entry of a series that was recorded last.
#[derive(Clone, Debug)]
struct OpenEntry {
    run: RunId,
    provenance: Provenance,
    status: CoverageStatus,
    reason: Option<String>,
    dates: DateRange,
}

/// The entries that this process recorded last, one for each series.
#[derive(Debug, Default)]
pub(in crate::store) struct OpenEntries(HashMap<Key, OpenEntry>);

impl OpenEntries {
    /// Which of `answers` become new entries, and which extend one.
    pub fn plan(
        &self,
        run: &RunId,
        answers: Vec<CoverageEntry>,
        mut calendar: impl FnMut(&str) -> Option<Calendar>,
    ) -> CoveragePlan {
        let mut planned = CoveragePlan::default();
        // Where the open entry of a series is: in `inserts` (true), or in `extensions`.
        let mut places: HashMap<Key, (bool, usize)> = HashMap::new();
        for answer in answers {
            let key = (answer.provider.clone(), answer.series.clone());
            let open = planned.open_entries.get(&key).or_else(|| self.0.get(&key));
            let joined = open
                .filter(|open| open.run == *run && open.is_like(&answer))
                .filter(|open| {
                    open.dates.last() < answer.dates.first()
                        && is_closed_between(
                            calendar(&answer.provenance.exchange).as_ref(),
                            open.dates.last(),
                            answer.dates.first(),
                        )
                })
                .and_then(|open| {
                    let dates = DateRange::new(open.dates.first(), answer.dates.last()).ok()?;
                    Some((open.dates, dates))
                });
            let Some((was, dates)) = joined else {
                let open = OpenEntry {
                    run: run.clone(),
                    provenance: answer.provenance.clone(),
                    status: answer.status,
                    reason: answer.reason.clone(),
                    dates: answer.dates,
                };
                places.insert(key.clone(), (true, planned.inserts.len()));
                planned.open_entries.insert(key, open);
                planned.inserts.push(answer);
                continue;
            };
            match places.get(&key) {
                Some((true, place)) => {
                    let entry = &mut planned.inserts[*place];
                    entry.dates = dates;
                    entry.rows += answer.rows;
                    entry.asked_at = answer.asked_at;
                }
                Some((false, place)) => {
                    let entry = &mut planned.extensions[*place];
                    entry.last = dates.last();
                    entry.rows += answer.rows;
                    entry.asked_at = answer.asked_at;
                }
                None => {
                    places.insert(key.clone(), (false, planned.extensions.len()));
                    planned.extensions.push(Extension {
                        provider: key.0.clone(),
                        series: key.1.clone(),
                        was,
                        last: dates.last(),
                        rows: answer.rows,
                        asked_at: answer.asked_at,
                    });
                    if let Some(open) = self.0.get(&key) {
                        planned.open_entries.insert(key.clone(), open.clone());
                    }
                }
            }
            if let Some(open) = planned.open_entries.get_mut(&key) {
                open.dates = dates;
            }
        }
        planned
    }

    /// Called once the plan is recorded.
    pub fn recorded(&mut self, planned: CoveragePlan) {
        self.0.extend(planned.open_entries);
    }

    /// Called when entries were changed in another way.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

impl OpenEntry {
    fn is_like(&self, answer: &CoverageEntry) -> bool {
        self.provenance == answer.provenance
            && self.status == answer.status
            && self.reason == answer.reason
    }
}

/// Whether there is no trading between two dates, so that ranges that end and begin with them are
/// one.
fn is_closed_between(calendar: Option<&Calendar>, before: NaiveDate, after: NaiveDate) -> bool {
    let mut between = before
        .iter_days()
        .skip(1)
        .take_while(|date| *date < after)
        .peekable();
    if between.peek().is_none() {
        return true;
    }
    let Some(calendar) = calendar else {
        return false;
    };
    // A session can begin on the evening before its date.
    between.all(|date| {
        let midnight = |date| calendar.zone().from_local(date_micros(date)).earliest();
        let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
        let open_on = |session: NaiveDate| match calendar.session_on(session) {
            Ok(Some(session)) => {
                session.open.micros() < midnight(next) && midnight(date) < session.close.micros()
            }
            Ok(None) => false,
            Err(_) => true,
        };
        !open_on(date) && !open_on(next)
    })
}

/// An entry and its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedEntry {
    pub entry: CoverageEntry,
    pub run: String,
}

/// Returns fewer entries with the same meaning for every date: of overlapping entries it keeps the one
/// that counts, and it joins equal neighbours. `entries` are sorted, oldest first.
pub(in crate::store) fn fold(
    entries: Vec<LoggedEntry>,
    mut calendar: impl FnMut(&str) -> Option<Calendar>,
) -> Vec<LoggedEntry> {
    let mut by_kind: HashMap<(Key, Provenance), Vec<LoggedEntry>> = HashMap::new();
    for entry in entries {
        let key = (entry.entry.provider.clone(), entry.entry.series.clone());
        let kind = (key, entry.entry.provenance.clone());
        by_kind.entry(kind).or_default().push(entry);
    }
    let mut folded: Vec<LoggedEntry> = Vec::new();
    for ((_, provenance), entries) in by_kind {
        let calendar = calendar(&provenance.exchange);
        let flat = flattened(&entries);
        let recent = joined(flat, calendar.as_ref(), |_| true);
        let recent_from = recent.len().saturating_sub(RECENT_ENTRIES_MAX);
        folded.extend(joined(recent, calendar.as_ref(), |place| {
            place >= recent_from
        }));
    }
    folded.sort_by(|a, b| {
        let key = |entry: &LoggedEntry| (entry.entry.asked_at, entry.entry.dates);
        key(a).cmp(&key(b))
    });
    folded
}

/// The entry that counts for each date, as ranges without overlaps, by date.
fn flattened(entries: &[LoggedEntry]) -> Vec<LoggedEntry> {
    let next = |date: NaiveDate| date.checked_add_days(Days::new(1)).unwrap_or(date);
    let bounds: BTreeSet<NaiveDate> = (entries.iter())
        .flat_map(|entry| [entry.entry.dates.first(), next(entry.entry.dates.last())])
        .collect();
    let bounds: Vec<NaiveDate> = bounds.into_iter().collect();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|place| entries[*place].entry.dates.first());
    let mut coming = order.into_iter().peekable();
    let mut open: Vec<usize> = Vec::new();
    let mut flat: Vec<(usize, DateRange)> = Vec::new();
    for pair in bounds.windows(2) {
        let (first, end) = (pair[0], pair[1]);
        while let Some(place) = coming.next_if(|place| entries[*place].entry.dates.first() <= first)
        {
            open.push(place);
        }
        open.retain(|place| entries[*place].entry.dates.last() >= first);
        let counts = open.iter().copied().max_by_key(|place| {
            let rank = match entries[*place].entry.status {
                CoverageStatus::Rows => 2,
                CoverageStatus::Empty => 1,
                CoverageStatus::Partial | CoverageStatus::Failed => 0,
            };
            (rank, *place)
        });
        let Some(place) = counts else { continue };
        let last = end.pred_opt().unwrap_or(end);
        match flat.last_mut() {
            Some((before, dates)) if *before == place && next(dates.last()) == first => {
                *dates = DateRange::new(dates.first(), last).unwrap_or(*dates);
            }
            _ => flat.extend(DateRange::new(first, last).ok().map(|dates| (place, dates))),
        }
    }
    flat.into_iter()
        .map(|(place, dates)| {
            let mut entry = entries[place].clone();
            if entry.entry.dates != dates {
                // It isn't known how many of its rows belong to these dates.
                entry.entry.rows = 0;
                entry.entry.dates = dates;
            }
            entry
        })
        .collect()
}

/// Merges equal neighbours; where `apart` is true for an index, only those of one run.
fn joined(
    entries: Vec<LoggedEntry>,
    calendar: Option<&Calendar>,
    apart: impl Fn(usize) -> bool,
) -> Vec<LoggedEntry> {
    let mut out: Vec<LoggedEntry> = Vec::new();
    for (place, entry) in entries.into_iter().enumerate() {
        if let Some(last) = out.last_mut()
            && last.entry.status == entry.entry.status
            && last.entry.reason == entry.entry.reason
            && (last.run == entry.run || !apart(place))
            && is_closed_between(calendar, last.entry.dates.last(), entry.entry.dates.first())
            && let Ok(dates) = DateRange::new(last.entry.dates.first(), entry.entry.dates.last())
        {
            last.entry.dates = dates;
            last.entry.rows += entry.entry.rows;
            if entry.entry.asked_at >= last.entry.asked_at {
                last.entry.asked_at = entry.entry.asked_at;
                last.run = entry.run;
            }
            continue;
        }
        out.push(entry);
    }
    out
}

#[cfg(test)]
mod tests;
