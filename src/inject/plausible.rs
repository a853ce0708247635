//! Checks that a file's bars are at times when its exchange trades.
//!
//! The zone of local times, the exchange and the label are often defaults. Bars that contradict them
//! show it: they begin hours before the session, they trade round the clock, or the session's open
//! has no bar and its close has one. The user gets a warning with the option to try; a file that
//! trades round the clock gets the exchange that does.

use chrono::{Datelike, NaiveDate, Weekday};

use super::decide::ExchangeBy;
use super::file_ticker::is_pair;
use super::likely_zone::{by_sessions, by_weeks};
use super::piece::{Group, Piece};
use super::plan::Plan;
use super::settings::Label;
use crate::advice::Advice;
use crate::calendar::{Calendar, foreign_suffix};
use crate::model::{Interval, MINUTE_MICROS, Reason, Timestamp};

const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
/// The most tickers that are checked, and the most bars of each.
const GROUPS_MAX: usize = 8;
const BARS_MAX: usize = 20_000;
/// A day with bars in this many hours has trading round the clock.
const ROUND_THE_CLOCK_HOURS: u32 = 20;
/// Bars in at most this many hours of the day, on at least this many days, are those of sessions.
const FEW_HOURS: u32 = 12;
const FEW_HOURS_DAYS_MIN: usize = 3;
/// A shorter distance between the first bar and the session's open isn't a time-zone error.
const SHIFT_MIN: i64 = 15 * MINUTE_MICROS;
/// A session has a bar within this time after its open.
const OPENING: i64 = 30 * MINUTE_MICROS;
/// A day with fewer bars is ignored.
const DAY_BARS_MIN: usize = 4;

/// The bars of one ticker on one date.
struct Day {
    date: NaiveDate,
    first: i64,
    last: i64,
    bars: usize,
    /// The hours of the day in UTC with bars, as bits.
    hours: u32,
    session: Option<DayInSession>,
    /// Whether the calendar has the date.
    is_known: bool,
}

/// The bars of a date on which the exchange trades.
struct DayInSession {
    open: i64,
    close: i64,
    inside: usize,
    has_open: bool,
    has_opening: bool,
    has_close: bool,
}

/// Whether the bars show that an exchange isn't theirs: they are round the clock and its sessions
/// aren't, or its sessions are round the clock and all bars are in the same few hours.
pub(super) fn contradicts(calendar: &Calendar, plan: &Plan, piece: &Piece) -> bool {
    let days = days_of(plan, piece);
    let sessions = days
        .iter()
        .filter_map(|day| calendar.session_on(day.date).ok().flatten());
    let lengths = sessions.map(|session| session.close.micros() - session.open.micros());
    let Some(longest) = lengths.max() else {
        return false;
    };
    if longest < i64::from(ROUND_THE_CLOCK_HOURS) * HOUR_MICROS {
        return all_day(&days, piece).is_some();
    }
    let traded: Vec<&Day> = days.iter().filter(|day| day.bars >= DAY_BARS_MIN).collect();
    let hours = traded.iter().fold(0, |all, day| all | day.hours);
    traded.len() >= FEW_HOURS_DAYS_MIN && hours.count_ones() <= FEW_HOURS
}

/// The exchange that trades round the clock as the bars do, and why.
pub(super) fn round_the_clock(plan: &Plan, piece: &Piece) -> Option<(&'static str, &'static str)> {
    all_day(&days_of(plan, piece), piece)
}

