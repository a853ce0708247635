use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{Basis, Hours, Interval, Ticker};

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn calendar(exchange: &str) -> Option<Calendar> {
    Calendar::for_exchange(exchange).ok()
}

fn answer(
    exchange: &str,
    first: &str,
    last: &str,
    status: CoverageStatus,
    at: i64,
) -> CoverageEntry {
    CoverageEntry {
        series: SeriesKey {
            interval: Interval::M1,
            ticker: Ticker::new("AAPL").unwrap(),
        },
        provider: "fmp".into(),
        provenance: Provenance {
            exchange: exchange.into(),
            basis: Basis::SplitAdjusted,
            hours: Hours::Regular,
        },
        dates: DateRange::new(date(first), date(last)).unwrap(),
        status,
        rows: 10,
        reason: None,
        asked_at: Timestamp::from_micros(at),
    }
}

fn entry(first: &str, last: &str, status: CoverageStatus, run: &str, at: i64) -> LoggedEntry {
    LoggedEntry {
        entry: answer("NASDAQ", first, last, status, at),
        run: run.into(),
    }
}

fn shown(entries: &[LoggedEntry]) -> Vec<String> {
    let show = |entry: &LoggedEntry| {
        let answer = &entry.entry;
        format!(
            "{} {} {} {}",
            answer.dates, answer.status, answer.rows, entry.run
        )
    };
    entries.iter().map(show).collect()
}

#[test]
fn windows_of_a_run_are_one_entry_over_weekends() {
    use CoverageStatus::{Empty, Rows};
    let run = RunId::new(Timestamp::from_micros(0));
    let mut open_entries = OpenEntries::default();
    let of = |first: &str, last: &str, status| answer("NASDAQ", first, last, status, 1);
    let first = open_entries.plan(
        &run,
        vec![
            of("2025-02-03", "2025-02-05", Rows),
            of("2025-02-06", "2025-02-07", Rows),
        ],
        calendar,
    );
    assert_eq!((first.inserts.len(), first.extensions.len()), (1, 0));
    assert_eq!(first.inserts[0].dates.to_string(), "2025-02-03..2025-02-07");
    assert_eq!(first.inserts[0].rows, 20);
    open_entries.recorded(first);
    // A weekend, a holiday (17 February), an empty day, and a session that was never requested.
    let next = open_entries.plan(
        &run,
        vec![
            of("2025-02-10", "2025-02-14", Rows),
            of("2025-02-18", "2025-02-18", Rows),
            of("2025-02-19", "2025-02-19", Empty),
            of("2025-02-20", "2025-02-20", Rows),
            of("2025-02-24", "2025-02-24", Rows),
        ],
        calendar,
    );
    assert_eq!(next.extensions.len(), 1);
    assert_eq!(next.extensions[0].was.to_string(), "2025-02-03..2025-02-07");
    assert_eq!(next.extensions[0].last, date("2025-02-18"));
    assert_eq!(next.inserts.len(), 3);
    open_entries.recorded(next);
    // Another run begins entries of its own.
    let other = RunId::new(Timestamp::from_micros(0));
    let planned = open_entries.plan(&other, vec![of("2025-02-25", "2025-02-25", Rows)], calendar);
    assert_eq!((planned.inserts.len(), planned.extensions.len()), (1, 0));
}

#[test]
fn a_session_over_midnight_keeps_its_sunday() {
    let closed = |code: &str, before: &str, after: &str| {
        is_closed_between(calendar(code).as_ref(), date(before), date(after))
    };
    // FOREX trades on Sunday evening.
    assert!(!closed("FOREX", "2025-02-07", "2025-02-10"));
    assert!(closed("FOREX", "2025-02-07", "2025-02-09"));
    assert!(!closed("CRYPTO", "2025-02-07", "2025-02-09"));
    assert!(closed("NASDAQ", "2025-02-07", "2025-02-10"));
    assert!(!closed("NASDAQ", "2025-02-06", "2025-02-10"));
    assert!(closed("NASDAQ", "2025-02-06", "2025-02-07"));
    assert!(!closed("NOWHERE", "2025-02-07", "2025-02-10"));
}

