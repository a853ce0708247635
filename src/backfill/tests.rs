//! One window at a time, against a provider whose faults a test sets.

use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::days::days;
use super::fetch_window::RequestedRanges;
use super::fetched::FetchedWindow;
use super::fetcher::WindowFetcher;
use super::group::TickerGroup;
use super::windows::{DayState, windows};
use crate::calendar::Calendar;
use crate::model::{
    Bar, Basis, DateRange, Grid, Hours, Interval, MINUTE_MICROS, Reason, Reject, Source, Ticker,
    Timestamp, TypedDate,
};
use crate::provider::wrap::Recording;
use crate::provider::{
    BadRow, Error, ErrorKind, FetchError, Gate, GateOptions, Page, Provider, ProviderInfo, Reply,
    Request, RetryOptions, RetryingClient, Rows, Truncation,
};
use crate::store::{CoverageEntry, CoverageStatus};

/// A provider with every bar of every session, and these faults.
#[derive(Clone)]
struct Vendor {
    info: ProviderInfo,
    /// Responses contain only this many dates, the newest.
    cuts_to: u64,
    /// Responses contain only this many bars, the newest.
    bars_max: usize,
    /// A request for one session alone lacks the opening bar.
    opens_late: bool,
    /// Dates without bars.
    holes: Vec<NaiveDate>,
    /// Requests that start on this date fail.
    fails_from: Option<NaiveDate>,
    /// How many of the last rows of a date are rejects; for [`UNDATED`], how many rows without a
    /// date come in addition.
    rejects: Vec<(NaiveDate, usize)>,
    /// Bars open this much later than they should.
    ahead: Duration,
}

/// The key of rows without a date in `rejects`.
const UNDATED: NaiveDate = NaiveDate::MIN;

impl Vendor {
    fn new() -> Self {
        Self {
            info: ProviderInfo {
                source: Source::new("vendor"),
                exchange: "NASDAQ",
                probe: "AAPL",
                window_days: [3, 6, 29, 28, 85].map(Some),
                ends_with_month: false,
                tickers_per_request: 1,
                truncation: Truncation::KeepsNewest,
                window_requests: None,
                basis: &[Basis::SplitAdjusted],
                hours: &[Hours::Regular, Hours::Extended],
                hour_grid: |hours| Grid::of(Interval::M60, hours),
                rate_default: None,
                limit_lasts: Duration::from_secs(60),
                settles_after: Duration::from_secs(300),
                withholds: Duration::ZERO,
                history_years: &[],
                history_begins: None,
            },
            cuts_to: u64::MAX,
            bars_max: usize::MAX,
            opens_late: false,
            holes: Vec::new(),
            fails_from: None,
            rejects: Vec::new(),
            ahead: Duration::ZERO,
        }
    }

    fn bars(&self, request: &Request) -> Vec<Bar> {
        let calendar = Calendar::for_exchange("NASDAQ").unwrap();
        let cut = (request.dates.last())
            .checked_sub_days(Days::new(self.cuts_to.min(5000) - 1))
            .unwrap();
        let first = request.dates.first().max(cut);
        let sessions = calendar
            .sessions(DateRange::new(first, request.dates.last()).unwrap())
            .unwrap();
        let alone = request.dates.days() == 1;
        let mut bars = Vec::new();
        for session in sessions
            .iter()
            .filter(|session| !self.holes.contains(&session.date))
        {
            let skipped = usize::from(self.opens_late && alone);
            bars.extend(
                session
                    .grid(request.interval)
                    .into_iter()
                    .skip(skipped)
                    .map(|timestamp| Bar::new(timestamp, [1.0, 1.0, 1.0, 1.0], 1.0)),
            );
        }
        bars.split_off(bars.len().saturating_sub(self.bars_max))
    }
}

