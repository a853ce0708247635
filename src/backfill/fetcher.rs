//! One window: asked, checked for what the provider left out, and settled.
//!
//! ```text
//! ask ─> does the oldest row reach the first session? ─no─> ask for the head alone ─┐
//!                         │ yes                      <──────────────────────────────┘
//!                         └─> does an answer begin in the middle of a session? ─yes─> ask once with the session before
//!                                 └─> is the opening bar of a session that came alone there? ─no─> ask once with the next
//!                                              └─> hold back what still changes ─> Fetched
//! ```

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{Days, NaiveDate};

use super::days::{Day, midnight};
use super::evidence::Evidence;
use super::windows::Window;
use crate::calendar::Calendar;
use crate::model::{
    Bars, Basis, DAY_MICROS, DateRange, Hours, Interval, Provenance, SeriesKey, Ticker, Timestamp,
};
use crate::provider::{Asker, BadRow, Gave, Query, Rows};
use crate::store::{CoverageEntry, CoverageStatus};

/// Tells the time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What all windows of a run have in common.
pub struct WindowFetcher {
    /// Asks.
    pub asker: Asker,
    /// When there is trading.
    pub calendar: Calendar,
    /// Length of the bars.
    pub interval: Interval,
    /// Adjusted for splits or not.
    pub basis: Basis,
    /// The regular session, or more.
    pub hours: Hours,
    /// Whether bars that have opened and still change are taken too.
    pub include_forming: bool,
    /// The time of day.
    pub clock: Clock,
}

/// What a window brought.
#[derive(Default)]
pub struct Fetched {
    /// Bars of the window, oldest first.
    pub bars: Bars,
    /// Rows that are not bars.
    pub rejects: Vec<BadRow>,
    /// Bars held back because they can still change.
    pub held: u64,
    /// What is known now of the window's days.
    pub answers: Vec<CoverageEntry>,
    /// What could not be asked, where that is not all of it.
    pub gave: Option<Gave>,
    /// Bars that came with it and are not the window's to bring: they tell whether history was restated.
    pub context_bars: Bars,
}

/// The questions of one ticker so far, so that none is asked twice.
#[derive(Default)]
pub struct RequestedRanges(Mutex<HashSet<DateRange>>);

impl RequestedRanges {
    fn is_new(&self, dates: DateRange) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(dates)
    }
}

