//! Two stores filled from the simulators of two vendors, one of which makes mistakes.

use std::path::Path;

use backfill::simulator::Config;

use super::*;
use crate::fetch::Bench;
use crate::support::Program;

const RANGE: &str = "--start 2025-01-06 --end 2025-01-17";

/// The second vendor's file of bars: those of the first one, and a mistake per ticker.
fn with_mistakes(csv: &str) -> String {
    let mut out = Vec::new();
    for line in csv.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let Ok(numbers) = fields[2..7]
            .iter()
            .map(|field| field.parse::<f64>())
            .collect::<Result<Vec<f64>, _>>()
        else {
            out.push("ticker,timestamp,open,high,low,close,volume".to_owned());
            continue;
        };
        let (ticker, time) = (fields[0], fields[1]);
        let scaled = |factor: f64, volume: f64| -> String {
            let prices: Vec<String> = numbers[..4]
                .iter()
                .map(|price| (price * factor).to_string())
                .collect();
            format!("{},{}", prices.join(","), numbers[4] * volume)
        };
        let (time, values) = match ticker {
            // The split of 14 January is missing in the bars before it.
            "SPLIT" if time < "2025-01-14" => (time.to_owned(), scaled(4.0, 0.25)),
            "LABEL" => (later(time), scaled(1.0, 1.0)),
            "HOLES" if time.starts_with("2025-01-08T15:0") => continue,
            "SPIKE" if time == "2025-01-10T15:30:00Z" => (time.to_owned(), scaled(1.2, 1.0)),
            _ => (time.to_owned(), scaled(1.0, 1.0)),
        };
        out.push(format!("{ticker},{time},{values}"));
    }
    out.join("\n") + "\n"
}

/// A minute later: a label at the end of the bar, stored as that of its start.
fn later(time: &str) -> String {
    let at: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
    let at = at + chrono::Duration::minutes(1);
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn vendor(bars: &Path) -> Bench {
    Bench::with(Config {
        provider: "alpaca".parse().unwrap(),
        bars: Some(bars.to_owned()),
        late_opening: 0.0,
        ..Config::default()
    })
}

#[test]
fn each_mistake_of_a_second_vendor_is_found_and_nothing_else() {
    let bench = Bench::new();
    let tickers = "SPLIT LABEL HOLES SPIKE CLEAN";
    bench
        .run(&format!("concurrent --tickers {tickers} {RANGE}"))
        .ok();
    bench.run("export --to first.csv").ok();
    let first = bench.env.read("first.csv");
    let planted = |start: &str| first.lines().filter(|line| line.starts_with(start)).count() as u64;
    let (holes, spikes) = (
        planted("HOLES,2025-01-08T15:0"),
        planted("SPIKE,2025-01-10T15:30"),
    );
    assert!(holes > 0 && spikes == 1, "the market has other bars");
    let mistakes = with_mistakes(&first);
    let second = vendor(&bench.env.write("second.csv", mistakes));
    let fetch = format!(
        "concurrent --tickers {tickers} {RANGE} --provider alpaca --store second --rate 60000"
    );
    let run = |program: Program<'_>| program.run().ok();
    run((bench.env.program(fetch.split_whitespace()))
        .env("APCA_API_KEY_ID", "id")
        .env("APCA_API_SECRET_KEY", "secret")
        .env("ALPACA_BASE_URL", second.simulator.url()));

    let document = bench.run("compare second --format json").ok().json();
    let found: Vec<_> = (rows(&document, "series").iter())
        .map(|row| {
            let [_, within, different, only_here, only_there] = counts(row);
            let ticker = row["ticker"].as_str().unwrap();
            (
                ticker,
                findings(row),
                within,
                different,
                only_here,
                only_there,
            )
        })
        .collect();
    let of = |name: &str| found.iter().find(|one| one.0 == name).copied().unwrap();
    assert_eq!(of("CLEAN"), ("CLEAN", (None, 0), 0, 0, 0, 0));
    assert_eq!(of("HOLES"), ("HOLES", (None, 0), 0, 0, holes, 0));
    assert_eq!(of("SPIKE"), ("SPIKE", (None, 0), 0, 1, 0, 0));
    let (_, findings, _, different, only_here, only_there) = of("SPLIT");
    assert_eq!((findings, only_here, only_there), ((Some(4.0), 0), 0, 0));
    let split = rows(&document, "series")
        .iter()
        .find(|row| row["ticker"] == "SPLIT")
        .unwrap();
    assert_eq!(split["factor_bars"], different);
    assert_eq!(
        (&split["factor_first"], &split["factor_last"]),
        (&"2025-01-06".into(), &"2025-01-13".into())
    );
    assert_eq!(of("LABEL").1, (None, 1));
    let details = bench
        .run("compare second --details --tickers SPIKE,HOLES --format csv")
        .ok();
    assert_eq!(details.out().lines().count(), 1 + holes as usize + 1);
}