impl Provider for Vendor {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        std::future::ready(if self.fails_from == Some(request.dates.first()) {
            Err(Error::new(ErrorKind::Unexpected, "not bars").in_window(request))
        } else {
            Ok(Reply {
                origin: "memory:".into(),
                body: Vec::new(),
                page: None,
            })
        })
        .boxed()
    }

    fn parse(&self, request: &Request, _: &Reply) -> Result<Page, Error> {
        let mut bars = self.bars(request);
        let mut rejects = Vec::new();
        let mut reject = |at: Option<Timestamp>, raw: String| {
            rejects.push(BadRow {
                at,
                reject: Reject {
                    origin: "memory:".into(),
                    line: 1,
                    reason: Reason::BadNumber,
                    raw,
                },
            });
        };
        for (date, count) in &self.rejects {
            if *date == UNDATED {
                (0..*count).for_each(|row| reject(None, format!("undated {row}")));
            }
            let of_date = |bar: &Bar| bar.timestamp.to_utc().date_naive() == *date;
            let first = bars
                .iter()
                .filter(|bar| of_date(bar))
                .count()
                .saturating_sub(*count);
            let mut seen = 0;
            bars.retain(|bar| {
                seen += usize::from(of_date(bar));
                let bad = of_date(bar) && seen > first;
                if bad {
                    reject(Some(bar.timestamp), bar.timestamp.to_string());
                }
                !bad
            });
        }
        for bar in &mut bars {
            let ahead = i64::try_from(self.ahead.as_micros()).unwrap();
            bar.timestamp = Timestamp::from_micros(bar.timestamp.micros() + ahead);
        }
        let rows = Rows {
            bars: bars.into_iter().collect(),
            rejects,
        };
        Ok(Page {
            series: vec![(request.tickers[0].clone(), rows)],
            next: None,
        })
    }
}

fn date(typed: &str) -> NaiveDate {
    typed.parse::<TypedDate>().unwrap().0
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text)
        .unwrap()
        .to_utc()
        .into()
}

/// The fetched windows, and the requests that were sent for them.
async fn fetch_all(
    vendor: Vendor,
    first: &str,
    last: &str,
    interval: Interval,
    now: &str,
) -> (Vec<FetchedWindow>, Vec<Request>) {
    fetch_forming(vendor, first, last, interval, now, false).await
}

async fn fetch_forming(
    vendor: Vendor,
    first: &str,
    last: &str,
    interval: Interval,
    now: &str,
    include_forming: bool,
) -> (Vec<FetchedWindow>, Vec<Request>) {
    let now = at(now);
    let recording = Arc::new(Recording::new(vendor));
    let fetcher = WindowFetcher {
        client: RetryingClient::new(
            Arc::new(recording.clone()),
            Arc::new(Gate::new(GateOptions::default())),
            RetryOptions::default(),
        ),
        calendar: Calendar::for_exchange("NASDAQ").unwrap(),
        interval,
        basis: Basis::SplitAdjusted,
        hours: Hours::Regular,
        include_forming,
        clock: Arc::new(move || now),
    };
    let range = DateRange::new(date(first), date(last)).unwrap();
    let days: Vec<_> = (days(&fetcher.calendar, range, Hours::Regular, now)
        .unwrap()
        .into_iter())
    .map(|day| (day, DayState::New))
    .collect();
    let ticker = Ticker::new("AAPL").unwrap();
    let asked = RequestedRanges::default();
    let mut fetched = Vec::new();
    let group = TickerGroup::new(vec![ticker.clone()]);
    for window in &windows(&days, &fetcher.limits().unwrap()) {
        let window = fetcher.fetch(&ticker, window, &group, &asked);
        fetched.push(window.await);
    }
    (fetched, recording.requests())
}

fn bars(fetched: &[FetchedWindow]) -> usize {
    fetched.iter().map(|fetched| fetched.bars.len()).sum()
}

fn coverage(fetched: &[FetchedWindow]) -> Vec<String> {
    let show = |entry: &CoverageEntry| format!("{} {} {}", entry.dates, entry.status, entry.rows);
    fetched.iter().flat_map(|f| &f.coverage).map(show).collect()
}

const LATER: &str = "2026-01-01T00:00:00Z";

