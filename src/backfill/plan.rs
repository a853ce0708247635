//! The requests of a run, planned before any is sent.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};

use super::comparison::with_comparison;
use super::days::{Day, days};
use super::limits::RequestLimits;
use super::windows::{DayState, Window, windows};
use crate::calendar::{self, Calendar};
use crate::model::{DateRange, Hours, Provenance, Ticker, Timestamp};
use crate::store::{CoverageEntry, CoverageStatus};

/// The windows of a run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The tickers in the order in which they are requested, each with its windows.
    pub tickers: Vec<TickerPlan>,
    /// How many neighbouring tickers are requested together, in the order of the tickers.
    pub groups: Vec<usize>,
    /// Requests that it takes, with a page for each that the bars can fill.
    pub requests: u64,
}

/// The windows of one ticker.
#[derive(Clone, Debug)]
pub struct TickerPlan {
    pub ticker: Ticker,
    /// Its windows, oldest first, except that one with a stored session to compare goes first.
    pub windows: Arc<[Window]>,
    /// Days of the range that are not requested because they are answered already.
    pub days_answered: usize,
    /// The dates of the range, if every trading day of them is requested.
    pub full_range: Option<DateRange>,
}

/// What a plan is made from.
pub struct Planner<'a> {
    /// The sessions of the exchange.
    pub calendar: &'a Calendar,
    /// The requested dates, local to the exchange.
    pub dates: DateRange,
    /// The regular session, or extended hours too.
    pub hours: Hours,
    pub limits: RequestLimits,
    /// The time: sessions in the future are not requested.
    pub now: Timestamp,
    /// Continue from the stored sessions of each ticker.
    pub since: Option<Since>,
    /// Request this many of a ticker's last stored sessions again, even if they are answered.
    pub overlap: usize,
    /// Skip days that coverage shows as answered.
    pub resumes: bool,
}

/// What an incremental run requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The sessions after the last stored one.
    Last,
    /// The sessions after the last stored one, and those from this date to the first stored one.
    LastAndBefore(NaiveDate),
}

/// What a plan has to know of a ticker.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Coverage: what was requested and how it was answered. Empty if the run doesn't need it.
    pub coverage: Vec<CoverageEntry>,
    /// Dates of the stored sessions, in order: the first, and as many of the last as the overlap
    /// needs. Empty if the run doesn't need them.
    pub sessions: Vec<NaiveDate>,
    /// Dates of stored sessions that new bars can be compared with, in order: those in and around the
    /// range of the run. Empty if the run stores nothing.
    pub comparable: Vec<NaiveDate>,
}