#[test]
fn folding_keeps_what_counts() {
    use CoverageStatus::{Empty, Failed, Partial, Rows};
    let folded = fold(
        vec![
            entry("2025-02-03", "2025-02-07", Rows, "a", 1),
            entry("2025-02-10", "2025-02-12", Failed, "a", 2),
            entry("2025-02-10", "2025-02-11", Partial, "b", 3),
            entry("2025-02-10", "2025-02-10", Empty, "c", 4),
            entry("2025-02-05", "2025-02-06", Empty, "d", 5),
        ],
        calendar,
    );
    assert_eq!(
        shown(&folded),
        [
            "2025-02-03..2025-02-07 rows 10 a",
            "2025-02-12 failed 0 a",
            "2025-02-11 partial 0 b",
            "2025-02-10 empty 10 c",
        ]
    );
}

#[test]
fn days_of_many_runs_are_few_entries() {
    let first = date("2020-01-01");
    let sessions = calendar("NASDAQ")
        .unwrap()
        .sessions(DateRange::new(first, date("2024-12-31")).unwrap())
        .unwrap();
    let entries: Vec<LoggedEntry> = (sessions.iter().enumerate())
        .map(|(place, session)| {
            let day = session.date.to_string();
            entry(
                &day,
                &day,
                CoverageStatus::Rows,
                &place.to_string(),
                place as i64,
            )
        })
        .collect();
    let count = entries.len();
    let folded = fold(entries, calendar);
    assert_eq!(folded.len(), RECENT_ENTRIES_MAX + 1);
    assert_eq!(folded[0].entry.dates.first(), date("2020-01-02"));
    assert_eq!(folded[0].run, (count - RECENT_ENTRIES_MAX - 1).to_string());
    assert_eq!(fold(folded.clone(), calendar), folded);
}

/// What a ledger says of each date: a good answer, or else the last one.
fn says(entries: &[LoggedEntry]) -> BTreeMap<NaiveDate, CoverageStatus> {
    let mut says: BTreeMap<NaiveDate, CoverageStatus> = BTreeMap::new();
    for entry in entries {
        for day in entry.entry.dates.iter() {
            let status = entry.entry.status;
            let counts = match says.get(&day) {
                Some(CoverageStatus::Rows) => false,
                Some(CoverageStatus::Empty) => status == CoverageStatus::Rows,
                _ => true,
            };
            if counts {
                says.insert(day, status);
            }
        }
    }
    says
}

proptest! {
    #[test]
    fn a_folded_ledger_says_the_same_of_every_session(
        asked in proptest::collection::vec((0u64..60, 0u64..12, 0usize..4, 0usize..5), 0..60),
    ) {
        let statuses = [
            CoverageStatus::Rows,
            CoverageStatus::Empty,
            CoverageStatus::Partial,
            CoverageStatus::Failed,
        ];
        let first = date("2025-01-01");
        let entries: Vec<LoggedEntry> = (asked.iter().enumerate())
            .map(|(at, (start, days, status, run))| {
                let from = first + Days::new(*start);
                let to = from + Days::new(*days);
                entry(&from.to_string(), &to.to_string(), statuses[*status], &run.to_string(), at as i64)
            })
            .collect();
        let calendar_of = calendar("NASDAQ").unwrap();
        let sessions_only = |mut says: BTreeMap<NaiveDate, CoverageStatus>| {
            says.retain(|day, _| matches!(calendar_of.session_on(*day), Ok(Some(_))));
            says
        };
        let folded = fold(entries.clone(), calendar);
        prop_assert_eq!(sessions_only(says(&folded)), sessions_only(says(&entries)));
        prop_assert!(folded.len() <= 2 * entries.len());
        // Nothing lies over anything else.
        let mut ranges: Vec<DateRange> = folded.iter().map(|entry| entry.entry.dates).collect();
        ranges.sort_by_key(|dates| dates.first());
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].last() < pair[1].first());
        }
    }
}
