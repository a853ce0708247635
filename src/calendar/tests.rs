//! Known sessions of known exchanges, and properties of all calendars.

use std::fs;

use chrono::{Days, NaiveDate};
use proptest::prelude::*;

use super::*;
use crate::model::Interval;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn calendar(code: &str) -> Calendar {
    Calendar::for_exchange(code).unwrap()
}

fn range(first: &str, last: &str) -> DateRange {
    DateRange::new(day(first), day(last)).unwrap()
}

/// The open and close of a session in UTC, with the break between them if there is one.
fn hours(code: &str, date: &str) -> Option<String> {
    let session = calendar(code).session_on(day(date)).unwrap()?;
    let time = |at: Timestamp| at.to_utc().format("%H:%M").to_string();
    Some(match session.pause {
        None => format!("{} {}", time(session.open), time(session.close)),
        Some((start, end)) => format!(
            "{} {} {} {}",
            time(session.open),
            time(start),
            time(end),
            time(session.close)
        ),
    })
}

#[test]
fn new_york_moves_with_its_clocks() {
    for (date, expected) in [
        ("2025-03-07", "14:30 21:00"),
        ("2025-03-10", "13:30 20:00"),
        ("2025-10-31", "13:30 20:00"),
        ("2025-11-03", "14:30 21:00"),
        // Until 2006 the clocks changed in April and October.
        ("2006-04-03", "13:30 20:00"),
        ("2006-03-31", "14:30 21:00"),
        ("2006-10-30", "14:30 21:00"),
    ] {
        assert_eq!(hours("NASDAQ", date).as_deref(), Some(expected), "{date}");
    }
}

#[test]
fn new_york_closes_and_half_days() {
    for closed in [
        "2001-09-11",
        "2001-09-12",
        "2001-09-13",
        "2001-09-14",
        "2004-06-11",
        "2007-01-02",
        "2012-10-29",
        "2012-10-30",
        "2018-12-05",
        "2025-01-09",
        "2025-01-01",
        "2025-04-18",
        "2025-06-19",
        "2025-01-04",
        "2025-01-05",
    ] {
        assert_eq!(hours("NYSE", closed), None, "{closed}");
    }
    assert!(hours("NYSE", "2001-09-10").is_some() && hours("NYSE", "2001-09-17").is_some());
    assert!(
        hours("NYSE", "2020-06-19").is_some(),
        "no holiday before 2022"
    );
    for (half, close) in [
        ("2024-07-03", "13:30 17:00"),
        ("2024-11-29", "14:30 18:00"),
        ("2024-12-24", "14:30 18:00"),
        ("2025-07-03", "13:30 17:00"),
    ] {
        assert_eq!(hours("XNAS", half).as_deref(), Some(close), "{half}");
    }
    let year = calendar("ARCA")
        .sessions(range("2025-01-01", "2025-12-31"))
        .unwrap();
    assert_eq!(year.len(), 250);
}

#[test]
fn other_exchanges_keep_their_own_hours() {
    for (code, date, expected) in [
        ("HKEX", "2025-01-03", "01:30 04:00 05:00 08:00"),
        ("HKEX", "2010-06-01", "02:00 04:00 05:00 08:00"),
        ("HKEX", "2024-12-24", "01:30 04:00"),
        ("JPX", "2024-11-01", "00:00 02:30 03:30 06:00"),
        ("JPX", "2024-11-05", "00:00 02:30 03:30 06:30"),
        ("SSE", "2025-01-02", "01:30 03:30 05:00 07:00"),
        ("LSE", "2025-03-28", "08:00 16:30"),
        ("LSE", "2025-03-31", "07:00 15:30"),
        ("LSE", "2024-12-24", "08:00 12:30"),
        ("XETRA", "2025-07-01", "07:00 15:30"),
        ("DUB", "2025-01-06", "08:00 16:28"),
        ("NSE", "2025-01-02", "03:45 10:00"),
        ("ASX", "2025-01-02", "23:00 05:00"),
        ("SAO", "2019-11-04", "13:00 21:00"),
        ("TSX", "2025-07-02", "13:30 20:00"),
    ] {
        assert_eq!(
            hours(code, date).as_deref(),
            Some(expected),
            "{code} {date}"
        );
    }
    assert_eq!(hours("TSX", "2025-07-01"), None, "Canada Day");
    assert_eq!(hours("XETRA", "2025-05-01"), None);
    assert_eq!(hours("JPX", "2024-12-31"), None);
}