#[tokio::test]
async fn truncation_is_found_by_position_and_requested_again() {
    // Two weeks around a clock change and no holiday: ten sessions of 390 minutes.
    for cuts_to in [1, 2, 3, 100] {
        let vendor = Vendor {
            cuts_to,
            opens_late: true,
            ..Vendor::new()
        };
        let (fetched, asked) =
            fetch_all(vendor, "2025-03-03", "2025-03-14", Interval::M1, LATER).await;
        // With one date per response, no request returns an opening bar.
        assert_eq!(bars(&fetched), 3900, "cut to {cuts_to}");
        for fetched in &fetched {
            assert!(fetched.bars.is_sorted_unique() && fetched.error.is_none());
            assert!(
                fetched
                    .coverage
                    .iter()
                    .all(|answer| answer.status == CoverageStatus::Rows)
            );
        }
        let mut unique = asked.clone();
        unique.sort_by_key(|request| (request.dates.first(), request.dates.last()));
        unique.dedup();
        assert_eq!(unique.len(), asked.len(), "no range is requested twice");
        assert!(asked.iter().all(|request| request.dates.days() <= 3));
    }
    let vendor = Vendor {
        cuts_to: 10,
        ..Vendor::new()
    };
    let (fetched, _) = fetch_all(vendor, "2025-01-02", "2025-12-31", Interval::M60, LATER).await;
    // 250 sessions of seven bars, three of them cut to four.
    assert_eq!(bars(&fetched), 250 * 7 - 3 * 3);
}

#[tokio::test]
async fn a_day_without_bars_is_requested_once_more_and_then_empty() {
    let vendor = Vendor {
        holes: vec![date("2025-02-03")],
        ..Vendor::new()
    };
    let (fetched, asked) = fetch_all(vendor, "2025-02-03", "2025-02-05", Interval::M1, LATER).await;
    assert_eq!(bars(&fetched), 780);
    assert_eq!(asked.len(), 2);
    assert_eq!(
        coverage(&fetched),
        ["2025-02-03 empty 0", "2025-02-04..2025-02-05 rows 780"]
    );

    // In the middle and at the end nothing can have been truncated.
    let holes = vec![date("2025-02-04"), date("2025-02-05")];
    let (fetched, asked) = fetch_all(
        Vendor {
            holes,
            ..Vendor::new()
        },
        "2025-02-03",
        "2025-02-05",
        Interval::M1,
        LATER,
    )
    .await;
    assert_eq!((bars(&fetched), asked.len()), (390, 1));
    assert_eq!(
        coverage(&fetched),
        ["2025-02-03 rows 390", "2025-02-04..2025-02-05 empty 0"]
    );
}

#[tokio::test]
async fn a_lone_session_never_loses_its_opening_bar() {
    for (day, interval) in [
        ("2025-02-04", Interval::M1),
        ("2025-02-03", Interval::M5),
        ("2025-07-03", Interval::M1),
    ] {
        let vendor = Vendor {
            opens_late: true,
            ..Vendor::new()
        };
        let expected = Calendar::for_exchange("NASDAQ").unwrap();
        let expected = expected
            .session_on(date(day))
            .unwrap()
            .unwrap()
            .expected(interval);
        let (fetched, asked) = fetch_all(vendor, day, day, interval, LATER).await;
        assert_eq!(bars(&fetched), expected, "{day}");
        assert_eq!(asked.len(), 1);
    }
    // If no wider request is possible, nothing more is requested.
    let mut vendor = Vendor {
        opens_late: true,
        ..Vendor::new()
    };
    vendor.info.window_days = [Some(1); 5];
    let (fetched, asked) = fetch_all(vendor, "2025-02-04", "2025-02-04", Interval::M1, LATER).await;
    assert_eq!((bars(&fetched), asked.len()), (389, 1));
}

#[tokio::test]
async fn a_failed_head_is_recorded_and_the_other_bars_are_kept() {
    let vendor = Vendor {
        cuts_to: 2,
        // The session before the head, which is requested with it.
        fails_from: Some(date("2025-01-31")),
        ..Vendor::new()
    };
    let mut vendor = vendor;
    vendor.info.window_days = [Some(6); 5];
    let (fetched, _) = fetch_all(vendor, "2025-02-03", "2025-02-05", Interval::M1, LATER).await;
    assert_eq!(bars(&fetched), 780);
    assert!(fetched[0].error.is_some());
    assert_eq!(
        coverage(&fetched),
        ["2025-02-03 failed 0", "2025-02-04..2025-02-05 rows 780"]
    );
}