impl WindowFetcher {
    /// What the bars of the run are, beside their ticker and interval.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            exchange: self.calendar.exchange().to_owned(),
            basis: self.basis,
            hours: self.hours,
        }
    }

    /// Dates that one request may span.
    pub fn span_max(&self) -> u16 {
        (self.asker.provider().capabilities()).window_days(self.interval)
    }

    /// Brings what the provider has of one window.
    pub async fn fetch(
        &self,
        ticker: &Ticker,
        window: &Window,
        asked: &RequestedRanges,
    ) -> Fetched {
        let asked_at = (self.clock)();
        let mut fetched = Fetched::default();
        asked.is_new(window.ask);
        let answer = match self.rows(ticker, window.ask).await {
            Ok(answer) => answer,
            Err(gave) => {
                if !window.is_comparison() {
                    fetched.answers = self.failed(ticker, window.keep, &gave, asked_at);
                } else if let Gave::Error(error) = &gave
                    && !error.is_quota()
                {
                    // Not a failure: the plan behind the key may not have that session. The series
                    // gets a warning, and what concerns the run shows in the next window.
                    tracing::debug!("[{ticker}] no stored session to compare: {error}");
                    return fetched;
                }
                fetched.gave = Some(gave);
                return fetched;
            }
        };
        let opens = opens(&answer.bars, &answer.rejects);
        let mut oldest = opens.first().copied();
        let mut cut: Vec<Day> = self.cut_inside(window, &opens).into_iter().collect();
        let kept = self.kept(window, answer);
        fetched.context_bars = kept.1;
        fetched.take(kept.0);
        let mut failed = Vec::new();
        while let Some(head) = self.unreached(window, oldest, asked_at) {
            let ask = self.widened(head, asked_at);
            if !asked.is_new(ask) {
                break;
            }
            tracing::debug!(
                "[{ticker}] the answer for {} lacks {head}; asking for {ask}",
                window.ask
            );
            match self.rows(ticker, ask).await {
                Ok(answer) => {
                    let part = Window {
                        keep: head,
                        ..window.clone()
                    };
                    let (answer, _) = self.kept(&part, answer);
                    let opens = self::opens(&answer.bars, &answer.rejects);
                    oldest = opens.first().copied();
                    cut.extend(self.cut_inside(window, &opens));
                    fetched.take(answer);
                    if opens.is_empty() {
                        break;
                    }
                }
                Err(gave) => {
                    self.give_up(&mut fetched, &mut failed, ticker, head, gave, asked_at);
                    break;
                }
            }
        }
        let mut truncated_days = Vec::new();
        for day in cut {
            let alone = joined_alone(day.date);
            let ask = self.widened(alone, asked_at);
            if fetched.opens().contains(&day.open.micros())
                || self.first_bar_settles(&day) > asked_at.micros()
            {
                continue;
            }
            if !failed.is_empty() {
                truncated_days.push(day.date);
                continue;
            }
            if !asked.is_new(ask) {
                continue;
            }
            tracing::debug!(
                "[{ticker}] an answer for {} begins inside {}; asking for {ask}",
                window.ask,
                day.date
            );
            match self.rows(ticker, ask).await {
                Ok(answer) => fetched.take(self.kept(window, answer).0),
                Err(gave @ Gave::Error(_)) => {
                    self.give_up(&mut fetched, &mut failed, ticker, alone, gave, asked_at);
                }
                // Nobody was asked, but what came of it is staged.
                Err(gave) => {
                    fetched.gave = Some(gave);
                    truncated_days.push(day.date);
                }
            }
        }
        if failed.is_empty()
            && truncated_days.is_empty()
            && let Some(ask) = self.opening_is_missing(window, &fetched.opens(), asked_at)
            && asked.is_new(ask)
        {
            tracing::debug!(
                "[{ticker}] the opening bar of {} is missing; asking for {ask}",
                window.keep
            );
            // A second look: what it fails to bring was no failure before.
            if let Ok(answer) = self.rows(ticker, ask).await {
                fetched.take(self.kept(window, answer).0);
            }
        }
        let asked = format!("{ticker} {} {}", self.interval, window.keep);
        let rows = (&fetched.bars, &fetched.rejects[..]);
        let mut evidence = Evidence::of(&self.calendar, window, &asked, rows.0, rows.1);
        evidence.truncated_days = truncated_days;
        self.hold_back(&mut fetched, window, asked_at);
        let answers = self.answers(ticker, window, &failed, &evidence, &fetched, asked_at);
        fetched.answers.extend(answers);
        if fetched.gave.is_none() {
            fetched.gave = evidence.error.map(Gave::Error);
        }
        fetched
    }

    /// All pages of a question.
    async fn rows(&self, ticker: &Ticker, dates: DateRange) -> Result<Rows, Gave> {
        let mut query = Query {
            tickers: vec![ticker.clone()],
            interval: self.interval,
            dates,
            tz: self.calendar.tz(),
            basis: self.basis,
            hours: self.hours,
            latest: Timestamp::from_micros((self.clock)().micros() + DAY_MICROS),
            page: None,
        };
        let mut rows = Rows::default();
        loop {
            let page = self.asker.ask(&Arc::new(query.clone())).await?;
            for (_, more) in page.series.into_iter().filter(|(of, _)| of == ticker) {
                rows.bars.append(more.bars);
                rows.rejects.extend(more.rejects);
            }
            match page.next {
                Some(next) => query.page = Some(next),
                None => return Ok(rows),
            }
        }
    }

    /// Some of the window could not be asked for.
    fn give_up(
        &self,
        fetched: &mut Fetched,
        failed: &mut Vec<DateRange>,
        ticker: &Ticker,
        dates: DateRange,
        gave: Gave,
        at: Timestamp,
    ) {
        (fetched.answers).extend(self.failed(ticker, dates, &gave, at));
        fetched.gave = Some(gave);
        failed.push(dates);
    }

    pub(super) fn settle_micros(&self) -> i64 {
        let settles = self.asker.provider().capabilities().settles_after;
        i64::try_from(settles.as_micros()).unwrap_or(i64::MAX / 4)
    }

    /// The rows that the window is to bring, and the bars next to them. A reject without a date
    /// stays.
    fn kept(&self, window: &Window, mut rows: Rows) -> (Rows, Bars) {
        let start = midnight(&self.calendar, window.keep.first());
        let end = midnight(&self.calendar, window.keep.last() + Days::new(1));
        let skipped: Vec<(i64, i64)> = (window.skip.iter())
            .map(|date| {
                let next = midnight(&self.calendar, *date + Days::new(1));
                (midnight(&self.calendar, *date), next)
            })
            .collect();
        let keeps = |at: &i64| {
            start <= *at && *at < end && !skipped.iter().any(|(from, to)| from <= at && at < to)
        };
        let mut context_bars = Bars::default();
        if !rows.bars.timestamps().iter().all(keeps) {
            context_bars = retain(&rows.bars, |at| !keeps(at));
            rows.bars = retain(&rows.bars, keeps);
        }
        (rows.rejects).retain(|row| row.at.is_none_or(|at| keeps(&at.micros())));
        (rows, context_bars)
    }

    /// Takes out the bars that can still change, unless those that have opened are wanted.
    fn hold_back(&self, fetched: &mut Fetched, window: &Window, asked_at: Timestamp) {
        let Some(last) = fetched.bars.timestamps().last() else {
            return;
        };
        let settled = asked_at.micros() - self.settle_micros();
        if last + self.interval.micros() <= settled {
            return;
        }
        let close = |open: i64| {
            // The last bar of a session can be cut short.
            (window.days.iter())
                .find(|day| day.open.micros() <= open && open < day.close.micros())
                .map_or(i64::MAX, |day| day.close.micros())
                .min(open + self.interval.micros())
        };
        let before = fetched.bars.len();
        fetched.bars = retain(&fetched.bars, |open| match self.include_forming {
            true => *open <= asked_at.micros(),
            false => close(*open) <= settled,
        });
        fetched.held = (before - fetched.bars.len()) as u64;
    }

    /// What the window says of its days, neighbours of one kind taken together.
    fn answers(
        &self,
        ticker: &Ticker,
        window: &Window,
        failed: &[DateRange],
        evidence: &Evidence,
        fetched: &Fetched,
        asked_at: Timestamp,
    ) -> Vec<CoverageEntry> {
        let settled = asked_at.micros() - self.settle_micros();
        let timestamps = fetched.bars.timestamps();
        let mut answers: Vec<CoverageEntry> = Vec::new();
        let mut joins = false;
        let mut at = 0;
        for date in window.keep.iter() {
            let end = midnight(&self.calendar, date + Days::new(1));
            let rows = timestamps[at..].partition_point(|open| *open < end);
            at += rows;
            let Some(day) = window.days.iter().find(|day| day.date == date) else {
                joins &= !window.skip.contains(&date);
                continue;
            };
            if failed.iter().any(|failed| failed.contains(date)) {
                joins = false;
                continue;
            }
            let ended = match self.hours {
                Hours::Regular => day.close.micros(),
                Hours::Extended | Hours::Unknown => end,
            };
            let (status, reason) = match rows {
                _ if evidence.failed.contains(&date) => (
                    CoverageStatus::Failed,
                    Some("rows came, and most of them are not bars"),
                ),
                _ if ended > settled => (
                    CoverageStatus::Partial,
                    Some("asked before its session was settled"),
                ),
                _ if evidence.truncated_days.contains(&date) => (
                    CoverageStatus::Partial,
                    Some("its first bars were cut off, and could not be asked for"),
                ),
                _ if evidence.partial.contains(&date) => (
                    CoverageStatus::Partial,
                    Some("more than a tenth of its rows are not bars"),
                ),
                0 => (CoverageStatus::Empty, None),
                _ => (CoverageStatus::Rows, None),
            };
            match answers.last_mut() {
                Some(answer)
                    if joins && answer.status == status && answer.reason.as_deref() == reason =>
                {
                    answer.dates = joined(answer.dates, date);
                    answer.rows += rows as u64;
                }
                _ => {
                    let mut answer = self.answer(ticker, joined_alone(date), status, asked_at);
                    answer.rows = rows as u64;
                    answer.reason = reason.map(str::to_owned);
                    answers.push(answer);
                }
            }
            joins = true;
        }
        answers
    }

    fn failed(
        &self,
        ticker: &Ticker,
        dates: DateRange,
        gave: &Gave,
        at: Timestamp,
    ) -> Vec<CoverageEntry> {
        match gave {
            Gave::Error(error) => vec![CoverageEntry {
                reason: Some(error.to_string()),
                ..self.answer(ticker, dates, CoverageStatus::Failed, at)
            }],
            // Nobody was asked.
            Gave::Spent(_) | Gave::Closed => Vec::new(),
        }
    }

    fn answer(
        &self,
        ticker: &Ticker,
        dates: DateRange,
        status: CoverageStatus,
        at: Timestamp,
    ) -> CoverageEntry {
        CoverageEntry {
            series: SeriesKey {
                interval: self.interval,
                ticker: ticker.clone(),
            },
            provider: (self.asker.provider().capabilities().source.as_str()).to_owned(),
            provenance: self.provenance(),
            dates,
            status,
            rows: 0,
            reason: None,
            asked_at: at,
        }
    }
}