fn all_day(days: &[Day], piece: &Piece) -> Option<(&'static str, &'static str)> {
    let (first, last) = (
        days.iter().map(|day| day.date).min()?,
        days.iter().map(|day| day.date).max()?,
    );
    // The first and the last date may be cut off.
    let inner: Vec<&Day> = days
        .iter()
        .filter(|day| first < day.date && day.date < last)
        .collect();
    let looked_at = if inner.is_empty() {
        days.iter().collect()
    } else {
        inner
    };
    let is_all_day = |day: &&&Day| day.hours.count_ones() >= ROUND_THE_CLOCK_HOURS;
    if looked_at.iter().filter(is_all_day).count() * 2 < looked_at.len() {
        return None;
    }
    let saturdays = days.iter().filter(|day| day.date.weekday() == Weekday::Sat);
    if saturdays
        .filter(|day| day.hours.count_ones() >= ROUND_THE_CLOCK_HOURS / 2)
        .count()
        > 0
    {
        return Some((
            "CRYPTO",
            "its bars are round the clock on seven days a week",
        ));
    }
    let is_saturday_inside = first
        .iter_days()
        .take_while(|date| *date < last)
        .skip(1)
        .any(|date| date.weekday() == Weekday::Sat);
    if is_saturday_inside {
        return Some(("FOREX", "its bars are round the clock on five days a week"));
    }
    let ticker = piece.groups.first()?.ticker.as_str().to_ascii_uppercase();
    let is_coin = [
        "BTC", "XBT", "ETH", "USDT", "USDC", "XRP", "LTC", "SOL", "DOGE", "ADA", "BNB",
    ]
    .iter()
    .any(|coin| ticker.contains(coin));
    Some(if is_coin {
        (
            "CRYPTO",
            "its bars are round the clock, and its ticker is that of a coin",
        )
    } else {
        let reason = if is_pair(&ticker) {
            "its bars are round the clock, and its ticker is a pair of currencies"
        } else {
            "its bars are round the clock"
        };
        ("FOREX", reason)
    })
}

/// What the user should check about times and exchange.
pub(super) fn warnings(plan: &Plan, piece: &Piece, interval: Interval) -> Vec<String> {
    let mut warnings = Vec::new();
    let exchange = plan.calendar.exchange();
    let skipped = |row: &&super::block::BadRow| row.reason == Reason::SkippedLocalTime;
    let skipped = piece.rejects.iter().filter(skipped).count();
    if skipped > 0 && plan.is_default.zone {
        warnings.push(format!(
            "{skipped} rows have local times that don't exist, because the clocks in {} skip them; {}",
            plan.form.timezone,
            Advice::SetTimezone { likely: None }
        ));
    }
    if let Some(ticker) = &plan.ticker
        && plan.exchange_by == ExchangeBy::Default
        && let Some(other) = foreign_suffix(ticker.as_str(), exchange)
    {
        warnings.push(format!(
            "the ticker {ticker} has the suffix of {other}, but is read as {exchange}; {}",
            Advice::SetExchange { code: other }
        ));
    }
    if let Some(ticker) = &plan.ticker
        && plan.has_guessed_ticker
    {
        warnings.push(format!(
            "the ticker {ticker} is taken from the file's name and may have another word in it; {}",
            Advice::SetTicker
        ));
    }
    let days = days_of(plan, piece);
    if plan.is_default.zone && plan.has_weekends() {
        if !opens_with_the_week(&days) {
            let first = piece.groups.first();
            let likely = first.and_then(|group| by_weeks(plan, group.bars.timestamps()));
            warnings.push(format!(
                "local times are read as {}, the default of {exchange}, and the file doesn't show whether it is \
                 right; {}",
                plan.form.timezone,
                Advice::SetTimezone { likely }
            ));
        }
    } else if let Some(warning) = of_sessions(plan, &days, interval) {
        warnings.push(warning);
    }
    warnings
}