#[tokio::test]
async fn a_truncated_session_is_requested_once_more_or_partial() {
    let vendor = Vendor {
        bars_max: 500,
        ..Vendor::new()
    };
    let (fetched, asked) = fetch_all(
        vendor.clone(),
        "2025-02-03",
        "2025-02-07",
        Interval::M1,
        LATER,
    )
    .await;
    assert_eq!(bars(&fetched), 5 * 390);
    // The window, its head and the session between them; the second window's first session.
    assert_eq!(asked.len(), 5);

    // The head fails, so the session after it is not requested again.
    let vendor = Vendor {
        fails_from: Some(date("2025-02-02")),
        ..vendor
    };
    let (fetched, _) = fetch_all(vendor, "2025-02-03", "2025-02-05", Interval::M1, LATER).await;
    assert_eq!(
        coverage(&fetched),
        [
            "2025-02-03 failed 0",
            "2025-02-04 partial 110",
            "2025-02-05 rows 390"
        ]
    );
}

#[tokio::test]
async fn bars_that_can_change_are_held_back_and_their_day_is_partial() {
    // 10:30 New York: bars that closed by 10:25 have settled, five of 09:30 to 10:29 have not.
    let now = "2025-02-05T15:30:00Z";
    let (fetched, _) =
        fetch_all(Vendor::new(), "2025-02-03", "2025-02-28", Interval::M1, now).await;
    let last = fetched.last().unwrap();
    assert_eq!(coverage(&fetched).last().unwrap(), "2025-02-05 partial 55");
    assert_eq!(last.withheld, 390 - 55);
    let latest = last.bars.timestamps().last().unwrap() + MINUTE_MICROS;
    assert_eq!(latest, at("2025-02-05T15:25:00Z").micros());

    // The last hour is half an hour long: it has settled five minutes after the session.
    for (now, settled) in [("2025-02-05T21:04:59Z", 6), ("2025-02-05T21:05:00Z", 7)] {
        let (fetched, _) = fetch_all(
            Vendor::new(),
            "2025-02-05",
            "2025-02-05",
            Interval::M60,
            now,
        )
        .await;
        assert_eq!(bars(&fetched), settled, "{now}");
        let status = if settled == 7 {
            CoverageStatus::Rows
        } else {
            CoverageStatus::Partial
        };
        assert_eq!(fetched[0].coverage[0].status, status);
    }
}

/// The coverage, whether the window failed, and its bars, if dates have this many rejects.
async fn fetched_with(rejects: &[(NaiveDate, usize)]) -> (Vec<String>, bool, usize) {
    let vendor = Vendor {
        rejects: rejects.to_vec(),
        ..Vendor::new()
    };
    let (fetched, asked) = fetch_all(vendor, "2025-02-03", "2025-02-05", Interval::M1, LATER).await;
    assert_eq!(asked.len(), 1, "rejects show how far a response reaches");
    let failed = matches!(fetched[0].error, Some(FetchError::Failed(ref error)) if error.kind() == ErrorKind::Rejects);
    assert_eq!(failed, fetched[0].error.is_some());
    (coverage(&fetched), failed, bars(&fetched))
}

