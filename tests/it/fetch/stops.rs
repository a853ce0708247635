//! Ctrl-C, and the limits of a run.

use std::time::{Duration, Instant};

use super::*;

const LONG: &str = "concurrent --rate 60000 --start 2025-01-01 --end 2025-06-30 --tickers AAPL MSFT NVDA --threads 3 --summary-json";

fn wait_for_requests(bench: &Bench, count: u64) {
    let limit = Instant::now() + Duration::from_secs(60);
    while bench.requests() < count {
        assert!(Instant::now() < limit, "no requests come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_once_finishes_what_is_in_flight_and_resume_continues() {
    let bench = Bench::with(Config {
        latency: Duration::from_millis(60),
        late_opening: 0.0,
        ..Config::default()
    });
    let running = bench.program(LONG).spawn();
    wait_for_requests(&bench, 20);
    running.signal("INT");
    let stopped = Instant::now();
    let run = running.wait().code(130);
    assert!(stopped.elapsed() < Duration::from_secs(10));
    bench.no_key(&run);
    let summary = run.json();
    assert_eq!(summary["status"], "interrupted");
    assert!(run.stderr.contains("Summary: "), "{}", run.snapshot());
    let hint = "hint: --resume continues where this run stopped\n";
    assert!(run.stderr.contains(hint), "{}", run.snapshot());
    // All counted bars are stored, and they are most of those that were sent.
    let staged: usize = ["AAPL", "MSFT", "NVDA"]
        .iter()
        .map(|t| bench.staged(t, Interval::M1).len())
        .sum();
    assert_eq!(summary["totals"]["committed"], staged);
    assert!(staged > 10 * 390, "{staged}");
    bench.all_sealed();
    assert!(
        bench.requests() < 60,
        "no new requests: {}",
        bench.requests()
    );

    bench.change(Change::LatencyMs(0));
    bench.run(&format!("{LONG} --resume")).ok();
    for ticker in ["AAPL", "MSFT", "NVDA"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-01-01", "2025-06-30");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
}

#[test]
fn ctrl_c_twice_ends_at_once_and_the_store_is_whole() {
    let bench = Bench::with(Config {
        latency: Duration::from_secs(5),
        ..Config::default()
    });
    let mut running = bench.program(LONG).spawn();
    wait_for_requests(&bench, 2);
    let stopped = Instant::now();
    running.signal("INT");
    // Repeatedly: two signals at once may arrive as one.
    while running.child().try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(200));
        running.signal("INT");
    }
    let run = running.wait().code(130);
    assert!(
        stopped.elapsed() < Duration::from_secs(4),
        "it waited for responses"
    );
    bench.no_key(&run);
    bench.change(Change::LatencyMs(0));
    bench
        .run("specific --rate 60000 --start 2025-02-03 --end 2025-02-03 --tickers AAPL")
        .ok();
}

#[test]
fn max_requests_is_never_exceeded() {
    let bench = Bench::new();
    let line = "specific --rate 60000 --start 2025-01-01 --end 2025-02-28 --tickers AAPL MSFT";
    let run = bench.run(&format!("{line} --max-requests 12")).code(5);
    assert_eq!(bench.requests(), 12);
    bench.all_sealed();
    assert!(run.stderr.contains("hint: --resume"), "{}", run.snapshot());
    let run = bench
        .run(&format!(
            "{line} --max-requests 1000 --resume --summary-json"
        ))
        .ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-01-01", "2025-02-28");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
    bench.requested_once(0);
    // Once more: nothing is left to request, which isn't a failure.
    let requests = bench.requests();
    assert_eq!(run.json()["totals"]["requests"], requests - 12);
    bench.run(&format!("{line} --resume")).ok();
    assert_eq!(bench.requests(), requests);
}

#[test]
fn the_quota_of_a_day_is_counted_across_runs() {
    let bench = Bench::new();
    let day = |day: u32, ticker: &str| {
        format!(
            "specific --rate 60000 --daily-quota 3 --start 2025-02-{day:02} --end 2025-02-{day:02} --tickers {ticker}"
        )
    };
    bench.run(&day(3, "AAPL MSFT")).ok();
    // A plan shows what is left of it.
    let plan = bench.run(&format!("{} --plan", day(4, "AAPL MSFT"))).ok();
    assert!(
        plan.out().contains(" requests=2 ") && plan.out().ends_with(" quota_left=1\n"),
        "{}",
        plan.snapshot()
    );
    let run = bench.run(&day(4, "AAPL MSFT")).code(5);
    let said = "warning: the day's quota of 3 requests is spent\n";
    assert!(run.stderr.contains(said), "{}", run.snapshot());
    assert_eq!(bench.requests(), 3);
    // A dry run sends no more requests than are left, either.
    bench.run(&format!("{} --dry-run", day(4, "MSFT"))).code(5);
    assert_eq!(bench.requests(), 3);
    bench.run(&day(5, "AAPL MSFT")).code(5);
    assert_eq!(bench.requests(), 3);
    // Another key has its own quota.
    let other = bench
        .program(&day(5, "AAPL"))
        .env("FMP_API_KEY", "another")
        .run();
    other.ok();
    assert_eq!(bench.requests(), 4);
}
