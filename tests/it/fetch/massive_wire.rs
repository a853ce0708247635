//! Massive against a server written from the service's documentation alone: pages of base minutes,
//! members that are null, missing, unknown or in other forms, compressed responses, and each error.

use super::wire::{Received, Response, Server};
use super::wire_market::{
    DAY_MS, FIRST, LAST, MINUTE_MS, Minute, check_stored, combined, midnight, minutes,
};
use super::*;

const SECRET: &str = "keyThatOnlyTheServerSees";
const TICKERS: [(&str, &str); 3] = [("AAPL", "AAPL"), ("BRK-B", "BRK.B"), ("ZS", "ZS")];
/// Minutes that a response uses at most, so that windows have pages.
const PAGE_MINUTES: usize = 1_111;

/// A page of the bars.
fn page(received: &Received<'_>) -> Response {
    if received.header("authorization") != Some(&format!("Bearer {SECRET}")) {
        let body = r#"{"status":"ERROR","request_id":"1","error":"Unknown API Key"}"#;
        return Response::new("401 Unauthorized", body);
    }
    assert!(!received.target.contains(SECRET));
    let path = received.target.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let [
        "",
        "v2",
        "aggs",
        "ticker",
        symbol,
        "range",
        number,
        unit,
        from,
        to,
    ] = parts[..]
    else {
        return Response::new("404 Not Found", "404 page not found");
    };
    // A cursor has the parameters.
    let cursor = received.value("cursor");
    let parameters =
        cursor.unwrap_or_else(|| received.target.split_once('?').unwrap().1.to_owned());
    let parameter = |name: &str| {
        let mut pairs = parameters
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    };
    assert_eq!(parameter("sort"), Some("asc"));
    let adjusted = parameter("adjusted").unwrap_or("true");
    let limit: usize = parameter("limit").map_or(5_000, |limit| limit.parse().unwrap());
    assert!(limit <= 50_000);
    let step = number.parse::<i64>().unwrap() * if unit == "hour" { 60 } else { 1 };
    let step_ms = step * MINUTE_MS;
    // Dates are days of New York, and instants move to the grid.
    let from = from
        .parse::<NaiveDate>()
        .map_or_else(|_| from.parse().unwrap(), midnight);
    let (from, to_ms) = match to.parse::<NaiveDate>() {
        Ok(date) => (from, midnight(date) + DAY_MS - 1),
        Err(_) => (from, to.parse().unwrap()),
    };
    let from = from - from.rem_euclid(step_ms);
    let to_ms = to_ms - to_ms.rem_euclid(step_ms) + step_ms - 1;
    let minutes: Vec<Minute> = (minutes(symbol).into_iter())
        .filter(|minute| (from..=to_ms).contains(&minute.at))
        .collect();
    let used = minutes.len().min(limit).min(PAGE_MINUTES);
    let mut bars = combined(&minutes[..used], step, 0);
    let mut next = String::new();
    if used < minutes.len() {
        // A bar whose minutes are cut is on the next page.
        let slot = minutes[used].at - minutes[used].at.rem_euclid(step_ms);
        bars.retain(|bar| bar.at < slot);
        let host = received.header("host").unwrap();
        next = format!(
            r#","next_url":"http://{host}/v2/aggs/ticker/{symbol}/range/{number}/{unit}/{slot}/{to}?cursor=limit%3D{limit}%26sort%3Dasc%26adjusted%3D{adjusted}""#
        );
    }
    let form = received.number % 4;
    let rows: Vec<String> = bars.iter().map(|bar| row(bar, form)).collect();
    let results = match (rows.is_empty(), form) {
        (true, 0) => String::new(),
        (true, 1) => r#""results":null,"#.to_owned(),
        _ => format!(r#""results":[{}],"#, rows.join(",")),
    };
    let status = if form == 2 { "DELAYED" } else { "OK" };
    let count = bars.len();
    let body = format!(
        r#"{{"ticker":"{symbol}","queryCount":{used},"resultsCount":{count},"adjusted":{adjusted},{results}"status":"{status}","request_id":"6a7e","count":{count}{next}}}"#
    );
    let response = Response::ok(body).header("X-Request-Id", "6a7e");
    match form {
        1 => response.header("content-type", "text/plain; charset=utf-8"),
        3 => response
            .header("content-type", "application/json")
            .gzipped(),
        _ => response,
    }
}

/// A bar in one of several forms.
fn row(bar: &Minute, form: usize) -> String {
    let Minute {
        at,
        prices: [o, h, l, c],
        volume: v,
        ..
    } = bar;
    match form {
        0 => format!(r#"{{"v":{v},"vw":{o},"o":{o},"c":{c},"h":{h},"l":{l},"t":{at},"n":12}}"#),
        1 => format!(
            r#"{{ "t" : {at}, "otc": true, "dv": "{v}", "o": {o}, "h": {h}, "l": {l}, "c": {c}, "v": {v} }}"#
        ),
        2 => format!(
            r#"{{"v":{v:e},"vw":null,"o":{o},"c":{c},"h":{h:e},"l":{l},"t":{at}.0,"n":null}}"#
        ),
        _ => format!(
            r#"{{"x":{{"t":[1,2]}},"v":{v},"vw":{o},"o":{o},"c":{c},"h":{h},"l":{l},"t":{at},"n":3.0}}"#
        ),
    }
}

fn program<'a>(server: &Server, env: &'a TestEnv, line: &str) -> Program<'a> {
    let line = format!("{line} --provider massive --rate 60000 --start {FIRST} --end {LAST}");
    (env.program(line.split_whitespace()))
        .env("MASSIVE_API_KEY", SECRET)
        .env("MASSIVE_BASE_URL", &server.url)
}

