//! Keeping the coverage ledger short: whole ranges are one entry.
//!
//! Windows that a run asks for one after another, and that are answered alike, extend one entry as they are committed. Runs
//! day after day would still add an entry each, and asking again entries over others: these are folded when they have
//! become many. Pure, but for the calendar.

use std::collections::{BTreeSet, HashMap};

use chrono::{Days, NaiveDate};

use crate::calendar::Calendar;
use crate::model::{DateRange, Provenance, SeriesKey, Timestamp, date_micros};

use super::coverage::{Answer, AnswerStatus};
use super::run::RunId;

/// Entries of one series that tell runs apart; of those before them, neighbours are one entry whatever run they are of.
const RECENT_ENTRIES_MAX: usize = 8;
/// The ledger is folded when it has so many entries a series, and a thousand more.
const ENTRIES_PER_SERIES_MAX: u64 = 24;
const ENTRIES_SPARE: u64 = 1_000;

/// Whether a ledger of so many entries over so many series is to be folded.
pub(super) fn is_long(entries: u64, series: u64) -> bool {
    entries > series * ENTRIES_PER_SERIES_MAX + ENTRIES_SPARE
}

/// Answers, ready to be recorded.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub inserts: Vec<Answer>,
    pub extensions: Vec<Extension>,
    tails: HashMap<Key, Tail>,
}

/// An entry that goes on: dates, rows and time of its last answer.
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
struct Tail {
    run: RunId,
    provenance: Provenance,
    status: AnswerStatus,
    reason: Option<String>,
    dates: DateRange,
}

/// The entries that this process recorded last, one a series.
#[derive(Debug, Default)]
pub(super) struct Tails(HashMap<Key, Tail>);

impl Tails {
    /// What recording `answers` comes to.
    pub fn plan(
        &self,
        run: &RunId,
        answers: Vec<Answer>,
        mut calendar: impl FnMut(&str) -> Option<Calendar>,
    ) -> Entries {
        let mut planned = Entries::default();
        // Where the tail of a series stands: in `inserts`, or in `extensions`.
        let mut places: HashMap<Key, (bool, usize)> = HashMap::new();
        for answer in answers {
            let key = (answer.provider.clone(), answer.series.clone());
            let tail = planned.tails.get(&key).or_else(|| self.0.get(&key));
            let joined = tail
                .filter(|tail| tail.run == *run && tail.is_like(&answer))
                .filter(|tail| {
                    tail.dates.last() < answer.dates.first()
                        && is_closed_between(
                            calendar(&answer.provenance.exchange).as_ref(),
                            tail.dates.last(),
                            answer.dates.first(),
                        )
                })
                .and_then(|tail| {
                    let dates = DateRange::new(tail.dates.first(), answer.dates.last()).ok()?;
                    Some((tail.dates, dates))
                });
            let Some((was, dates)) = joined else {
                let tail = Tail {
                    run: run.clone(),
                    provenance: answer.provenance.clone(),
                    status: answer.status,
                    reason: answer.reason.clone(),
                    dates: answer.dates,
                };
                places.insert(key.clone(), (true, planned.inserts.len()));
                planned.tails.insert(key, tail);
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
                    if let Some(tail) = self.0.get(&key) {
                        planned.tails.insert(key.clone(), tail.clone());
                    }
                }
            }
            if let Some(tail) = planned.tails.get_mut(&key) {
                tail.dates = dates;
            }
        }
        planned
    }

    /// What was planned is recorded.
    pub fn recorded(&mut self, planned: Entries) {
        self.0.extend(planned.tails);
    }

    /// The ledger was changed otherwise.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

impl Tail {
    fn is_like(&self, answer: &Answer) -> bool {
        self.provenance == answer.provenance
            && self.status == answer.status
            && self.reason == answer.reason
    }
}

/// Whether there is no trading on the dates between two, so that ranges that end and begin with them are one.
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

/// An entry of the ledger, and the run that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub answer: Answer,
    pub run: String,
}

/// A ledger that says the same of every date in fewer entries: of answers over one another the one that counts, and
/// neighbours that say the same as one. `entries` come oldest first.
pub(super) fn fold(
    entries: Vec<Entry>,
    mut calendar: impl FnMut(&str) -> Option<Calendar>,
) -> Vec<Entry> {
    let mut by_kind: HashMap<(Key, Provenance), Vec<Entry>> = HashMap::new();
    for entry in entries {
        let key = (entry.answer.provider.clone(), entry.answer.series.clone());
        let kind = (key, entry.answer.provenance.clone());
        by_kind.entry(kind).or_default().push(entry);
    }
    let mut folded: Vec<Entry> = Vec::new();
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
        let key = |entry: &Entry| (entry.answer.asked_at, entry.answer.dates);
        key(a).cmp(&key(b))
    });
    folded
}

/// Of each date the entry that counts, as ranges without overlaps, by date.
fn flattened(entries: &[Entry]) -> Vec<Entry> {
    let next = |date: NaiveDate| date.checked_add_days(Days::new(1)).unwrap_or(date);
    let bounds: BTreeSet<NaiveDate> = (entries.iter())
        .flat_map(|entry| [entry.answer.dates.first(), next(entry.answer.dates.last())])
        .collect();
    let bounds: Vec<NaiveDate> = bounds.into_iter().collect();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|place| entries[*place].answer.dates.first());
    let mut coming = order.into_iter().peekable();
    let mut open: Vec<usize> = Vec::new();
    let mut flat: Vec<(usize, DateRange)> = Vec::new();
    for pair in bounds.windows(2) {
        let (first, end) = (pair[0], pair[1]);
        while let Some(place) =
            coming.next_if(|place| entries[*place].answer.dates.first() <= first)
        {
            open.push(place);
        }
        open.retain(|place| entries[*place].answer.dates.last() >= first);
        let counts = open.iter().copied().max_by_key(|place| {
            let rank = match entries[*place].answer.status {
                AnswerStatus::Rows => 2,
                AnswerStatus::Empty => 1,
                AnswerStatus::Partial | AnswerStatus::Failed => 0,
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
            if entry.answer.dates != dates {
                // How many of its rows are of these dates is not known.
                entry.answer.rows = 0;
                entry.answer.dates = dates;
            }
            entry
        })
        .collect()
}

/// Neighbours that say the same as one; from where `apart` says so on, only those of one run.
fn joined(
    entries: Vec<Entry>,
    calendar: Option<&Calendar>,
    apart: impl Fn(usize) -> bool,
) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    for (place, entry) in entries.into_iter().enumerate() {
        if let Some(last) = out.last_mut()
            && last.answer.status == entry.answer.status
            && last.answer.reason == entry.answer.reason
            && (last.run == entry.run || !apart(place))
            && is_closed_between(
                calendar,
                last.answer.dates.last(),
                entry.answer.dates.first(),
            )
            && let Ok(dates) = DateRange::new(last.answer.dates.first(), entry.answer.dates.last())
        {
            last.answer.dates = dates;
            last.answer.rows += entry.answer.rows;
            if entry.answer.asked_at >= last.answer.asked_at {
                last.answer.asked_at = entry.answer.asked_at;
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