#[test]
fn the_sixty_minute_grid_has_a_short_last_bar() {
    let session = calendar("NASDAQ")
        .session_on(day("2025-01-02"))
        .unwrap()
        .unwrap();
    let times = |interval| -> Vec<String> {
        let tz = calendar("NASDAQ").tz();
        let grid = session.grid(interval);
        assert_eq!(session.last_open(interval), grid.last().copied());
        assert_eq!(grid.len(), session.expected(interval));
        grid.iter()
            .map(|at| at.to_utc().with_timezone(&tz).format("%H:%M").to_string())
            .collect()
    };
    assert_eq!(
        times(Interval::M60),
        [
            "09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"
        ]
    );
    for (interval, count) in [
        (Interval::M1, 390),
        (Interval::M5, 78),
        (Interval::M15, 26),
        (Interval::M30, 13),
    ] {
        assert_eq!(times(interval).len(), count);
    }
    assert_eq!(times(Interval::M1).last().unwrap(), "15:59");

    let half = calendar("NASDAQ")
        .session_on(day("2024-12-24"))
        .unwrap()
        .unwrap();
    assert_eq!(half.expected(Interval::M1), 210);
    assert_eq!(half.expected(Interval::M60), 4);
}

#[test]
fn each_half_around_lunch_has_its_own_grid() {
    let session = calendar("JPX")
        .session_on(day("2025-01-06"))
        .unwrap()
        .unwrap();
    let tz = calendar("JPX").tz();
    let grid: Vec<String> = session
        .grid(Interval::M60)
        .iter()
        .map(|at| at.to_utc().with_timezone(&tz).format("%H:%M").to_string())
        .collect();
    assert_eq!(grid, ["09:00", "10:00", "11:00", "12:30", "13:30", "14:30"]);
    assert_eq!(session.expected(Interval::M1), 330);
    let (start, end) = session.pause.unwrap();
    assert!(!session.contains(start) && session.contains(end) && !session.contains(session.close));
}

#[test]
fn dublin_ends_on_a_minute_that_no_interval_divides() {
    let session = calendar("DUB")
        .session_on(day("2025-01-06"))
        .unwrap()
        .unwrap();
    assert_eq!(session.expected(Interval::M1), 508);
    assert_eq!(session.expected(Interval::M5), 102);
    assert_eq!(session.expected(Interval::M60), 9);
}

#[test]
fn crypto_and_forex_follow_their_rules() {
    assert_eq!(
        hours("CRYPTO", "2025-01-04").as_deref(),
        Some("00:00 00:00")
    );
    let crypto = calendar("crypto")
        .session_on(day("2025-01-04"))
        .unwrap()
        .unwrap();
    assert_eq!(crypto.expected(Interval::M1), 1440);
    assert_eq!(calendar("CRYPTO").span(), None);

    let forex = calendar("FOREX");
    assert_eq!(forex.tz(), Tz::America__New_York);
    let open = |date: &str| {
        forex
            .session_on(day(date))
            .unwrap()
            .map(|s| s.open.to_string())
    };
    assert_eq!(open("2025-01-06").as_deref(), Some("2025-01-05T22:00:00Z"));
    assert_eq!(open("2025-07-07").as_deref(), Some("2025-07-06T21:00:00Z"));
    assert_eq!(open("2025-01-04"), None);
    assert_eq!(open("2025-01-05"), None);
    let sunday: Timestamp = "2025-01-05T22:00:00Z"
        .parse::<chrono::DateTime<chrono::Utc>>()
        .unwrap()
        .into();
    assert_eq!(forex.session_date(sunday), day("2025-01-06"));
    let before = Timestamp::from_micros(sunday.micros() - 1);
    assert_eq!(forex.session_date(before), day("2025-01-05"));
    assert!(forex.session_on(day("1950-01-03")).unwrap().is_some());
}

