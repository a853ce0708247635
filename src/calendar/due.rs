//! The session that a scheduler waits for.

use chrono::{Days, NaiveDate};

use super::{Calendar, Error, Session};
use crate::model::Timestamp;

/// Dates without a session in a row at most; the longest known closure has 12.
const CLOSED_DAYS_MAX: u64 = 31;

impl Calendar {
    /// The session whose bars are the next to request, if they are published `delay_micros` after
    /// its close: the last one that has begun, whether it is over or not. If the bars of a session
    /// are published while the next one is in progress, as always for coins, then during a session
    /// it is the one before.
    ///
    /// An error if the calendar doesn't cover the date of `now`, or has no session in the month
    /// before it.
    pub fn session_to_request(&self, now: Timestamp, delay_micros: i64) -> Result<Session, Error> {
        let today = self.session_date(now);
        let last = self.last_before(today, |session| session.open <= now)?;
        if last.close <= now {
            return Ok(last);
        }
        let before = self.last_before(last.date, |session| session.open < last.open);
        let next = last.date.checked_add_days(Days::new(1));
        // The next date can be outside the calendar's span.
        let next = next.and_then(|date| self.session_on(date).ok().flatten());
        let overlaps = |one: &Session, other: &Session| {
            one.close.micros().saturating_add(delay_micros) >= other.open.micros()
        };
        Ok(match before {
            Ok(before)
                if overlaps(&before, &last) || next.is_some_and(|next| overlaps(&last, &next)) =>
            {
                before
            }
            _ => last,
        })
    }

    /// The last session up to `date` for which `is_it` holds.
    fn last_before(
        &self,
        date: NaiveDate,
        is_it: impl Fn(&Session) -> bool,
    ) -> Result<Session, Error> {
        let mut at = date;
        for _ in 0..CLOSED_DAYS_MAX {
            if let Some(session) = self.session_on(at)?.filter(&is_it) {
                return Ok(session);
            }
            at = at - Days::new(1);
        }
        Err(Error::NoSession {
            exchange: self.exchange().to_owned(),
            date,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MINUTE_MICROS;

    /// The session to request at a time, as `date close`.
    fn latest_after(exchange: &str, now: &str, delay_minutes: i64) -> String {
        let now = now.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let calendar = Calendar::for_exchange(exchange).unwrap();
        let delay = delay_minutes * MINUTE_MICROS;
        let session = calendar.session_to_request(now.into(), delay).unwrap();
        format!("{} {}", session.date, session.close)
    }

    fn latest(exchange: &str, now: &str) -> String {
        latest_after(exchange, now, 5)
    }

    #[test]
    fn a_session_in_progress_is_waited_for() {
        let monday = "2025-02-03 2025-02-03T21:00:00Z";
        // Before the open it is the session before.
        assert_eq!(
            latest("NASDAQ", "2025-02-03T14:29:59Z"),
            "2025-01-31 2025-01-31T21:00:00Z"
        );
        assert_eq!(latest("NASDAQ", "2025-02-03T14:30:00Z"), monday);
        assert_eq!(latest("NASDAQ", "2025-02-04T03:00:00Z"), monday);
        // A weekend, a holiday, an early close.
        assert_eq!(
            latest("NASDAQ", "2025-02-02T12:00:00Z"),
            "2025-01-31 2025-01-31T21:00:00Z"
        );
        assert_eq!(
            latest("NASDAQ", "2025-01-09T18:00:00Z"),
            "2025-01-08 2025-01-08T21:00:00Z"
        );
        assert_eq!(
            latest("NASDAQ", "2024-11-29T17:00:00Z"),
            "2024-11-29 2024-11-29T18:00:00Z"
        );
        // A lunch break isn't a close.
        assert_eq!(
            latest("JPX", "2025-02-03T03:00:00Z"),
            "2025-02-03 2025-02-03T06:30:00Z"
        );
    }

    #[test]
    fn a_late_session_is_the_one_before() {
        // Monday's bars come 20 hours after the close, at 17:00 on Tuesday.
        let (monday, tuesday) = (
            "2025-02-03 2025-02-03T21:00:00Z",
            "2025-02-04 2025-02-04T21:00:00Z",
        );
        let late = |now: &str| latest_after("NASDAQ", now, 20 * 60);
        assert_eq!(late("2025-02-04T14:29:59Z"), monday);
        assert_eq!(late("2025-02-04T14:30:00Z"), monday);
        assert_eq!(late("2025-02-04T20:59:59Z"), monday);
        assert_eq!(late("2025-02-04T21:00:00Z"), tuesday);
        assert_eq!(late("2025-02-05T14:30:00Z"), tuesday);
        assert_eq!(late("2025-02-05T18:00:00Z"), tuesday);
        // Friday's are there on Saturday.
        assert_eq!(
            late("2025-02-01T18:00:00Z"),
            "2025-01-31 2025-01-31T21:00:00Z"
        );
    }

    #[test]
    fn without_pauses_it_is_the_last_session_that_is_over() {
        assert_eq!(
            latest("CRYPTO", "2025-02-03T00:00:00Z"),
            "2025-02-02 2025-02-03T00:00:00Z"
        );
        assert_eq!(
            latest("CRYPTO", "2025-02-03T23:59:59Z"),
            "2025-02-02 2025-02-03T00:00:00Z"
        );
        let friday = "2025-01-31 2025-01-31T22:00:00Z";
        assert_eq!(latest("FOREX", "2025-02-01T12:00:00Z"), friday);
        // Monday's session has begun on Sunday.
        assert_eq!(latest("FOREX", "2025-02-03T12:00:00Z"), friday);
        assert_eq!(
            latest("FOREX", "2025-02-03T22:00:00Z"),
            "2025-02-03 2025-02-03T22:00:00Z"
        );
        // Friday's session ends a week and is in progress.
        assert_eq!(
            latest("FOREX", "2025-01-31T12:00:00Z"),
            "2025-01-30 2025-01-30T22:00:00Z"
        );
    }

    #[test]
    fn outside_the_span_is_an_error() {
        let calendar = Calendar::for_exchange("NASDAQ").unwrap();
        let span = calendar.span().unwrap();
        let noon = |date: NaiveDate| {
            let at = date.and_hms_opt(17, 0, 0).unwrap().and_utc();
            calendar.session_to_request(at.into(), 0)
        };
        assert!(noon(span.last()).is_ok());
        assert!(matches!(
            noon(span.last() + Days::new(1)),
            Err(Error::OutsideSpan { .. })
        ));
    }
}
