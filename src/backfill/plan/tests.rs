use super::*;
use crate::model::{Basis, Interval, SeriesKey, TypedDate};
use crate::provider::Truncation;
use crate::store::CoverageStatus;
use proptest::prelude::*;

fn range(first: &str, last: &str) -> DateRange {
    let date = |typed: &str| typed.parse::<TypedDate>().unwrap().0;
    DateRange::new(date(first), date(last)).unwrap()
}

fn provenance(basis: Basis) -> Provenance {
    Provenance {
        exchange: "NASDAQ".into(),
        basis,
        hours: Hours::Regular,
    }
}

fn date_time(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text)
        .unwrap()
        .to_utc()
        .into()
}

fn entry(ticker: &Ticker, dates: DateRange, status: CoverageStatus) -> CoverageEntry {
    CoverageEntry {
        series: SeriesKey {
            interval: Interval::M1,
            ticker: ticker.clone(),
        },
        provider: "fmp".into(),
        provenance: provenance(Basis::SplitAdjusted),
        dates,
        status,
        rows: 0,
        reason: None,
        asked_at: Timestamp::from_micros(0),
    }
}

fn plan(first: &str, last: &str, coverage: &[(&str, &str, CoverageStatus, Basis)]) -> Vec<String> {
    plan_since(first, last, coverage, &[], None, 0)
}

/// The windows over a range when these dates are stored and can be compared.
fn plan_next_to(first: &str, last: &str, stored: &[&str]) -> Vec<String> {
    let calendar = Calendar::for_exchange("NASDAQ").unwrap();
    let ticker = Ticker::new("AAPL").unwrap();
    let planner = planner(&calendar, range(first, last), 3);
    let stored: Vec<NaiveDate> = stored.iter().map(|d| range(d, d).first()).collect();
    let history = |_: &Ticker| {
        Ok::<_, calendar::Error>(History {
            comparable: stored.clone(),
            ..History::default()
        })
    };
    let plan = (planner.plan(&[ticker], history, &provenance(Basis::SplitAdjusted))).unwrap();
    plan.tickers[0].windows.iter().map(shown).collect()
}

fn planner(calendar: &Calendar, dates: DateRange, span_max: u16) -> Planner<'_> {
    Planner {
        calendar,
        dates,
        hours: Hours::Regular,
        limits: RequestLimits {
            history_start: None,
            interval: Interval::M1,
            hours: Hours::Regular,
            span_max,
            ends_with_month: false,
            tickers_max: 1,
            truncation: Truncation::KeepsNewest,
            window_requests: None,
        },
        since: None,
        overlap: 0,
        resumes: true,
        now: date_time("2026-01-01T00:00:00Z"),
    }
}

fn shown(w: &Window) -> String {
    let again = if w.refetch { " again" } else { "" };
    let compare = if w.is_comparison() { " compare" } else { "" };
    format!("{} {}{again}{compare}", w.request, w.keep)
}

fn plan_since(
    first: &str,
    last: &str,
    coverage: &[(&str, &str, CoverageStatus, Basis)],
    sessions: &[&str],
    since: Option<Since>,
    overlap: usize,
) -> Vec<String> {
    let calendar = Calendar::for_exchange("NASDAQ").unwrap();
    let ticker = Ticker::new("AAPL").unwrap();
    let planner = Planner {
        since,
        overlap,
        ..planner(&calendar, range(first, last), 3)
    };
    let coverage: Vec<CoverageEntry> = (coverage.iter())
        .map(|(first, last, status, basis)| CoverageEntry {
            provenance: provenance(*basis),
            ..entry(&ticker, range(first, last), *status)
        })
        .collect();
    let sessions: Vec<NaiveDate> = sessions
        .iter()
        .map(|date| range(date, date).first())
        .collect();
    let known = |_: &Ticker| {
        Ok::<_, calendar::Error>(History {
            coverage: coverage.clone(),
            sessions: sessions.clone(),
            ..History::default()
        })
    };
    let plan = planner
        .plan(
            std::slice::from_ref(&ticker),
            known,
            &provenance(Basis::SplitAdjusted),
        )
        .unwrap();
    plan.tickers[0].windows.iter().map(shown).collect()
}

