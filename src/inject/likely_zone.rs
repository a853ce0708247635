//! The zone in which local times fit the hours of an exchange. It is a suggestion in a warning, never
//! used.

use chrono::{Datelike, Weekday};
use chrono_tz::Tz;

use super::plan::Plan;
use crate::calendar::Calendar;
use crate::model::{Local, MINUTE_MICROS, Timestamp, Zone};

/// Zones that vendors use; the first that fits is proposed.
const ZONES: [Tz; 10] = [
    Tz::UTC,
    Tz::America__New_York,
    Tz::America__Chicago,
    Tz::Europe__London,
    Tz::Europe__Berlin,
    // The servers of most brokers with MetaTrader.
    Tz::Europe__Athens,
    Tz::Europe__Moscow,
    Tz::Asia__Kolkata,
    Tz::Asia__Shanghai,
    Tz::Asia__Tokyo,
];
/// A longer gap between two bars is a weekend.
const WEEKEND_MIN: i64 = 40 * 60 * MINUTE_MICROS;
/// How long after the open the first bar may be.
const DELAY_MAX: i64 = 5 * MINUTE_MICROS;

/// The zone in which most of these days, given by their first and last bar, are inside a session
/// from its open on.
pub(super) fn by_sessions(plan: &Plan, days: &[(i64, i64)]) -> Option<&'static str> {
    first_that_fits(plan, |zone| {
        let fits = |&(first, last): &(i64, i64)| {
            let (first, last) = (read_in(plan, zone, first)?, read_in(plan, zone, last)?);
            let session = session_at(&plan.calendar, first)?;
            Some((0..=DELAY_MAX).contains(&(first - session.0)) && last < session.1)
        };
        let fitting = days.iter().filter(|day| fits(day) == Some(true)).count();
        fitting > 0 && fitting * 10 >= days.len() * 6
    })
}

/// The zone in which each week of these bars begins with the first session of a week.
pub(super) fn by_weeks(plan: &Plan, timestamps: &[i64]) -> Option<&'static str> {
    let mut sorted = timestamps.to_vec();
    sorted.sort_unstable();
    let after_weekends = sorted
        .windows(2)
        .filter(|pair| pair[1] - pair[0] >= WEEKEND_MIN)
        .map(|pair| pair[1]);
    let starts: Vec<i64> = sorted
        .first()
        .copied()
        .into_iter()
        .chain(after_weekends)
        .collect();
    first_that_fits(plan, |zone| {
        let is_start = |at: &i64| {
            let at = read_in(plan, zone, *at)?;
            let date = plan.calendar.session_date(Timestamp::from_micros(at));
            let (open, _) = session_at(&plan.calendar, at)?;
            Some(date.weekday() == Weekday::Mon && open == at)
        };
        !starts.is_empty() && starts.iter().all(|at| is_start(at) == Some(true))
    })
}

fn first_that_fits(plan: &Plan, fits: impl Fn(&Zone) -> bool) -> Option<&'static str> {
    let others = ZONES.iter().filter(|tz| **tz != plan.calendar.tz());
    others
        .copied()
        .find(|tz| fits(&Zone::of(*tz)))
        .map(Tz::name)
}

/// An instant of the plan's zone, as if its local time were in another zone.
fn read_in(plan: &Plan, zone: &Zone, at: i64) -> Option<i64> {
    match zone.from_local(plan.zone.to_local(at)) {
        Local::Single(at) => Some(at),
        Local::Repeated(..) | Local::Skipped(_) => None,
    }
}

/// Open and close of the session that an instant belongs to.
fn session_at(calendar: &Calendar, at: i64) -> Option<(i64, i64)> {
    let date = calendar.session_date(Timestamp::from_micros(at));
    let session = calendar.session_on(date).ok()??;
    Some((session.open.micros(), session.close.micros()))
}