#[tokio::test]
async fn a_day_counts_as_answered_only_if_its_rows_are_bars() {
    let [third, fourth, fifth] = ["2025-02-03", "2025-02-04", "2025-02-05"].map(date);
    let all = |counts: [usize; 3]| [(third, counts[0]), (fourth, counts[1]), (fifth, counts[2])];
    // More than half of the window.
    let expected = |coverage: &[&str], failed, bars| {
        (
            coverage.iter().map(|&a| a.to_owned()).collect::<Vec<_>>(),
            failed,
            bars,
        )
    };
    assert_eq!(
        fetched_with(&all([390, 390, 0])).await,
        expected(&["2025-02-03..2025-02-05 failed 390"], true, 390)
    );
    assert_eq!(
        fetched_with(&all([390, 390, 390])).await,
        expected(&["2025-02-03..2025-02-05 failed 0"], true, 0)
    );
    // One day of three, also at the start: nothing is requested again.
    for (counts, coverage) in [
        (
            [390, 0, 0],
            ["2025-02-03 failed 0", "2025-02-04..2025-02-05 rows 780"],
        ),
        (
            [196, 0, 0],
            ["2025-02-03 failed 194", "2025-02-04..2025-02-05 rows 780"],
        ),
        (
            [0, 0, 40],
            ["2025-02-03..2025-02-04 rows 780", "2025-02-05 partial 350"],
        ),
    ] {
        let failed = coverage[0].contains("failed");
        let bars = 1170 - counts.iter().sum::<usize>();
        assert_eq!(
            fetched_with(&all(counts)).await,
            expected(&coverage, failed, bars)
        );
    }
    // A complete session may lack a tenth of its bars.
    assert_eq!(
        fetched_with(&all([39, 1, 0])).await,
        expected(&["2025-02-03..2025-02-05 rows 1130"], false, 1130)
    );
}

#[tokio::test]
async fn rows_without_a_date_may_be_those_of_an_empty_day() {
    let vendor = Vendor {
        holes: vec![date("2025-02-05")],
        rejects: vec![(UNDATED, 5)],
        ..Vendor::new()
    };
    let (fetched, _) = fetch_all(vendor, "2025-02-03", "2025-02-05", Interval::M1, LATER).await;
    assert_eq!(
        coverage(&fetched),
        ["2025-02-03..2025-02-04 rows 780", "2025-02-05 failed 0"]
    );
    assert!(matches!(fetched[0].error, Some(FetchError::Failed(_))));
}

#[tokio::test]
async fn a_reject_counts_once_and_for_the_window_of_its_day() {
    // Each response has its last date only, so days are requested again together with others.
    let days = ["2025-02-03", "2025-02-04", "2025-02-05", "2025-02-06"].map(date);
    let vendor = Vendor {
        rejects: days.iter().map(|day| (*day, 1)).collect(),
        cuts_to: 1,
        ..Vendor::new()
    };
    let (fetched, asked) = fetch_all(vendor, "2025-02-03", "2025-02-06", Interval::M1, LATER).await;
    assert!(
        asked.len() > 2,
        "days are requested more than once: {asked:?}"
    );
    let rejects: usize = fetched.iter().map(|fetched| fetched.rejects.len()).sum();
    assert_eq!((bars(&fetched), rejects), (4 * 389, 4));
}

#[tokio::test]
async fn forming_bars_have_opened() {
    // 10:00 in New York; the provider also sends bars that open two hours from now.
    let now = "2025-02-05T15:00:00Z";
    let vendor = || Vendor {
        ahead: Duration::from_secs(2 * 3600),
        ..Vendor::new()
    };
    let of = |fetched: &[FetchedWindow]| {
        (
            bars(fetched),
            fetched.iter().map(|f| f.withheld).sum::<u64>(),
        )
    };
    let (fetched, _) = fetch_forming(
        vendor(),
        "2025-02-04",
        "2025-02-05",
        Interval::M1,
        now,
        true,
    )
    .await;
    let last = fetched
        .last()
        .and_then(|f| f.bars.timestamps().last().copied());
    assert!(last <= Some(at(now).micros()), "{last:?}");
    assert_eq!(
        of(&fetched),
        (390, 390),
        "all of today opens at 11:30 or later"
    );
    let (fetched, _) = fetch_forming(
        Vendor::new(),
        "2025-02-04",
        "2025-02-05",
        Interval::M1,
        now,
        true,
    )
    .await;
    assert_eq!(of(&fetched), (390 + 31, 390 - 31), "09:30 to 10:00");
    let (fetched, asked) =
        fetch_all(Vendor::new(), "2025-02-04", "2025-02-05", Interval::M1, now).await;
    assert_eq!(asked[0].latest, at("2025-02-06T15:00:00Z"));
    assert_eq!(of(&fetched), (390 + 25, 390 - 25), "closed 300 s ago");
}
