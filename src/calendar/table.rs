//! Calendar files: their lines, and the sessions that result.

use std::collections::{BTreeMap, HashMap};

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};
use chrono_tz::Tz;

use crate::model::{DAY_MICROS, DateRange, MINUTE_MICROS, Timestamp, Zone, date_micros};

use super::Session;

/// Trading hours, in minutes after local midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DayHours {
    open: u32,
    close: u32,
    pause: Option<(u32, u32)>,
}

/// The lines of one file, or of several applied in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    tz: Option<Tz>,
    span: Option<DateRange>,
    hours: BTreeMap<NaiveDate, DayHours>,
    week: BTreeMap<NaiveDate, [bool; 7]>,
    /// Days that differ from `hours` and `week`; `None` for a closed one.
    days: HashMap<NaiveDate, Option<DayHours>>,
}

/// An error in a calendar file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    /// The first word is unknown.
    #[error("line {line}: {word:?} is unknown; use tz, span, hours, week, closed or session")]
    UnknownWord {
        /// Counted from 1.
        line: usize,
        /// The line's first field.
        word: String,
    },
    /// The line isn't of the form that its first word requires.
    #[error("line {line}: {text:?} isn't of the form {form}")]
    Unreadable {
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
        form: &'static str,
    },
    /// A session closes before it opens, or its break isn't inside it.
    #[error("line {line}: open, break and close aren't in order")]
    DisorderedHours {
        /// Counted from 1.
        line: usize,
    },
    /// A complete calendar needs tz, span, hours and week.
    #[error("there is no {0} line")]
    Missing(&'static str),
    /// The first `hours` or `week` line is of a later date than the span's first.
    #[error("the first {0} line is of a later date than the span's first")]
    Late(&'static str),
}

const FORMS: [(&str, &str); 6] = [
    ("tz", "tz,<IANA zone>"),
    ("span", "span,<first date>,<last date>"),
    (
        "hours",
        "hours,<from date>,<open>,<close>,<break start>,<break end>",
    ),
    ("week", "week,<from date>,<Mon..Sun as 1/0>"),
    ("closed", "closed,<date>"),
    (
        "session",
        "session,<date>,<open>,<close>,<break start>,<break end>",
    ),
];

impl Rules {
    /// Applies the lines of `text`, in order, to the lines so far. Ignores blank lines and lines
    /// that start with `#`.
    pub(super) fn apply(&mut self, text: &str) -> Result<(), BadFile> {
        for (index, raw) in text.lines().enumerate() {
            let line = index + 1;
            let raw = raw.trim().trim_start_matches('\u{feff}');
            if raw.is_empty() || raw.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = raw.split(',').map(str::trim).collect();
            let Some((_, form)) = FORMS.iter().find(|(word, _)| *word == fields[0]) else {
                return Err(BadFile::UnknownWord {
                    line,
                    word: fields[0].to_owned(),
                });
            };
            let unreadable = || BadFile::Unreadable {
                line,
                text: raw.to_owned(),
                form,
            };
            match fields[..] {
                ["tz", name] => self.tz = Some(name.parse().map_err(|_| unreadable())?),
                ["span", first, last] => {
                    let (first, last) = (date(first), date(last));
                    let span = first.zip(last).ok_or_else(unreadable)?;
                    self.span = Some(DateRange::new(span.0, span.1).map_err(|_| unreadable())?);
                }
                ["week", from, pattern] => {
                    let from = date(from).ok_or_else(unreadable)?;
                    let week = week(pattern).ok_or_else(unreadable)?;
                    self.week.insert(from, week);
                }
                ["closed", day] => {
                    self.days.insert(date(day).ok_or_else(unreadable)?, None);
                }
                [
                    word @ ("hours" | "session"),
                    day,
                    open,
                    close,
                    ref pause @ ..,
                ] => {
                    let day = date(day).ok_or_else(unreadable)?;
                    let pause = match *pause {
                        [] | ["", ""] => None,
                        [start, end] => {
                            Some(minute(start).zip(minute(end)).ok_or_else(unreadable)?)
                        }
                        _ => return Err(unreadable()),
                    };
                    let (open, close) = minute(open).zip(minute(close)).ok_or_else(unreadable)?;
                    let hours = DayHours { open, close, pause };
                    if !hours.is_ordered() {
                        return Err(BadFile::DisorderedHours { line });
                    }
                    if word == "hours" {
                        self.hours.insert(day, hours);
                    } else {
                        self.days.insert(day, Some(hours));
                    }
                }
                _ => return Err(unreadable()),
            }
        }
        Ok(())
    }

    /// Builds the calendar.
    pub(super) fn build(&self) -> Result<Table, BadFile> {
        let tz = self.tz.ok_or(BadFile::Missing("tz"))?;
        let span = self.span.ok_or(BadFile::Missing("span"))?;
        let zone = Zone::of(tz);
        let mut days = Vec::with_capacity(usize::try_from(span.days()).unwrap_or(0));
        let (mut hours, mut week) = (None, None);
        let mut next_hours = self.hours.iter().peekable();
        let mut next_week = self.week.iter().peekable();
        for day in span.iter() {
            while let Some((_, now)) = next_hours.next_if(|(from, _)| **from <= day) {
                hours = Some(*now);
            }
            while let Some((_, now)) = next_week.next_if(|(from, _)| **from <= day) {
                week = Some(*now);
            }
            let missing = |name, any: bool| {
                if any {
                    BadFile::Late(name)
                } else {
                    BadFile::Missing(name)
                }
            };
            let regular = hours.ok_or_else(|| missing("hours", !self.hours.is_empty()))?;
            let week = week.ok_or_else(|| missing("week", !self.week.is_empty()))?;
            let trading = match self.days.get(&day) {
                Some(differing) => *differing,
                None => week[day.weekday().num_days_from_monday() as usize].then_some(regular),
            };
            days.push(trading.map_or(Day::CLOSED, |hours| Day::new(&zone, day, hours)));
        }
        Ok(Table { zone, span, days })
    }
}

impl DayHours {
    fn is_ordered(self) -> bool {
        self.open < self.close
            && self
                .pause
                .is_none_or(|(start, end)| self.open < start && start < end && end < self.close)
    }
}

/// A date's session in instants; all zero if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    open: i64,
    close: i64,
    pause_start: i64,
    pause_end: i64,
}

