//! Massive through the whole program: UTC, extended hours that are cut, hours on the clock, pages,
//! and plans with a short history.

use backfill::simulator::Tier;

use super::{Bar, Bench, Change, Config, Interval, KEY, Program, Run};

/// With the end of summer time and an early close.
const AUTUMN: [&str; 2] = ["2024-10-28", "2024-12-04"];
/// When the plans are tried.
const NOW: &str = "2025-12-31T23:00:00Z";

fn start(tier: Option<Tier>) -> Bench {
    Bench::with(Config {
        provider: "massive".parse().unwrap(),
        tier,
        late_opening: 0.0,
        ..Config::default()
    })
}

/// A bench at a fixed time whose plan has no rate limit.
fn start_at(now: &str, tier: Tier) -> Bench {
    let bench = start(Some(tier));
    bench.change(Change::Clock(Some(now.parse().unwrap())));
    bench.change(Change::Limits {
        per_minute: None,
        per_day: None,
        bandwidth_bytes: None,
    });
    bench
}

fn program<'a>(bench: &'a Bench, line: &str) -> Program<'a> {
    (bench.env.program(line.split_whitespace()))
        .env("MASSIVE_API_KEY", KEY)
        .env("MASSIVE_BASE_URL", bench.simulator.url())
}

fn run(bench: &Bench, line: &str) -> Run {
    let run = program(bench, &format!("{line} --provider massive --rate 60000")).run();
    bench.no_key(&run);
    run
}

fn run_at(bench: &Bench, now: &str, line: &str) -> Run {
    let line = format!("{line} --provider massive --rate 60000");
    program(bench, &line).env("BACKFILL_NOW", now).run()
}

/// Checks stored bars without average price and trades, which the truth doesn't have. A volume that
/// is added up in another order can differ in its last digit.
#[track_caller]
pub(super) fn same(staged: &[Bar], truth: &[Bar], what: &str) {
    let rounded = |bars: &[Bar]| -> Vec<Bar> {
        let volume = |bar: &Bar| (bar.volume * 1e6).round() / 1e6;
        bars.iter()
            .map(|bar| Bar {
                volume: volume(bar),
                ..*bar
            })
            .collect()
    };
    super::same(&rounded(staged), &rounded(truth), what);
}

/// The stored bars of a series, which all have average price and trades, without both.
fn bare(bench: &Bench, ticker: &str, interval: Interval) -> Vec<Bar> {
    bare_of(bench.staged(ticker, interval), ticker)
}

/// Bars without average price and trades. All must have both.
pub(super) fn bare_of(bars: Vec<Bar>, ticker: &str) -> Vec<Bar> {
    let complete = |bar: &Bar| bar.vwap.is_some() && bar.trades.is_some();
    assert!(bars.iter().all(complete), "{ticker}");
    let bare = |bar: Bar| Bar {
        vwap: None,
        trades: None,
        ..bar
    };
    bars.into_iter().map(bare).collect()
}

#[test]
fn every_interval_is_stored_on_the_grid_of_a_store() {
    let cases = [
        (Interval::M1, false),
        (Interval::M5, true),
        (Interval::M30, false),
        (Interval::M60, false),
        (Interval::M60, true),
    ];
    std::thread::scope(|threads| {
        for (interval, extended) in cases {
            threads.spawn(move || {
                let bench = start(None);
                let [first, last] = AUTUMN;
                let hours = if extended { "--extended-hours" } else { "" };
                let minutes = interval.minutes();
                let line = format!(
                    "concurrent --tickers AAPL BRK-B --interval {minutes} {hours} --start {first} --end {last}"
                );
                run(&bench, &line).ok();
                for ticker in ["AAPL", "BRK-B"] {
                    let truth = bench.truth_as(ticker, interval, first, last, extended, true);
                    same(&bare(&bench, ticker, interval), &truth, ticker);
                }
                // Two windows of 30 dates each.
                assert_eq!(bench.requests(), 4, "{interval}");
                run(&bench, &format!("{line} --resume")).ok();
                assert_eq!(bench.requests(), 4, "{interval}: all is answered");
            });
        }
    });
}

#[test]
fn unadjusted_prices_are_those_of_the_day() {
    let bench = start(None);
    bench.change(Change::Split {
        symbol: "AAPL".to_owned(),
        date: "2025-06-10".parse().unwrap(),
        ratio: 4.0,
    });
    let line = "specific --tickers AAPL --interval 60 --start 2025-06-02 --end 2025-06-13";
    run(&bench, &format!("{line} --unadjusted")).ok();
    let truth = bench.truth_as(
        "AAPL",
        Interval::M60,
        "2025-06-02",
        "2025-06-13",
        false,
        false,
    );
    same(&bare(&bench, "AAPL", Interval::M60), &truth, "unadjusted");
}

