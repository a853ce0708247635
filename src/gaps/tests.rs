use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::classify::{classify, expected_opens, missing};
use super::*;
use crate::calendar::{Calendar, CalendarCache, Session};
use crate::model::{Basis, DateRange, Hours, Interval, Provenance, Ticker};
use crate::store::{CoverageEntry, CoverageStatus, RefillAttempts, SessionCount};

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn range(first: &str, last: &str) -> DateRange {
    DateRange::new(date(first), date(last)).unwrap()
}

fn key() -> SeriesKey {
    SeriesKey {
        interval: Interval::M1,
        ticker: Ticker::new("AAPL").unwrap(),
    }
}

fn provenance(exchange: &str) -> Provenance {
    Provenance {
        exchange: exchange.into(),
        basis: Basis::SplitAdjusted,
        hours: Hours::Regular,
    }
}

fn entry(exchange: &str, first: &str, last: &str, status: CoverageStatus) -> CoverageEntry {
    CoverageEntry {
        series: key(),
        provider: "fmp".into(),
        provenance: provenance(exchange),
        dates: range(first, last),
        status,
        rows: 0,
        reason: None,
        asked_at: Timestamp::from_micros(1_000),
    }
}

/// A session's count when only its first `bars` minutes are stored.
fn count(session: &Session, bars: u32) -> SessionCount {
    let grid = session.grid(Interval::M1);
    SessionCount {
        session: session.date,
        bars,
        regular: bars,
        first: grid[0],
        last: grid[bars as usize - 1],
    }
}

/// The incomplete sessions as `date reason`. `bars` are those stored of each session.
fn incomplete_sessions(
    exchange: &str,
    dates: DateRange,
    bars: &[u32],
    coverage: &[CoverageEntry],
) -> Vec<String> {
    let calendar = Calendar::for_exchange(exchange).unwrap();
    let sessions = calendar.sessions(dates).unwrap();
    assert_eq!(sessions.len(), bars.len());
    let counts: Vec<SessionCount> = (sessions.iter().zip(bars))
        .filter(|(_, bars)| **bars > 0)
        .map(|(session, bars)| count(session, *bars))
        .collect();
    let aligned: Vec<_> = align(&sessions, &counts).collect();
    classify(
        &sessions,
        (&aligned, &vec![0; sessions.len()]),
        coverage,
        &calendar,
        Interval::M1,
        Hours::Regular,
    )
    .into_iter()
    .map(|incomplete| format!("{} {}", sessions[incomplete.index].date, incomplete.reason))
    .collect()
}

#[test]
fn sessions_with_mostly_rejects_are_failed_even_if_all_are_alike() {
    let mostly = |first: &str, last: &str| CoverageEntry {
        rows: 39,
        ..entry("NASDAQ", first, last, CoverageStatus::Failed)
    };
    let days = range("2025-02-03", "2025-02-05");
    let failed = mostly("2025-02-03", "2025-02-04");
    assert_eq!(
        incomplete_sessions("NASDAQ", days, &[39, 39, 39], std::slice::from_ref(&failed)),
        ["2025-02-03 failed", "2025-02-04 failed"]
    );
    // One was requested again with success. A failed request doesn't concern bars from CSV files.
    let good = entry("NASDAQ", "2025-02-03", "2025-02-03", CoverageStatus::Rows);
    let plain = entry("NASDAQ", "2025-02-05", "2025-02-05", CoverageStatus::Failed);
    assert_eq!(
        incomplete_sessions("NASDAQ", days, &[390, 390, 390], &[failed, good, plain]),
        ["2025-02-04 failed"]
    );
}

#[test]
fn each_reason_is_found() {
    use CoverageStatus::{Empty, Failed, Partial, Rows};
    let week = range("2025-02-03", "2025-02-11");
    let of = |status, first: &str, last: &str| entry("NASDAQ", first, last, status);
    let coverage = [
        of(Rows, "2025-02-03", "2025-02-03"),
        of(Empty, "2025-02-04", "2025-02-04"),
        // One answered entry is enough, even if later ones failed.
        of(Failed, "2025-02-04", "2025-02-05"),
        of(Rows, "2025-02-06", "2025-02-06"),
        // It has nine bars in ten, but its end was held back.
        of(Partial, "2025-02-10", "2025-02-10"),
        // The same, but the held back bars have come since.
        of(Partial, "2025-02-11", "2025-02-11"),
    ];
    assert_eq!(
        incomplete_sessions("NASDAQ", week, &[390, 0, 0, 200, 0, 380, 390], &coverage),
        [
            "2025-02-04 empty",
            "2025-02-05 failed",
            "2025-02-06 short",
            "2025-02-07 never_asked",
            "2025-02-10 partial",
        ]
    );
    // Bars from CSV files: missing sessions were never requested, and short ones are only short.
    assert_eq!(
        incomplete_sessions("NASDAQ", week, &[390, 0, 390, 200, 390, 390, 390], &[]),
        ["2025-02-04 never_asked", "2025-02-06 short"]
    );
    // A last minute without trades isn't a gap if nothing was held back.
    let rows = [of(Rows, "2025-02-03", "2025-02-11")];
    assert!(
        incomplete_sessions("NASDAQ", week, &[390, 389, 385, 390, 360, 390, 390], &rows).is_empty()
    );
}