impl Day {
    const CLOSED: Self = Self {
        open: 0,
        close: 0,
        pause_start: 0,
        pause_end: 0,
    };

    fn new(zone: &Zone, date: NaiveDate, hours: DayHours) -> Self {
        let midnight = date_micros(date);
        let at = |minute: u32| {
            zone.from_local(midnight + i64::from(minute) * MINUTE_MICROS)
                .earliest()
        };
        let (pause_start, pause_end) = hours.pause.map_or((0, 0), |(a, b)| (at(a), at(b)));
        Self {
            open: at(hours.open),
            close: at(hours.close),
            pause_start,
            pause_end,
        }
    }
}

/// A calendar that lists every date of its span.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) zone: Zone,
    pub(super) span: DateRange,
    /// One per date of the span.
    days: Vec<Day>,
}

impl Table {
    /// The session of a date inside the span.
    pub(super) fn session_on(&self, date: NaiveDate) -> Option<Session> {
        let index = (date - self.span.first()).num_days();
        let day = *self.days.get(usize::try_from(index).ok()?)?;
        if day == Day::CLOSED {
            return None;
        }
        let pause = (day.pause_start != day.pause_end).then_some((
            Timestamp::from_micros(day.pause_start),
            Timestamp::from_micros(day.pause_end),
        ));
        Some(Session {
            date,
            open: Timestamp::from_micros(day.open),
            close: Timestamp::from_micros(day.close),
            pause,
        })
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    let year = 1900..2200;
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|date| year.contains(&date.year()))
}

