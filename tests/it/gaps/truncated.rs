//! Answers that were cut off without a word: found by position, asked for again, and what the provider really lacks told
//! apart from what it kept back.

use std::collections::BTreeSet;

use backfill::model::Interval;
use backfill::simulator::Change;

use super::*;

fn cutting(fault: &str) -> Bench {
    let bench = Bench::new();
    bench.change(Change::Faults(vec![fault.to_owned()]));
    bench
}

/// Requests that the same line takes of a provider that cuts nothing.
fn uncut(line: &str) -> u64 {
    let bench = Bench::new();
    bench.run(line).ok();
    bench.requests()
}

fn asked_once(bench: &Bench) {
    let log = bench.simulator.handle().log();
    let unique: BTreeSet<_> = (log.iter())
        .map(|entry| (&entry.symbol, &entry.from, &entry.to))
        .collect();
    assert_eq!(unique.len(), log.len(), "a question was asked twice");
}

#[test]
fn a_run_over_cut_answers_ends_with_all_bars() {
    for (line, fault, interval, last) in [
        // Every answer is cut to its newest date, or in the middle of a session; or only the first of each question.
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
        asked_once(&bench);
        assert!(bench.gaps("").is_empty(), "{fault}");
        // What was asked for again is answered like the rest.
        let before = bench.requests();
        bench.run(&format!("{line} --resume")).ok();
        assert_eq!(bench.requests(), before);
    }
}

#[test]
fn what_the_provider_lacks_is_marked_and_the_rest_is_there() {
    for fault in ["truncated", "capped"] {
        let bench = cutting(fault);
        // At the start, in the middle and at the end of windows of three dates, and one that is gone as a whole.
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
        asked_once(&bench);

        // Some of it comes later, in answers that are cut just so.
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

/// The head of a window that was cut off fails: what came stays, the rest is named and got later.
#[test]
fn a_head_that_cannot_be_had_is_marked_as_failed() {
    let bench = cutting("truncated=1");
    // The second request, for the head, and all behind it.
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

/// Stopped after any number of requests: what was cut and not mended is known for it, and no conflict later.
#[test]
fn a_run_that_stops_between_the_pieces_is_resumed() {
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
