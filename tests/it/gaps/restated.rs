//! History that a split restated: a series never gets bars of two price bases without a report.

use backfill::model::{Bar, Interval};
use backfill::simulator::Change;

use super::*;
use crate::support::Run;

/// A store with AAPL from 3 February, and a split that takes effect on the session after it.
fn split(last: &str, on: &str, ratio: f64) -> (Bench, Vec<Bar>) {
    let bench = Bench::new();
    bench
        .run(&format!(
            "specific --rate 60000 --start 2025-02-03 --end {last} --tickers AAPL MSFT"
        ))
        .ok();
    let before = bench.staged("AAPL", Interval::M1);
    bench.change(Change::Split {
        symbol: "AAPL".into(),
        date: on.parse().unwrap(),
        ratio,
    });
    (bench, before)
}

/// The command in the hint.
fn hinted(run: &Run) -> String {
    let hint = run
        .stderr
        .lines()
        .find(|line| line.contains("hint: `backfill "));
    let hint = hint.unwrap_or_else(|| panic!("{}", run.snapshot()));
    let command = hint.split('`').nth(1).unwrap();
    command.strip_prefix("backfill ").unwrap().to_owned()
}

/// Runs the command of the hint: then the store has the provider's bars.
fn mends(bench: &Bench, run: &Run, last: &str) {
    let command = hinted(run);
    assert!(command.contains("--on-conflict update"), "{command}");
    let mended = bench.run(&format!("{command} --rate 60000")).ok();
    assert!(
        mended
            .stderr
            .contains("all of its stored bars are requested again"),
        "{}",
        mended.snapshot()
    );
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", last);
    let staged = bench.staged("AAPL", Interval::M1);
    same(&staged[..truth.len()], &truth, "mended");
}

#[test]
fn under_ignore_and_a_narrow_update_the_ticker_stops() {
    let (bench, before) = split("2025-02-07", "2025-02-10", 2.0);
    for (mode, code) in [("ignore", 3), ("update", 3), ("fail", 4)] {
        let line = format!(
            "concurrent --rate 60000 --since-last --end 2025-02-12 --tickers AAPL MSFT --on-conflict {mode} --summary-json"
        );
        let run = bench.run(&line).code(code);
        let said = "this looks like a 2:1 split on 2025-02-10 or later";
        assert!(run.stderr.contains(said), "{}", run.snapshot());
        assert_eq!(bench.staged("AAPL", Interval::M1), before, "{mode}");
        let json = run.json();
        let of = |key: &str| json["tickers"][0][key].as_u64().unwrap();
        assert!(of("conflicts") > 380 && of("committed") == 0, "{json}");
        assert_eq!(json["tickers"][1]["status"], "ok", "{mode}");
    }
    // None of it is recorded as answered.
    let listed = bench.gaps("--tickers AAPL");
    assert!(listed.is_empty(), "{listed:?}");
    let run = bench
        .run("specific --rate 60000 --since-last --end 2025-02-12 --tickers AAPL --on-conflict ignore")
        .code(3);
    mends(&bench, &run, "2025-02-07");
    // After that it continues.
    bench
        .run("specific --rate 60000 --since-last --end 2025-02-12 --tickers AAPL")
        .ok();
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-12");
    same(&bench.staged("AAPL", Interval::M1), &truth, "on");
}

/// No request has one session only: the session next to it shows the split.
#[test]
fn new_bars_alone_are_not_stored_on_another_basis() {
    let (bench, before) = split("2025-02-10", "2025-02-11", 0.25);
    let line = "specific --rate 60000 --since-last --overlap 0 --end 2025-02-11 --tickers AAPL";
    for mode in ["fail", "ignore", "update"] {
        let run = bench.run(&format!("{line} --on-conflict {mode}")).code(3);
        let said = "this looks like a 1:4 split on 2025-02-11 or later";
        assert!(run.stderr.contains(said), "{}", run.snapshot());
        assert_eq!(bench.staged("AAPL", Interval::M1), before, "{mode}");
        if mode == "update" {
            mends(&bench, &run, "2025-02-11");
        }
    }
}

#[test]
fn a_fill_does_not_mix_bases_either() {
    let bench = Bench::new();
    bench.change(Change::Holes {
        symbol: "AAPL".into(),
        dates: dates(&["2025-02-05"]),
        minutes: Vec::new(),
    });
    bench
        .run("specific --rate 60000 --start 2025-02-03 --end 2025-02-12 --tickers AAPL")
        .ok();
    let before = bench.staged("AAPL", Interval::M1);
    bench.change(Change::FillHoles {
        symbol: "AAPL".into(),
    });
    bench.change(Change::Split {
        symbol: "AAPL".into(),
        date: "2025-02-13".parse().unwrap(),
        ratio: 1.5,
    });
    let run = bench.run("gaps --fill --rate 60000").code(3);
    assert!(
        run.stderr
            .contains("this looks like a 3:2 split on 2025-02-05 or later"),
        "{}",
        run.snapshot()
    );
    assert_eq!(bench.staged("AAPL", Interval::M1), before);
    mends(&bench, &run, "2025-02-12");
    assert!(bench.gaps("").is_empty());
}

