//! Differences planted in CSV files.

use chrono::{DateTime, Duration, Utc};

use super::*;

/// One bar as it is written to a file.
#[derive(Clone, Copy)]
struct Planted {
    at: DateTime<Utc>,
    close: f64,
    volume: f64,
}

const DAYS: [&str; 4] = ["2025-03-06", "2025-03-07", "2025-03-10", "2025-03-11"];

/// The bars of four sessions. Between the second and the third one, clocks in New York go forward.
fn bars() -> Vec<Planted> {
    let opens = [
        "2025-03-06T14:30:00Z",
        "2025-03-07T14:30:00Z",
        "2025-03-10T13:30:00Z",
        "2025-03-11T13:30:00Z",
    ];
    let mut bars = Vec::new();
    for (day, open) in opens.iter().enumerate() {
        let open: DateTime<Utc> = open.parse().unwrap();
        for minute in 0..390_i64 {
            let number = minute + day as i64 * 1_000;
            let noise = (number * number * 31 + number * 17).rem_euclid(997);
            bars.push(Planted {
                at: open + Duration::minutes(minute),
                close: 100.0 + noise as f64 / 100.0,
                volume: 1_000.0 + noise as f64,
            });
        }
    }
    bars
}

fn csv(ticker: &str, bars: &[Planted]) -> String {
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    for Planted { at, close, volume } in bars {
        let time = at.format("%Y-%m-%dT%H:%M:%SZ");
        let (high, low) = (close * 1.01, close * 0.99);
        text += &format!("{ticker},{time},{close},{high},{low},{close},{volume}\n");
    }
    text
}

/// Two stores: `here` with [`bars`], `there` with what `plant` makes of them.
fn stores(plant: impl FnOnce(&mut Vec<Planted>)) -> TestEnv {
    let env = TestEnv::new();
    let mut changed = bars();
    plant(&mut changed);
    for (store, bars) in [("here", bars()), ("there", changed)] {
        store_bars(&env, store, "AAPL", &bars);
    }
    env
}

fn store_bars(env: &TestEnv, store: &str, ticker: &str, bars: &[Planted]) {
    let name = format!("{store}-{ticker}.csv");
    env.write(&name, csv(ticker, bars));
    env.typed(&format!("inject-csv {name} --interval 1 --store {store}"))
        .ok();
}

fn compared(env: &TestEnv, options: &str) -> Value {
    let line = format!("compare there --store here --format json {options}");
    env.typed(&line).ok().json()
}

fn only_series(env: &TestEnv) -> Value {
    let document = compared(env, "");
    let [row] = rows(&document, "series") else {
        panic!("{document}");
    };
    row.clone()
}

#[test]
fn equal_stores_agree_and_a_store_agrees_with_itself() {
    let env = stores(|_| {});
    let row = only_series(&env);
    assert_eq!(counts(&row), [1560, 0, 0, 0, 0]);
    assert_eq!(findings(&row), (None, 0));
    assert_eq!(
        (&row["agreement"], &row["volume_ratio"]),
        (&1.0.into(), &1.0.into())
    );
    assert_eq!(
        (&row["interval"], &row["ticker"]),
        (&1.into(), &"AAPL".into())
    );
    let itself = env.typed("compare here --store here --format csv").ok();
    assert!(
        itself.out().contains("\n1,AAPL,1560,1560,0,0,0,0,1,"),
        "{}",
        itself.out()
    );
    env.typed("compare there --store here --min-agreement 1")
        .ok();
}

#[test]
fn a_late_split_is_one_factor_with_its_sessions() {
    let env = stores(|bars| {
        for bar in &mut bars[..780] {
            bar.close /= 4.0;
            bar.volume *= 4.0;
        }
    });
    let row = only_series(&env);
    assert_eq!(counts(&row), [780, 0, 780, 0, 0]);
    assert_eq!(findings(&row), (Some(0.25), 0));
    assert_eq!(
        (&row["factor_first"], &row["factor_last"]),
        (&DAYS[0].into(), &DAYS[1].into())
    );
    assert_eq!(row["factor_bars"], 780);
    let by_session = compared(&env, "--by session");
    let factors: Vec<_> = rows(&by_session, "sessions").iter().map(findings).collect();
    assert_eq!(
        factors,
        [(Some(0.25), 0), (Some(0.25), 0), (None, 0), (None, 0)]
    );
    env.typed("compare there --store here --min-agreement 0.6")
        .code(3);
    env.typed("compare there --store here --min-agreement 0.5")
        .ok();
}

#[test]
fn a_wrong_label_and_a_wrong_zone_are_one_shift() {
    for minutes in [1, -300] {
        let env = stores(|bars| {
            bars.iter_mut()
                .for_each(|bar| bar.at += Duration::minutes(minutes));
        });
        let row = only_series(&env);
        assert_eq!(findings(&row), (None, minutes), "{row}");
        assert_eq!(row["shift_sessions"], 4);
        assert!(row["agreement"].as_f64() < Some(0.01), "{row}");
    }
}

