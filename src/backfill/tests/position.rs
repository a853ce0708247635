//! Responses that lack bars: what is requested again.

use super::*;
use crate::store::CoverageStatus;

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
