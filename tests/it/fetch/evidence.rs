//! What responses and stored bars show, and what a run concludes.

use super::*;

const WEEK: &str = "specific --start 2025-02-03 --end 2025-02-07 --tickers AAPL --summary-json";

/// A response with mostly rejects shows nothing about its days: they are failed, and are requested
/// again.
#[test]
fn a_changed_format_fails_and_is_not_stored_as_empty() {
    for fault in ["strings", "renamed"] {
        let bench = Bench::faulty(&[fault]);
        let run = bench.run(WEEK).code(3);
        let rows = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
        let failed = (run.stderr.lines())
            .find(|line| line.starts_with("[AAPL] Failed in "))
            .unwrap_or_default();
        for part in [
            "rows are not bars at AAPL 1m 2025-02-03..2025-02-05",
            "bad-number",
            r#"{"date":"2025-02-0"#,
            "(2 of 2 windows failed)",
        ] {
            assert!(failed.contains(part), "{fault} {part}\n{}", run.snapshot());
        }
        let summary = run.json();
        assert_eq!(summary["totals"]["rejected"], rows.len(), "{fault}");
        assert_eq!(summary["tickers"][0]["status"], "failed", "{fault}");
        let text = bench.env.read(&bench.env.files("data/staging/rejects")[0]);
        assert_eq!(text.lines().count(), rows.len() + 1, "{fault}");
        let gaps = bench.run("gaps --format json").ok().json();
        let gaps = gaps["gaps"].as_array().unwrap();
        assert_eq!(gaps.len(), 5, "{fault}");
        assert!(gaps.iter().all(|gap| gap["reason"] == "failed"), "{gaps:?}");
        bench.run(&format!("{WEEK} --dry-run")).code(3);
        let checked = bench.run("check").code(1);
        assert!(
            checked.out().contains("rows are not bars"),
            "{}",
            checked.snapshot()
        );
        bench.change(Change::Faults(Vec::new()));
        bench.run(&format!("{WEEK} --resume")).ok();
        same(&bench.staged("AAPL", Interval::M1), &rows, fault);
    }
}

