use super::*;
use crate::calendar::Calendar;
use crate::gaps::align;
use crate::model::{DateRange, Timestamp};

/// A session whose bars are at random minutes from its first to its last.
fn spread(session: &Session, bars: u32) -> SessionCount {
    let grid = session.grid(Interval::M1);
    let last = if bars > 1 { grid.len() - 1 } else { 0 };
    count(session, bars, grid[0], grid[last])
}

fn count(session: &Session, bars: u32, first: Timestamp, last: Timestamp) -> SessionCount {
    SessionCount {
        session: session.date,
        bars,
        regular: bars,
        first,
        last,
    }
}

fn of_counts(sessions: &[Session], counts: &[SessionCount]) -> Vec<Completeness> {
    let counts: Vec<SessionCount> = (counts.iter())
        .filter(|count| count.bars > 0)
        .cloned()
        .collect();
    let aligned: Vec<_> = align(sessions, &counts).collect();
    completeness(sessions, &aligned, &vec![0; sessions.len()], Interval::M1)
}

/// The sessions of an exchange in three weeks of autumn 2024, with Thanksgiving.
fn sessions(exchange: &str) -> Vec<Session> {
    let day = |text: &str| text.parse().unwrap();
    let range = DateRange::new(day("2024-11-18"), day("2024-12-06")).unwrap();
    let calendar = Calendar::for_exchange(exchange).unwrap();
    calendar.sessions(range).unwrap()
}

/// The same without the half day.
fn full_sessions(exchange: &str) -> Vec<Session> {
    let mut sessions = sessions(exchange);
    let longest = sessions.iter().map(|one| one.expected(Interval::M1)).max();
    sessions.retain(|one| Some(one.expected(Interval::M1)) == longest);
    sessions
}

/// How complete sessions are that have a share of the bars from `late` minutes after their open to
/// `early` minutes before their close.
fn cut(
    exchange: &str,
    interval: Interval,
    share: f64,
    (late, early): (i64, i64),
) -> Vec<Completeness> {
    let sessions = full_sessions(exchange);
    let counts: Vec<SessionCount> = (sessions.iter())
        .map(|session| {
            let grid = session.grid(interval);
            let minute = 60_000_000;
            let first = session.open.micros() + late * minute;
            let end = session.close.micros() - early * minute;
            let inside = |at: &&Timestamp| first <= at.micros() && at.micros() < end;
            let bars: Vec<&Timestamp> = grid.iter().filter(inside).collect();
            let number = (bars.len() as f64 * share).round() as u32;
            count(session, number, *bars[0], *bars[bars.len() - 1])
        })
        .collect();
    let aligned: Vec<_> = align(&sessions, &counts).collect();
    completeness(&sessions, &aligned, &vec![0; sessions.len()], interval)
}

fn all_are(found: &[Completeness], wanted: Completeness) {
    assert!(found.iter().all(|one| *one == wanted), "{found:?}");
}

const LATE: Completeness = Completeness::Short(Shortage::LateStart);
const EARLY: Completeness = Completeness::Short(Shortage::EarlyEnd);

#[test]
fn a_ticker_whose_sessions_all_begin_late_or_end_early_is_short() {
    let (m1, m5, m30, m60) = (Interval::M1, Interval::M5, Interval::M30, Interval::M60);
    all_are(&cut("NYSE", m1, 1.0, (30, 0)), LATE);
    all_are(&cut("NYSE", m1, 0.6, (30, 0)), LATE);
    all_are(&cut("NYSE", m5, 0.9, (30, 0)), LATE);
    all_are(&cut("NYSE", m30, 1.0, (30, 0)), LATE);
    all_are(&cut("NYSE", m1, 1.0, (0, 60)), EARLY);
    // The last bar of 60 minutes is half an hour long.
    all_are(&cut("NYSE", m60, 1.0, (0, 30)), EARLY);
    // Only the afternoon, after the break.
    all_are(&cut("HKEX", m1, 0.9, (210, 0)), LATE);
    all_are(&cut("CRYPTO", m1, 0.95, (120, 0)), LATE);
}

#[test]
fn a_few_minutes_a_daily_break_or_thin_trading_are_usual() {
    let (m1, m5, m30) = (Interval::M1, Interval::M5, Interval::M30);
    all_are(&cut("NYSE", m1, 1.0, (10, 10)), Completeness::Complete);
    // Gold has a break of an hour each day.
    all_are(&cut("FOREX", m1, 1.0, (60, 0)), Completeness::Complete);
    // No trade in half an hour is likely if most minutes have none.
    all_are(&cut("NYSE", m1, 0.4, (30, 30)), Completeness::Complete);
    all_are(&cut("NYSE", m5, 0.6, (30, 0)), Completeness::Complete);
    all_are(&cut("NYSE", m30, 0.9, (30, 0)), Completeness::Complete);
}