#[test]
fn a_session_over_midnight_is_requested_by_two_dates() {
    use CoverageStatus::{Empty, Failed};
    let monday = range("2025-02-10", "2025-02-10");
    let of = |status, day: &str| entry("FOREX", day, day, status);
    let both = [of(Empty, "2025-02-09"), of(Empty, "2025-02-10")];
    assert_eq!(
        incomplete_sessions("FOREX", monday, &[0], &both),
        ["2025-02-10 empty"]
    );
    assert_eq!(
        incomplete_sessions("FOREX", monday, &[0], &both[1..]),
        ["2025-02-10 never_asked"]
    );
    let failed = [of(Failed, "2025-02-09"), of(Empty, "2025-02-10")];
    assert_eq!(
        incomplete_sessions("FOREX", monday, &[0], &failed),
        ["2025-02-10 failed"]
    );
}

#[test]
fn first_and_last_missing_bar() {
    let session = |code: &str| {
        let calendar = Calendar::for_exchange(code).unwrap();
        // The eleventh is a holiday in Tokyo.
        let day = if code == "JPX" {
            "2025-02-12"
        } else {
            "2025-02-11"
        };
        calendar.session_on(date(day)).unwrap().unwrap()
    };
    let shown = |ends: Option<(Timestamp, Timestamp)>| {
        let (first, last) = ends.unwrap();
        format!("{first} {last}")
    };
    let grid = expected_opens(&session("NASDAQ"), Interval::M60, Hours::Regular);
    let micros: Vec<i64> = grid.iter().map(|at| at.micros()).collect();
    assert_eq!(
        shown(missing(&grid, &[])),
        "2025-02-11T14:30:00Z 2025-02-11T20:30:00Z"
    );
    assert_eq!(
        shown(missing(&grid, &[micros[0], micros[3], micros[6]])),
        "2025-02-11T15:30:00Z 2025-02-11T19:30:00Z"
    );
    // With extended hours the grid of 60 minutes is on whole hours.
    let grid = expected_opens(&session("NASDAQ"), Interval::M60, Hours::Extended);
    assert_eq!(
        shown(missing(&grid, &[])),
        "2025-02-11T15:00:00Z 2025-02-11T20:00:00Z"
    );
    // Tokyo has a lunch break: the second half has its own grid.
    let grid = expected_opens(&session("JPX"), Interval::M60, Hours::Regular);
    assert_eq!(
        shown(missing(&grid, &[])),
        "2025-02-12T00:00:00Z 2025-02-12T05:30:00Z"
    );
}

fn gap(session: &str, bars: u32) -> Gap {
    Gap {
        series: key(),
        session: date(session),
        expected: 390,
        bars,
        first_missing: Timestamp::from_micros(0),
        last_missing: Timestamp::from_micros(0),
        reason: Reason::Empty,
        shortage: None,
        rejected: 0,
    }
}

fn incomplete(gaps: &[Gap]) -> Survey {
    Survey {
        series: vec![SeriesGaps {
            checked: None,
            key: key(),
            provenance: provenance("NASDAQ"),
            gaps: gaps.to_vec(),
            expected: 10,
        }],
        ..Survey::default()
    }
}

fn fills(known: &[RefillAttempts]) -> Vec<String> {
    let show = |one: &RefillAttempts| format!("{} x{}", one.dates, one.fills);
    known.iter().map(show).collect()
}

#[test]
fn sessions_that_two_refills_returned_empty_are_skipped() {
    let mut calendars = CalendarCache::default();
    // A Thursday, a Friday, and the Monday after them.
    let all = incomplete(&[
        gap("2025-02-06", 0),
        gap("2025-02-07", 0),
        gap("2025-02-10", 200),
    ]);
    let as_staged = Provenance::clone;
    let (first, left_out) =
        refill_requests(&all, &BTreeMap::new(), false, &mut calendars, as_staged);
    assert_eq!((first[0].dates.len(), left_out), (3, 0));

    let began = Timestamp::from_micros(500);
    let coverage = [entry(
        "NASDAQ",
        "2025-02-06",
        "2025-02-10",
        CoverageStatus::Empty,
    )];
    let once = attempts_after(&first[0], &[], &all, &coverage, began, &mut calendars);
    assert_eq!(fills(&once), ["2025-02-06..2025-02-10 x1"]);
    // A second time. The Monday got some bars in between, so its count starts again.
    let after = incomplete(&[
        gap("2025-02-06", 0),
        gap("2025-02-07", 0),
        gap("2025-02-10", 250),
    ]);
    let twice = attempts_after(&first[0], &once, &after, &coverage, began, &mut calendars);
    assert_eq!(fills(&twice), ["2025-02-06..2025-02-07 x2"]);
    // A session that was not requested, or whose request failed, keeps its count.
    let failed = [entry(
        "NASDAQ",
        "2025-02-06",
        "2025-02-10",
        CoverageStatus::Failed,
    )];
    let same = attempts_after(&first[0], &twice, &all, &failed, began, &mut calendars);
    assert_eq!(fills(&same), fills(&twice));
    let later = Timestamp::from_micros(2_000);
    let same = attempts_after(&first[0], &twice, &all, &coverage, later, &mut calendars);
    assert_eq!(fills(&same), fills(&twice));

    let attempts = BTreeMap::from([(key(), twice.clone())]);
    let (third, left_out) = refill_requests(&all, &attempts, false, &mut calendars, as_staged);
    assert_eq!(third[0].dates, [date("2025-02-10")]);
    assert_eq!(left_out, 2);
    let (again, left_out) = refill_requests(&all, &attempts, true, &mut calendars, as_staged);
    assert_eq!((again[0].dates.len(), left_out), (3, 0));
    // The sessions that were filled are removed.
    let filled = attempts_after(
        &again[0],
        &twice,
        &incomplete(&[]),
        &coverage,
        began,
        &mut calendars,
    );
    assert!(filled.is_empty());
}