/// The good rows of such a response are stored, and don't answer its days.
#[test]
fn a_response_with_more_rejects_than_bars_fails_and_its_bars_are_stored() {
    let bench = Bench::faulty(&["bad-ohlc=0.7"]);
    let run = bench.run(WEEK).code(3);
    let committed = run.json()["totals"]["committed"].as_u64().unwrap();
    assert!(committed > 300, "{}", run.snapshot());
    assert_eq!(bench.staged("AAPL", Interval::M1).len() as u64, committed);
    let gaps = bench.run("gaps --format json").ok().json();
    let gaps = gaps["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 5);
    assert!(gaps.iter().all(|gap| gap["reason"] == "failed"), "{gaps:?}");
    bench.change(Change::Faults(Vec::new()));
    bench.run("gaps --fill").ok();
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
    same(&bench.staged("AAPL", Interval::M1), &truth, "filled");
}

/// A few rejects don't affect the other rows, and a fill requests their sessions.
#[test]
fn a_few_rejects_fail_nothing() {
    let bench = Bench::faulty(&["bad-ohlc=0.02"]);
    let run = bench.run(WEEK).ok();
    assert!(run.json()["totals"]["rejected"].as_u64().unwrap() > 5);
    let before = bench.requests();
    bench.run(&format!("{WEEK} --resume")).ok();
    assert_eq!(bench.requests(), before, "all days are answered");
    let short = |bench: &Bench| {
        let json = bench.run("gaps --format json").ok().json();
        let gaps = json["gaps"].as_array().unwrap().clone();
        let rejected = |gap: &serde_json::Value| gap["shortage"] == "rejected_rows";
        assert!(gaps.iter().all(rejected), "{json}");
        gaps.len()
    };
    assert!(short(&bench) > 0);
    let status = bench.run("status --format json").ok().json();
    let complete = status["totals"]["sessions_complete"].as_u64();
    assert_eq!(complete, Some(5 - short(&bench) as u64), "{status}");
    bench.change(Change::Faults(Vec::new()));
    bench.run("gaps --fill").ok();
    assert_eq!(short(&bench), 0);
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
    same(&bench.staged("AAPL", Interval::M1), &truth, "filled");
}

/// Sessions whose rows are invalid each time are requested by two fills.
#[test]
fn rows_that_stay_invalid_are_not_requested_forever() {
    let bench = Bench::faulty(&["bad-ohlc=0.02"]);
    bench.run(WEEK).ok();
    let mut requests = Vec::new();
    for _ in 0..12 {
        let before = bench.requests();
        bench.run("gaps --fill -q").ok();
        requests.push(bench.requests() - before);
    }
    assert!(requests[0] > 0, "{requests:?}");
    assert_eq!(requests.last(), Some(&0), "{requests:?}");
}

/// The provider's clock is hours ahead of this machine's: its bars that open later than now are
/// held back.
#[cfg(feature = "crash-points")]
#[test]
fn bars_that_have_not_opened_are_held_back_even_with_include_forming() {
    let bench = Bench::new();
    let line = "specific --start 2025-02-03 --end 2025-02-04 --tickers AAPL --include-forming --summary-json";
    let run = (bench.program(line))
        .env("BACKFILL_NOW", "2025-02-04T15:00:00Z")
        .run()
        .ok();
    let last = bench.staged("AAPL", Interval::M1).last().unwrap().timestamp;
    assert_eq!(last.to_string(), "2025-02-04T15:00:00Z");
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-04");
    let later = truth.iter().filter(|bar| bar.timestamp > last).count();
    assert_eq!(run.json()["totals"]["held"], later);
    bench.run(&format!("{line} --resume")).ok();
    same(&bench.staged("AAPL", Interval::M1), &truth, "later");
}

/// One bar with a wrong year doesn't stop all later runs with `--since-last`.
#[cfg(feature = "crash-points")]
#[test]
fn since_last_continues_from_the_last_session_that_is_not_in_the_future() {
    let bench = Bench::new();
    let at = |now: &str, line: &str| bench.program(line).env("BACKFILL_NOW", now).run();
    bench
        .run("specific --start 2025-02-03 --end 2025-02-04 --tickers AAPL MSFT")
        .ok();
    let typo = "ticker,timestamp,open,high,low,close,volume\nAAPL,2029-02-05T14:30:00Z,1,1,1,1,1\n";
    bench.env.write("typo.csv", typo);
    at("2029-03-01T00:00:00Z", "inject-csv typo.csv --interval 1").ok();
    let now = "2025-02-07T23:00:00Z";
    for overlap in ["", "--overlap 0", "--overlap 3", "--start 2025-01-30"] {
        let plan = at(
            now,
            &format!("specific --tickers AAPL MSFT --since-last --plan {overlap}"),
        )
        .ok();
        let warnings: Vec<&str> = (plan.stderr.lines())
            .filter(|line| line.starts_with("warning: "))
            .collect();
        assert_eq!(warnings.len(), 1, "{}", plan.snapshot());
        for part in ["[AAPL]", "2029-02-05T14:30:00Z", "in the future"] {
            assert!(warnings[0].contains(part), "{part}\n{}", plan.snapshot());
        }
        assert!(plan.out().contains("2025-02-07"), "{}", plan.snapshot());
    }
    at(now, "specific --tickers AAPL MSFT --since-last").ok();
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
    let staged = bench.staged("AAPL", Interval::M1);
    same(&staged[..staged.len() - 1], &truth, "AAPL");
    let msft = bench.truth("MSFT", Interval::M1, "2025-02-03", "2025-02-07");
    same(&bench.staged("MSFT", Interval::M1), &msft, "MSFT");
    // A dry run reads the store too. Without the bar there is no warning.
    let dry = at(now, "specific --tickers AAPL --since-last --dry-run").ok();
    assert!(
        dry.stderr.contains("2029-02-05T14:30:00Z"),
        "{}",
        dry.snapshot()
    );
    let hint = (dry.stderr.lines())
        .find_map(|line| line.strip_prefix("hint: `backfill "))
        .and_then(|line| line.split_once('`'))
        .unwrap_or_else(|| panic!("{}", dry.snapshot()))
        .0;
    bench
        .run(&format!("{} --yes", hint.replace("TICKER", "AAPL")))
        .ok();
    same(
        &bench.staged("AAPL", Interval::M1),
        &truth,
        "after the drop",
    );
    let quiet = at(now, "specific --tickers AAPL --since-last --dry-run").ok();
    assert!(!quiet.stderr.contains("future"), "{}", quiet.snapshot());
}

/// The coverage of a ticker without bars can be dropped, all of it or some dates.
#[test]
fn coverage_without_bars_can_be_dropped() {
    let bench = Bench::new();
    bench.change(Change::Unknown(vec!["NONE".into()]));
    let line = "specific --start 2025-02-03 --end 2025-02-14 --tickers NONE";
    bench.run(line).ok();
    let requested = |options: &str| {
        let before = bench.requests();
        bench.run(&format!("{line} --resume {options}")).ok();
        bench.requests() - before
    };
    assert_eq!(requested(""), 0);
    let dropped = bench
        .run("drop --tickers NONE --start 2025-02-05 --end 2025-02-06 --yes")
        .ok();
    assert_eq!(dropped.out(), "dropped: NONE 1m rows=0\n");
    let covered = "select sum((last - first + 1)::int) as days from coverage where ticker = 'NONE'";
    let days = |expected: &str| {
        let run = (bench.program("query --format csv -"))
            .stdin(covered)
            .run()
            .ok();
        assert_eq!(run.out(), format!("days\n{expected}\n"));
    };
    days("10");
    assert_eq!(requested(""), 1);
    bench.run("drop --tickers NONE --interval 5 --yes").ok();
    days("12");
    bench.run("drop --tickers NONE --yes").ok();
    days("");
    let again = bench.run("drop --tickers NONE --yes").ok();
    assert!(
        again
            .stderr
            .contains("no bars or coverage of these tickers are stored"),
        "{}",
        again.snapshot()
    );
}
