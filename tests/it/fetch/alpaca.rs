//! Alpaca through the whole program: many tickers per request, pages that end anywhere, a key of two
//! parts, feeds, and plans without the newest bars.

use backfill::simulator::Tier;

use super::massive::{bare_of, same};
use super::{Bar, Bench, Change, Config, Interval, KEY, Program, Run};

/// With the end of summer time and an early close.
const AUTUMN: [&str; 2] = ["2024-10-28", "2024-12-04"];
const ID: &str = "idPartOfTheKeyIDIDID";

fn start(tier: Option<Tier>) -> Bench {
    Bench::with(Config {
        provider: "alpaca".parse().unwrap(),
        tier,
        late_opening: 0.0,
        ..Config::default()
    })
}

fn program<'a>(bench: &'a Bench, line: &str) -> Program<'a> {
    let line = format!("{line} --provider alpaca --rate 60000");
    (bench.env.program(line.split_whitespace()))
        .env("APCA_API_KEY_ID", ID)
        .env("APCA_API_SECRET_KEY", KEY)
        .env("ALPACA_BASE_URL", bench.simulator.url())
}

fn run(bench: &Bench, line: &str) -> Run {
    checked(bench, program(bench, line).run())
}

fn run_at(bench: &Bench, now: &str, line: &str) -> Run {
    bench.change(Change::Clock(Some(now.parse().unwrap())));
    checked(bench, program(bench, line).env("BACKFILL_NOW", now).run())
}

/// The run, which shows no part of the key.
fn checked(bench: &Bench, run: Run) -> Run {
    bench.no_key(&run);
    run.hides(ID);
    run
}

fn bare(bench: &Bench, ticker: &str, interval: Interval) -> Vec<Bar> {
    bare_of(bench.staged(ticker, interval), ticker)
}

/// Names of tickers of the simulated market, in alphabetical order.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("T{index:03}")).collect()
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
                    "concurrent --tickers BRK-B AAPL NOSUCH ZS --interval {minutes} {hours} --start {first} --end {last}"
                );
                run(&bench, &line).ok();
                for ticker in ["AAPL", "BRK-B", "ZS"] {
                    let truth = bench.truth_as(ticker, interval, first, last, extended, true);
                    same(&bare(&bench, ticker, interval), &truth, ticker);
                }
                let requests = bench.requests();
                run(&bench, &format!("{line} --resume")).ok();
                assert_eq!(bench.requests(), requests, "{interval}: all is answered");
            });
        }
    });
}

/// Also one ticker after another, unadjusted.
#[test]
fn unadjusted_prices_are_those_of_the_day() {
    let bench = start(None);
    bench.change(Change::Split {
        symbol: "AAPL".to_owned(),
        date: "2025-06-10".parse().unwrap(),
        ratio: 4.0,
    });
    let line = "specific --tickers AAPL MSFT --interval 60 --start 2025-06-02 --end 2025-06-13";
    run(&bench, &format!("{line} --unadjusted")).ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = bench.truth_as(
            ticker,
            Interval::M60,
            "2025-06-02",
            "2025-06-13",
            false,
            false,
        );
        same(&bare(&bench, ticker, Interval::M60), &truth, ticker);
    }
    assert_eq!(bench.requests(), 1);
}

