//! The requests that a window takes, in order. A page token is the list of those that are left, so
//! the client keeps no state, and each request has its own retries and its place in the rate.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate};

use super::row::Bounds;
use crate::model::{DAY_MICROS, DateRange, Interval, Timestamp, date_micros};
use crate::provider::{PageToken, Request};

/// Klines of one page: the most that the service allows. Its default is half of it.
pub(super) const PAGE_ROWS: u64 = 1_000;

/// From this many days on, a month's file is requested instead of a file for each day.
const MONTH_DAYS_MIN: usize = 4;

/// Days in a row without a file after which the rest of a window is requested over REST.
const MISSING_IN_A_ROW_MAX: u32 = 3;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Klines(Span),
    /// The checksum of a file. `attempt` is 0, or 1 if the file didn't fit the first one.
    Checksum {
        file: File,
        attempt: u8,
    },
    Content {
        file: File,
        attempt: u8,
        /// In hex.
        sha256: String,
    },
}

/// Klines to request over REST, page by page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// First and last millisecond, both included.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) why: Why,
}

/// Why klines are requested over REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There is no file, or none yet.
    NoFile,
    /// A good file lacks them. Usually they don't exist.
    Missing,
    /// The file is damaged, or can't be fetched.
    Unusable,
}

/// A file with the klines of one UTC month or day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    /// The month of its first day.
    Month(NaiveDate),
    Day(NaiveDate),
}

impl File {
    /// Its first instant and the one after its last, in microseconds.
    pub(super) fn micros(self) -> (i64, i64) {
        match self {
            Self::Month(first) => (date_micros(first), date_micros(next_month(first))),
            Self::Day(date) => (date_micros(date), date_micros(date) + DAY_MICROS),
        }
    }
}

/// The requests that are left of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// In reverse order: the next one is last.
    left: Vec<Step>,
    /// Days in a row that had no file.
    missing: u32,
}

impl Steps {
    /// The steps of a request from `page` on; `None` if that isn't a token of ours.
    pub(super) fn of(request: &Request, page: Option<&PageToken>) -> Option<Self> {
        match page {
            Some(PageToken(token)) => token.parse().ok(),
            None => Some(Self::first(
                Bounds::of(request),
                Timestamp::from_micros(request.latest.micros().saturating_sub(DAY_MICROS)),
            )),
        }
    }

    /// All steps of a window, if each file exists and is whole.
    fn first(bounds: Bounds, now: Timestamp) -> Self {
        let today = date_of(now.micros());
        let mut steps = Self::default();
        let mut klines_from = None;
        let mut at = date_of(bounds.start);
        let last = date_of(bounds.end - 1);
        while at <= last {
            let month_end = next_month(at);
            let end = month_end.min(last + Days::new(1));
            let is_over = month_end <= today;
            if is_over && (end - at).num_days() >= MONTH_DAYS_MIN as i64 {
                steps.then(File::Month(at.with_day(1).unwrap_or(at)).checksum());
            } else {
                for date in at.iter_days().take_while(|date| *date < end) {
                    match date < today {
                        true => steps.then(File::Day(date).checksum()),
                        false => klines_from = klines_from.or(Some(date)),
                    }
                }
            }
            at = end;
        }
        if let Some(date) = klines_from {
            let from = date_micros(date).max(bounds.start);
            // Without later minutes, the newest kline ends the pages.
            let to = bounds
                .end
                .min(now.micros().saturating_add(1))
                .max(from + 1_000);
            steps.then(Step::Klines(Span::of(from, to, Why::NoFile)));
        }
        steps.left.reverse();
        steps
    }

    /// How many requests the bars of `dates` take, if each file exists and is whole.
    pub(super) fn count(interval: Interval, dates: DateRange, now: Timestamp) -> u64 {
        let bounds = Bounds {
            start: date_micros(dates.first()),
            end: date_micros(dates.last()) + DAY_MICROS,
            latest: i64::MAX,
        };
        let requests = |step: &Step| match step {
            Step::Klines(span) => {
                let bars = (span.to - span.from).unsigned_abs() * 1_000 / interval.micros() as u64;
                (bars + 1).div_ceil(PAGE_ROWS)
            }
            Step::Checksum { .. } | Step::Content { .. } => 2,
        };
        Self::first(bounds, now).left.iter().map(requests).sum()
    }

    /// The next request.
    pub(super) fn next(&self) -> Option<&Step> {
        self.left.last()
    }

    /// Takes the next request out.
    pub(super) fn pop(&mut self) {
        self.left.pop();
    }

    /// The token of the page after this one.
    pub(super) fn token(&self) -> Option<PageToken> {
        self.next().map(|_| PageToken(self.to_string()))
    }

    /// Continues with `step`.
    pub(super) fn push(&mut self, step: Step) {
        self.left.push(step);
    }

    /// Adds `step` after all others, while the list is being made.
    fn then(&mut self, step: Step) {
        self.left.push(step);
    }

    /// A file was there.
    pub(super) fn found(&mut self) {
        self.missing = 0;
    }

    /// A file isn't there: continues with the files of its days, or over REST.
    pub(super) fn not_there(&mut self, file: File, bounds: Bounds) {
        match file {
            File::Month(_) => {
                let (start, end) = clipped(file, bounds);
                let mut dates: Vec<NaiveDate> = (date_of(start).iter_days())
                    .take_while(|date| date_micros(*date) < end)
                    .collect();
                dates.reverse();
                let days = dates.into_iter().map(|date| File::Day(date).checksum());
                self.left.extend(days);
            }
            File::Day(_) => {
                self.request(file, bounds, Why::NoFile);
                self.missing += 1;
                if self.missing >= MISSING_IN_A_ROW_MAX {
                    self.give_up_files(bounds);
                }
            }
        }
    }