#[test]
fn a_month_of_one_minute_bars_takes_nine_requests() {
    // January 2025: two holidays, the second one for a funeral.
    let windows = plan("2025-01-01", "2025-01-31", &[]);
    assert_eq!(windows[0], "2025-01-02..2025-01-03 2025-01-02..2025-01-03");
    assert_eq!(windows.len(), 9, "{windows:?}");
}

#[test]
fn a_single_day_is_requested_with_the_session_before_the_range() {
    assert_eq!(
        plan("2025-02-05", "2025-02-05", &[]),
        ["2025-02-04..2025-02-05 2025-02-05"]
    );
    assert!(plan("2025-02-08", "2025-02-09", &[]).is_empty());
}

#[test]
fn answered_days_are_left_out_if_provenance_matches() {
    let rows = CoverageStatus::Rows;
    let adjusted = Basis::SplitAdjusted;
    let week = ("2025-02-03", "2025-02-05");
    assert_eq!(
        plan(
            "2025-02-03",
            "2025-02-07",
            &[(week.0, week.1, rows, adjusted)]
        ),
        ["2025-02-06..2025-02-07 2025-02-06..2025-02-07"]
    );
    assert_eq!(
        plan(
            "2025-02-03",
            "2025-02-07",
            &[(week.0, week.1, rows, Basis::Unadjusted)]
        )
        .len(),
        2
    );
    // Failed and partial days are requested again. One answered entry is enough, even if later ones
    // failed.
    let failed = (week.0, week.1, CoverageStatus::Failed, adjusted);
    assert!(plan("2025-02-03", "2025-02-05", &[failed])[0].ends_with("again"));
    let good = (week.0, week.1, CoverageStatus::Empty, adjusted);
    assert!(plan("2025-02-03", "2025-02-05", &[good, failed]).is_empty());
}

#[test]
fn an_incremental_run_continues_from_the_stored_bars_with_an_overlap() {
    let staged = ["2025-02-04", "2025-02-05", "2025-02-06"];
    let since =
        |first, since, overlap| plan_since(first, "2025-02-11", &[], &staged, Some(since), overlap);
    assert_eq!(
        since("2025-02-06", Since::Last, 1),
        [
            "2025-02-06..2025-02-07 2025-02-06..2025-02-07 again",
            "2025-02-10..2025-02-11 2025-02-10..2025-02-11"
        ]
    );
    // Earlier days too, if the range has them; days between stored sessions are left out.
    assert_eq!(
        since(
            "2025-01-31",
            Since::LastAndBefore(range("2025-01-31", "2025-01-31").first()),
            0
        ),
        [
            "2025-01-30..2025-01-31 2025-01-31",
            "2025-02-02..2025-02-03 2025-02-03",
            "2025-02-06..2025-02-07 2025-02-07",
            "2025-02-10..2025-02-11 2025-02-10..2025-02-11",
        ]
    );
    assert_eq!(since("2025-01-31", Since::Last, 0).len(), 2);
    // The run may start earlier because of another ticker: this one is requested from its start.
    let start = range("2025-02-03", "2025-02-03").first();
    let early = |staged: &[&str]| {
        let since = Some(Since::LastAndBefore(start));
        plan_since("2024-12-02", "2025-02-07", &[], staged, since, 0)
    };
    assert_eq!(early(&staged).len(), 2);
    assert_eq!(early(&[]), plan("2025-02-03", "2025-02-07", &[]));
    // Without --since-last an overlap only marks days as requested again.
    let again = plan_since("2025-02-04", "2025-02-06", &[], &staged, None, 2);
    assert_eq!(
        again,
        ["2025-02-04..2025-02-06 2025-02-04..2025-02-06 again"]
    );
}