#[test]
fn one_session_that_begins_late_is_not_systematic() {
    let sessions = full_sessions("NYSE");
    let late_from = |late: std::ops::Range<usize>| {
        let counts: Vec<SessionCount> = (sessions.iter().enumerate())
            .map(|(index, session)| {
                let grid = session.grid(Interval::M1);
                let start = if late.contains(&index) { 30 } else { 0 };
                let bars = (grid.len() - start) as u32;
                count(session, bars, grid[start], grid[grid.len() - 1])
            })
            .collect();
        let found = of_counts(&sessions, &counts);
        (0..found.len())
            .filter(|&index| found[index] == LATE)
            .collect::<Vec<usize>>()
    };
    assert!(late_from(2..3).is_empty());
    // Most of eleven sessions must agree.
    assert!(late_from(8..13).is_empty());
    assert_eq!(late_from(7..13), [7, 8, 9, 10, 11, 12]);
    assert_eq!(late_from(0..13).len(), 13);
}

#[test]
fn a_few_sessions_and_bars_outside_the_hours_decide_nothing() {
    let sessions = &sessions("NYSE")[..4];
    let of = |number: usize, before: i64| {
        let counts: Vec<SessionCount> = (sessions[..number].iter())
            .map(|session| {
                let grid = session.grid(Interval::M1);
                let mut count = count(session, 360, grid[30], grid[389]);
                if before > 0 {
                    count.first = Timestamp::from_micros(grid[0].micros() - before);
                }
                count
            })
            .collect();
        of_counts(&sessions[..number], &counts)
    };
    all_are(&of(4, 0), LATE);
    all_are(&of(3, 0), Completeness::Complete);
    // With bars before the open, the count doesn't show when regular hours begin.
    all_are(&of(4, 3_600_000_000), Completeness::Complete);
}

#[test]
fn rejected_rows_make_any_session_short() {
    let sessions = sessions("NYSE");
    let counts: Vec<SessionCount> = (sessions.iter())
        .map(|session| spread(session, session.expected(Interval::M1) as u32 - 1))
        .collect();
    let mut aligned: Vec<_> = align(&sessions, &counts).collect();
    aligned[4] = None;
    aligned[5] = None;
    let mut rejected = vec![0; sessions.len()];
    (rejected[2], rejected[4]) = (1, 390);
    let found = completeness(&sessions, &aligned, &rejected, Interval::M1);
    let short = Completeness::Short(Shortage::RejectedRows);
    let not_complete: Vec<_> = (found.iter().enumerate())
        .filter(|(_, found)| **found != Completeness::Complete)
        .collect();
    assert_eq!(
        not_complete,
        [(2, &short), (4, &short), (5, &Completeness::Missing)]
    );
}

fn complete(bars: impl Fn(usize, &Session) -> u32) -> Vec<bool> {
    // Thanksgiving week of 2024 ends with a half day.
    let sessions = sessions("NYSE");
    assert_eq!(sessions.len(), 14);
    let counts: Vec<SessionCount> = sessions
        .iter()
        .enumerate()
        .map(|(index, session)| spread(session, bars(index, session)))
        .collect();
    of_counts(&sessions, &counts)
        .into_iter()
        .map(|found| found == Completeness::Complete)
        .collect()
}

#[test]
fn full_sessions_and_half_days_are_complete() {
    assert!(
        complete(|_, session| session.expected(Interval::M1) as u32)
            .iter()
            .all(|whole| *whole)
    );
}

#[test]
fn a_missing_or_short_session_is_incomplete() {
    let whole = complete(|index, session| match index {
        2 => 0,
        5 => 300,
        _ => session.expected(Interval::M1) as u32,
    });
    let short: Vec<usize> = (0..14).filter(|&index| !whole[index]).collect();
    assert_eq!(short, [2, 5]);
}

#[test]
fn a_thinly_traded_ticker_is_compared_with_itself() {
    let whole = complete(|index, session| {
        let usual = session.expected(Interval::M1) as u32 / 10;
        if index == 7 { usual / 2 } else { usual }
    });
    let short: Vec<usize> = (0..14).filter(|&index| !whole[index]).collect();
    assert_eq!(short, [7]);
}

#[test]
fn a_single_session_is_complete_with_any_bars() {
    let whole = complete(|index, _| u32::from(index == 3));
    assert_eq!(whole.iter().filter(|whole| **whole).count(), 1);
}