/// Runs whose windows are full request one stored session more, and see the split there: after a
/// weekend, after a gap of months, for older bars than the stored ones, and with `--resume`.
#[test]
fn a_run_that_requests_no_stored_session_compares_one() {
    for (options, requests) in [
        ("--since-last --overlap 0 --end 2025-02-12", 2),
        ("--start 2025-02-10 --end 2025-02-14", 3),
        ("--start 2025-06-02 --end 2025-06-04", 2),
        ("--start 2025-01-06 --end 2025-01-08", 2),
        ("--start 2025-02-03 --end 2025-02-12 --resume", 2),
    ] {
        let (bench, before) = split("2025-02-07", "2025-06-10", 2.0);
        let line = format!("specific --rate 60000 {options} --tickers AAPL --summary-json");
        let plan = bench
            .run(&format!("{} --plan", line.replace(" --summary-json", "")))
            .ok();
        let planned = format!("requests={requests} ");
        let resumes = options.contains("--since") || options.contains("--resume");
        assert!(
            !resumes || plan.out().contains(&planned),
            "{}",
            plan.snapshot()
        );
        for mode in ["fail", "ignore", "update"] {
            let run = bench.run(&format!("{line} --on-conflict {mode}")).code(3);
            let said = "this looks like a 2:1 split on 2025-02-0";
            let said_too = "this looks like a 2:1 split on 2025-02-10 or later";
            assert!(
                run.stderr.contains(said) || run.stderr.contains(said_too),
                "{options}: {}",
                run.snapshot()
            );
            assert_eq!(
                bench.staged("AAPL", Interval::M1),
                before,
                "{options} {mode}"
            );
            // Nothing is recorded as answered: the command in the hint requests all of it.
            assert_eq!(run.json()["totals"]["committed"], 0);
        }
        // Without a split the same run costs no more, and adds its bars.
        let bench = Bench::new();
        let first = "specific --rate 60000 --start 2025-02-03 --end 2025-02-07 --tickers AAPL";
        bench.run(first).ok();
        let run = bench.run(&line).ok();
        assert_eq!(run.json()["totals"]["requests"], requests, "{options}");
        assert!(!run.stderr.contains("price basis"), "{}", run.snapshot());
    }
}

/// A fill whose windows hold nothing but gaps compares a stored session too.
#[test]
fn a_fill_of_whole_windows_compares_a_stored_session() {
    for (ratio, said) in [
        (1.5, "this looks like a 3:2 split on 2025-02-"),
        (
            1.004,
            "stored closes are 1.0040 times those of the provider now",
        ),
    ] {
        let bench = Bench::new();
        let line = "specific --rate 60000 --tickers AAPL";
        bench
            .run(&format!("{line} --start 2025-02-03 --end 2025-02-07"))
            .ok();
        bench
            .run(&format!("{line} --start 2025-02-13 --end 2025-02-14"))
            .ok();
        let before = bench.staged("AAPL", Interval::M1);
        bench.change(Change::Split {
            symbol: "AAPL".into(),
            date: "2025-03-03".parse().unwrap(),
            ratio,
        });
        let run = bench.run("gaps --fill --rate 60000").code(3);
        assert!(run.stderr.contains(said), "{}", run.snapshot());
        assert_eq!(bench.staged("AAPL", Interval::M1), before);
    }
}

/// If the provider returns nothing to compare, the run adds its bars and warns.
#[test]
fn a_run_that_cannot_compare_warns() {
    let bench = Bench::new();
    let line = "specific --rate 60000 --tickers AAPL";
    bench
        .run(&format!("{line} --start 2025-02-06 --end 2025-02-07"))
        .ok();
    bench.change(Change::Holes {
        symbol: "AAPL".into(),
        dates: dates(&["2025-02-06", "2025-02-07"]),
        minutes: Vec::new(),
    });
    let run = bench
        .run(&format!("{line} --start 2025-02-10 --end 2025-02-14"))
        .ok();
    let warning = "warning: [AAPL] the price basis could not be checked: the provider returned no stored bar to compare. A split since then would not show\n";
    assert_eq!(run.stderr.matches(warning).count(), 1, "{}", run.snapshot());
    // The coverage of the stored sessions is unchanged.
    assert!(bench.gaps("").is_empty());
}

#[test]
fn a_revision_isnt_a_split() {
    let bench = Bench::new();
    let line = "specific --rate 60000 --start 2025-02-03 --end 2025-02-12 --tickers AAPL";
    bench.run(line).ok();
    bench.change(Change::Revision(3));
    for (mode, code) in [("fail", 4), ("ignore", 0), ("update", 0)] {
        let run = bench
            .run(&format!("{line} --on-conflict {mode}"))
            .code(code);
        assert!(!run.stderr.contains("split"), "{}", run.snapshot());
    }
    let ledger = bench.run("conflicts --format json").ok().json();
    assert!(!ledger["conflicts"].as_array().unwrap().is_empty());
}
