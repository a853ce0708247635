//! Every error of the provider, and the faults of networks.

use super::*;

const MONTH: &str = "--rate 60000 --start 2025-02-03 --end 2025-02-28";

/// Temporary faults: all bars are stored, and the retries are counted.
#[test]
fn temporary_faults_are_retried_until_all_is_stored() {
    let faults = [
        "500",
        "502",
        "503",
        "reset",
        "reset-body",
        "cut",
        "cut-chunked",
        "half",
        "garbage",
        "html",
        "429",
        "429-retry-after",
        "error-object",
    ];
    std::thread::scope(|threads| {
        for fault in faults {
            threads.spawn(move || {
                let bench = Bench::faulty(&[&format!("{fault}=2")]);
                let run = bench
                    .run(&format!("concurrent {MONTH} --tickers AAPL --summary-json"))
                    .ok();
                let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-28");
                same(&bench.staged("AAPL", Interval::M1), &truth, fault);
                let totals = &run.json()["totals"];
                assert_eq!(totals["retries"], 2, "{fault}\n{}", run.snapshot());
                assert_eq!(totals["committed"], truth.len(), "{fault}");
                assert_eq!(totals["requests"], bench.requests(), "{fault}");
            });
        }
    });
}

/// A server or a body that stalls is given up after a while and requested again.
#[test]
fn stalled_requests_are_retried() {
    std::thread::scope(|threads| {
        for fault in ["stall=1", "stall-body=1"] {
            threads.spawn(move || {
                let bench = Bench::faulty(&[fault]);
                bench
                    .run("specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL")
                    .ok();
                let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-05");
                same(&bench.staged("AAPL", Interval::M1), &truth, fault);
            });
        }
    });
}

/// Many random faults: no bar is lost or stored twice.
#[test]
fn many_random_faults_lose_nothing() {
    let bench = Bench::faulty(&[
        "500=0.05",
        "reset=0.05",
        "cut=0.05",
        "html=0.05",
        "429-retry-after=0.05",
        "reset-body=0.03",
    ]);
    bench
        .run(&format!(
            "concurrent {MONTH} --tickers AAPL MSFT NVDA AMD INTC --threads 8"
        ))
        .ok();
    for ticker in ["AAPL", "MSFT", "NVDA", "AMD", "INTC"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-28");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
}

/// Faults that stop one ticker: the others continue, and the code is 3.
#[test]
fn a_failed_ticker_does_not_stop_the_others() {
    std::thread::scope(|threads| {
        for (fault, said) in [
            ("402-symbol@BAD", "Premium Query Parameter"),
            ("400@BAD", "Query Error: Invalid or missing query parameter"),
            ("strange-object@BAD", "not an array of bars"),
            ("500@BAD", "status 500"),
            ("garbage@BAD", "not JSON"),
            ("reset@BAD", "broke off"),
        ] {
            threads.spawn(move || {
                let bench = Bench::faulty(&[fault]);
                let line = "concurrent --rate 60000 --start 2025-02-03 --end 2025-02-07 --tickers AAPL BAD MSFT --threads 3 --summary-json";
                let run = bench.run(line).code(3);
                let failed = run.stderr.lines().find(|line| line.starts_with("[BAD] Failed in ")).unwrap_or_default();
                assert!(failed.contains(said), "{fault}\n{}", run.snapshot());
                for ticker in ["AAPL", "MSFT"] {
                    let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-07");
                    same(&bench.staged(ticker, Interval::M1), &truth, ticker);
                }
                let summary = run.json();
                assert_eq!(summary["status"], "partial");
                assert_eq!(summary["tickers"][1]["status"], "failed");
                assert!(summary["tickers"][1]["error"].as_str().unwrap().contains(said));
            });
        }
    });
}

/// Faults that stop the run: at once, with the reason and a hint.
#[test]
fn faults_that_stop_the_run_stop_it_at_once() {
    for (fault, code, said, hint) in [
        ("401", 1, "Invalid API KEY", "FMP_API_KEY"),
        ("402", 1, "Restricted Endpoint", "plan"),
        ("403", 1, "Legacy Endpoint", "account"),
        ("403-suspended", 1, "403", "account"),
        ("429-bandwidth", 5, "Bandwidth Limit Reach", "--resume"),
    ] {
        let bench = Bench::faulty(&[fault]);
        let run = bench
            .run(&format!(
                "concurrent {MONTH} --tickers AAPL MSFT NVDA AMD --threads 2 --summary-json"
            ))
            .code(code);
        assert!(run.stderr.contains(said), "{fault}\n{}", run.snapshot());
        let hinted = run
            .stderr
            .lines()
            .any(|line| line.starts_with("hint: ") && line.contains(hint));
        assert!(hinted, "{fault}\n{}", run.snapshot());
        // Those in flight, and perhaps one more each.
        assert!(
            bench.requests() <= 4,
            "{fault}: {} requests",
            bench.requests()
        );
        let status = if code == 5 { "quota" } else { "failed" };
        assert_eq!(run.json()["status"], status);
    }
}

/// After a full minute of waits without one success, the quota of the day is spent.
#[test]
fn a_daily_limit_ends_the_run_and_resume_continues() {
    let bench = Bench::faulty(&["429=after:3"]);
    let line = format!("concurrent {MONTH} --tickers AAPL MSFT --threads 2");
    let begun = std::time::Instant::now();
    let run = bench.run(&line).code(5);
    let waited = begun.elapsed().as_secs();
    assert!((58..100).contains(&waited), "{waited} s");
    assert!(
        run.stderr.contains("Limit Reach") && run.stderr.contains("--resume"),
        "{}",
        run.snapshot()
    );
    let met = bench.requests();
    assert!(met < 40, "all workers wait together: {met} requests");
    bench.change(Change::Faults(Vec::new()));
    bench.run(&format!("{line} --resume")).ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-28");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
}

/// A quota of N requests in any 60 seconds is used and never exceeded.
#[test]
fn the_rate_is_kept() {
    let bench = Bench::new();
    bench.change(Change::Limits {
        per_minute: Some(600),
        per_day: None,
        bandwidth_bytes: None,
    });
    let names: Vec<String> = (0..150).map(|n| format!("R{n}")).collect();
    let begun = std::time::Instant::now();
    let line = format!(
        "concurrent --rate 600 --start 2025-02-03 --end 2025-02-03 --interval 60 --threads 8 --tickers {}",
        names.join(" ")
    );
    bench.run(&line).ok();
    assert!(
        begun.elapsed().as_secs_f64() >= 14.9 * 1.0,
        "150 requests at 10 a second"
    );
    assert_eq!(
        bench.simulator.handle().counters().by_status.get(&429),
        None
    );
}

/// Rows that can't become bars are rejects with reasons; the others are stored.
#[test]
fn impossible_rows_are_rejects() {
    let bench = Bench::faulty(&["bad-ohlc=0.05"]);
    let run = bench
        .run("specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL --summary-json")
        .ok();
    let totals = &run.json()["totals"];
    let rejected = totals["rejected"].as_u64().unwrap();
    assert!(rejected > 0, "{}", run.snapshot());
    assert!(
        run.stderr.contains(&format!("rejects={rejected})")),
        "{}",
        run.snapshot()
    );
    let files = bench.env.files("data/staging/rejects");
    assert_eq!(files.len(), 1);
    let text = bench.env.read(&files[0]);
    assert!(text.starts_with("file,line,reason,raw\n"));
    assert_eq!(text.lines().count() as u64, rejected + 1);
    assert!(text.contains("high-low-order"));
    assert!(run.stderr.contains("warning: "), "{}", run.snapshot());
}
