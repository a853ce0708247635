//! Sessions that were requested before they had ended or settled: settled bars are stored, others
//! held back, coverage is `partial`, and they are requested again until they are answered.

use backfill::model::{Bar, Interval, Timestamp};
use backfill::simulator::Change;

use super::*;
use crate::support::Run;

const LINE: &str = "concurrent --rate 60000 --start 2025-02-03 --end 2025-02-07 --tickers AAPL MSFT --summary-json";

/// A command line, run when the clocks of program and provider show `now`.
fn at(bench: &Bench, now: &str, line: &str) -> Run {
    let instant: chrono::DateTime<chrono::Utc> = now.parse().unwrap();
    bench.change(Change::Clock(Some(instant)));
    bench.change(Change::Reset);
    bench.program(line).env("BACKFILL_NOW", now).run()
}

/// Coverage as `ticker first..last status rows`.
fn coverage(bench: &Bench) -> Vec<String> {
    let sql = "select ticker, first || '..' || last, status, rows from coverage order by all";
    let run = bench.env.run(["query", sql, "--format", "csv"]).ok();
    (run.out().lines().skip(1))
        .map(|line| line.replace(',', " "))
        .collect()
}

/// The tickers of which a date was answered with bars at some time.
fn answered(bench: &Bench, date: &str) -> Vec<String> {
    let sql = format!(
        "select distinct ticker from coverage where status = 'rows' and date '{date}' between first and last order by all"
    );
    let run = bench.env.run(["query", &sql, "--format", "csv"]).ok();
    run.out().lines().skip(1).map(str::to_owned).collect()
}

/// The requests of the server, as `symbol from..to`.
fn asked(bench: &Bench) -> Vec<String> {
    let mut asked: Vec<_> = (bench.simulator.handle().log().iter())
        .map(|entry| {
            let day = |day: &Option<String>| day.clone().unwrap();
            format!("{} {}..{}", entry.symbol, day(&entry.from), day(&entry.to))
        })
        .collect();
    asked.sort();
    asked
}

/// The bars that have closed by an instant, with their final values.
fn closed_by(bench: &Bench, ticker: &str, last: &str, closed: &str) -> Vec<Bar> {
    bench.change(Change::Clock(Some("2025-03-01T00:00:00Z".parse().unwrap())));
    let closed: chrono::DateTime<chrono::Utc> = closed.parse().unwrap();
    let closed = Timestamp::from(closed).micros();
    let mut bars = bench.truth(ticker, Interval::M1, "2025-02-03", last);
    bars.retain(|bar| bar.timestamp.micros() + Interval::M1.micros() <= closed);
    bars
}

