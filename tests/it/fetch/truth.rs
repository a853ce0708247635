//! The store has every bar of the provider, and none twice, with any windows.

use super::*;

/// Every interval over weeks with a clock change on either side, early closes, holidays, and the turn of the year.
#[test]
fn every_bar_of_every_interval_is_stored() {
    let bench = Bench::new();
    for (minutes, interval) in [
        (1, Interval::M1),
        (5, Interval::M5),
        (15, Interval::M15),
        (30, Interval::M30),
        (60, Interval::M60),
    ] {
        let mut staged = Vec::new();
        let mut truth = Vec::new();
        for (first, last) in [
            ("2025-03-06", "2025-03-12"),
            ("2025-06-30", "2025-07-07"),
            ("2025-10-30", "2025-11-05"),
            ("2025-11-26", "2025-12-01"),
            ("2025-12-22", "2026-01-05"),
        ] {
            bench
                .run(&format!("specific --rate 60000 --start {first} --end {last} --tickers AAPL --interval {minutes}"))
                .ok();
            truth.extend(bench.truth("AAPL", interval, first, last));
        }
        staged.extend(bench.staged("AAPL", interval));
        same(&staged, &truth, &format!("{minutes} minutes"));
    }
    bench.requested_once(0);
}

#[test]
fn long_windows_of_long_bars_are_never_truncated() {
    let bench = Bench::new();
    for (minutes, interval, first) in [
        (60, Interval::M60, "2024-06-01"),
        (30, Interval::M30, "2025-01-01"),
        (15, Interval::M15, "2025-01-01"),
        (5, Interval::M5, "2025-01-01"),
    ] {
        bench
            .run(&format!("concurrent --rate 60000 --start {first} --end 2025-06-30 --tickers MSFT --interval {minutes}"))
            .ok();
        same(
            &bench.staged("MSFT", interval),
            &bench.truth("MSFT", interval, first, "2025-06-30"),
            first,
        );
    }
    bench.requested_once(0);
}

#[test]
fn a_single_day_has_its_opening_bar() {
    let bench = Bench::with(Config {
        late_opening: 1.0,
        ..Config::default()
    });
    for (day, ticker) in [
        ("2025-02-04", "AAPL"),
        ("2025-02-03", "MSFT"),
        ("2025-07-03", "NVDA"),
    ] {
        bench
            .run(&format!(
                "specific --rate 60000 --start {day} --end {day} --tickers {ticker}"
            ))
            .ok();
        same(
            &bench.staged(ticker, Interval::M1),
            &bench.truth(ticker, Interval::M1, day, day),
            day,
        );
    }
}

#[test]
fn other_exchanges_have_their_own_time_zones() {
    let bench = Bench::new();
    for (exchange, ticker, first, last) in [
        ("XETRA", "SAP.DE", "2025-03-26", "2025-04-02"),
        ("JPX", "7203.T", "2025-03-17", "2025-03-24"),
        ("LSE", "VOD.L", "2025-10-23", "2025-10-29"),
        ("CRYPTO", "BTCUSD", "2025-03-07", "2025-03-10"),
        ("FOREX", "EURUSD", "2025-03-06", "2025-03-11"),
        ("NASDAQ", "BRK-B", "2025-02-03", "2025-02-05"),
        ("NASDAQ", "^GSPC", "2025-02-03", "2025-02-05"),
    ] {
        bench
            .run(&format!("specific --rate 60000 --exchange {exchange} --start {first} --end {last} --tickers {ticker}"))
            .ok();
        same(
            &bench.staged(ticker, Interval::M1),
            &bench.truth(ticker, Interval::M1, first, last),
            ticker,
        );
    }
}

#[test]
fn extended_and_unadjusted_bars_are_requested_and_kept_apart() {
    let bench = Bench::new();
    bench.change(Change::Split {
        symbol: "NVDA".into(),
        date: "2025-02-10".parse().unwrap(),
        ratio: 4.0,
    });
    let range = "--rate 60000 --start 2025-02-03 --end 2025-02-05 --tickers NVDA";
    bench
        .run(&format!("specific {range} --extended-hours --unadjusted"))
        .ok();
    let truth = bench.truth_as(
        "NVDA",
        Interval::M1,
        "2025-02-03",
        "2025-02-05",
        true,
        false,
    );
    assert!(truth.len() > 3 * 500);
    same(
        &bench.staged("NVDA", Interval::M1),
        &truth,
        "extended, unadjusted",
    );
    // The same series with another basis is refused, with a hint.
    let other = bench
        .run(&format!("specific {range} --on-conflict ignore"))
        .code(3);
    assert!(
        other.stderr.contains("unadjusted") && other.stderr.contains("hint: "),
        "{}",
        other.snapshot()
    );
}

#[test]
fn two_hundred_tickers_at_once() {
    let bench = Bench::new();
    let names: Vec<String> = (0..200).map(|n| format!("\"Q{n:03}\"")).collect();
    bench
        .env
        .write("tickers.json", format!("[{}]", names.join(", ")));
    let run = bench
        .run("concurrent --rate 600000 --start 2025-02-03 --end 2025-02-05 --interval 5 --threads 16 --summary-json")
        .ok();
    let summary = run.json();
    assert_eq!(summary["totals"]["tickers"], 200);
    assert_eq!(summary["totals"]["requests"], 200);
    let staged: usize = (0..200)
        .map(|n| {
            let ticker = format!("Q{n:03}");
            let staged = bench.staged(&ticker, Interval::M5);
            assert_eq!(
                staged.len(),
                bench
                    .truth(&ticker, Interval::M5, "2025-02-03", "2025-02-05")
                    .len()
            );
            staged.len()
        })
        .sum();
    assert_eq!(summary["totals"]["committed"], staged);
    assert_eq!(
        run.stderr
            .lines()
            .filter(|line| line.contains("Inserted in"))
            .count(),
        200
    );
    assert!(bench.simulator.handle().counters().in_flight_peak <= 16);
    bench.requested_once(0);
}