#[test]
fn a_day_of_many_tickers_takes_few_requests() {
    let bench = start(None);
    let names = names(500);
    std::fs::write(bench.env.path("many.txt"), names.join("\n")).unwrap();
    let line =
        "concurrent --tickers-file many.txt --start 2025-02-03 --end 2025-02-03 --summary-json";
    let summary = run(&bench, line).ok().json();
    let requests = bench.requests();
    assert!(requests <= 50, "{requests}");
    assert_eq!(summary["totals"]["requests"], requests);
    for ticker in names.iter().step_by(83) {
        let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-03");
        same(&bare(&bench, ticker, Interval::M1), &truth, ticker);
    }
    run(&bench, &format!("{line} --resume")).ok();
    assert_eq!(bench.requests(), requests);
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
                let names = names(12);
                run(
                    &bench,
                    &format!(
                        "concurrent --tickers {} --start 2025-03-03 --end 2025-03-07",
                        names.join(" ")
                    ),
                )
                .ok();
                for ticker in &names {
                    let truth = bench.truth(ticker, Interval::M1, "2025-03-03", "2025-03-07");
                    same(&bare(&bench, ticker, Interval::M1), &truth, fault);
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
        ("other-ticker", "bars of another ticker"),
        ("strange-object", "not an object with bars"),
        ("strings", "rows are not bars"),
        ("401", "refuses the key"),
        ("403-suspended", "refuses the key"),
        ("402-symbol", "refuses a ticker"),
    ];
    std::thread::scope(|threads| {
        for (fault, message) in faults {
            threads.spawn(move || {
                let bench = start(None);
                bench.change(Change::Faults(vec![fault.to_owned()]));
                let line = "concurrent --tickers AAPL MSFT --start 2025-02-03 --end 2025-02-07";
                let failed = run(&bench, line);
                assert_ne!(failed.code, Some(0), "{fault}");
                assert!(
                    failed.stderr.contains(message),
                    "{fault}: {}",
                    failed.stderr
                );
                bench.change(Change::Faults(Vec::new()));
                run(&bench, &format!("{line} --resume")).ok();
                for ticker in ["AAPL", "MSFT"] {
                    let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-07");
                    same(&bare(&bench, ticker, Interval::M1), &truth, fault);
                }
            });
        }
    });
}

/// Tickers that the provider refuses fail, and no other: also several in one request.
#[test]
fn malformed_tickers_fail_alone() {
    let bench = start(None);
    let mut names = names(60);
    names.extend(["3USL".to_owned(), "0006^HK".to_owned(), "ZZ^Z".to_owned()]);
    let failed = run(
        &bench,
        &format!(
            "concurrent --tickers {} --start 2025-02-03 --end 2025-02-04",
            names.join(" ")
        ),
    )
    .code(3);
    for ticker in ["3USL", "0006^HK", "ZZ^Z"] {
        assert!(
            failed.stderr.contains(&format!("[{ticker}] Failed in ")),
            "{}",
            failed.snapshot()
        );
    }
    for ticker in &names[..60] {
        let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-04");
        same(&bare(&bench, ticker, Interval::M1), &truth, ticker);
    }
    // One request for each refusal, and the pages: two days of 60 tickers.
    assert!(bench.requests() <= 3 + 12, "{}", bench.requests());
}

/// The newest quarter of an hour of a free plan isn't requested and comes with a later run.
#[test]
fn what_the_plan_withholds_can_be_requested_later() {
    let during = "2025-12-30T20:30:30Z";
    let bench = start(Some(Tier::Free));
    let line = "concurrent --tickers AAPL MSFT --start 2025-12-29 --end 2025-12-30";
    run_at(&bench, during, line).ok();
    for ticker in ["AAPL", "MSFT"] {
        let last = bare(&bench, ticker, Interval::M1).last().unwrap().timestamp;
        assert!(last.to_string().as_str() < "2025-12-30T20:14:00Z", "{last}");
    }
    run_at(&bench, "2025-12-30T21:20:00Z", &format!("{line} --resume")).ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-12-29", "2025-12-30");
        same(&bare(&bench, ticker, Interval::M1), &truth, ticker);
    }
    let requests = bench.requests();
    run_at(&bench, "2025-12-30T21:30:00Z", &format!("{line} --resume")).ok();
    assert_eq!(bench.requests(), requests);

    // A clock that is an hour late: today's bars are refused, those before are not.
    let late = start(Some(Tier::Free));
    late.change(Change::Clock(Some("2025-12-30T19:30:00Z".parse().unwrap())));
    checked(
        &late,
        program(&late, line).env("BACKFILL_NOW", during).run(),
    )
    .ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = late.truth(ticker, Interval::M1, "2025-12-29", "2025-12-29");
        same(&bare(&late, ticker, Interval::M1), &truth, ticker);
    }
    run_at(&late, "2025-12-31T23:00:00Z", &format!("{line} --resume")).ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = late.truth(ticker, Interval::M1, "2025-12-29", "2025-12-30");
        same(&bare(&late, ticker, Interval::M1), &truth, ticker);
    }
}

