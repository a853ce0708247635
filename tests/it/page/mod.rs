//! The page: `report` and `serve`.

mod browser;
mod report;
mod serve;
mod webdriver;

use std::fmt::Write;
use std::io::{BufRead, BufReader};

use super::support::{Running, TestEnv};

/// A ticker that would be an element if it became HTML.
pub const HOSTILE: &str = "<IMG SRC=X ONERROR=ALERT(1)>";

/// The same, of a ticker with a finding.
pub const HOSTILE_SPIKE: &str = "<B ONCLICK=ALERT(1)>";

/// A store with three tickers: AAPL has a session without bars and one with conflicts, and a split
/// between two sessions; MSFT is complete; the third has a hostile name.
pub fn filled() -> TestEnv {
    let env = TestEnv::new();
    let days = [
        ("2025-01-06", 400.0),
        ("2025-01-07", 404.0),
        ("2025-01-10", 100.0),
    ];
    env.write("AAPL.csv", csv(&days, 390));
    env.write(
        "MSFT.csv",
        csv(&[("2025-01-06", 50.0), ("2025-01-07", 51.0)], 390),
    );
    env.write(
        "hostile.csv",
        csv(&[("2025-01-06", 7.0), ("2025-01-08", 7.0)], 20),
    );
    env.write("restated.csv", csv(&[("2025-01-06", 100.0)], 30));
    env.typed("inject-csv AAPL.csv MSFT.csv --interval 1 --timezone America/New_York")
        .ok();
    let words = [
        "inject-csv",
        "hostile.csv",
        "--interval",
        "1",
        "--timezone",
        "America/New_York",
    ];
    env.run(words.into_iter().chain(["--ticker", HOSTILE])).ok();
    env.typed("inject-csv restated.csv --ticker AAPL --interval 1 --timezone America/New_York --on-conflict ignore")
        .ok();
    env
}

/// Adds a second store, `other`: AAPL with prices that are a little higher and one more session, and a
/// ticker that the first store lacks. MSFT isn't in it.
pub fn add_other(env: &TestEnv) {
    let days = [
        ("2025-01-06", 400.4),
        ("2025-01-08", 408.0),
        ("2025-01-10", 100.1),
    ];
    env.write("other/AAPL.csv", csv(&days, 390));
    env.write("other/ZZZ.csv", csv(&[("2025-01-06", 9.0)], 390));
    env.typed("inject-csv other/AAPL.csv other/ZZZ.csv --interval 1 --timezone America/New_York --store second")
        .ok();
}

/// Adds two tickers, SPIKE and one with a hostile name: three sessions, with a bar at 10:00 of 2025-01-07 that is
/// far too high.
pub fn add_spikes(env: &TestEnv) {
    let days = [
        ("2025-01-06", 50.0),
        ("2025-01-07", 50.0),
        ("2025-01-08", 50.0),
    ];
    let bars = csv(&days, 390);
    let line = bars
        .lines()
        .find(|line| line.starts_with("2025-01-07 10:00:00"));
    let spike = "2025-01-07 10:00:00,75.00,75.05,74.95,75.01,130";
    env.write("spike.csv", bars.replace(line.unwrap(), spike));
    for ticker in ["SPIKE", HOSTILE_SPIKE] {
        let line =
            "inject-csv spike.csv --interval 1 --timezone America/New_York --exchange NASDAQ";
        env.run(line.split(' ').chain(["--ticker", ticker])).ok();
    }
}

/// One-minute bars from 09:30 on, with closes near `price`.
pub fn csv(days: &[(&str, f64)], minutes: u32) -> String {
    let mut out = "timestamp,open,high,low,close,volume\n".to_owned();
    for (date, price) in days {
        for minute in 0..minutes {
            let (hour, left) = ((570 + minute) / 60, (570 + minute) % 60);
            let open = price + f64::from(minute % 7) / 100.0;
            let (high, low, close) = (open + 0.05, open - 0.05, open + 0.01);
            let volume = 100 + minute;
            writeln!(
                out,
                "{date} {hour:02}:{left:02}:00,{open:.2},{high:.2},{low:.2},{close:.2},{volume}"
            )
            .unwrap();
        }
    }
    out
}

/// Starts a server; returns its URL too.
pub fn serve(env: &TestEnv, more: &str) -> (Running, String) {
    let words = format!("serve --port 0 {more}");
    let mut running = env.program(words.split_whitespace()).spawn();
    let mut lines = BufReader::new(running.child().stdout.as_mut().unwrap()).lines();
    let url = lines.next().expect("the URL comes first").unwrap();
    (running, url)
}