#[test]
fn temporary_faults_and_pages_lose_nothing() {
    let faults = [
        "500=2",
        "reset=2",
        "reset-body=2",
        "cut=2",
        "half=2",
        "html=2",
        "429=2",
        "429-empty=2",
        "capped",
        "500=0.3",
    ];
    std::thread::scope(|threads| {
        for fault in faults {
            threads.spawn(move || {
                let bench = start(None);
                bench.change(Change::Faults(vec![fault.to_owned()]));
                for interval in [Interval::M1, Interval::M60] {
                    let minutes = interval.minutes();
                    run(&bench, &format!(
                        "concurrent --tickers AAPL --interval {minutes} --start 2025-03-03 --end 2025-03-14"
                    ))
                    .ok();
                    let truth = bench.truth("AAPL", interval, "2025-03-03", "2025-03-14");
                    same(&bare(&bench, "AAPL", interval), &truth, fault);
                }
            });
        }
    });
}

/// What can't be the requested bars is stored neither as bars nor as answered days.
#[test]
fn responses_that_do_not_fit_fail_and_can_be_requested_again() {
    let faults = [
        ("repeated-page", "repeats a page"),
        ("foreign-page", "not at the provider's own address"),
        ("other-ticker", "about another ticker"),
        ("other-basis", "another price basis"),
        ("strange-object", "not an object with bars"),
        ("strings", "rows are not bars"),
        ("401", "refuses the key"),
        ("402-symbol", "doesn't include AAPL"),
    ];
    std::thread::scope(|threads| {
        for (fault, message) in faults {
            threads.spawn(move || {
                let bench = start(None);
                bench.change(Change::Faults(vec![fault.to_owned()]));
                let line = "concurrent --tickers AAPL --start 2025-02-03 --end 2025-02-07";
                let failed = run(&bench, line);
                assert_ne!(failed.code, Some(0), "{fault}");
                assert!(
                    failed.stderr.contains(message),
                    "{fault}: {}",
                    failed.stderr
                );
                bench.change(Change::Faults(Vec::new()));
                run(&bench, &format!("{line} --resume")).ok();
                let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
                same(&bare(&bench, "AAPL", Interval::M1), &truth, fault);
            });
        }
    });
}

/// Dates before the plan's history, and today, are neither stored as empty nor end the run.
#[test]
fn what_the_plan_withholds_can_be_requested_later() {
    let bench = start_at(NOW, Tier::Free);
    let line = "concurrent --tickers AAPL MSFT --interval 60 --start 2023-09-01 --end 2025-12-31";
    let first = run_at(&bench, NOW, line).ok();
    assert!(
        first.stderr.contains("windows were not available"),
        "{}",
        first.stderr
    );
    for ticker in ["AAPL", "MSFT"] {
        let truth = bench.truth(ticker, Interval::M60, "2024-01-01", "2025-12-30");
        same(&bare(&bench, ticker, Interval::M60), &truth, ticker);
    }
    // 29 windows; the dates that one ticker's requests were refused for are requested for no other.
    let requests = bench.requests();
    assert!(requests <= 2 * 29 + 1, "{requests}");

    bench.change(Change::Tier(None));
    run_at(&bench, NOW, &format!("{line} --resume")).ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = bench.truth(ticker, Interval::M60, "2023-09-01", "2025-12-31");
        same(&bare(&bench, ticker, Interval::M60), &truth, ticker);
    }
}

#[test]
fn a_range_wholly_outside_the_plan_fails_its_ticker() {
    let bench = start_at(NOW, Tier::Free);
    let line = "specific --tickers AAPL --start 2020-02-03 --end 2020-02-07";
    let failed = run_at(&bench, NOW, line);
    assert_ne!(failed.code, Some(0));
    assert!(
        failed
            .stderr
            .contains("the plan of the key doesn't include these dates")
    );
    // Today alone isn't a failure: it comes tomorrow.
    run_at(
        &bench,
        NOW,
        "specific --tickers AAPL --start 2025-12-31 --end 2025-12-31",
    )
    .ok();
    let later = "2026-01-02T14:00:00Z";
    bench.change(Change::Clock(Some(later.parse().unwrap())));
    run_at(
        &bench,
        later,
        "specific --resume --tickers AAPL --start 2025-12-31 --end 2025-12-31",
    )
    .ok();
    let truth = bench.truth("AAPL", Interval::M1, "2025-12-31", "2025-12-31");
    same(&bare(&bench, "AAPL", Interval::M1), &truth, "the day after");
}