impl Fetched {
    /// When its rows open, in order, bars or not.
    fn opens(&self) -> Vec<i64> {
        opens(&self.bars, &self.rejects)
    }

    /// Adds the bars whose keys are not there yet, and the rejects that an earlier answer didn't
    /// hold.
    fn take(&mut self, rows: Rows) {
        let before = self.rejects.len();
        for row in rows.rejects {
            let is_known = |known: &BadRow| known.reject.raw == row.reject.raw;
            if !self.rejects[..before].iter().any(is_known) {
                self.rejects.push(row);
            }
        }
        if self.bars.is_empty() {
            self.bars = rows.bars;
            return;
        }
        if rows.bars.is_empty() {
            return;
        }
        let known: HashSet<i64> = self.bars.timestamps().iter().copied().collect();
        let new = retain(&rows.bars, |at| !known.contains(at));
        self.bars.append(new);
        let mut order: Vec<usize> = (0..self.bars.len()).collect();
        order.sort_by_key(|&row| self.bars.timestamps()[row]);
        self.bars = self.bars.select(&order);
    }
}

/// When rows open, in order.
fn opens(bars: &Bars, rejects: &[BadRow]) -> Vec<i64> {
    let dated = rejects
        .iter()
        .filter_map(|row| row.at)
        .map(Timestamp::micros);
    let mut opens: Vec<i64> = bars.timestamps().iter().copied().chain(dated).collect();
    opens.sort_unstable();
    opens
}

fn retain(bars: &Bars, keep: impl Fn(&i64) -> bool) -> Bars {
    let kept: Vec<usize> = (bars.timestamps().iter().enumerate())
        .filter(|(_, at)| keep(at))
        .map(|(row, _)| row)
        .collect();
    bars.select(&kept)
}

fn joined_alone(date: NaiveDate) -> DateRange {
    DateRange::new(date, date).unwrap_or_else(|_| unreachable!("a date is not after itself"))
}

fn joined(dates: DateRange, date: NaiveDate) -> DateRange {
    DateRange::new(dates.first(), date).unwrap_or(dates)
}