fn run(server: &Server, env: &TestEnv, line: &str) -> Run {
    let run = program(server, env, line).run();
    run.hides(SECRET);
    run
}

#[track_caller]
fn check(env: &TestEnv, interval: Interval) {
    for (ticker, symbol) in TICKERS {
        check_stored(env, ticker, symbol, interval);
    }
}

const LINE: &str = "concurrent --tickers AAPL BRK-B ZS NOSUCH";

#[test]
fn every_bar_is_stored_once() {
    std::thread::scope(|threads| {
        for interval in Interval::ALL {
            for command in ["specific", "concurrent"] {
                threads.spawn(move || {
                    let server = Server::start(page);
                    let env = TestEnv::new();
                    let minutes = interval.minutes();
                    let line =
                        format!("{command} --tickers AAPL BRK-B ZS NOSUCH --interval {minutes}");
                    let json = run(&server, &env, &format!("{line} --summary-json"))
                        .ok()
                        .json();
                    assert_eq!(json["totals"]["requests"], server.requests().len());
                    check(&env, interval);
                    run(&server, &env, &format!("{line} --resume")).ok();
                    assert_eq!(server.requests(), Vec::<String>::new());
                });
            }
        }
    });
}

#[test]
fn faults_that_pass_lose_nothing() {
    let html = "<html><body>gateway</body></html>";
    let server = Server::start(move |received| match received.number {
        0 => Response::new("429 Too Many Requests", ""),
        1 => Response::new("503 Service Unavailable", html).header("retry-after", "0"),
        2 => Response::closed(),
        4 => page(received).cut(),
        5 => Response::ok(html).header("content-type", "text/html"),
        6 => Response::ok(""),
        7 => Response::new(
            "429 Too Many Requests",
            r#"{"status":"ERROR","error":"slow down"}"#,
        )
        .header("retry-after", "1"),
        8 => Response::new(
            "400 Bad Request",
            r#"{"status":"ERROR","error":"The parameter 'to' cannot be a time that occurs before 'from'"}"#,
        ),
        9 => Response::new("502 Bad Gateway", html).gzipped(),
        // An error within a good response.
        10 => Response::ok(
            r#"{"status":"ERROR","request_id":"1","error":"You've exceeded the maximum requests per minute"}"#,
        ),
        _ => page(received),
    });
    let env = TestEnv::new();
    run(&server, &env, LINE).ok();
    check(&env, Interval::M1);
}

