//! Which days count as answered.

use std::time::Duration;

use super::vendor::UNDATED;
use super::*;
use crate::model::MINUTE_MICROS;
use crate::provider::{ErrorKind, FetchError};
use crate::store::CoverageStatus;

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
