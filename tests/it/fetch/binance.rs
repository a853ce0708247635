//! Binance through the whole program: files of months and days, pages of klines, and what they
//! leave out.

use super::{Bar, Bench, Change, Config, Interval, Program, Run};

/// A Wednesday. February's file came on Monday.
const NOW: &str = "2025-03-05T10:00:30Z";

fn start() -> Bench {
    let bench = Bench::with(Config {
        provider: "binance".parse().unwrap(),
        late_opening: 0.0,
        ..Config::default()
    });
    bench.change(Change::Clock(Some(NOW.parse().unwrap())));
    bench
}

fn faulty(faults: &[&str]) -> Bench {
    let bench = start();
    let faults = faults.iter().map(|&fault| fault.to_owned()).collect();
    bench.change(Change::Faults(faults));
    bench
}

fn program<'a>(bench: &'a Bench, line: &str) -> Program<'a> {
    let line = format!("{line} --provider binance --rate 60000");
    (bench.env.program(line.split_whitespace()))
        .env("BINANCE_BASE_URL", bench.simulator.url())
        .env("BACKFILL_NOW", NOW)
}

fn run(bench: &Bench, line: &str) -> Run {
    program(bench, line).run()
}

/// Checks the stored bars of a pair against those of the simulator, which has no average prices.
#[track_caller]
fn check(bench: &Bench, ticker: &str, interval: Interval, first: &str, last: &str, what: &str) {
    let bars = bench.staged(ticker, interval);
    for bar in &bars {
        assert_eq!(bar.vwap.is_some(), bar.volume > 0.0, "{what}");
        assert!(bar.trades.is_some(), "{what}");
    }
    let rounded = |bar: Bar| Bar {
        vwap: None,
        trades: None,
        volume: (bar.volume * 1e8).round() / 1e8,
        ..bar
    };
    let bars: Vec<Bar> = bars.into_iter().map(rounded).collect();
    let truth = bench.truth(ticker, interval, first, last);
    let truth: Vec<Bar> = truth.into_iter().map(rounded).collect();
    super::same(&bars, &truth, what);
}

#[test]
fn months_days_and_the_newest_hours_are_stored_once() {
    std::thread::scope(|threads| {
        for interval in Interval::ALL {
            threads.spawn(move || {
                let bench = start();
                let minutes = interval.minutes();
                // Nine days of December, whole months, and days of March.
                let line = format!(
                    "concurrent --tickers BTCUSDT --interval {minutes} --start 2024-12-23 --end 2025-03-04"
                );
                let plan = run(&bench, &format!("{line} --plan")).ok();
                assert!(plan.out().contains("windows=4 requests=14 "), "{}", plan.out());
                run(&bench, &line).ok();
                assert_eq!(bench.requests(), 14, "{interval}");
                run(&bench, &format!("{line} --resume")).ok();
                assert_eq!(bench.requests(), 14, "{interval}: all is answered");
                check(&bench, "BTCUSDT", interval, "2024-12-23", "2025-03-04", "files");
            });
        }
    });
}

/// The kline that is forming, and those that closed less than a minute ago, are not stored.
#[test]
fn today_is_stored_up_to_the_last_settled_kline() {
    let bench = start();
    let line = "concurrent --tickers BTC-USDT --start 2025-03-04 --end 2025-03-05";
    let json = run(&bench, &format!("{line} --summary-json")).ok().json();
    // 10:00 is forming, and 09:59 closed half a minute ago.
    assert_eq!(json["totals"]["held"], 2, "{json}");
    let bars = bench.staged("BTC-USDT", Interval::M1);
    assert_eq!(bars.len(), 1_440 + 9 * 60 + 59);
    let last = bars.last().unwrap().timestamp.to_string();
    assert_eq!(last, "2025-03-05T09:58:00Z");
    // A file of yesterday, and 601 klines.
    assert_eq!(bench.requests(), 3);
    bench.change(Change::AdvanceSeconds(60));
    program(
        &bench,
        "concurrent --tickers BTC-USDT --since-last --end 2025-03-05",
    )
    .env("BACKFILL_NOW", "2025-03-05T10:01:30Z")
    .run()
    .ok();
    let last = bench
        .staged("BTC-USDT", Interval::M1)
        .last()
        .unwrap()
        .timestamp;
    assert_eq!(last.to_string(), "2025-03-05T09:59:00Z");
}

#[test]
fn temporary_faults_short_pages_and_damaged_files_lose_nothing() {
    let faults: &[&[&str]] = &[
        &["500=2"],
        &["reset=2"],
        &["reset-body=2"],
        &["cut=2"],
        &["html=2"],
        &["half=2"],
        &["garbage=2"],
        &["429=2"],
        &["error-object=2"],
        &["500=0.3"],
        &["header-line"],
        // No files: three pages and a half a day.
        &["missing-file"],
        &["missing-file=0.5"],
        // The first checksum of each file is wrong, or all are.
        &["wrong-checksum=each:1"],
        &["wrong-checksum"],
        // Files that were published too early, and pages shorter than the limit.
        &["capped"],
        &[
            "missing-file=0.5",
            "capped=0.5",
            "wrong-checksum=0.5",
            "500=0.1",
        ],
    ];
    std::thread::scope(|threads| {
        for faults in faults {
            threads.spawn(move || {
                let bench = faulty(faults);
                for interval in [Interval::M30, Interval::M60] {
                    let minutes = interval.minutes();
                    let line = format!(
                        "concurrent --tickers ETHUSDT --interval {minutes} --start 2025-01-30 --end 2025-03-04"
                    );
                    run(&bench, &line).ok();
                    let what = format!("{faults:?}");
                    check(&bench, "ETHUSDT", interval, "2025-01-30", "2025-03-04", &what);
                }
            });
        }
    });
}

