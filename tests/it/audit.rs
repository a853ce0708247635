//! `audit` over stored bars with planted faults.

use std::collections::BTreeMap;
use std::fmt::Write;

use backfill::audit::{Check, Limits, Scope, audit};
use backfill::calendar::{Calendar, Overrides};
use backfill::model::{DateRange, Interval, Timestamp};
use backfill::store::{OpenOptions, Reader};

use crate::fetch::Bench;
use crate::support::TestEnv;

/// A CSV file of one-minute bars of 12 sessions; `change` gets session, minute and prices.
fn csv(change: impl Fn(usize, usize, &mut [f64; 5]) -> bool) -> String {
    let dates = DateRange::new("2025-02-03".parse().unwrap(), "2025-02-19".parse().unwrap());
    let calendar = Calendar::for_exchange("NASDAQ").unwrap();
    let mut text = "timestamp,open,high,low,close,volume\n".to_owned();
    let (mut price, mut state) = (100.0_f64, 7_u64);
    for (number, session) in calendar
        .sessions(dates.unwrap())
        .unwrap()
        .iter()
        .enumerate()
    {
        for (minute, at) in session.grid(Interval::M1).into_iter().enumerate() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let random = (state >> 33) as f64 / (1_u64 << 31) as f64;
            let open = price;
            price *= 1.0 + (random - 0.5) * 0.002;
            let (low, high) = (open.min(price), open.max(price));
            let mut values = [open, high, low, price, 500.0 + (random * 900.0).round()];
            if change(number, minute, &mut values) {
                let values = values.map(|value| format!("{value:.4}")).join(",");
                writeln!(text, "{at},{values}").unwrap();
            }
        }
    }
    text
}

/// The checks and severities of findings in JSON, with how often each is found.
fn counted(document: &serde_json::Value) -> BTreeMap<String, usize> {
    assert_eq!(document["schema"], "backfill.audit/1");
    let mut counts = BTreeMap::new();
    for finding in document["findings"].as_array().unwrap() {
        let text = |key: &str| finding[key].as_str().unwrap();
        let key = format!("{} {} {}", text("ticker"), text("check"), text("severity"));
        *counts.entry(key).or_default() += 1;
    }
    counts
}