#[test]
fn killed_runs_continue() {
    let server = Server::start(|received| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        match received.number % 7 {
            3 => Response::closed(),
            5 => page(received).cut(),
            _ => page(received),
        }
    });
    let env = TestEnv::new();
    let line = format!("{LINE} --resume");
    for requests in [2, 5, 9, 12] {
        server.kill_after(program(&server, &env, &line), requests);
    }
    run(&server, &env, &line).ok();
    check(&env, Interval::M1);
    env.typed("verify").ok();
}

/// Each row of the service's errors, while the second of three tickers is requested: how the run ends,
/// and that what wasn't stored comes later.
#[test]
fn each_error_stops_what_it_concerns() {
    let other = Server::start(|_: &Received<'_>| Response::ok("{}"));
    let at_other = format!("{}/v2/aggs/ticker/BRK.B/x", other.url);
    let next_elsewhere = format!(
        r#"{{"ticker":"BRK.B","adjusted":true,"status":"OK","results":[],"next_url":"{at_other}"}}"#
    );
    let timeframe = r#"{"status":"NOT_AUTHORIZED","request_id":"1","message":"Your plan doesn't include this data timeframe. Please upgrade your plan at https://polygon.io/pricing"}"#;
    let entitled = r#"{"status":"ERROR","request_id":"1","error":"You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing"}"#;
    let key = r#"{"status":"ERROR","request_id":"1","error":"Unknown API Key"}"#;
    let cases: Vec<(&str, String, i32, &str)> = vec![
        ("401 Unauthorized", key.into(), 1, "refuses the key"),
        ("200 OK", key.into(), 1, "refuses the key"),
        (
            "403 Forbidden",
            timeframe.into(),
            3,
            "doesn't include these dates",
        ),
        ("200 OK", timeframe.into(), 3, "doesn't include these dates"),
        ("403 Forbidden", entitled.into(), 3, "doesn't include BRK-B"),
        (
            "403 Forbidden",
            "<html>blocked</html>".into(),
            1,
            "forbids the request",
        ),
        (
            "404 Not Found",
            "404 page not found".into(),
            3,
            "doesn't understand the request",
        ),
        (
            "200 OK",
            r#"{"status":"ERROR","error":"odd"}"#.into(),
            3,
            "has the status \"ERROR\"",
        ),
        ("200 OK", "[]".into(), 3, "not an object with bars"),
        (
            "200 OK",
            next_elsewhere,
            3,
            "not at the provider's own address",
        ),
        ("302 Found", String::new(), 1, "redirects"),
        ("409 Conflict", String::new(), 3, "unexpected status 409"),
    ];
    std::thread::scope(|threads| {
        for (status, body, code, message) in cases {
            let location = at_other.clone();
            threads.spawn(move || {
                let what = format!("{status} {body}");
                let server = Server::start(move |received: &Received<'_>| {
                    match received.target.contains("/BRK.B/") {
                        true => Response::new(status, body.clone()).header("location", &location),
                        false => page(received),
                    }
                });
                let env = TestEnv::new();
                let failed = run(&server, &env, "specific --tickers AAPL BRK-B ZS");
                assert_eq!(failed.code, Some(code), "{what}: {}", failed.stderr);
                assert!(failed.stderr.contains(message), "{what}: {}", failed.stderr);
                let gaps = env.typed("gaps --format json");
                assert!(!gaps.out().contains("\"empty\""), "{what}: {}", gaps.out());
                let whole = Server::start(page);
                run(&whole, &env, "specific --tickers AAPL BRK-B ZS --resume").ok();
                check(&env, Interval::M1);
            });
        }
    });
    assert_eq!(other.requests(), Vec::<String>::new());
}
