//! Truncated responses: found by position, requested again, and distinguished from sessions that the
//! provider really lacks.

use std::collections::BTreeSet;

use backfill::model::Interval;
use backfill::simulator::Change;

use super::*;

fn cutting(fault: &str) -> Bench {
    let bench = Bench::new();
    bench.change(Change::Faults(vec![fault.to_owned()]));
    bench
}

/// Requests of the same command line to a provider that truncates nothing.
fn uncut(line: &str) -> u64 {
    let bench = Bench::new();
    bench.run(line).ok();
    bench.requests()
}

fn requested_once(bench: &Bench) {
    let log = bench.simulator.handle().log();
    let unique: BTreeSet<_> = (log.iter())
        .map(|entry| (&entry.symbol, &entry.from, &entry.to))
        .collect();
    assert_eq!(unique.len(), log.len(), "a question was asked twice");
}

#[test]
fn a_run_with_truncated_responses_stores_all_bars() {
    for (line, fault, interval, last) in [
        // Every answer is truncated to its newest date or inside a session; or only the first answer
        // to each request is.
        (
            "concurrent --interval 1 --threads 4",
            "truncated",
            Interval::M1,
            "2025-02-14",
        ),
        (
            "concurrent --interval 1 --threads 4",
            "capped",
            Interval::M1,
            "2025-02-14",
        ),
        (
            "specific --interval 1",
            "truncated=each:1",
            Interval::M1,
            "2025-02-07",
        ),
        (
            "specific --interval 1",
            "capped=0.5",
            Interval::M1,
            "2025-02-14",
        ),
        (
            "concurrent --interval 5",
            "truncated=0.7",
            Interval::M5,
            "2025-02-28",
        ),
        (
            "specific --interval 60",
            "truncated",
            Interval::M60,
            "2025-02-28",
        ),
    ] {
        let bench = cutting(fault);
        let line =
            format!("{line} --rate 60000 --start 2025-01-21 --end {last} --tickers AAPL MSFT");
        bench.run(&line).ok();
        for ticker in ["AAPL", "MSFT"] {
            let truth = bench.truth(ticker, interval, "2025-01-21", last);
            same(
                &bench.staged(ticker, interval),
                &truth,
                &format!("{ticker}, {fault}"),
            );
        }
        let counters = bench.simulator.handle().counters();
        assert!(
            counters.faults > 0 && counters.requests > uncut(&line),
            "{fault}"
        );
        requested_once(&bench);
        assert!(bench.gaps("").is_empty(), "{fault}");
        // Sessions that were requested again are answered like the others.
        let before = bench.requests();
        bench.run(&format!("{line} --resume")).ok();
        assert_eq!(bench.requests(), before);
    }
}

#[test]
fn sessions_that_the_provider_lacks_are_empty_and_the_others_stored() {
    for fault in ["truncated", "capped"] {
        let bench = cutting(fault);
        // At the start, in the middle and at the end of windows of three dates, and a whole window.
        let holes = [
            "2025-02-03",
            "2025-02-06",
            "2025-02-11",
            "2025-02-14",
            "2025-02-18",
            "2025-02-19",
            "2025-02-20",
        ];
        bench.change(Change::Holes {
            symbol: "AAPL".into(),
            dates: dates(&holes),
            minutes: Vec::new(),
        });
        bench
            .run("concurrent --rate 60000 --start 2025-02-03 --end 2025-02-28 --tickers AAPL MSFT")
            .ok();
        let truth = |ticker| bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-28");
        for ticker in ["AAPL", "MSFT"] {
            same(&bench.staged(ticker, Interval::M1), &truth(ticker), ticker);
        }
        let empty: Vec<_> = holes
            .iter()
            .map(|day| format!("AAPL {day} 0/390 empty"))
            .collect();
        assert_eq!(bench.gaps(""), empty, "{fault}");
        requested_once(&bench);

        // Some of them come later, in responses that are truncated too.
        bench.change(Change::FillHoles {
            symbol: "AAPL".into(),
        });
        bench.change(Change::Holes {
            symbol: "AAPL".into(),
            dates: dates(&["2025-02-18", "2025-02-20"]),
            minutes: Vec::new(),
        });
        bench.run("gaps --fill --rate 60000").ok();
        same(
            &bench.staged("AAPL", Interval::M1),
            &truth("AAPL"),
            "filled",
        );
        assert_eq!(
            bench.gaps(""),
            ["AAPL 2025-02-18 0/390 empty", "AAPL 2025-02-20 0/390 empty"],
            "{fault}"
        );
    }
}

/// The missing head of a window fails: the other bars are kept, and the head is listed and fetched
/// later.
#[test]
fn a_head_that_cannot_be_fetched_is_failed() {
    let bench = cutting("truncated=1");
    // The second request, for the head, and all after it.
    bench.change(Change::Faults(vec![
        "truncated=1".into(),
        "400=after:1".into(),
    ]));
    let line = "specific --rate 60000 --start 2025-02-03 --end 2025-02-05 --tickers AAPL";
    bench.run(line).code(3);
    assert_eq!(
        bench.gaps(""),
        [
            "AAPL 2025-02-03 0/390 failed",
            "AAPL 2025-02-04 0/390 failed"
        ]
    );
    bench.change(Change::Faults(Vec::new()));
    bench.run(&format!("{line} --resume")).ok();
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-05");
    same(&bench.staged("AAPL", Interval::M1), &truth, "AAPL");
    assert!(bench.gaps("").is_empty());
}

/// Stopped after any number of requests: truncated sessions are recorded, and don't conflict later.
#[test]
fn a_run_that_stops_between_requests_of_a_window_is_resumed() {
    for requests in 1..=5 {
        let bench = cutting("capped");
        let line = "specific --rate 60000 --start 2025-02-03 --end 2025-02-07 --tickers AAPL";
        bench.run(&format!("{line} --max-requests {requests}"));
        let before = bench.gaps("");
        bench.run(&format!("{line} --resume")).ok();
        let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
        same(
            &bench.staged("AAPL", Interval::M1),
            &truth,
            &format!("{requests}"),
        );
        assert!(
            !before.iter().any(|gap| gap.ends_with(" short")),
            "{before:?}"
        );
        assert!(bench.gaps("").is_empty());
    }
}
