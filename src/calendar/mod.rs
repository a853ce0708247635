//! Exchange calendars: the sessions of an exchange, and the bars that each should have.
//!
//! The files of `data/calendars` are compiled in and read at first use. A user can override them by
//! files of the same form ([`Overrides`]). The sessions of a file's span are computed once, so
//! finding one is an array access. **Outside its span a calendar returns an error, never a guess.**

mod cache;
mod days;
mod due;
mod exchanges;
mod overrides;
mod session;
mod table;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, OnceLock};

use chrono::{DateTime, Datelike, NaiveDate, Weekday};
use chrono_tz::Tz;

use crate::model::{DAY_MICROS, DateRange, MINUTE_MICROS, TimeRange, Timestamp, Zone, date_micros};

pub use cache::CalendarCache;
pub use days::{Days, Timed};
pub use exchanges::{foreign_suffix, suffix_exchange};
pub use overrides::Overrides;
pub use session::{COMPLETE_SHARE_MIN, Session};
pub use table::BadFile;

use table::{Rules, Table};

/// How long before midnight a trading date of FOREX starts.
const FOREX_LEAD_MICROS: i64 = 7 * 60 * MINUTE_MICROS;

/// Errors of a calendar.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no calendar for the code.
    #[error("{code:?} is not a known exchange; known are {}", known.join(", "))]
    UnknownExchange {
        /// The code as typed.
        code: String,
        /// All known codes, sorted.
        known: Vec<String>,
    },
    /// The date is outside the calendar's span.
    #[error("the calendar of {exchange} covers {span}, not {date}")]
    OutsideSpan {
        /// The code, in upper case.
        exchange: String,
        date: NaiveDate,
        /// The dates that the calendar covers.
        span: DateRange,
    },
    /// There is no session in the month before the date.
    #[error("the calendar of {exchange} has no session in the month before {date}")]
    NoSession {
        /// The code, in upper case.
        exchange: String,
        date: NaiveDate,
    },
    /// A calendar's file is damaged.
    #[error("{}: {why}", path.display())]
    BadFile {
        path: PathBuf,
        /// The first error in it.
        why: BadFile,
    },
    /// A folder or file of overrides can't be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// The trading dates of one exchange. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Calendar {
    exchange: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Table(Arc<Table>),
    Crypto,
    Forex,
}

impl Calendar {
    /// The calendar of an exchange, in any case: `NASDAQ`, `XNAS`, `lse`, `CRYPTO`.
    pub fn for_exchange(code: &str) -> Result<Self, Error> {
        Self::for_exchange_with(code, &Overrides::default())
    }

    /// The calendar of an exchange, with a user's overrides.
    pub fn for_exchange_with(code: &str, overrides: &Overrides) -> Result<Self, Error> {
        let upper = code.trim().to_ascii_uppercase();
        let name = exchanges::calendar_of(&upper);
        let kind = match (overrides.table(&upper, name)?, name) {
            (Some(table), _) => Kind::Table(table),
            (None, Some(exchanges::CRYPTO)) => Kind::Crypto,
            (None, Some(exchanges::FOREX)) => Kind::Forex,
            (None, Some(name)) => Kind::Table(compiled(name)?),
            (None, None) => {
                let mut known: Vec<String> = Self::known_codes()
                    .into_iter()
                    .map(str::to_owned)
                    .chain(overrides.own_codes())
                    .collect();
                known.sort_unstable();
                return Err(Error::UnknownExchange {
                    code: code.to_owned(),
                    known,
                });
            }
        };
        Ok(Self {
            exchange: upper.into(),
            kind,
        })
    }