/// `09:30` as minutes after midnight; `24:00` is the day's end.
fn minute(text: &str) -> Option<u32> {
    if text == "24:00" {
        return u32::try_from(DAY_MICROS / MINUTE_MICROS).ok();
    }
    let time = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
    Some(time.hour() * 60 + time.minute())
}

fn week(text: &str) -> Option<[bool; 7]> {
    let flags: Vec<bool> = text
        .bytes()
        .map(|flag| match flag {
            b'1' => Some(true),
            b'0' => Some(false),
            _ => None,
        })
        .collect::<Option<_>>()?;
    flags.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "tz,America/New_York\nspan,2025-01-01,2025-12-31\nhours,2025-01-01,09:30,16:00,,\nweek,2025-01-01,1111100\n";

    fn rules(texts: &[&str]) -> Result<Rules, BadFile> {
        let mut rules = Rules::default();
        for text in texts {
            rules.apply(text)?;
        }
        Ok(rules)
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn hours_and_weeks_change_from_their_dates_on() {
        let table = rules(&[
            WHOLE,
            "hours,2025-03-03,10:00,15:00,12:00,13:00\nweek,2025-06-01,1111000\nclosed,2025-06-02\nsession,2025-06-07,10:00,11:00,,\n",
        ])
        .unwrap()
        .build()
        .unwrap();
        let minutes = |date| {
            table
                .session_on(day(date))
                .map(|session| (session.close.micros() - session.open.micros()) / MINUTE_MICROS)
        };
        assert_eq!(minutes("2025-02-28"), Some(390));
        assert_eq!(minutes("2025-03-03"), Some(300));
        assert!(table.session_on(day("2025-03-03")).unwrap().pause.is_some());
        assert_eq!(minutes("2025-05-30"), Some(300), "a Friday, still trading");
        assert_eq!(minutes("2025-06-06"), None, "a Friday no longer");
        assert_eq!(minutes("2025-06-02"), None, "closed");
        assert_eq!(minutes("2025-06-07"), Some(60), "a Saturday session");
    }

    #[test]
    fn a_bad_line_is_reported_by_its_number() {
        let bad = |text: &str| rules(&[WHOLE, text]).unwrap_err().to_string();
        assert!(bad("\nholiday,2025-01-01").contains("line 2"));
        for text in [
            "closed,01.02.2025",
            "closed",
            "closed,2025-01-01,x",
            "week,2025-01-01,111110",
            "week,2025-01-01,11111x0",
            "hours,2025-01-01,9:30am,16:00,,",
            "session,2025-01-01,09:30,16:00,12:00,",
            "session,2025-01-01,09:30,16:00,12:00,13:00,14:00",
            "tz,Mars/Olympus",
            "span,2025-12-31,2025-01-01",
        ] {
            assert!(bad(text).contains("line 1"), "{text}");
        }
        for text in [
            "hours,2025-01-01,16:00,09:30,,",
            "session,2025-01-01,09:30,16:00,08:00,10:00",
        ] {
            assert_eq!(
                rules(&[text]).unwrap_err(),
                BadFile::DisorderedHours { line: 1 }
            );
        }
    }

    #[test]
    fn a_complete_calendar_needs_all_four_kinds_of_line() {
        for missing in ["tz", "span", "hours", "week"] {
            let text: String = WHOLE
                .lines()
                .filter(|line| !line.starts_with(missing))
                .flat_map(|line| [line, "\n"])
                .collect();
            let error = rules(&[&text]).unwrap().build().unwrap_err();
            assert_eq!(error, BadFile::Missing(missing));
        }
        let late = WHOLE.replace("week,2025-01-01", "week,2025-02-01");
        assert_eq!(
            rules(&[&late]).unwrap().build().unwrap_err(),
            BadFile::Late("week")
        );
    }
}
