//! A file that doesn't show its exchange has that of its stored series.

use super::minutes;
use crate::support::{Run, TestEnv};

const DAYS: [&str; 5] = [
    "2025-01-13",
    "2025-01-14",
    "2025-01-15",
    "2025-01-16",
    "2025-01-17",
];

/// Bars of `days` from 9:30 on, without a zone.
fn bars(days: &[&str], count: u32, step: u32) -> String {
    let of = |day: &&str| {
        minutes(count, step, |hour, minute| {
            format!("{day} {hour:02}:{minute:02}:00,10,12,9,11,100")
        })
    };
    days.iter().map(of).collect()
}

/// The bars of each hour of `days`.
fn hours(days: &[&str]) -> String {
    let hour = |day: &str, hour: u32| format!("{day} {hour:02}:00:00,10,12,9,11,100\n");
    days.iter()
        .flat_map(|day| (0..24).map(move |at| hour(day, at)))
        .collect()
}

fn with_ticker(ticker: &str, rows: &str) -> String {
    let rows = rows.lines().map(|row| format!("{ticker},{row}\n"));
    rows.collect()
}

const HEADER: &str = "ticker,timestamp,open,high,low,close,volume\n";

/// Stores the bars of 6 January with an exchange.
fn stored(tickers: &[&str], exchange: &str) -> TestEnv {
    let env = TestEnv::new();
    for ticker in tickers {
        env.write(&format!("first/{ticker}.csv"), bars(&["2025-01-06"], 60, 1));
    }
    env.typed(&format!(
        "inject-csv --csv-dir first --store s --exchange {exchange}"
    ))
    .ok();
    env
}

fn inject(env: &TestEnv, name: &str, text: &str, flags: &str) -> Run {
    env.write(name, text);
    env.typed(&format!(
        "inject-csv {name} --store s --log-level debug {flags}"
    ))
}

#[test]
fn the_exchange_of_the_stored_series_sets_the_zone_of_the_next_file() {
    let env = stored(&["SAP"], "XETR");
    let text = bars(&["2025-01-07"], 60, 1);
    for flags in ["--dry-run", ""] {
        let said = inject(&env, "SAP.csv", &text, flags).ok().stderr;
        assert!(
            said.contains("1m, Europe/Berlin, XETR, SAP,")
                && said.contains("2025-01-07T08:30:00Z to")
                && said.contains("[SAP.csv] exchange XETR: its stored series")
                && said.contains("timezone Europe/Berlin: default of XETR"),
            "{said}"
        );
    }
    // Another interval of the ticker, too.
    let said = inject(&env, "SAP.csv", &bars(&["2025-01-07"], 30, 5), "").ok();
    assert!(said.stderr.contains("5m, Europe/Berlin, XETR, SAP,"));
    // Neither another ticker, nor a store without it, nor none; and an option decides first.
    for (env, name) in [(&env, "BMW.csv"), (&TestEnv::new(), "SAP.csv")] {
        let said = inject(env, name, &text, "--dry-run").ok().stderr;
        assert!(said.contains("1m, America/New_York, NASDAQ, "), "{said}");
        assert!(!said.contains("note:"), "{said}");
    }
    let said = inject(&env, "SAP.csv", &text, "--dry-run --exchange LSE").stderr;
    assert!(said.contains("exchange LSE: the option"), "{said}");
}

#[test]
fn few_bars_of_a_coin_are_of_its_stored_exchange() {
    let env = stored(&["BTCUSD"], "CRYPTO");
    let said = inject(&env, "BTCUSD.csv", &bars(&["2025-01-07"], 60, 1), "")
        .ok()
        .stderr;
    assert!(said.contains("1m, UTC, CRYPTO, BTCUSD,"), "{said}");
}

#[test]
fn bars_that_contradict_the_stored_exchange_are_refused() {
    // Round the clock, on a stock exchange.
    let env = stored(&["ABC"], "XETR");
    env.write("first/ABC.csv", bars(&["2025-01-06"], 8, 60));
    env.typed("inject-csv --csv-dir first --store s --exchange XETR --interval 60")
        .ok();
    let said = inject(&env, "ABC.csv", &hours(&DAYS), "").code(3).stderr;
    assert!(
        said.contains("60m, America/New_York, FOREX, ABC,")
            && said.contains("ABC 60m is stored as XETR")
            && said.contains("hint: --exchange sets the exchange"),
        "{said}"
    );
    // Sessions of a stock exchange, on one that trades round the clock.
    let env = stored(&["ABC"], "CRYPTO");
    let said = inject(&env, "ABC.csv", &bars(&DAYS, 390, 1), "").code(3);
    assert!(
        said.stderr.contains("1m, America/New_York, NASDAQ, ABC,")
            && said
                .stderr
                .contains("exchange NASDAQ: its bars contradict the exchange of its stored series")
            && said.stderr.contains("ABC 1m is stored as CRYPTO"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_layout_of_bars_round_the_clock_is_not_of_a_stock_exchange() {
    let dukascopy = "Gmt time,Open,High,Low,Close,Volume\n\
                     07.01.2025 09:00:00.000,10,12,9,11,100\n\
                     07.01.2025 09:01:00.000,10,12,9,11,100\n";
    let flags = "--interval 1";
    let env = stored(&["ABCUSD"], "NASDAQ");
    let said = inject(&env, "ABCUSD.csv", dukascopy, flags).code(3).stderr;
    assert!(
        said.contains("exchange FOREX: convention of Dukascopy"),
        "{said}"
    );
    let env = stored(&["ABCUSD"], "CRYPTO");
    let said = inject(&env, "ABCUSD.csv", dukascopy, flags).ok().stderr;
    assert!(
        said.contains("exchange CRYPTO: its stored series"),
        "{said}"
    );
}

#[test]
fn a_file_of_several_tickers_has_the_exchange_of_most_of_them() {
    let text = |tickers: &[&str]| {
        let rows = bars(&["2025-01-07"], 20, 1);
        let rows: String = tickers
            .iter()
            .map(|name| with_ticker(name, &rows))
            .collect();
        HEADER.to_owned() + &rows
    };
    let env = stored(&["SAP", "BMW"], "XETR");
    let said = inject(&env, "all.csv", &text(&["BMW", "NEW", "SAP"]), "")
        .ok()
        .stderr;
    assert!(
        said.contains("1m, Europe/Berlin, XETR, ")
            && said.contains("exchange XETR: the stored series of its tickers"),
        "{said}"
    );
    let said = inject(&env, "few.csv", &text(&["A", "B", "SAP"]), "--dry-run").stderr;
    assert!(said.contains("exchange NASDAQ: the default"), "{said}");
    // Two stored exchanges are none.
    env.write("second/VOD.csv", bars(&["2025-01-06"], 60, 1));
    env.typed("inject-csv --csv-dir second --store s --exchange LSE")
        .ok();
    let said = inject(&env, "two.csv", &text(&["SAP", "VOD"]), "--dry-run").stderr;
    assert!(said.contains("exchange NASDAQ: the default"), "{said}");
    let hours = HEADER.to_owned() + &with_ticker("SAP", &hours(&DAYS));
    let said = inject(&env, "hours.csv", &hours, "--dry-run").stderr;
    assert!(
        said.contains("60m, America/New_York, FOREX, SAP,"),
        "{said}"
    );
}