/// The last quarter of an hour of a delayed plan isn't missing for good.
#[test]
fn bars_that_a_delayed_plan_lacks_come_with_the_next_run() {
    let close = "2025-12-30T21:05:00Z";
    let bench = start_at(close, Tier::Starter);
    let line = "specific --tickers AAPL --start 2025-12-29 --end 2025-12-30";
    run_at(&bench, close, line).ok();
    bench.change(Change::Clock(Some(NOW.parse().unwrap())));
    run_at(&bench, NOW, &format!("{line} --resume")).ok();
    let truth = bench.truth("AAPL", Interval::M1, "2025-12-29", "2025-12-30");
    same(&bare(&bench, "AAPL", Interval::M1), &truth, "delayed");
}

#[test]
fn a_ticker_outside_the_plan_fails_alone() {
    let bench = start(None);
    bench.change(Change::Premium(vec!["MSFT".to_owned()]));
    let failed = run(
        &bench,
        "specific --tickers AAPL MSFT AMD --start 2025-02-03 --end 2025-02-04",
    );
    assert_ne!(failed.code, Some(0));
    for ticker in ["AAPL", "AMD"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-04");
        same(&bare(&bench, ticker, Interval::M1), &truth, ticker);
    }
}

#[test]
fn a_killed_run_continues_without_loss() {
    let bench = start(None);
    let line = "concurrent --tickers AAPL MSFT AMD --threads 2 --start 2025-01-02 --end 2025-12-05 --provider massive --rate 60000";
    bench.kill_after(program(&bench, line), 8, 100);
    run(
        &bench,
        "concurrent --tickers AAPL MSFT AMD --start 2025-01-02 --end 2025-12-05 --resume",
    )
    .ok();
    for ticker in ["AAPL", "MSFT", "AMD"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-01-02", "2025-12-05");
        same(&bare(&bench, ticker, Interval::M1), &truth, ticker);
    }
}

#[test]
fn check_and_the_older_name_of_the_key() {
    let bench = start(None);
    let checked = (bench
        .env
        .program("check --provider massive".split_whitespace()))
    .env("POLYGON_API_KEY", KEY)
    .env("MASSIVE_BASE_URL", bench.simulator.url())
    .run()
    .ok();
    assert!(
        checked.out().contains("massive accepts the key"),
        "{}",
        checked.snapshot()
    );
    let listed = bench.env.typed("providers --format json").ok();
    let providers = listed.json()["providers"].as_array().unwrap().clone();
    let massive = (providers.iter())
        .find(|provider| provider["name"] == "massive")
        .unwrap();
    assert_eq!(massive["keys"][0][1], "POLYGON_API_KEY");
    assert_eq!(massive["rate"], 5);
    assert!(
        bench
            .env
            .typed("providers")
            .ok()
            .out()
            .contains("2, 5, 10 years")
    );
}

/// One provider's hole is another's bar, and each bar keeps its source.
#[test]
fn the_holes_of_one_provider_are_filled_from_another() {
    let fmp = Bench::new();
    fmp.change(Change::Holes {
        symbol: "AAPL".to_owned(),
        dates: vec!["2025-02-05".parse().unwrap()],
        minutes: Vec::new(),
    });
    fmp.run("specific --rate 60000 --tickers AAPL --start 2025-02-03 --end 2025-02-07")
        .ok();
    let massive = start(None);
    let line = "gaps --fill --provider massive --rate 60000";
    (fmp.env.program(line.split_whitespace()))
        .env("MASSIVE_API_KEY", KEY)
        .env("MASSIVE_BASE_URL", massive.simulator.url())
        .run()
        .ok();
    assert_eq!(massive.requests(), 1);
    let staged = fmp.staged("AAPL", Interval::M1);
    let (own, filled): (Vec<Bar>, Vec<Bar>) =
        staged.iter().copied().partition(|bar| bar.vwap.is_none());
    let prices = |bars: &[Bar]| {
        bars.iter()
            .map(|bar| (bar.timestamp, bar.close))
            .collect::<Vec<_>>()
    };
    let truth = massive.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
    assert_eq!(prices(&staged), prices(&truth));
    let day = massive.truth("AAPL", Interval::M1, "2025-02-05", "2025-02-05");
    assert_eq!(prices(&filled), prices(&day));
    assert_eq!(own.len() + filled.len(), truth.len());
    let sources = (fmp.env.program([
        "query",
        "select source, count(*) n from bars group by 1 order by 1",
        "--format",
        "json",
    ]))
    .run()
    .ok();
    assert!(
        sources.out().contains("massive") && sources.out().contains("fmp"),
        "{}",
        sources.snapshot()
    );
}