/// The warning about days that don't fit the exchange's sessions.
fn of_sessions(plan: &Plan, days: &[Day], interval: Interval) -> Option<String> {
    let exchange = plan.calendar.exchange();
    // Without a span there are no sessions to compare with.
    plan.calendar.span()?;
    let traded: Vec<(&Day, &DayInSession)> = days
        .iter()
        .filter(|day| day.bars >= DAY_BARS_MIN)
        .filter_map(|day| Some((day, day.session.as_ref()?)))
        .collect();
    let most = |of: &dyn Fn(&Day, &DayInSession) -> bool| {
        let count = traded
            .iter()
            .filter(|(day, session)| of(day, session))
            .count();
        !traded.is_empty() && count * 10 >= traded.len() * 6
    };
    let bars: usize = days.iter().map(|day| day.bars).sum();
    let off: usize = days
        .iter()
        .filter(|day| day.is_known && day.session.is_none())
        .map(|day| day.bars)
        .sum();
    if off * 4 > bars && bars >= DAY_BARS_MIN {
        return Some(format!(
            "{off} of {bars} bars are on days without a session of {exchange}; {}",
            Advice::SetExchangeOrTimezone { likely: None }
        ));
    }
    let is_close = |_: &Day, session: &DayInSession| {
        session.has_close && session.has_opening && !session.has_open
    };
    if plan.label == Label::Open && plan.is_default.label && most(&is_close) {
        return Some(format!(
            "its sessions have a bar at the close and none at the open, as if timestamps were closes; {}",
            Advice::SetLabelClose
        ));
    }
    let length = interval.micros();
    let is_shifted = |day: &Day, session: &DayInSession| {
        let span = day.last + length - day.first;
        let shift = (day.first - session.open).abs();
        (span - (session.close - session.open)).abs() <= length.max(5 * MINUTE_MICROS)
            && shift >= SHIFT_MIN
            && shift > length / 2
    };
    let is_outside = |day: &Day, session: &DayInSession| {
        !session.has_opening && (day.bars - session.inside) * 4 > day.bars
    };
    if most(&is_shifted) || most(&is_outside) {
        let (day, session) = traded.first()?;
        let spans: Vec<(i64, i64)> = traded
            .iter()
            .map(|(day, _)| (day.first, day.last))
            .collect();
        let is_default = plan.is_default.zone;
        let likely = is_default.then(|| by_sessions(plan, &spans)).flatten();
        let zone = plan.calendar.zone();
        let clock = |at: i64| {
            let minutes = zone.to_local(at).rem_euclid(24 * HOUR_MICROS) / MINUTE_MICROS;
            format!("{:02}:{:02}", minutes / 60, minutes % 60)
        };
        return Some(format!(
            "its bars of {} are from {} to {}, but {exchange} trades from {} to {}, in {}; {}",
            day.date,
            clock(day.first),
            clock(day.last),
            clock(session.open),
            clock(session.close),
            plan.calendar.tz(),
            Advice::SetExchangeOrTimezone { likely }
        ));
    }
    None
}

/// Whether the first bar after each weekend is the first of the week's trading. False without a
/// weekend.
fn opens_with_the_week(days: &[Day]) -> bool {
    let mut weeks = days
        .windows(2)
        .filter(|pair| (pair[1].date - pair[0].date).num_days() >= 3);
    let is_open = |day: &Day| {
        day.session
            .as_ref()
            .is_some_and(|session| day.first == session.open)
    };
    let mut any = false;
    let all = weeks.all(|pair| {
        any = true;
        is_open(&pair[1])
    });
    any && all
}

fn days_of(plan: &Plan, piece: &Piece) -> Vec<Day> {
    let groups = piece.groups.iter().take(GROUPS_MAX);
    groups
        .flat_map(|group| days_of_group(plan, group))
        .collect()
}

fn days_of_group(plan: &Plan, group: &Group) -> Vec<Day> {
    let mut timestamps = group.bars.timestamps().to_vec();
    timestamps.sort_unstable();
    timestamps.truncate(BARS_MAX);
    let runs = plan.calendar.session_runs(&timestamps);
    runs.map(|(date, run)| {
        let bars = &timestamps[run];
        let hours = bars
            .iter()
            .map(|at| 1 << at.div_euclid(HOUR_MICROS).rem_euclid(24));
        let session = plan.calendar.session_on(date);
        let is_known = session.is_ok();
        let session = session.ok().flatten();
        Day {
            date,
            first: bars[0],
            last: bars[bars.len() - 1],
            bars: bars.len(),
            is_known,
            hours: hours.fold(0_u32, |all, hour: u32| all | hour),
            session: session.map(|session| {
                let (open, close) = (session.open.micros(), session.close.micros());
                let has = |at: i64| bars.binary_search(&at).is_ok();
                let is_inside = |at: &&i64| session.contains(Timestamp::from_micros(**at));
                DayInSession {
                    open,
                    close,
                    inside: bars.iter().filter(is_inside).count(),
                    has_open: has(open),
                    has_opening: bars.iter().any(|at| (open..open + OPENING).contains(at)),
                    has_close: has(close),
                }
            }),
        }
    })
    .collect()
}
