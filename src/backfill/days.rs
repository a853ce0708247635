//! The dates on which a request could bring bars.

use chrono::NaiveDate;

use crate::calendar::{self, Calendar};
use crate::model::{DAY_MICROS, DateRange, Hours, Timestamp, date_micros};

/// A local date of the exchange with trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Day {
    /// The local date.
    pub date: NaiveDate,
    /// Start of the regular session on this date; midnight if the session started the day before.
    pub open: Timestamp,
    /// First instant after the regular session; midnight if the session continues.
    pub close: Timestamp,
}

/// The days of `range` on which bars of `hours` can have started by `now`, in order.
///
/// Dates are local dates, as in requests, and not trading dates: a FOREX session has two of them.
pub fn days(
    calendar: &Calendar,
    range: DateRange,
    hours: Hours,
    now: Timestamp,
) -> Result<Vec<Day>, calendar::Error> {
    let today = local_date(calendar, now.micros());
    let last = range.last().min(today);
    if range.first() > last {
        return Ok(Vec::new());
    }
    // If the calendar is a rule, the next trading date can start on the last local date.
    let extra_days = if calendar.span().is_none() { 1 } else { 0 };
    let covered = DateRange::new(range.first(), last + chrono::Days::new(extra_days));
    let sessions = match covered {
        Ok(covered) => calendar.sessions(covered)?,
        Err(_) => Vec::new(),
    };
    let mut days: Vec<Day> = Vec::with_capacity(sessions.len());
    for session in sessions {
        let first = local_date(calendar, session.open.micros());
        let end = local_date(calendar, session.close.micros() - 1);
        for date in first.iter_days().take_while(|date| *date <= end) {
            let open = session.open.micros().max(midnight(calendar, date));
            let close =
                (session.close.micros()).min(midnight(calendar, date + chrono::Days::new(1)));
            let has_started = hours != Hours::Regular || open <= now.micros();
            if date < range.first() || date > last || !has_started {
                continue;
            }
            match days.last_mut() {
                Some(day) if day.date == date => day.close = Timestamp::from_micros(close),
                _ => days.push(Day {
                    date,
                    open: Timestamp::from_micros(open),
                    close: Timestamp::from_micros(close),
                }),
            }
        }
    }
    Ok(days)
}

/// The exchange's local date at an instant in microseconds UTC.
pub fn local_date(calendar: &Calendar, utc: i64) -> NaiveDate {
    let day = calendar.zone().to_local(utc).div_euclid(DAY_MICROS);
    chrono::DateTime::from_timestamp_micros(day * DAY_MICROS)
        .map_or(NaiveDate::MAX, |midnight| midnight.date_naive())
}

/// The instant at which a local date starts.
pub fn midnight(calendar: &Calendar, date: NaiveDate) -> i64 {
    calendar.zone().from_local(date_micros(date)).earliest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TypedDate;

    fn range(first: &str, last: &str) -> DateRange {
        let date = |typed: &str| typed.parse::<TypedDate>().unwrap().0;
        DateRange::new(date(first), date(last)).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        chrono::DateTime::parse_from_rfc3339(text)
            .unwrap()
            .to_utc()
            .into()
    }

    fn of(code: &str, first: &str, last: &str, hours: Hours, now: &str) -> Vec<String> {
        let calendar = Calendar::for_exchange(code).unwrap();
        let days = days(&calendar, range(first, last), hours, at(now)).unwrap();
        (days
            .iter()
            .map(|day| format!("{} {} {}", day.date, day.open, day.close)))
        .collect()
    }

    #[test]
    fn holidays_and_future_sessions_are_left_out() {
        let later = "2026-01-01T00:00:00Z";
        assert_eq!(
            of("NASDAQ", "2025-01-01", "2025-01-05", Hours::Regular, later),
            [
                "2025-01-02 2025-01-02T14:30:00Z 2025-01-02T21:00:00Z",
                "2025-01-03 2025-01-03T14:30:00Z 2025-01-03T21:00:00Z",
            ]
        );
        // Before the open, today counts only with extended hours: it has a pre-market.
        let early = "2025-01-03T12:00:00Z";
        assert_eq!(
            of("NASDAQ", "2025-01-02", "2025-01-31", Hours::Regular, early).len(),
            1
        );
        assert_eq!(
            of("NASDAQ", "2025-01-02", "2025-01-31", Hours::Extended, early).len(),
            2
        );
        assert!(of("NASDAQ", "2030-01-02", "2090-01-31", Hours::Regular, early).is_empty());
    }

    #[test]
    fn a_session_over_midnight_has_two_dates() {
        let later = "2026-01-01T00:00:00Z";
        assert_eq!(
            of("FOREX", "2025-01-04", "2025-01-06", Hours::Regular, later),
            [
                "2025-01-05 2025-01-05T22:00:00Z 2025-01-06T05:00:00Z",
                "2025-01-06 2025-01-06T05:00:00Z 2025-01-07T05:00:00Z",
            ]
        );
        assert_eq!(
            of("CRYPTO", "2025-01-04", "2025-01-06", Hours::Regular, later).len(),
            3
        );
    }

    #[test]
    fn dates_outside_the_calendar_are_an_error() {
        let calendar = Calendar::for_exchange("NASDAQ").unwrap();
        let old = days(
            &calendar,
            range("1901-01-01", "1901-02-01"),
            Hours::Regular,
            at("2026-01-01T00:00:00Z"),
        );
        assert!(matches!(old, Err(calendar::Error::OutsideSpan { .. })));
    }
}