#[test]
fn a_range_begins_and_ends_at_the_exchanges_midnight() {
    for (code, date, expected) in [
        ("NASDAQ", "2025-01-02", "2025-01-02T05:00:00Z"),
        ("NASDAQ", "2025-07-02", "2025-07-02T04:00:00Z"),
        ("FOREX", "2025-01-06", "2025-01-05T22:00:00Z"),
        ("CRYPTO", "2025-01-06", "2025-01-06T00:00:00Z"),
    ] {
        let from = calendar(code).range(Some(day(date)), None);
        let until = calendar(code).range(None, day(date).pred_opt());
        assert_eq!(Timestamp::from_micros(from.start).to_string(), expected);
        assert_eq!(until.end, from.start);
        assert_eq!(
            (from.end, until.start),
            (TimeRange::ALL.end, TimeRange::ALL.start)
        );
    }
    let none = Overrides::default();
    let unknown = |start| Calendar::range_at("NOWHERE", &none, start, None);
    assert_eq!(unknown(None).unwrap(), TimeRange::ALL);
    assert!(unknown(Some(day("2025-01-02"))).is_err());
}

#[test]
fn outside_the_span_is_an_error() {
    let nasdaq = calendar("NASDAQ");
    let error = nasdaq.session_on(day("1999-12-31")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the calendar of NASDAQ covers 2000-01-01..2028-12-31, not 1999-12-31"
    );
    assert!(nasdaq.sessions(range("2028-12-31", "2029-01-01")).is_err());
    assert!(calendar("NSE").session_on(day("2027-01-04")).is_err());
}

#[test]
fn an_unknown_code_lists_the_known_ones() {
    let message = Calendar::for_exchange("NASDAK").unwrap_err().to_string();
    assert!(
        message.starts_with("\"NASDAK\" is not a known exchange") && message.contains("NASDAQ")
    );
    for code in Calendar::known_codes() {
        assert_eq!(calendar(&code.to_lowercase()).exchange(), code);
    }
}

#[test]
fn a_users_file_overrides_the_compiled_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("XNYS.csv", "# a day of mourning\nclosed,2025-02-03\n");
    write("nasdaq.csv", "session,2025-02-04,09:30,12:00,,\n");
    write(
        "MINE.csv",
        "tz,UTC\nspan,2025-01-01,2025-12-31\nhours,2025-01-01,00:00,24:00,,\nweek,2025-01-01,1111111\n",
    );
    write("notes.txt", "not a calendar");
    let overrides = Calendar::load_overrides(folder.path()).unwrap();
    let session = |code: &str, date: &str| {
        Calendar::for_exchange_with(code, &overrides)
            .unwrap()
            .session_on(day(date))
            .unwrap()
    };
    assert_eq!(session("NASDAQ", "2025-02-03"), None);
    assert_eq!(session("NYSE", "2025-02-03"), None);
    assert_eq!(
        session("NASDAQ", "2025-02-04")
            .unwrap()
            .expected(Interval::M1),
        150
    );
    assert_eq!(
        session("NYSE", "2025-02-04")
            .unwrap()
            .expected(Interval::M1),
        390
    );
    assert_eq!(
        session("MINE", "2025-02-02")
            .unwrap()
            .expected(Interval::M60),
        24
    );
    assert!(session("LSE", "2025-02-03").is_some());
    assert!(
        calendar("NASDAQ")
            .session_on(day("2025-02-03"))
            .unwrap()
            .is_some()
    );

    write("XLON.csv", "closed,2025-13-01\n");
    let error = Calendar::load_overrides(folder.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("XLON.csv: line 1"), "{error}");
    assert!(Calendar::load_overrides(&folder.path().join("none")).is_ok());
}

