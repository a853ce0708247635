//! The dates on which a request could bring bars.

use chrono::NaiveDate;

use crate::calendar::{self, Calendar};
use crate::model::{DAY_MICROS, DateRange, Hours, Timestamp, date_micros};

/// A date, as the exchange's clocks have it, on which there is trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Day {
    /// The local date.
    pub date: NaiveDate,
    /// First instant of the regular session on it; midnight, where the session began the evening before.
    pub open: Timestamp,
    /// First instant after the regular session; midnight, where the session goes on.
    pub close: Timestamp,
}

/// The days of `range` on which bars of `hours` can have begun by `now`, in order.
///
/// Dates are local and not trading dates: a request asks for local dates, and a session of FOREX lies on two of them.
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
    // Where the calendar is a rule, the next trading date can begin on the last local date.
    let beyond = if calendar.span().is_none() { 1 } else { 0 };
    let asked = DateRange::new(range.first(), last + chrono::Days::new(beyond));
    let sessions = match asked {
        Ok(asked) => calendar.sessions(asked)?,
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
            let begun = hours != Hours::Regular || open <= now.micros();
            if date < range.first() || date > last || !begun {
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

/// The instant at which a local date begins.
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
    fn holidays_and_the_future_are_no_days() {
        let later = "2026-01-01T00:00:00Z";
        assert_eq!(
            of("NASDAQ", "2025-01-01", "2025-01-05", Hours::Regular, later),
            [
                "2025-01-02 2025-01-02T14:30:00Z 2025-01-02T21:00:00Z",
                "2025-01-03 2025-01-03T14:30:00Z 2025-01-03T21:00:00Z",
            ]
        );
        // Before the open: today is no day yet, but for those who ask for the pre-market.
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
    fn a_session_over_midnight_lies_on_two_dates() {
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
    fn what_the_calendar_does_not_cover_is_an_error() {
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
