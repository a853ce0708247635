//! What a run will ask, before it asks anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};

use super::days::{Day, days};
use super::windows::{Known, Window, windows};
use crate::calendar::{self, Calendar};
use crate::model::{DateRange, Hours, Provenance, Ticker, Timestamp};
use crate::store::Answer;

/// The windows of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tickers in the order in which they are asked for, each with its windows.
    pub tickers: Vec<TickerPlan>,
}

/// The windows of one ticker.
#[derive(Clone, Debug)]
pub struct TickerPlan {
    /// The ticker.
    pub ticker: Ticker,
    /// Its windows, oldest first.
    pub windows: Arc<[Window]>,
    /// Days of the range that are answered already, and are not asked again.
    pub days_answered: usize,
    /// The dates of the range, where every trading day of them is asked for.
    pub whole: Option<DateRange>,
}

/// From what a plan is made.
pub struct Planner<'a> {
    /// When there is trading.
    pub calendar: &'a Calendar,
    /// The dates asked for, both inside, local to the exchange.
    pub dates: DateRange,
    /// The regular session, or more.
    pub hours: Hours,
    /// Dates that one request may span.
    pub span_max: u16,
    /// The time of day: what lies ahead is not asked for.
    pub now: Timestamp,
    /// Leave out what lies between a ticker's first and last staged session, and, of [`Since::Last`], what lies before.
    pub since: Option<Since>,
    /// Ask for so many of a ticker's last staged sessions again, whatever is known of them.
    pub overlap: usize,
}

/// From where a run that goes on from what is staged asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From the last staged session on.
    Last,
    /// The same, and what lies before the first staged session too.
    LastAndBefore,
}

/// What the store holds of a ticker, as far as a plan looks at it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What was asked, and how it was answered; empty where a run does not look at it.
    pub answers: Vec<Answer>,
    /// Dates of the sessions that have staged bars, in order: the first, and as many of the last as the overlap needs.
    /// Empty where a run does not look at them.
    pub sessions: Vec<NaiveDate>,
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
        let all: Arc<[Window]> = windows(&days, self.span_max).into();
        let mut plans = Vec::with_capacity(tickers.len());
        // Tickers of which the same is known share their windows.
        let mut shared: HashMap<Vec<Known>, (Arc<[Window]>, usize)> = HashMap::new();
        for ticker in tickers {
            let history = known(ticker)?;
            let (windows, days_answered) =
                if history.answers.is_empty() && history.sessions.is_empty() {
                    (all.clone(), 0)
                } else {
                    let mut days = days.clone();
                    mark(&mut days, &history.answers, provenance);
                    self.mark_staged(&mut days, &history.sessions);
                    let marks: Vec<Known> = days.iter().map(|(_, known)| *known).collect();
                    let planned = shared.entry(marks).or_insert_with(|| {
                        let answered = |(day, known): &&(Day, Known)| {
                            *known == Known::Answered && self.dates.contains(day.date)
                        };
                        let count = days.iter().filter(answered).count();
                        (windows(&days, self.span_max).into(), count)
                    });
                    planned.clone()
                };
            plans.push(TickerPlan {
                ticker: ticker.clone(),
                windows,
                days_answered,
                whole: (days_answered == 0).then_some(self.dates),
            });
        }
        Ok(Plan { tickers: plans })
    }

    /// The plan for single days: of each ticker the local dates to ask for again, in order, in as few windows as there
    /// can be. The bars of days between them are left out.
    pub fn plan_days(&self, tickers: &[(Ticker, Vec<NaiveDate>)]) -> Result<Plan, calendar::Error> {
        let days = self.days()?;
        let mut plans = Vec::with_capacity(tickers.len());
        for (ticker, wanted) in tickers {
            let marked: Vec<(Day, Known)> = (days.iter())
                .map(|(day, _)| match wanted.binary_search(&day.date) {
                    Ok(_) => (*day, Known::Again),
                    Err(_) => (*day, Known::Answered),
                })
                .collect();
            plans.push(TickerPlan {
                ticker: ticker.clone(),
                windows: windows(&marked, self.span_max).into(),
                days_answered: 0,
                whole: None,
            });
        }
        Ok(Plan { tickers: plans })
    }

    /// Marks what a run that goes on from what is staged leaves out, and what it asks for again.
    fn mark_staged(&self, days: &mut [(Day, Known)], sessions: &[NaiveDate]) {
        let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else {
            return;
        };
        for (day, known) in days.iter_mut() {
            let left_out = match self.since {
                Some(Since::Last) => day.date <= *last,
                Some(Since::LastAndBefore) => *first <= day.date && day.date <= *last,
                None => false,
            };
            if left_out {
                *known = Known::Answered;
            }
        }
        let overlap = &sessions[sessions.len().saturating_sub(self.overlap)..];
        for (day, known) in days.iter_mut() {
            if self.dates.contains(day.date) && overlap.binary_search(&day.date).is_ok() {
                *known = Known::Again;
            }
        }
    }

    /// The days of the range, and as answered ones some before it: a lone first session is asked for with another.
    fn days(&self) -> Result<Vec<(Day, Known)>, calendar::Error> {
        let first = self.dates.first();
        let mut early = first - Days::new(u64::from(self.span_max));
        if let Some(span) = self.calendar.span() {
            early = early.max(span.first()).min(first);
        }
        let range = DateRange::new(early, self.dates.last()).unwrap_or(self.dates);
        let found = days(self.calendar, range, self.hours, self.now)?;
        let known = |date: NaiveDate| match date < first {
            true => Known::Answered,
            false => Known::Nothing,
        };
        Ok(found
            .into_iter()
            .map(|day| (day, known(day.date)))
            .collect())
    }
}

impl Plan {
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
        let minutes = self.windows() as f64 / f64::from(per_minute.max(1));
        Duration::from_secs_f64(minutes * 60.0)
    }
}

/// Marks what `answers` say of the days.
fn mark(days: &mut [(Day, Known)], answers: &[Answer], provenance: &Provenance) {
    for answer in answers
        .iter()
        .filter(|answer| answer.provenance == *provenance)
    {
        let start = days.partition_point(|(day, _)| day.date < answer.dates.first());
        let end = days.partition_point(|(day, _)| day.date <= answer.dates.last());
        for (_, known) in &mut days[start..end.max(start)] {
            match (answer.status.is_answered(), *known) {
                (_, Known::Answered) => {}
                (true, _) => *known = Known::Answered,
                (false, _) => *known = Known::Again,
            }
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