#[test]
fn every_compiled_calendar_is_consistent() {
    for code in Calendar::known_codes() {
        let calendar = calendar(code);
        let span = calendar
            .span()
            .unwrap_or_else(|| range("2000-01-01", "2028-12-31"));
        let sessions = calendar.sessions(span).unwrap();
        assert!(sessions.len() > 200 * 26, "{code}");
        for pair in sessions.windows(2) {
            assert!(
                pair[0].date < pair[1].date && pair[0].close <= pair[1].open,
                "{code} {pair:?}"
            );
        }
        for session in &sessions {
            assert_eq!(calendar.session_date(session.open), session.date, "{code}");
            let last = Timestamp::from_micros(session.close.micros() - 1);
            assert_eq!(calendar.session_date(last), session.date, "{code}");
            assert!(session.contains(session.open) && session.contains(last));
        }
    }
}

proptest! {
    #[test]
    fn grids_are_inside_sessions_and_have_the_expected_number(
        which in any::<prop::sample::Index>(),
        offset in 0..10_000u64,
        interval in prop::sample::select(Interval::ALL.to_vec()),
    ) {
        let codes = Calendar::known_codes();
        let calendar = calendar(codes[which.index(codes.len())]);
        let date = day("2000-01-01") + Days::new(offset);
        let Ok(Some(session)) = calendar.session_on(date) else { return Ok(()) };
        let grid = session.grid(interval);
        prop_assert_eq!(session.last_open(interval), grid.last().copied());
        prop_assert_eq!(grid.len(), session.expected(interval));
        prop_assert_eq!(grid[0], session.open);
        prop_assert!(grid.windows(2).all(|pair| pair[1].micros() - pair[0].micros() >= 1));
        prop_assert!(grid.iter().all(|at| session.contains(*at)));
        let last_end = grid.last().unwrap().micros() + interval.micros();
        prop_assert!(last_end >= session.close.micros());
    }

    #[test]
    fn the_instants_of_a_date_are_those_whose_date_it_is(
        which in any::<prop::sample::Index>(),
        offset in 0..10_000u64,
        days in 0..400u64,
    ) {
        let codes = Calendar::known_codes();
        let calendar = calendar(codes[which.index(codes.len())]);
        let first = day("2000-01-01") + Days::new(offset);
        let last = first + Days::new(days);
        let instants = calendar.instants(DateRange::new(first, last).unwrap());
        let date_at = |micros| calendar.session_date(Timestamp::from_micros(micros));
        prop_assert_eq!(date_at(instants.start), first);
        prop_assert!(date_at(instants.start - 1) < first);
        prop_assert!(date_at(instants.end) > last);
        // If clocks go back at midnight, the evening occurs twice.
        prop_assert!(date_at(instants.end - 1) == last || date_at(instants.end) == last + Days::new(1));
    }

    #[test]
    fn runs_have_the_date_of_each_timestamp(
        which in any::<prop::sample::Index>(),
        start in 946_684_800_i64..1_800_000_000,
        steps in prop::collection::vec(0..4000_i64, 0..300),
    ) {
        let codes = Calendar::known_codes();
        let calendar = calendar(codes[which.index(codes.len())]);
        let mut at = start * 1_000_000;
        let timestamps: Vec<i64> = steps.iter().map(|step| { at += step * MINUTE_MICROS; at }).collect();
        let mut next = 0;
        for (date, run) in calendar.session_runs(&timestamps) {
            prop_assert_eq!(run.start, next);
            prop_assert!(!run.is_empty());
            next = run.end;
            for index in run {
                prop_assert_eq!(calendar.session_date(Timestamp::from_micros(timestamps[index])), date);
            }
        }
        prop_assert_eq!(next, timestamps.len());
    }
}