#[test]
fn a_clock_change_on_one_side_only_is_a_shift_of_its_sessions() {
    let env = stores(|bars| {
        bars[780..]
            .iter_mut()
            .for_each(|bar| bar.at += Duration::minutes(60));
    });
    let row = only_series(&env);
    assert_eq!(findings(&row), (None, 60));
    assert_eq!(
        (&row["shift_first"], &row["shift_last"]),
        (&DAYS[2].into(), &DAYS[3].into())
    );
    let by_session = compared(&env, "--by session");
    let shifts: Vec<_> = rows(&by_session, "sessions")
        .iter()
        .map(|row| findings(row).1)
        .collect();
    assert_eq!(shifts, [0, 0, 60, 60]);
    assert_eq!(rows(&by_session, "sessions")[3]["session"], DAYS[3]);
}

#[test]
fn missing_minutes_a_spike_and_half_the_volume_are_listed() {
    let env = stores(|bars| {
        bars.iter_mut().for_each(|bar| bar.volume /= 2.0);
        bars[100].close *= 1.5;
        bars.drain(500..503);
    });
    let row = only_series(&env);
    assert_eq!(counts(&row), [0, 1556, 1, 3, 0]);
    assert_eq!(findings(&row), (None, 0));
    assert_eq!(row["volume_ratio"], 0.5);
    let document = compared(&env, "--details");
    let details = rows(&document, "details");
    let listed: Vec<_> = (details.iter())
        .map(|bar| {
            (
                bar["timestamp"].as_str().unwrap(),
                bar["difference"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            ("2025-03-06T16:10:00Z", "different"),
            ("2025-03-07T16:20:00Z", "only_here"),
            ("2025-03-07T16:21:00Z", "only_here"),
            ("2025-03-07T16:22:00Z", "only_here"),
        ]
    );
    let spike = &details[0];
    let ratio = spike["there_close"].as_f64().unwrap() / spike["here_close"].as_f64().unwrap();
    assert!((ratio - 1.5).abs() < 1e-9, "{spike}");
    assert!(details[1]["there_close"].is_null() && details[1]["here_close"].is_f64());
    assert_eq!(rows(&document, "series").len(), 1);
    // A wide tolerance takes the spike, too.
    assert_eq!(
        counts(&rows(&compared(&env, "--tolerance-bps 6000"), "series")[0])[2],
        0
    );
}

#[test]
fn a_series_in_one_store_only_is_reported() {
    let env = stores(|_| {});
    store_bars(&env, "here", "MSFT", &bars()[..10]);
    store_bars(&env, "there", "ZS", &bars()[..20]);
    let document = compared(&env, "");
    let all: Vec<_> = (rows(&document, "series").iter())
        .map(|row| (row["ticker"].as_str().unwrap(), counts(row)))
        .collect();
    assert_eq!(
        all,
        [
            ("AAPL", [1560, 0, 0, 0, 0]),
            ("MSFT", [0, 0, 0, 10, 0]),
            ("ZS", [0, 0, 0, 0, 20]),
        ]
    );
    assert_eq!(document["totals"]["both"], 1560);
    let one = compared(&env, "--tickers ZS,NOSUCH");
    assert_eq!(rows(&one, "series").len(), 1);
    let table = env.typed("compare there --store here").ok();
    assert!(
        table.out().contains("only in the other store"),
        "{}",
        table.out()
    );
    env.typed("compare there --store here --min-agreement 0.1")
        .code(3);
    // Nothing was compared, so nothing agrees.
    env.typed("compare there --store here --min-agreement 0 --start 2001-01-01 --end 2001-01-31")
        .code(3);
    env.typed("compare there --store here --min-agreement 0 --tickers AAPL,NOSUCH")
        .code(3);
    env.typed("compare there --store here --min-agreement 0 --tickers AAPL")
        .ok();
    let none = env.typed("compare nowhere --store here").code(1);
    let hint = "error: there is no store in nowhere\nhint: name the folder of the second store";
    assert!(none.stderr.starts_with(hint), "{}", none.stderr);
}

#[test]
fn dates_and_formats_narrow_and_write_the_same_rows() {
    let env = stores(|bars| bars[0].close *= 2.0);
    let document = compared(&env, "--start 2025-03-07 --end 2025-03-10");
    assert_eq!(counts(&rows(&document, "series")[0]), [780, 0, 0, 0, 0]);
    for (options, lines) in [("", 2), ("--by session", 5), ("--details", 2)] {
        env.typed(&format!(
            "compare there --store here {options} --to out.csv"
        ))
        .ok();
        assert_eq!(env.read("out.csv").lines().count(), lines, "{options}");
        for ending in ["parquet", "arrow", "txt", "json"] {
            env.typed(&format!(
                "compare there --store here {options} --to out.{ending}"
            ))
            .ok();
        }
    }
    // Neither store is written into, and the wrong command lines are refused.
    env.typed("compare there --store here --to there/out.csv")
        .code(2);
    env.typed("compare there --store here --details --by session")
        .code(2);
    env.typed("compare there --store here --to out.xyz").code(2);
    env.typed("compare nothing --store here").code(1);
}