#[test]
fn a_session_that_has_not_ended_is_partial_until_it_has() {
    let bench = Bench::new();
    // Wednesday, half past ten in New York. A bar has settled five minutes after its close.
    let run = at(&bench, "2025-02-05T15:30:00Z", LINE).ok();
    let held = run.json()["totals"]["held"].as_u64().unwrap();
    // The bars from 10:25 to the one that opens at this instant, except minutes without trades.
    assert!((1..=12).contains(&held), "{}", run.snapshot());
    let rows = |closed: &str| closed_by(&bench, "AAPL", "2025-02-05", closed).len();
    let whole = rows("2025-02-05T00:00:00Z");
    let partial = rows("2025-02-05T15:25:00Z") - whole;
    assert_eq!(
        coverage(&bench)[..2],
        [
            format!("AAPL 2025-02-03..2025-02-04 rows {whole}"),
            format!("AAPL 2025-02-05..2025-02-05 partial {partial}"),
        ]
    );
    for ticker in ["AAPL", "MSFT"] {
        let truth = closed_by(&bench, ticker, "2025-02-05", "2025-02-05T15:25:00Z");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }

    // Twenty minutes later only the same session is requested again, and stored bars don't conflict.
    let resume = format!("{LINE} --resume");
    at(&bench, "2025-02-05T15:50:00Z", &resume).ok();
    let again = ["AAPL 2025-02-04..2025-02-05", "MSFT 2025-02-04..2025-02-05"];
    assert_eq!(asked(&bench), again);
    let truth = closed_by(&bench, "AAPL", "2025-02-05", "2025-02-05T15:45:00Z");
    same(
        &bench.staged("AAPL", Interval::M1),
        &truth,
        "20 minutes later",
    );
    assert!(coverage(&bench)[1].starts_with("AAPL 2025-02-05..2025-02-05 partial "));

    // The session is over and its last bar has closed, but can still change.
    at(&bench, "2025-02-05T21:04:59Z", &resume).ok();
    assert_eq!(asked(&bench), again);
    let truth = closed_by(&bench, "AAPL", "2025-02-05", "2025-02-05T20:59:59Z");
    same(
        &bench.staged("AAPL", Interval::M1),
        &truth,
        "all but the last bar",
    );
    // It lacks only its last bar, and is listed.
    let listed = at(&bench, "2025-02-05T23:00:00Z", "gaps --format json").ok();
    assert_eq!(
        gaps(&listed.json()),
        [
            format!("AAPL 2025-02-05 {}/390 partial", truth.len() - whole),
            format!(
                "MSFT 2025-02-05 {}/390 partial",
                closed_by(&bench, "MSFT", "2025-02-05", "2025-02-05T20:59:59Z").len()
                    - closed_by(&bench, "MSFT", "2025-02-04", "2025-02-05T00:00:00Z").len()
            ),
        ]
    );

    assert!(answered(&bench, "2025-02-05").is_empty());

    // A second later it has settled, and now it is answered.
    at(&bench, "2025-02-05T21:05:00Z", &resume).ok();
    assert_eq!(asked(&bench), again);
    for ticker in ["AAPL", "MSFT"] {
        let truth = closed_by(&bench, ticker, "2025-02-05", "2025-02-06T00:00:00Z");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
    assert_eq!(answered(&bench, "2025-02-05"), ["AAPL", "MSFT"]);
    let run = at(&bench, "2025-02-06T14:29:59Z", &resume).ok();
    assert_eq!(run.json()["totals"]["requests"], 0);
    assert!(asked(&bench).is_empty());

    // The rest of the week, and in the same request a stored session to compare.
    at(&bench, "2025-02-08T12:00:00Z", &resume).ok();
    assert_eq!(
        asked(&bench),
        ["AAPL 2025-02-05..2025-02-07", "MSFT 2025-02-05..2025-02-07"]
    );
    for ticker in ["AAPL", "MSFT"] {
        let truth = closed_by(&bench, ticker, "2025-02-07", "2025-02-08T00:00:00Z");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
}

/// A session that was fetched in part is requested again by the next `--since-last`, also without an
/// overlap, and also if it is no longer the last one.
#[test]
fn since_last_completes_a_partial_session_with_any_overlap() {
    let bench = Bench::new();
    let line = "specific --rate 60000 --start 2025-02-03 --end 2025-02-05 --tickers AAPL";
    at(&bench, "2025-02-05T15:30:00Z", line).ok();
    let since = "specific --rate 60000 --since-last --overlap 0 --tickers AAPL";
    // A later day by its dates: the partial one stays as it is.
    let later = "specific --rate 60000 --start 2025-02-06 --end 2025-02-06 --tickers AAPL";
    at(&bench, "2025-02-07T12:00:00Z", later).ok();
    assert!(
        coverage(&bench)
            .iter()
            .any(|answer| answer.contains("2025-02-05 partial"))
    );
    at(&bench, "2025-02-08T12:00:00Z", since).ok();
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
    same(&bench.staged("AAPL", Interval::M1), &truth, "completed");
    // Once it is complete, it is not requested again.
    at(&bench, "2025-02-08T12:00:00Z", since).ok();
    assert!(asked(&bench).is_empty());
}

/// Before a session's first bar has settled there is nothing to store, and the session isn't empty.
#[test]
fn a_session_without_a_settled_bar_is_not_empty() {
    let bench = Bench::new();
    at(&bench, "2025-02-05T14:33:00Z", LINE).ok();
    assert_eq!(coverage(&bench)[1], "AAPL 2025-02-05..2025-02-05 partial 0");
    let running = at(&bench, "2025-02-05T14:33:00Z", "gaps --format json").ok();
    assert!(gaps(&running.json()).is_empty(), "it is not over");
    let over = at(&bench, "2025-02-05T23:00:00Z", "gaps --format json").ok();
    assert_eq!(
        gaps(&over.json()),
        [
            "AAPL 2025-02-05 0/390 partial",
            "MSFT 2025-02-05 0/390 partial"
        ]
    );
    // Both a fill and a resumed run get it.
    at(&bench, "2025-02-05T23:00:00Z", "gaps --fill --rate 60000").ok();
    let truth = closed_by(&bench, "AAPL", "2025-02-05", "2025-02-06T00:00:00Z");
    same(&bench.staged("AAPL", Interval::M1), &truth, "filled");
    assert_eq!(answered(&bench, "2025-02-05"), ["AAPL", "MSFT"]);
}