    /// All compiled-in exchange codes, sorted.
    #[must_use]
    pub fn known_codes() -> Vec<&'static str> {
        exchanges::known_codes()
    }

    /// The overrides in a folder; see [`Overrides::load`].
    pub fn load_overrides(dir: &std::path::Path) -> Result<Overrides, Error> {
        Overrides::load(dir)
    }

    /// The exchange code in upper case, as it was given: `NASDAQ` or `XNAS`.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The exchange's time zone.
    #[must_use]
    pub fn tz(&self) -> Tz {
        self.zone().tz()
    }

    /// The exchange's time zone, for fast conversions of many times.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        static UTC: LazyLock<Zone> = LazyLock::new(|| Zone::of(Tz::UTC));
        static NEW_YORK: LazyLock<Zone> = LazyLock::new(|| Zone::of(Tz::America__New_York));
        match &self.kind {
            Kind::Table(table) => &table.zone,
            Kind::Crypto => &UTC,
            Kind::Forex => &NEW_YORK,
        }
    }

    /// The dates that the calendar covers; `None` if a rule covers all dates.
    #[must_use]
    pub fn span(&self) -> Option<DateRange> {
        match &self.kind {
            Kind::Table(table) => Some(table.span),
            Kind::Crypto | Kind::Forex => None,
        }
    }

    /// The session of a date; `None` if there is no trading.
    pub fn session_on(&self, date: NaiveDate) -> Result<Option<Session>, Error> {
        self.check_span(date)?;
        Ok(self.session_inside(date))
    }

    /// The sessions of a range, in order.
    pub fn sessions(&self, range: DateRange) -> Result<Vec<Session>, Error> {
        self.check_span(range.first())?;
        self.check_span(range.last())?;
        Ok(range
            .iter()
            .filter_map(|date| self.session_inside(date))
            .collect())
    }

    /// The trading date of an instant, whether there is a session or not: the exchange's local
    /// date. A date of FOREX starts at 17:00 New York on the day before.
    #[must_use]
    pub fn session_date(&self, at: Timestamp) -> NaiveDate {
        date_of_day(self.session_day(at.micros()))
    }

    /// The instants of a range of trading dates, both inclusive, with or without sessions: from the
    /// exchange's midnight to its midnight; for FOREX from 17:00 New York on the day before.
    /// Without `start` or `end` the range is open there.
    #[must_use]
    pub fn range(&self, start: Option<NaiveDate>, end: Option<NaiveDate>) -> TimeRange {
        let begin = |midnight: i64| self.zone().from_local(midnight - self.lead()).earliest();
        TimeRange {
            start: start.map_or(TimeRange::ALL.start, |date| begin(date_micros(date))),
            end: end.map_or(TimeRange::ALL.end, |date| {
                begin(date_micros(date) + DAY_MICROS)
            }),
        }
    }

    /// The [`range`](Self::range) of an exchange's dates. Without dates no calendar is needed.
    pub fn range_at(
        exchange: &str,
        calendars: &Overrides,
        start: Option<NaiveDate>,
        end: Option<NaiveDate>,
    ) -> Result<TimeRange, Error> {
        if start.is_none() && end.is_none() {
            return Ok(TimeRange::ALL);
        }
        Ok(Self::for_exchange_with(exchange, calendars)?.range(start, end))
    }

    /// The [`range`](Self::range) of `dates`.
    #[must_use]
    pub fn instants(&self, dates: DateRange) -> TimeRange {
        self.range(Some(dates.first()), Some(dates.last()))
    }

    /// Splits `timestamps` (microseconds UTC, ascending) by trading date: each date with the
    /// indices of its timestamps. Converts once per date, not once per timestamp.
    pub fn session_runs<'a>(
        &'a self,
        timestamps: &'a [i64],
    ) -> impl Iterator<Item = (NaiveDate, Range<usize>)> + 'a {
        let mut start = 0;
        std::iter::from_fn(move || {
            let first = *timestamps.get(start)?;
            let day = self.session_day(first);
            let next_day = (day + 1) * DAY_MICROS - self.lead();
            // After a clock change at midnight, its own instant can be on the day before; so a run
            // has at least one timestamp.
            let end = self.zone().from_local(next_day).earliest();
            let run = gallop(&timestamps[start..], end).max(1);
            let range = start..start + run;
            start = range.end;
            Some((date_of_day(day), range))
        })
    }

    fn lead(&self) -> i64 {
        match self.kind {
            Kind::Forex => FOREX_LEAD_MICROS,
            Kind::Table(_) | Kind::Crypto => 0,
        }
    }

    fn session_day(&self, utc: i64) -> i64 {
        (self.zone().to_local(utc) + self.lead()).div_euclid(DAY_MICROS)
    }

    fn session_inside(&self, date: NaiveDate) -> Option<Session> {
        let weekday = date.weekday();
        let (open, close) = match &self.kind {
            Kind::Table(table) => return table.session_on(date),
            Kind::Crypto => (date_micros(date), date_micros(date) + DAY_MICROS),
            Kind::Forex if matches!(weekday, Weekday::Sat | Weekday::Sun) => return None,
            Kind::Forex => {
                let end = date_micros(date) + DAY_MICROS - FOREX_LEAD_MICROS;
                let at = |local| self.zone().from_local(local).earliest();
                (at(end - DAY_MICROS), at(end))
            }
        };
        Some(Session {
            date,
            open: Timestamp::from_micros(open),
            close: Timestamp::from_micros(close),
            pause: None,
        })
    }

    fn check_span(&self, date: NaiveDate) -> Result<(), Error> {
        match self.span() {
            Some(span) if !span.contains(date) => Err(Error::OutsideSpan {
                exchange: self.exchange.to_string(),
                date,
                span,
            }),
            _ => Ok(()),
        }
    }
}

/// The number of ascending `timestamps` before `end`. Doubles its steps and then bisects, so that a
/// short run in a long slice is cheap.
fn gallop(timestamps: &[i64], end: i64) -> usize {
    let mut reach = 1;
    while reach < timestamps.len() && timestamps[reach - 1] < end {
        reach *= 2;
    }
    let reach = reach.min(timestamps.len());
    timestamps[..reach].partition_point(|at| *at < end)
}

fn date_of_day(day: i64) -> NaiveDate {
    DateTime::from_timestamp(day.saturating_mul(DAY_MICROS / 1_000_000), 0)
        .map_or(NaiveDate::MAX, |midnight| midnight.date_naive())
}

/// The compiled-in calendar `name`, built at its first use.
fn compiled(name: &'static str) -> Result<Arc<Table>, Error> {
    static TABLES: [OnceLock<Arc<Table>>; exchanges::FILES.len()] =
        [const { OnceLock::new() }; exchanges::FILES.len()];
    let index = exchanges::FILES.iter().position(|(mic, _)| *mic == name);
    let cell = index.map(|index| &TABLES[index]);
    if let Some(table) = cell.and_then(OnceLock::get) {
        return Ok(table.clone());
    }
    let table = compiled_rules(name)
        .and_then(|rules| rules.build())
        .map_err(|why| Error::BadFile {
            path: PathBuf::from(format!("data/calendars/{name}.csv")),
            why,
        })?;
    let table = Arc::new(table);
    Ok(cell.map_or(table.clone(), |cell| cell.get_or_init(|| table).clone()))
}

fn compiled_rules(name: &str) -> Result<Rules, BadFile> {
    let mut rules = Rules::default();
    if let Some((_, text)) = exchanges::FILES.iter().find(|(mic, _)| *mic == name) {
        rules.apply(text)?;
    }
    Ok(rules)
}