#[test]
fn a_run_next_to_stored_sessions_requests_one_of_them_too() {
    // Free if the first window has dates to spare.
    assert_eq!(
        plan_next_to("2025-02-05", "2025-02-06", &["2025-02-04"]),
        ["2025-02-04..2025-02-06 2025-02-05..2025-02-06"]
    );
    // Free if the same number of windows can start one session earlier.
    assert_eq!(
        plan_next_to("2025-02-04", "2025-02-07", &["2025-01-31", "2025-02-03"]),
        [
            "2025-02-03..2025-02-05 2025-02-04..2025-02-05",
            "2025-02-06..2025-02-07 2025-02-06..2025-02-07"
        ]
    );
    // A weekend is wider than the window: one request more, for the nearest stored session.
    assert_eq!(
        plan_next_to("2025-02-03", "2025-02-05", &["2025-01-30", "2025-01-31"]),
        [
            "2025-01-31 2025-01-31 compare",
            "2025-02-03..2025-02-05 2025-02-03..2025-02-05"
        ]
    );
    // A later window with a stored session stays where it is: it may conflict.
    assert_eq!(
        plan_next_to("2025-02-03", "2025-02-07", &["2025-02-06"]),
        [
            "2025-02-06 2025-02-06 compare",
            "2025-02-03..2025-02-05 2025-02-03..2025-02-05",
            "2025-02-06..2025-02-07 2025-02-06..2025-02-07"
        ]
    );
    // Older bars than the stored ones.
    assert_eq!(
        plan_next_to("2025-02-03", "2025-02-05", &["2025-06-02"])[0],
        "2025-06-02 2025-06-02 compare"
    );
    // The first window holds a stored session already.
    let again = plan_next_to("2025-02-03", "2025-02-07", &["2025-02-04"]);
    assert_eq!(again, plan("2025-02-03", "2025-02-07", &[]));
    assert!(plan_next_to("2025-02-08", "2025-02-09", &["2025-02-04"]).is_empty());
}

#[test]
fn a_partial_session_is_requested_again_with_any_overlap() {
    let staged = ["2025-02-04", "2025-02-05", "2025-02-06"];
    let adjusted = Basis::SplitAdjusted;
    let calendar = Calendar::for_exchange("NASDAQ").unwrap();
    let ask = |coverage: &[(&str, CoverageStatus)]| {
        let planner = Planner {
            since: Some(Since::Last),
            resumes: false,
            ..planner(&calendar, range("2025-02-05", "2025-02-07"), 3)
        };
        let ticker = Ticker::new("AAPL").unwrap();
        let history = |_: &Ticker| {
            Ok::<_, calendar::Error>(History {
                coverage: (coverage.iter())
                    .map(|(date, status)| entry(&ticker, range(date, date), *status))
                    .collect(),
                sessions: staged.iter().map(|d| range(d, d).first()).collect(),
                ..History::default()
            })
        };
        let tickers = std::slice::from_ref(&ticker);
        let plan = planner
            .plan(tickers, history, &provenance(adjusted))
            .unwrap();
        plan.tickers[0]
            .windows
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
    };
    let (rows, partial) = (CoverageStatus::Rows, CoverageStatus::Partial);
    assert_eq!(
        ask(&[("2025-02-06", rows)]),
        ["2025-02-06..2025-02-07 2025-02-07"]
    );
    assert_eq!(
        ask(&[
            ("2025-02-05", partial),
            ("2025-02-06", partial),
            ("2025-02-06", rows)
        ]),
        ["2025-02-05..2025-02-07 2025-02-05..2025-02-07 again"]
    );
}