#[test]
fn a_file_that_never_fits_its_checksum_is_reported() {
    let bench = faulty(&["wrong-checksum"]);
    let line = "concurrent --tickers ETHUSDT --interval 60 --start 2025-02-01 --end 2025-02-28";
    let done = run(&bench, line).ok();
    assert!(
        done.stderr
            .contains("ETHUSDT-1h-2025-02.zip can't be used: it doesn't match its checksum"),
        "{}",
        done.stderr
    );
    // Checksum and file twice, and a page of klines.
    assert_eq!(bench.requests(), 5);
}

/// Minutes in which the exchange stood still are requested once more over REST, a day of them at
/// once, and stay missing.
#[test]
fn klines_that_do_not_exist_are_neither_stored_nor_invented() {
    let bench = start();
    bench.change(Change::Holes {
        symbol: "BTCUSDT".into(),
        dates: vec!["2025-02-10".parse().unwrap(), "2025-02-28".parse().unwrap()],
        minutes: vec![
            "2025-02-03T04:00:00Z".parse().unwrap(),
            "2025-02-03T06:01:00Z".parse().unwrap(),
        ],
    });
    run(
        &bench,
        "concurrent --tickers BTCUSDT --start 2025-02-01 --end 2025-02-28",
    )
    .ok();
    check(
        &bench,
        "BTCUSDT",
        Interval::M1,
        "2025-02-01",
        "2025-02-28",
        "holes",
    );
    // The two minutes are on one page, and another shows that the second is missing too.
    assert_eq!(bench.requests(), 2 + 2 + 2);
    let gaps = bench.env.typed("gaps --format json").ok().json();
    let reasons: Vec<&str> = (gaps["gaps"].as_array().unwrap().iter())
        .map(|gap| gap["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["empty", "empty"]);
}

/// It is only in files: over REST it is unknown.
#[test]
fn a_pair_that_is_no_longer_traded_comes_from_files() {
    let bench = start();
    bench.change(Change::Premium(vec!["LTCBTC".into()]));
    bench.change(Change::Holes {
        symbol: "LTCBTC".into(),
        dates: (10..=28)
            .map(|day| format!("2025-02-{day}").parse().unwrap())
            .collect(),
        minutes: Vec::new(),
    });
    let line = "specific --tickers LTCBTC --interval 5 --start 2025-01-01 --end 2025-02-28";
    run(&bench, line).ok();
    check(
        &bench,
        "LTCBTC",
        Interval::M5,
        "2025-01-01",
        "2025-02-28",
        "delisted",
    );
}

#[test]
fn refusals_stop_as_much_as_they_concern() {
    let cases: &[(&str, &str, i32, &str)] = &[
        ("BTCUSDT", "429-bandwidth", 5, "quota is spent"),
        ("BTCUSDT", "402", 1, "refuses the country"),
        ("BTCUSDT", "403-suspended", 1, "firewall refuses"),
        ("BTCUSDT", "400", 3, "doesn't understand"),
        ("NOSUCHUSDT", "500=1", 3, "doesn't have NOSUCHUSDT"),
        ("BTC-USD", "500=1", 3, "the provider trades BTCUSDT"),
        ("BTC USDT", "500=1", 3, "doesn't have BTC"),
    ];
    for (ticker, fault, code, message) in cases {
        let bench = faulty(&[fault]);
        let args = [
            "specific",
            "--tickers",
            ticker,
            "--start",
            "2025-02-03",
            "--end",
            "2025-02-07",
            "--provider",
            "binance",
        ];
        let failed = bench
            .env
            .program(args)
            .env("BINANCE_BASE_URL", bench.simulator.url())
            .env("BACKFILL_NOW", NOW)
            .run();
        assert_eq!(failed.code, Some(*code), "{fault}: {}", failed.stderr);
        assert!(
            failed.stderr.contains(message),
            "{fault}: {}",
            failed.stderr
        );
    }
}

#[test]
fn check_and_providers_need_no_key() {
    let bench = start();
    let checked = bench
        .env
        .program(["check", "--provider", "binance"])
        .env("BINANCE_BASE_URL", bench.simulator.url())
        .env("BACKFILL_NOW", NOW)
        .run()
        .ok();
    assert!(
        checked
            .out()
            .contains("binance responds: 2880 bars for BTCUSDT"),
        "{}",
        checked.out()
    );
    let list = bench.env.typed("providers").ok();
    let line = list
        .out()
        .lines()
        .find(|line| line.starts_with("binance"))
        .unwrap()
        .to_owned();
    assert!(line.contains("none") && line.contains("3000/min"), "{line}");
}

#[test]
fn a_killed_run_continues_without_loss() {
    let bench = start();
    let pairs = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"];
    let line = format!(
        "concurrent --tickers {} --interval 15 --threads 2 --start 2024-11-01 --end 2025-03-04",
        pairs.join(" ")
    );
    bench.kill_after(program(&bench, &line), 16, 50);
    run(&bench, &format!("{line} --resume")).ok();
    for pair in pairs {
        check(
            &bench,
            pair,
            Interval::M15,
            "2024-11-01",
            "2025-03-04",
            pair,
        );
    }
}
