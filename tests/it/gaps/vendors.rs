//! The holes of one provider filled from another.

use backfill::model::{Bar, Interval};
use backfill::simulator::{Change, Config};

use super::*;
use crate::support::{Program, Run};

/// A provider, the ticker, and the options of its bars.
struct Vendor {
    name: &'static str,
    bench: Bench,
}

fn vendor(name: &'static str) -> Vendor {
    let bench = Bench::with(Config {
        provider: name.parse().unwrap(),
        late_opening: 0.0,
        ..Config::default()
    });
    Vendor { name, bench }
}

impl Vendor {
    /// A command line with this provider in the folder of `store`.
    fn program<'a>(&self, store: &'a Bench, line: &str) -> Program<'a> {
        let line = format!("{line} --provider {} --rate 60000", self.name);
        let base_url = format!("{}_BASE_URL", self.name.to_uppercase());
        (store.env.program(line.split_whitespace()))
            .env("FMP_API_KEY", "key")
            .env("MASSIVE_API_KEY", "key")
            .env("APCA_API_KEY_ID", "key")
            .env("APCA_API_SECRET_KEY", "secret")
            .env(&base_url, self.bench.simulator.url())
    }

    fn run(&self, store: &Bench, line: &str) -> Run {
        self.program(store, line).run()
    }

    fn hole(&self, ticker: &str, dates: &[&str]) {
        self.bench.change(Change::Holes {
            symbol: ticker.to_owned(),
            dates: super::dates(dates),
            minutes: Vec::new(),
        });
    }
}

/// The sources of a store's bars, with the number of each.
fn sources(store: &Bench) -> String {
    let sql = "select source, count(*) n from bars group by 1 order by 1";
    let run = store
        .env
        .program(["query", sql, "--format", "csv"])
        .run()
        .ok();
    run.out().lines().skip(1).collect::<Vec<_>>().join(" ")
}

fn prices(bars: &[Bar]) -> Vec<(i64, [f64; 4])> {
    bars.iter()
        .map(|bar| {
            (
                bar.timestamp.micros(),
                [bar.open, bar.high, bar.low, bar.close],
            )
        })
        .collect()
}

/// Every pair of providers that have the same bars, on the grids where they differ.
#[test]
fn each_bar_of_a_filled_hole_keeps_its_source() {
    let stocks = "--tickers AAPL --start 2025-02-03 --end 2025-02-07";
    let coins = "--tickers BTCUSDT --exchange CRYPTO --start 2025-02-03 --end 2025-02-07";
    let extended = "--tickers AAPL --extended-hours --start 2025-02-03 --end 2025-02-07";
    let cases = [
        ("fmp", "massive", stocks, 1, ["fmp", "massive"]),
        ("massive", "fmp", stocks, 1, ["massive", "fmp"]),
        ("alpaca", "fmp", stocks, 30, ["alpaca-sip", "fmp"]),
        ("fmp", "alpaca", extended, 15, ["fmp", "alpaca-sip"]),
        // Hours at the session's open, combined from half hours, and extended hours at the full hour.
        ("fmp", "massive", stocks, 60, ["fmp", "massive"]),
        ("massive", "fmp", extended, 60, ["massive", "fmp"]),
        ("alpaca", "massive", stocks, 60, ["alpaca-sip", "massive"]),
        ("massive", "alpaca", stocks, 5, ["massive", "alpaca-sip"]),
        // Coins trade around the clock.
        ("fmp", "binance", coins, 1, ["fmp", "binance"]),
        ("binance", "fmp", coins, 60, ["binance", "fmp"]),
    ];
    for (holder, filler, what, minutes, names) in cases {
        let ticker = if what == coins { "BTCUSDT" } else { "AAPL" };
        let (holder, filler) = (vendor(holder), vendor(filler));
        holder.hole(ticker, &["2025-02-05"]);
        let store = &holder.bench;
        holder
            .run(store, &format!("specific --interval {minutes} {what}"))
            .ok();
        assert_eq!(store.gaps("").len(), 1, "{names:?} {minutes}");
        filler.run(store, "gaps --fill").ok();
        assert!(store.gaps("").is_empty(), "{names:?} {minutes}");
        let interval = Interval::from_minutes(minutes).unwrap();
        let truth = |first: &str, last: &str| {
            let (bench, is_extended) = (&filler.bench, what == extended);
            bench.truth_as(ticker, interval, first, last, is_extended, true)
        };
        let day = truth("2025-02-05", "2025-02-05");
        let truth = truth("2025-02-03", "2025-02-07");
        assert_eq!(
            prices(&store.staged(ticker, interval)),
            prices(&truth),
            "{names:?} {minutes}"
        );
        let counts = [truth.len() - day.len(), day.len()];
        let mut expected: Vec<String> = (names.iter().zip(counts))
            .map(|(name, count)| format!("{name},{count}"))
            .collect();
        expected.sort();
        assert_eq!(sources(store), expected.join(" "));
        let status = store.env.typed("status --format json").ok().json();
        assert_eq!(
            status["series"][0]["rows"],
            truth.len(),
            "{names:?} {minutes}"
        );
        assert!(!store.env.typed("conflicts").ok().out().contains(ticker));
        store.env.typed("verify").ok();
        // Nothing is left to request, from any provider.
        let before = filler.bench.requests();
        filler.run(store, "gaps --fill").ok();
        assert_eq!(filler.bench.requests(), before);
    }
}

/// A provider that doesn't have such bars is refused before anything is requested.
#[test]
fn bars_of_another_kind_are_refused() {
    let cases = [
        (
            "--interval 5 --extended-hours",
            "binance",
            "has no bars outside the session",
        ),
        ("--interval 5", "toy", "has no split-adjusted prices"),
        ("--interval 15 --unadjusted", "toy", "has no 15-minute bars"),
    ];
    for (options, filler, message) in cases {
        let fmp = vendor("fmp");
        fmp.hole("AAPL", &["2025-02-05"]);
        let line = format!("specific --tickers AAPL --start 2025-02-03 --end 2025-02-07 {options}");
        fmp.run(&fmp.bench, &line).ok();
        for plan in ["", "--plan"] {
            let line = format!("gaps --fill --provider {filler} {plan}");
            let refused = fmp.bench.env.typed(&line).code(2);
            assert!(refused.stderr.contains(message), "{}", refused.stderr);
            assert!(refused.stderr.contains("hint: "), "{}", refused.stderr);
        }
        assert_eq!(fmp.bench.gaps("").len(), 1);
        assert!(sources(&fmp.bench).starts_with("fmp,"));
    }
}

/// A provider without the ticker fails it, and what is stored stays.
#[test]
fn an_unknown_ticker_fails_and_changes_nothing() {
    let (fmp, binance) = (vendor("fmp"), vendor("binance"));
    fmp.hole("BTCUSD", &["2025-02-05"]);
    let line = "specific --tickers BTCUSD --exchange CRYPTO --start 2025-02-03 --end 2025-02-07";
    fmp.run(&fmp.bench, line).ok();
    let before = sources(&fmp.bench);
    let failed = binance.run(&fmp.bench, "gaps --fill").code(3);
    assert!(
        failed.stderr.contains("the provider trades BTCUSDT"),
        "{}",
        failed.stderr
    );
    assert_eq!(sources(&fmp.bench), before);
    assert_eq!(fmp.bench.gaps("").len(), 1);
}