    /// Requests all days of a file over REST.
    pub(super) fn request(&mut self, file: File, bounds: Bounds, why: Why) {
        let (start, end) = clipped(file, bounds);
        if start < end {
            self.request_last(Span::of(start, end, why));
        }
    }

    /// Requests klines after all files. Neighbouring spans become one.
    pub(super) fn request_last(&mut self, span: Span) {
        match self.left.first_mut() {
            Some(Step::Klines(last)) if last.why == span.why && last.to + 1 == span.from => {
                last.to = span.to;
            }
            _ => self.left.insert(0, Step::Klines(span)),
        }
    }

    /// Requests the remaining days over REST.
    fn give_up_files(&mut self, bounds: Bounds) {
        let is_day = |step: &Step| {
            matches!(
                step,
                Step::Checksum {
                    file: File::Day(_),
                    ..
                }
            )
        };
        self.request_instead(is_day, bounds, Why::NoFile);
    }

    /// Requests the bars of all files over REST; returns whether there are any.
    pub(super) fn without_files(&mut self, bounds: Bounds) -> bool {
        let is_file = |step: &Step| !matches!(step, Step::Klines(_));
        let has_files = self.left.iter().any(is_file);
        self.request_instead(is_file, bounds, Why::Unusable);
        has_files
    }

    /// Requests the bars of some files over REST.
    fn request_instead(&mut self, is_given_up: impl Fn(&Step) -> bool, bounds: Bounds, why: Why) {
        let steps = std::mem::take(&mut self.left);
        let (files, others): (Vec<Step>, _) = steps.into_iter().partition(is_given_up);
        self.left = others;
        for step in files.into_iter().rev() {
            if let Step::Checksum { file, .. } | Step::Content { file, .. } = step {
                self.request(file, bounds, why);
            }
        }
    }
}

impl File {
    pub(super) fn checksum(self) -> Step {
        Step::Checksum {
            file: self,
            attempt: 0,
        }
    }
}

impl Span {
    /// The span between two instants in microseconds, without the second.
    pub(super) fn of(start: i64, end: i64, why: Why) -> Self {
        Self {
            from: start.div_euclid(1_000),
            to: end.div_euclid(1_000) - 1,
            why,
        }
    }
}

/// The requested part of a file, in microseconds.
pub(super) fn clipped(file: File, bounds: Bounds) -> (i64, i64) {
    let (start, end) = file.micros();
    (start.max(bounds.start), end.min(bounds.end))
}

fn date_of(micros: i64) -> NaiveDate {
    DateTime::from_timestamp_micros(micros).map_or(NaiveDate::MAX, |at| at.date_naive())
}

fn next_month(date: NaiveDate) -> NaiveDate {
    let first = date.with_day(1).unwrap_or(date);
    first
        .checked_add_months(Months::new(1))
        .unwrap_or(NaiveDate::MAX)
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.missing)?;
        for step in &self.left {
            write!(f, ";{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Klines(Span { from, to, why }) => {
                let why = match why {
                    Why::NoFile => "n",
                    Why::Missing => "m",
                    Why::Unusable => "d",
                };
                write!(f, "klines,{why},{from},{to}")
            }
            Self::Checksum { file, attempt } => write!(f, "{file},{attempt}"),
            Self::Content {
                file,
                attempt,
                sha256,
            } => write!(f, "{file},{attempt},{sha256}"),
        }
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month(date) => write!(f, "month,{date}"),
            Self::Day(date) => write!(f, "day,{date}"),
        }
    }
}

/// The text isn't a token of ours.
#[derive(Debug)]
pub(super) struct NotSteps;

impl FromStr for Steps {
    type Err = NotSteps;

    fn from_str(text: &str) -> Result<Self, NotSteps> {
        let mut parts = text.split(';');
        let missing = parts.next().and_then(|missing| missing.parse().ok());
        Ok(Self {
            missing: missing.ok_or(NotSteps)?,
            left: parts.map(str::parse).collect::<Result<_, _>>()?,
        })
    }
}

impl FromStr for Step {
    type Err = NotSteps;

    fn from_str(text: &str) -> Result<Self, NotSteps> {
        let parts: Vec<&str> = text.split(',').collect();
        let number = |text: &str| text.parse().map_err(|_| NotSteps);
        if let ["klines", why, from, to] = parts[..] {
            let why = match why {
                "n" => Why::NoFile,
                "m" => Why::Missing,
                "d" => Why::Unusable,
                _ => return Err(NotSteps),
            };
            return Ok(Self::Klines(Span {
                from: number(from)?,
                to: number(to)?,
                why,
            }));
        }
        let [kind, date, attempt, sha256 @ ..] = &parts[..] else {
            return Err(NotSteps);
        };
        let date = date.parse().map_err(|_| NotSteps)?;
        let file = match *kind {
            "month" => File::Month(date),
            "day" => File::Day(date),
            _ => return Err(NotSteps),
        };
        let attempt = attempt.parse().map_err(|_| NotSteps)?;
        match sha256 {
            [] => Ok(Self::Checksum { file, attempt }),
            [sha256] => Ok(Self::Content {
                file,
                attempt,
                sha256: (*sha256).to_owned(),
            }),
            _ => Err(NotSteps),
        }
    }
}