#[test]
fn planted_faults_are_found_and_nothing_else() {
    let env = TestEnv::new();
    env.write("GOOD.csv", csv(|_, _, _| true));
    let faulty = csv(|session, minute, values| {
        match (session, minute) {
            // A spike, a price that jumps, a volume, a feed that repeats its last bar.
            (2, 100) => values[1] *= 1.08,
            (4, 200..) => values[..4].iter_mut().for_each(|price| *price *= 1.2),
            (6, 50) => values[4] *= 500.0,
            (8, 300..330) => *values = [99.5, 99.5, 99.5, 99.5, 700.0],
            _ => {}
        }
        // The last minute.
        (session, minute) != (10, 389)
    });
    // A Sunday.
    let sunday = "2025-02-09T15:00:00Z,99,99.1,98.9,99,10\n";
    env.write("FAULTY.csv", faulty + sunday);
    env.typed("inject-csv GOOD.csv FAULTY.csv --interval 1 --timezone UTC")
        .ok();

    let found = counted(&env.typed("audit --format json").ok().json());
    let expected = [
        "FAULTY jump error",
        "FAULTY last_minute_missing warning",
        "FAULTY outside_session warning",
        "FAULTY spike error",
        "FAULTY volume_outlier warning",
        "FAULTY zero_price_range error",
    ];
    assert_eq!(found.keys().collect::<Vec<_>>(), expected);

    let run = env.typed("audit --fail-on error").code(3);
    assert!(run.out().contains("bars of 2 series\n"), "{}", run.out());
    env.typed("audit --tickers GOOD --fail-on warning").ok();
    env.typed("audit --checks volume_outlier --fail-on error")
        .ok();
    env.typed("audit --checks volume_outlier --fail-on warning")
        .code(3);
    env.typed("audit --checks volume_outlier --volume 1000 --fail-on warning")
        .ok();
    env.typed("audit --end 2025-02-04 --fail-on warning").ok();
    let spike = env
        .typed("audit --start 2025-02-05 --end 2025-02-05 --format csv")
        .ok();
    let lines: Vec<&str> = spike.out().lines().collect();
    assert_eq!(
        lines[0],
        "check,severity,interval,ticker,first,last,bars,values"
    );
    assert!(
        lines[1].starts_with("spike,error,1,FAULTY,2025-02-05T16:10:00"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
    for format in ["parquet", "arrow"] {
        assert!(
            !env.typed(&format!("audit --format {format}"))
                .ok()
                .stdout
                .is_empty()
        );
    }
    // The bars of these dates are counted, and no others.
    let one_day = env
        .typed("audit --tickers GOOD --start 2025-02-05 --end 2025-02-05")
        .ok();
    let totals = "0 errors and 0 warnings, in 390 bars of 1 series\n";
    assert_eq!(one_day.out(), totals);
    env.typed("audit --checks odd").code(2);
    env.typed("audit --spike 0").code(2);
    env.typed("audit --tolerance nan").code(2);
    env.typed("--store none audit").code(1);
}

#[test]
fn the_number_of_threads_does_not_change_the_result() {
    let env = TestEnv::new();
    let tickers: Vec<String> = (0..5).map(|number| format!("T{number}")).collect();
    for (number, ticker) in tickers.iter().enumerate() {
        let text = csv(|session, minute, values| {
            if (session, minute) == (3, 50 + number) {
                values[1] *= 1.05 + number as f64 / 100.0;
            }
            true
        });
        env.write(&format!("bars/{ticker}.csv"), text);
    }
    env.typed("inject-csv --csv-dir bars --interval 1 --timezone UTC")
        .ok();
    let reader = Reader::open(&env.path("data/staging"), &OpenOptions::default()).unwrap();
    let of = |threads| {
        let scope = Scope {
            tickers: Vec::new(),
            interval: None,
            start: None,
            end: None,
            checks: Check::ALL.to_vec(),
            limits: Limits::default(),
            threads,
            now: Timestamp::from_micros(i64::MAX),
        };
        audit(&reader, &scope, &Overrides::default()).unwrap()
    };
    let one = of(1);
    let found: Vec<&str> = one
        .findings
        .iter()
        .map(|one| one.series.ticker.as_str())
        .collect();
    assert_eq!(found, tickers);
    assert_eq!((one.series, one.bars), (5, 5 * 12 * 390));
    for threads in [2, 3, 8] {
        assert_eq!(of(threads), one, "{threads} threads");
    }
}

#[test]
fn bars_of_a_provider_have_no_findings_in_any_interval() {
    let bench = Bench::new();
    let range = "--tickers AAPL --start 2025-01-02 --end 2025-02-14";
    for interval in [1, 5, 15, 30, 60] {
        bench
            .run(&format!("concurrent {range} --interval {interval}"))
            .ok();
    }
    let audit = bench.run("audit --fail-on warning").ok();
    let out = audit.out();
    assert!(out.starts_with("0 errors and 0 warnings, in "), "{out}");
    assert!(out.ends_with("of 5 series\n"), "{out}");

    // An hour with another volume than its minutes have.
    let env = &bench.env;
    bench
        .run("export --interval 60 --to hours.csv --start 2025-01-15 --end 2025-01-15")
        .ok();
    let hours = env.read("hours.csv");
    let header = hours.lines().next().unwrap();
    let volume = header.split(',').position(|name| name == "volume").unwrap();
    let mut changed: Vec<String> = hours.lines().map(str::to_owned).collect();
    let mut fields: Vec<&str> = changed[3].split(',').collect();
    fields[volume] = "1";
    changed[3] = fields.join(",");
    env.write("changed.csv", changed.join("\n") + "\n");
    bench
        .run("inject-csv changed.csv --interval 60 --on-conflict update")
        .ok();
    let found = counted(&bench.run("audit --format json").ok().json());
    let keys: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(keys, ["AAPL resolution warning"]);
    // The minutes are read for it, and not reported.
    let found = bench.run("audit --interval 60 --fail-on warning").code(3);
    assert!(found.out().contains("resolution"), "{}", found.out());
    bench.run("audit --interval 1 --fail-on warning").ok();
}