impl Planner<'_> {
    /// The plan for `tickers`; `history` returns what the store has of each.
    pub fn plan<E: From<calendar::Error>>(
        &self,
        tickers: &[Ticker],
        mut history: impl FnMut(&Ticker) -> Result<History, E>,
        provenance: &Provenance,
    ) -> Result<Plan, E> {
        let days = self.days()?;
        let all: Arc<[Window]> = windows(&days, &self.limits).into();
        let mut plans = Vec::with_capacity(tickers.len());
        // Tickers with the same states share their windows.
        let mut shared: HashMap<Vec<DayState>, (Arc<[Window]>, usize)> = HashMap::new();
        let mut comparisons = Comparisons::default();
        for ticker in tickers {
            let history = history(ticker)?;
            let (windows, days_answered) = if history.coverage.is_empty()
                && history.sessions.is_empty()
                && !self.begins_early()
            {
                let windows = comparisons.with(&all, &days, &history.comparable, &self.limits);
                (windows, 0)
            } else {
                let mut days = days.clone();
                if self.resumes {
                    mark(&mut days, &history.coverage, provenance);
                }
                self.mark_staged(&mut days, &history, provenance);
                let states: Vec<DayState> = days.iter().map(|(_, state)| *state).collect();
                let planned = shared.entry(states).or_insert_with(|| {
                    let answered = |(day, state): &&(Day, DayState)| {
                        *state == DayState::Done && self.dates.contains(day.date)
                    };
                    let count = days.iter().filter(answered).count();
                    (windows(&days, &self.limits).into(), count)
                });
                let (windows, count) = planned.clone();
                let windows = comparisons.with(&windows, &days, &history.comparable, &self.limits);
                (windows, count)
            };
            plans.push(TickerPlan {
                ticker: ticker.clone(),
                windows,
                days_answered,
                full_range: (days_answered == 0).then_some(self.dates),
            });
        }
        Ok(Plan::of(plans, &self.limits, self.now))
    }

    /// The plan for single days, in as few windows as possible. `tickers` has the sorted local dates
    /// to request of each ticker; bars of the days between them are left out. `comparable` has the
    /// dates of each ticker's stored sessions that new bars can be compared with.
    pub fn plan_days(
        &self,
        tickers: &[(Ticker, Vec<NaiveDate>)],
        comparable: &HashMap<Ticker, Vec<NaiveDate>>,
    ) -> Result<Plan, calendar::Error> {
        let days = self.days()?;
        let mut plans = Vec::with_capacity(tickers.len());
        let mut comparisons = Comparisons::default();
        for (ticker, wanted) in tickers {
            let marked: Vec<(Day, DayState)> = (days.iter())
                .map(|(day, _)| match wanted.binary_search(&day.date) {
                    Ok(_) => (*day, DayState::Refetch),
                    Err(_) => (*day, DayState::Done),
                })
                .collect();
            let windows: Arc<[Window]> = windows(&marked, &self.limits).into();
            let stored = comparable.get(ticker).map_or(&[][..], Vec::as_slice);
            plans.push(TickerPlan {
                ticker: ticker.clone(),
                windows: comparisons.with(&windows, &marked, stored, &self.limits),
                days_answered: 0,
                full_range: None,
            });
        }
        Ok(Plan::of(plans, &self.limits, self.now))
    }

    /// Whether the run's dates begin before the start that counts for a ticker without stored bars.
    fn begins_early(&self) -> bool {
        matches!(self.since, Some(Since::LastAndBefore(start)) if self.dates.first() < start)
    }

    /// Marks days to skip and days to request again for a run that continues from the stored bars.
    fn mark_staged(
        &self,
        days: &mut [(Day, DayState)],
        history: &History,
        provenance: &Provenance,
    ) {
        let sessions = &history.sessions;
        if let Some(Since::LastAndBefore(start)) = self.since {
            // The run may start earlier, because of another ticker.
            for (_, state) in days.iter_mut().filter(|(day, _)| day.date < start) {
                *state = DayState::Done;
            }
        }
        let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else {
            return;
        };
        for (day, state) in days.iter_mut() {
            let is_stored = match self.since {
                Some(Since::Last) => day.date <= *last,
                Some(Since::LastAndBefore(_)) => *first <= day.date && day.date <= *last,
                None => false,
            };
            if is_stored {
                *state = DayState::Done;
            }
        }
        let overlap = &sessions[sessions.len().saturating_sub(self.overlap)..];
        // A session that was requested before it had ended lacks bars, so it is requested again
        // without any overlap too.
        let partial = match self.since {
            Some(_) => partial_dates(&history.coverage, provenance),
            None => Vec::new(),
        };
        for (day, state) in days.iter_mut() {
            let again = overlap.binary_search(&day.date).is_ok()
                || partial.binary_search(&day.date).is_ok();
            if again && self.dates.contains(day.date) {
                *state = DayState::Refetch;
            }
        }
    }

    /// The days of the range, and some before it as done: if the first session would be requested
    /// alone, one of them is requested with it.
    fn days(&self) -> Result<Vec<(Day, DayState)>, calendar::Error> {
        let first = self.dates.first();
        let mut early = first - Days::new(u64::from(self.limits.span_max));
        if let Some(span) = self.calendar.span() {
            early = early.max(span.first()).min(first);
        }
        let range = DateRange::new(early, self.dates.last()).unwrap_or(self.dates);
        let found = days(self.calendar, range, self.hours, self.now)?;
        let state = |date: NaiveDate| match date < first {
            true => DayState::Done,
            false => DayState::New,
        };
        Ok(found
            .into_iter()
            .map(|day| (day, state(day.date)))
            .collect())
    }
}