proptest! {
    /// A stored session is always requested, no later than with the first new bars, for at most one
    /// request more, and nothing else about the plan changes.
    #[test]
    fn a_stored_session_is_compared_first(
        start in 0u64..400,
        days in 1u64..60,
        span_max in 1u16..8,
        stored in proptest::collection::btree_set(0u64..460, 1..20),
    ) {
        let calendar = Calendar::for_exchange("NASDAQ").unwrap();
        let ticker = Ticker::new("AAPL").unwrap();
        let at = |days: u64| range("2024-01-01", "2024-01-01").first() + Days::new(days);
        let dates = DateRange::new(at(start), at(start + days)).unwrap();
        let planner = planner(&calendar, dates, span_max);
        let stored: Vec<NaiveDate> = stored.into_iter().map(at).collect();
        let plan_with = |comparable: Vec<NaiveDate>| {
            let history = |_: &Ticker| {
                let comparable = comparable.clone();
                Ok::<_, calendar::Error>(History { comparable, ..History::default() })
            };
            let tickers = std::slice::from_ref(&ticker);
            let plan = planner.plan(tickers, history, &provenance(Basis::SplitAdjusted)).unwrap();
            plan.tickers[0].windows.to_vec()
        };
        let (without, with) = (plan_with(Vec::new()), plan_with(stored.clone()));
        prop_assert!(with.len() <= without.len() + 1);
        if let Some(first) = with.first() {
            prop_assert!(stored.iter().any(|date| first.request.contains(*date)), "{first:?}");
        }
        for session in calendar.sessions(dates).unwrap() {
            let kept = with.iter().filter(|window| window.keeps(session.date)).count();
            prop_assert_eq!(kept, 1, "{}", session.date);
        }
        for window in &with {
            prop_assert!(window.request.days() <= i64::from(span_max));
            prop_assert_eq!(window.keep.last(), window.request.last());
        }
    }

    #[test]
    fn each_wanted_day_is_either_requested_or_covered(
        start in 0u64..400,
        days in 1u64..60,
        span_max in 1u16..8,
        coverage in proptest::collection::vec((0u64..500, 0u64..12, 0usize..4), 0..12),
    ) {
        let calendar = Calendar::for_exchange("NASDAQ").unwrap();
        let ticker = Ticker::new("AAPL").unwrap();
        let at = |days: u64| range("2024-01-01", "2024-01-01").first() + Days::new(days);
        let dates = DateRange::new(at(start), at(start + days)).unwrap();
        let planner = planner(&calendar, dates, span_max);
        let statuses = [
            CoverageStatus::Rows,
            CoverageStatus::Empty,
            CoverageStatus::Partial,
            CoverageStatus::Failed,
        ];
        let coverage: Vec<CoverageEntry> = (coverage.into_iter())
            .map(|(first, days, status)| {
                let dates = DateRange::new(at(first), at(first + days)).unwrap();
                entry(&ticker, dates, statuses[status])
            })
            .collect();
        let is_covered = |date: NaiveDate| {
            coverage.iter().any(|entry| entry.status.is_answered() && entry.dates.contains(date))
        };
        let known = |_: &Ticker| {
            Ok::<_, calendar::Error>(History {
                coverage: coverage.clone(),
                ..History::default()
            })
        };
        let provenance = provenance(Basis::SplitAdjusted);
        let plan = planner.plan(std::slice::from_ref(&ticker), known, &provenance).unwrap();
        let plan = &plan.tickers[0];
        let mut covered = 0;
        for session in calendar.sessions(dates).unwrap() {
            let requests = plan.windows.iter().filter(|window| window.keeps(session.date)).count();
            // Either requested, once, or covered, and never both.
            prop_assert_eq!(requests, usize::from(!is_covered(session.date)), "{}", session.date);
            covered += usize::from(is_covered(session.date));
        }
        prop_assert_eq!(plan.days_answered, covered);
        for window in plan.windows.iter() {
            prop_assert!(window.request.days() <= i64::from(span_max));
            prop_assert!(dates.contains(window.keep.first()) && dates.contains(window.keep.last()));
        }
        // A fill requests each of the same days once too, in no more windows.
        let wanted: Vec<NaiveDate> = calendar.sessions(dates).unwrap().iter()
            .map(|session| session.date)
            .filter(|date| !is_covered(*date))
            .collect();
        let fill = planner.plan_days(&[(ticker, wanted)], &HashMap::new()).unwrap();
        prop_assert_eq!(fill.windows(), plan.windows.len() as u64);
    }
}

#[test]
fn shards_are_disjoint_and_together_all() {
    let tickers: Vec<Ticker> = (0..500)
        .map(|n| Ticker::new(&format!("T{n}")).unwrap())
        .collect();
    let shards: Vec<_> = (1..=3)
        .map(|index| shard(tickers.clone(), index, 3))
        .collect();
    assert_eq!(shards.iter().map(Vec::len).sum::<usize>(), 500);
    assert!(shards.iter().all(|shard| shard.len() > 120));
    let mut together: Vec<Ticker> = shards.concat();
    together.sort();
    together.dedup();
    assert_eq!(together.len(), 500);
    // These must never change: another machine may run another version.
    let of =
        |name: &str| (1..=4).find(|i| shard(vec![Ticker::new(name).unwrap()], *i, 4).len() == 1);
    assert_eq!(
        ["AAPL", "MSFT", "BRK-B"].map(of),
        [Some(2), Some(2), Some(2)]
    );
}
