//! Financial Modeling Prep against a server written from measurements of the service alone: local times,
//! newest first, silent truncation, days that lack their opening bar, and each error.

use super::wire::{Received, Response, Server};
use super::wire_market::{
    DAY_MS, FIRST, LAST, MINUTE_MS, Minute, check_stored, combined, midnight, minutes, session,
};
use super::*;

const SECRET: &str = "keyThatOnlyTheServerSees";
const TICKERS: [&str; 3] = ["AAPL", "BRK-B", "ZS"];

fn chart(received: &Received<'_>) -> Response {
    if received.header("apikey") != Some(SECRET) {
        let body =
            r#"{"Error Message":"Invalid API KEY. Please retry or visit our documentation"}"#;
        return Response::new("401 Unauthorized", body);
    }
    let path = received.target.split('?').next().unwrap();
    // The name of an interval, its minutes, and the dates that one response has at most.
    let (step, days) = match path.rsplit('/').next().unwrap() {
        "1min" => (1, 3),
        "5min" => (5, 10),
        "15min" => (15, 45),
        "30min" => (30, 30),
        "1hour" => (60, 90),
        _ => return Response::new("404 Not Found", "[]"),
    };
    let date = |name: &str| received.value(name).unwrap().parse::<NaiveDate>().unwrap();
    let (from, to) = (date("from"), date("to"));
    assert!(from <= to);
    let oldest = from.max(to - chrono::Days::new(days - 1));
    let symbol = received.value("symbol").unwrap();
    let is_extended = received.value("extended").as_deref() == Some("true");
    let (all, offset) = match is_extended {
        true => (minutes(&symbol), 0),
        false => (session(&symbol), 570),
    };
    let bounds = midnight(oldest)..midnight(to) + DAY_MS;
    let mut bars = combined(&all, step, offset);
    bars.retain(|bar| bounds.contains(&bar.at));
    // A day requested alone sometimes lacks its opening bar.
    if from == to && step == 1 && bars.first().is_some_and(|bar| bar.local == offset) {
        bars.remove(0);
    }
    let rows: Vec<String> = (bars.iter().rev())
        .map(|bar| row(bar, received.number))
        .collect();
    let response = Response::ok(format!("[{}]", rows.join(",")));
    match received.number % 3 {
        0 => response.gzipped(),
        1 => response.header("content-type", "text/plain"),
        _ => response.header("content-type", "application/json"),
    }
}

fn row(bar: &Minute, form: usize) -> String {
    let Minute {
        at,
        local,
        prices: [o, h, l, c],
        volume: v,
    } = bar;
    let date = chrono::DateTime::from_timestamp_millis(at - local * MINUTE_MS).unwrap();
    let date = date.format("%Y-%m-%d");
    let (hour, minute) = (local / 60, local % 60);
    let date = format!("{date} {hour:02}:{minute:02}:00");
    match form % 2 {
        0 => format!(
            r#"{{"date":"{date}","open":{o},"low":{l},"high":{h},"close":{c},"volume":{v}}}"#
        ),
        _ => format!(
            r#"{{ "volume": {v}, "date": "{date}", "open": {o:e}, "high": {h}, "low": {l}, "close": {c}, "more": [1] }}"#
        ),
    }
}

fn program<'a>(server: &Server, env: &'a TestEnv, line: &str) -> Program<'a> {
    let line = format!("{line} --provider fmp --rate 60000 --start {FIRST} --end {LAST}");
    (env.program(line.split_whitespace()))
        .env("FMP_API_KEY", SECRET)
        .env("FMP_BASE_URL", &server.url)
}

fn run(server: &Server, env: &TestEnv, line: &str) -> Run {
    let run = program(server, env, line).run();
    run.hides(SECRET);
    run
}

#[track_caller]
fn check(env: &TestEnv, interval: Interval) {
    for ticker in TICKERS {
        check_stored(env, ticker, ticker, interval);
    }
}

const LINE: &str = "concurrent --tickers AAPL BRK-B ZS NOSUCH";

#[test]
fn every_bar_is_stored_once() {
    std::thread::scope(|threads| {
        for interval in Interval::ALL {
            threads.spawn(move || {
                let server = Server::start(chart);
                let env = TestEnv::new();
                let line = format!("{LINE} --interval {} --summary-json", interval.minutes());
                let json = run(&server, &env, &line).ok().json();
                assert_eq!(json["totals"]["requests"], server.requests().len());
                check(&env, interval);
            });
        }
    });
}

#[test]
fn faults_and_kills_lose_nothing() {
    let server = Server::start(|received| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        match received.number {
            0 => Response::new(
                "429 Too Many Requests",
                r#"{"Error Message":"Limit Reach . Please"}"#,
            ),
            2 => Response::new("500 Internal Server Error", "<html></html>"),
            3 => chart(received).cut(),
            5 => Response::closed(),
            6 => Response::ok(r#"{"Error Message":"Limit Reach . Please upgrade your plan"}"#),
            7 => Response::ok("<html>Just a moment...</html>"),
            9 => Response::new("503 Service Unavailable", "").header("retry-after", "0"),
            _ => chart(received),
        }
    });
    let env = TestEnv::new();
    let line = format!("{LINE} --resume");
    for requests in [3, 8] {
        server.kill_after(program(&server, &env, &line), requests);
    }
    run(&server, &env, &line).ok();
    check(&env, Interval::M1);
    env.typed("verify").ok();
}

/// Each row of the service's errors, for the second of three tickers.
#[test]
fn each_error_stops_what_it_concerns() {
    let premium = "Premium Query Parameter: 'Special Endpoint : This value set for 'symbol' is not available under your current subscription";
    let cases = [
        (
            "401 Unauthorized",
            r#"{"Error Message":"Invalid API KEY."}"#,
            1,
            "key",
        ),
        (
            "402 Payment Required",
            "Restricted Endpoint: upgrade your plan",
            1,
            "plan",
        ),
        ("402 Payment Required", premium, 3, "BRK-B"),
        (
            "403 Forbidden",
            r#"{"Error Message":"Legacy Endpoint : gone"}"#,
            1,
            "403",
        ),
        (
            "429 Too Many",
            r#"{"Error Message":"Bandwidth Limit Reach . Please"}"#,
            5,
            "quota",
        ),
        (
            "400 Bad Request",
            "Query Error: Invalid or missing query parameter - symbol",
            3,
            "BRK-B",
        ),
        ("200 OK", r#"{"odd":1}"#, 3, "BRK-B"),
        ("301 Moved Permanently", "", 1, "redirects"),
    ];
    std::thread::scope(|threads| {
        for (status, body, code, message) in cases {
            threads.spawn(move || {
                let what = format!("{status} {body}");
                let server = Server::start(move |received: &Received<'_>| {
                    match received.target.contains("BRK-B") {
                        true => Response::new(status, body),
                        false => chart(received),
                    }
                });
                let env = TestEnv::new();
                let line = "specific --tickers AAPL BRK-B ZS";
                let failed = run(&server, &env, line);
                assert_eq!(failed.code, Some(code), "{what}: {}", failed.stderr);
                assert!(failed.stderr.contains(message), "{what}: {}", failed.stderr);
                let gaps = env.typed("gaps --format json");
                assert!(!gaps.out().contains("\"empty\""), "{what}: {}", gaps.out());
                let whole = Server::start(chart);
                run(&whole, &env, &format!("{line} --resume")).ok();
                check(&env, Interval::M1);
            });
        }
    });
}