impl Plan {
    fn of(mut tickers: Vec<TickerPlan>, limits: &RequestLimits, now: Timestamp) -> Self {
        if limits.tickers_max > 1 {
            put_same_windows_together(&mut tickers);
        }
        let mut groups = Vec::new();
        let mut requests = 0;
        let mut rest = tickers.as_slice();
        while let Some(first) = rest.first() {
            let days = || first.windows.iter().map(|window| window.days.as_slice());
            let size_max = limits.group_size(days());
            let has_same_windows = |ticker: &&TickerPlan| {
                Arc::ptr_eq(&ticker.windows, &first.windows) || ticker.windows == first.windows
            };
            let size = rest
                .iter()
                .take(size_max)
                .take_while(has_same_windows)
                .count();
            let windows = first.windows.iter();
            requests += windows
                .map(|window| limits.requests((window.request, &window.days), size, now))
                .sum::<u64>();
            groups.push(size);
            rest = &rest[size..];
        }
        Self {
            tickers,
            groups,
            requests,
        }
    }

    /// Adds the windows of another plan after its own.
    pub fn append(&mut self, mut other: Self) {
        self.tickers.append(&mut other.tickers);
        self.groups.append(&mut other.groups);
        self.requests += other.requests;
    }

    /// How many windows there are.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.tickers
            .iter()
            .map(|ticker| ticker.windows.len() as u64)
            .sum()
    }

    /// The shortest time that its requests take at a rate per minute; without a rate, none.
    #[must_use]
    pub fn least_time(&self, per_minute: Option<NonZeroU32>) -> Duration {
        let seconds = |rate: NonZeroU32| self.requests as f64 * 60.0 / f64::from(rate.get());
        Duration::from_secs_f64(per_minute.map_or(0.0, seconds))
    }
}

/// Orders tickers so that those with the same windows are neighbours.
fn put_same_windows_together(tickers: &mut [TickerPlan]) {
    let mut first: HashMap<Arc<[Window]>, usize> = HashMap::new();
    for (index, ticker) in tickers.iter().enumerate() {
        first.entry(ticker.windows.clone()).or_insert(index);
    }
    tickers.sort_by_key(|ticker| first.get(&ticker.windows).copied());
}

/// Sets the states of days that coverage shows as requested.
fn mark(days: &mut [(Day, DayState)], coverage: &[CoverageEntry], provenance: &Provenance) {
    for entry in coverage
        .iter()
        .filter(|entry| entry.provenance == *provenance)
    {
        let start = days.partition_point(|(day, _)| day.date < entry.dates.first());
        let end = days.partition_point(|(day, _)| day.date <= entry.dates.last());
        for (_, state) in &mut days[start..end.max(start)] {
            match (entry.status.is_answered(), *state) {
                (_, DayState::Done) => {}
                (true, _) => *state = DayState::Done,
                (false, _) => *state = DayState::Refetch,
            }
        }
    }
}

/// The local dates with a partial response and without a complete one, in order.
#[must_use]
pub fn partial_dates(coverage: &[CoverageEntry], provenance: &Provenance) -> Vec<NaiveDate> {
    let same = || {
        coverage
            .iter()
            .filter(|entry| entry.provenance == *provenance)
    };
    let is_answered = |date: &NaiveDate| {
        same().any(|entry| entry.status.is_answered() && entry.dates.contains(*date))
    };
    let mut partial: Vec<NaiveDate> = same()
        .filter(|entry| entry.status == CoverageStatus::Partial)
        .flat_map(|entry| entry.dates.iter())
        .filter(|date| !is_answered(date))
        .collect();
    partial.sort_unstable();
    partial.dedup();
    partial
}

/// Windows with a session to compare, shared by tickers that have the same windows and session.
#[derive(Default)]
struct Comparisons(HashMap<Vec<Window>, Arc<[Window]>>);

impl Comparisons {
    fn with(
        &mut self,
        planned: &Arc<[Window]>,
        days: &[(Day, DayState)],
        stored: &[NaiveDate],
        limits: &RequestLimits,
    ) -> Arc<[Window]> {
        match with_comparison(planned, days, stored, limits) {
            None => planned.clone(),
            Some(windows) => (self.0.entry(windows))
                .or_insert_with_key(|windows| windows.as_slice().into())
                .clone(),
        }
    }
}

/// The tickers of shard `index` of `count`, `index` from 1. The shard of a ticker depends on its name
/// alone, so machines can divide tickers without coordination.
#[must_use]
pub fn shard(tickers: Vec<Ticker>, index: u64, count: u64) -> Vec<Ticker> {
    let of =
        |ticker: &Ticker| xxhash_rust::xxh3::xxh3_64(ticker.as_str().as_bytes()) % count.max(1);
    tickers
        .into_iter()
        .filter(|ticker| of(ticker) + 1 == index)
        .collect()
}

#[cfg(test)]
mod tests;
