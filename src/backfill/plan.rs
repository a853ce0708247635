//! What a run will ask, before it asks anything.

use std::collections::HashMap;
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
    /// The ticker.
    pub ticker: Ticker,
    /// Its windows, oldest first, except that one with a stored session to compare goes first.
    pub windows: Arc<[Window]>,
    /// Days of the range that are answered already, and are not asked again.
    pub days_answered: usize,
    /// The dates of the range, where every trading day of them is asked for.
    pub full_range: Option<DateRange>,
}

/// From what a plan is made.
pub struct Planner<'a> {
    /// When there is trading.
    pub calendar: &'a Calendar,
    /// The dates asked for, both inside, local to the exchange.
    pub dates: DateRange,
    /// The regular session, or more.
    pub hours: Hours,
    /// What the provider allows a request to ask for.
    pub limits: RequestLimits,
    /// The time of day: what lies ahead is not asked for.
    pub now: Timestamp,
    /// Leave out what lies between a ticker's first and last staged session, and, of [`Since::Last`], what lies before.
    pub since: Option<Since>,
    /// Request this many of a ticker's last stored sessions again, whatever coverage says of them.
    pub overlap: usize,
    /// Skip days that coverage shows as answered.
    pub resumes: bool,
}

/// From where a run that goes on from what is staged asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From the last staged session on.
    Last,
    /// The same, and from this date to the first staged session too.
    LastAndBefore(NaiveDate),
}

/// What the store holds of a ticker, as far as a plan looks at it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Coverage: what was requested and how it was answered. Empty if the run doesn't need it.
    pub answers: Vec<CoverageEntry>,
    /// Dates of the sessions that have staged bars, in order: the first, and as many of the last as the overlap needs.
    /// Empty where a run does not look at them.
    pub sessions: Vec<NaiveDate>,
    /// Dates of stored sessions that new bars can be compared with, in order: those in and around the
    /// range of the run. Empty if the run stores nothing.
    pub comparable: Vec<NaiveDate>,
}

impl Planner<'_> {
    /// The plan for `tickers`; `known` tells what the store holds of each.
    pub fn plan<E: From<calendar::Error>>(
        &self,
        tickers: &[Ticker],
        mut known: impl FnMut(&Ticker) -> Result<History, E>,
        provenance: &Provenance,
    ) -> Result<Plan, E> {
        let days = self.days()?;
        let all: Arc<[Window]> = windows(&days, &self.limits).into();
        let mut plans = Vec::with_capacity(tickers.len());
        // Tickers of which the same is known share their windows.
        let mut shared: HashMap<Vec<DayState>, (Arc<[Window]>, usize)> = HashMap::new();
        let mut compared = Compared::default();
        for ticker in tickers {
            let history = known(ticker)?;
            let (windows, days_answered) = if history.answers.is_empty()
                && history.sessions.is_empty()
                && !self.begins_early()
            {
                let windows = compared.with(&all, &days, &history.comparable, &self.limits);
                (windows, 0)
            } else {
                let mut days = days.clone();
                if self.resumes {
                    mark(&mut days, &history.answers, provenance);
                }
                self.mark_staged(&mut days, &history, provenance);
                let marks: Vec<DayState> = days.iter().map(|(_, known)| *known).collect();
                let planned = shared.entry(marks).or_insert_with(|| {
                    let answered = |(day, known): &&(Day, DayState)| {
                        *known == DayState::Done && self.dates.contains(day.date)
                    };
                    let count = days.iter().filter(answered).count();
                    (windows(&days, &self.limits).into(), count)
                });
                let (windows, count) = planned.clone();
                let windows = compared.with(&windows, &days, &history.comparable, &self.limits);
                (windows, count)
            };
            plans.push(TickerPlan {
                ticker: ticker.clone(),
                windows,
                days_answered,
                full_range: (days_answered == 0).then_some(self.dates),
            });
        }
        Ok(Plan::of(plans, &self.limits))
    }

    /// The plan for single days: of each ticker the local dates to ask for again, in order, in as few windows as there
    /// can be. The bars of days between them are left out.
    ///
    /// `comparable` has the dates of each ticker's stored sessions that new bars can be compared with.
    pub fn plan_days(
        &self,
        tickers: &[(Ticker, Vec<NaiveDate>)],
        comparable: &HashMap<Ticker, Vec<NaiveDate>>,
    ) -> Result<Plan, calendar::Error> {
        let days = self.days()?;
        let mut plans = Vec::with_capacity(tickers.len());
        let mut compared = Compared::default();
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
                windows: compared.with(&windows, &marked, stored, &self.limits),
                days_answered: 0,
                full_range: None,
            });
        }
        Ok(Plan::of(plans, &self.limits))
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
            // The run may begin before that, for the sake of another ticker.
            for (_, known) in days.iter_mut().filter(|(day, _)| day.date < start) {
                *known = DayState::Done;
            }
        }
        let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else {
            return;
        };
        for (day, known) in days.iter_mut() {
            let left_out = match self.since {
                Some(Since::Last) => day.date <= *last,
                Some(Since::LastAndBefore(_)) => *first <= day.date && day.date <= *last,
                None => false,
            };
            if left_out {
                *known = DayState::Done;
            }
        }
        let overlap = &sessions[sessions.len().saturating_sub(self.overlap)..];
        // A session that was requested before it was complete lacks bars whatever the overlap.
        let partial = match self.since {
            Some(_) => partial_dates(&history.answers, provenance),
            None => Vec::new(),
        };
        for (day, known) in days.iter_mut() {
            let again = overlap.binary_search(&day.date).is_ok()
                || partial.binary_search(&day.date).is_ok();
            if again && self.dates.contains(day.date) {
                *known = DayState::Refetch;
            }
        }
    }

    /// The days of the range, and as answered ones some before it: a lone first session is asked for with another.
    fn days(&self) -> Result<Vec<(Day, DayState)>, calendar::Error> {
        let first = self.dates.first();
        let mut early = first - Days::new(u64::from(self.limits.span_max));
        if let Some(span) = self.calendar.span() {
            early = early.max(span.first()).min(first);
        }
        let range = DateRange::new(early, self.dates.last()).unwrap_or(self.dates);
        let found = days(self.calendar, range, self.hours, self.now)?;
        let known = |date: NaiveDate| match date < first {
            true => DayState::Done,
            false => DayState::New,
        };
        Ok(found
            .into_iter()
            .map(|day| (day, known(day.date)))
            .collect())
    }
}

