//! The list of gaps, and its reasons.

use backfill::model::Interval;
use backfill::simulator::Change;

use super::*;

#[test]
fn exactly_the_removed_bars_are_listed() {
    let bench = Bench::new();
    bench.change(Change::Holes {
        symbol: "AAPL".into(),
        dates: dates(&["2025-02-05", "2025-02-06", "2025-02-18"]),
        minutes: [
            minutes("2025-02-11", 100..160),
            // A late start, and an early end.
            minutes("2025-02-13", 0..45),
            minutes("2025-02-20", 345..390),
            // Too few bars to be a gap.
            minutes("2025-02-21", 10..20),
        ]
        .concat(),
    });
    bench
        .run("concurrent --rate 60000 --start 2025-01-21 --end 2025-02-28 --tickers AAPL MSFT")
        .ok();
    let json = bench.run("gaps --format json").ok().json();
    let bars = |date: &str| bench.truth("AAPL", Interval::M1, date, date).len();
    assert_eq!(
        gaps(&json),
        [
            "AAPL 2025-02-05 0/390 empty".to_owned(),
            "AAPL 2025-02-06 0/390 empty".to_owned(),
            format!("AAPL 2025-02-11 {}/390 short", bars("2025-02-11")),
            format!("AAPL 2025-02-13 {}/390 short", bars("2025-02-13")),
            "AAPL 2025-02-18 0/390 empty".to_owned(),
            format!("AAPL 2025-02-20 {}/390 short", bars("2025-02-20")),
        ]
    );
    let ends = |place: usize| {
        let gap = &json["gaps"][place];
        let text = |key: &str| gap[key].as_str().unwrap().to_owned();
        (text("first_missing"), text("last_missing"))
    };
    assert_eq!(
        ends(0),
        ("2025-02-05T14:30:00Z".into(), "2025-02-05T20:59:00Z".into())
    );
    // A minute without trades can be before or after the removed bars, not inside them.
    let (first, last) = ends(3);
    assert_eq!(first, "2025-02-13T14:30:00Z");
    assert!(*last >= *"2025-02-13T15:14:00Z", "{last}");
    let (first, last) = ends(5);
    assert!(*first <= *"2025-02-20T20:15:00Z", "{first}");
    assert_eq!(last, "2025-02-20T20:59:00Z");

    // Filtered by ticker and dates. The usual number of bars is taken from all sessions.
    assert!(bench.gaps("--tickers MSFT").is_empty());
    assert_eq!(
        bench.gaps("--start 2025-02-12 --end 180225"),
        gaps(&json)[3..5]
    );
    assert_eq!(bench.gaps("--interval 5"), Vec::<String>::new());
    // `status` counts the sessions as complete that `gaps` doesn't list.
    let status = bench.run("status --format json").ok().json();
    let of = |key: &str| {
        status["series"][0][format!("sessions_{key}")]
            .as_u64()
            .unwrap()
    };
    assert_eq!(of("expected") - of("complete"), 6, "{status}");

    let table = bench.run("gaps --tickers AAPL --end 2025-02-06").ok();
    insta::assert_snapshot!(table.snapshot(), @r"
    exit code: 0
    ----- stdout -----
    interval  ticker  session      bars  missing (UTC)   reason
    1m        AAPL    2025-02-05  0/390  14:30 to 20:59  empty
    1m        AAPL    2025-02-06  0/390  14:30 to 20:59  empty

    2 gaps in 1 of 1 series (2 empty), 11/13 sessions complete
    ----- stderr -----
    ");
    let line = "gaps --min-completeness";
    bench.run(&format!("{line} 0.5 -q")).ok();
    bench.run(&format!("{line} 0.99 -q")).code(3);
    bench.run(&format!("{line} 1 --tickers MSFT")).ok();
    bench.run(&format!("{line} 99")).code(2);
}