/// Nothing is known of dates before the history: they are neither requested nor stored as empty.
#[test]
fn dates_before_the_history_are_not_available() {
    let bench = start(None);
    let line = "specific --tickers AAPL --interval 60 --start 2014-06-02 --end 2016-02-26";
    let first = run(&bench, line).ok();
    assert!(
        first.stderr.contains("windows were not available"),
        "{}",
        first.stderr
    );
    assert!(
        first.stderr.contains("begins on 2016-01-01"),
        "{}",
        first.stderr
    );
    let old = run(
        &bench,
        "specific --tickers AAPL --start 2015-02-02 --end 2015-02-06",
    );
    assert_ne!(old.code, Some(0));
    let gaps = run(
        &bench,
        "gaps --interval 60 --start 2015-02-02 --end 2015-02-03 --format json",
    );
    assert!(!gaps.out().contains("empty"), "{}", gaps.out());
}

#[test]
fn feeds_have_their_own_sources() {
    let bench = start(None);
    run(
        &bench,
        "specific --feed iex --tickers AAPL --start 2025-02-03 --end 2025-02-04",
    )
    .ok();
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-04");
    let staged = bare(&bench, "AAPL", Interval::M1);
    assert!(staged.len() < truth.len() && staged.len() > truth.len() / 2);
    let sources = (bench
        .env
        .program(["query", "select distinct source from bars"]))
    .run()
    .ok();
    assert!(sources.out().contains("alpaca-iex"), "{}", sources.out());
    let unknown = run(
        &bench,
        "specific --feed otc --tickers AAPL --start 2025-02-03 --end 2025-02-04",
    )
    .code(2);
    assert!(
        unknown.stderr.contains("its feeds are sip and iex"),
        "{}",
        unknown.stderr
    );
    let other = bench
        .run("specific --feed iex --tickers AAPL --start 2025-02-03 --end 2025-02-04")
        .code(2);
    assert!(
        other.stderr.contains("--provider fmp has only one feed"),
        "{}",
        other.stderr
    );
    let checked = (bench
        .env
        .program("check --provider alpaca --feed iex".split_whitespace()))
    .env("APCA_API_KEY_ID", ID)
    .env("APCA_API_SECRET_KEY", KEY)
    .env("ALPACA_BASE_URL", bench.simulator.url())
    .run()
    .ok();
    assert!(
        checked.out().contains("alpaca-iex accepts the key"),
        "{}",
        checked.snapshot()
    );
}

#[test]
fn a_killed_run_continues_without_loss() {
    let bench = start(None);
    let names = names(10);
    let line = format!(
        "concurrent --tickers {} --threads 2 --start 2025-01-02 --end 2025-03-28",
        names.join(" ")
    );
    bench.kill_after(program(&bench, &line), 16, 50);
    run(&bench, &format!("{line} --resume")).ok();
    for ticker in &names {
        let truth = bench.truth(ticker, Interval::M1, "2025-01-02", "2025-03-28");
        same(&bare(&bench, ticker, Interval::M1), &truth, ticker);
    }
}

/// A run that may send two requests stores the tickers that are complete, so each run gets further.
#[test]
fn runs_with_few_requests_get_further() {
    let bench = start(None);
    bench.change(Change::Faults(vec!["capped".to_owned()]));
    let names = names(6);
    let line = format!(
        "concurrent --tickers {} --start 2025-02-03 --end 2025-02-03 --max-requests 4 --resume",
        names.join(" ")
    );
    let mut runs = 0;
    while run(&bench, &line).code != Some(0) {
        runs += 1;
        assert!(runs < 10, "no progress");
    }
    for ticker in &names {
        let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-03");
        same(&bare(&bench, ticker, Interval::M1), &truth, ticker);
    }
}