impl Plan {
    fn of(tickers: Vec<TickerPlan>, limits: &RequestLimits) -> Self {
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
            requests += days().map(|days| limits.requests(days, size)).sum::<u64>();
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

    /// The least time that its requests take at so many a minute.
    #[must_use]
    pub fn least_time(&self, per_minute: u32) -> Duration {
        let minutes = self.requests as f64 / f64::from(per_minute.max(1));
        Duration::from_secs_f64(minutes * 60.0)
    }
}

/// Marks what `answers` say of the days.
fn mark(days: &mut [(Day, DayState)], answers: &[CoverageEntry], provenance: &Provenance) {
    for answer in answers
        .iter()
        .filter(|answer| answer.provenance == *provenance)
    {
        let start = days.partition_point(|(day, _)| day.date < answer.dates.first());
        let end = days.partition_point(|(day, _)| day.date <= answer.dates.last());
        for (_, known) in &mut days[start..end.max(start)] {
            match (answer.status.is_answered(), *known) {
                (_, DayState::Done) => {}
                (true, _) => *known = DayState::Done,
                (false, _) => *known = DayState::Refetch,
            }
        }
    }
}

/// The local dates that are covered by a partial answer and by no complete one, in order.
#[must_use]
pub fn partial_dates(answers: &[CoverageEntry], provenance: &Provenance) -> Vec<NaiveDate> {
    let same = || (answers.iter()).filter(|answer| answer.provenance == *provenance);
    let is_answered = |date: &NaiveDate| {
        same().any(|answer| answer.status.is_answered() && answer.dates.contains(*date))
    };
    let mut partial: Vec<NaiveDate> = same()
        .filter(|answer| answer.status == CoverageStatus::Partial)
        .flat_map(|answer| answer.dates.iter())
        .filter(|date| !is_answered(date))
        .collect();
    partial.sort_unstable();
    partial.dedup();
    partial
}

/// Windows with a session to compare, shared by tickers that have the same windows and session.
#[derive(Default)]
struct Compared(HashMap<Vec<Window>, Arc<[Window]>>);

impl Compared {
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

/// The share of `tickers` that shard `index` of `count` has, `index` from 1. Which one a ticker falls to depends on its
/// name alone, so that machines split a universe without talking.
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
