//! Alpaca against a server written from the service's documentation alone: short and empty pages with
//! a token, pages of one ticker, `null` for no bars, tokens that are valid only with the same
//! parameters, and faults on any page.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::wire::{Received, Response, Server};
use super::*;

const ID: &str = "idThatOnlyTheServerSees";
const SECRET: &str = "secretThatOnlyTheServerSees";
/// What the server has: five-minute bars from 04:00 to 20:00 of New York, in winter.
const HOURS: std::ops::Range<i64> = 9 * 60..25 * 60;
const DATES: [&str; 3] = ["2025-02-03", "2025-02-04", "2025-02-05"];
const TICKERS: [&str; 5] = ["AAPL", "BRK.B", "META", "MSFT", "ZS"];
/// When META got its name. Names mean what they mean on the date of `asof`.
const RENAMED: &str = "2025-02-04";
/// Bars of the pages, one after another.
const PAGES: [usize; 7] = [1, 100, 0, 250, 0, 0, 400];

/// The instants of the server's bars of a ticker. One ticker is thin, and one has a day without bars.
fn opens(ticker: &str) -> Vec<DateTime<Utc>> {
    let mut opens = Vec::new();
    for (index, date) in DATES.iter().enumerate() {
        let date: NaiveDate = date.parse().unwrap();
        let midnight = date.and_hms_opt(0, 0, 0).unwrap().and_utc();
        for minute in HOURS.step_by(5) {
            let is_missing = match ticker {
                "ZS" => minute % 7 != 0,
                "MSFT" => index == 1,
                _ => false,
            };
            if !is_missing {
                opens.push(midnight + chrono::Duration::minutes(minute));
            }
        }
    }
    opens
}

fn price(ticker: &str, at: DateTime<Utc>) -> f64 {
    let name: u32 = ticker.bytes().map(u32::from).sum();
    f64::from(name) + (at.timestamp() / 300 % 100) as f64 / 100.0
}

/// A page, from the row `start` of all rows on.
fn page(received: &Received<'_>) -> Response {
    let value = |name: &str| received.value(name);
    let error =
        |status, message: &str| Response::new(status, format!(r#"{{"message":"{message}"}}"#));
    let has = |header: &str, value: &str| received.header(header) == Some(value);
    if !has("apca-api-key-id", ID) || !has("apca-api-secret-key", SECRET) {
        return Response::new(
            "401 Unauthorized",
            "<html>401 Authorization Required</html>",
        );
    }
    let mut symbols: Vec<String> = value("symbols")
        .unwrap()
        .split(',')
        .map(str::to_owned)
        .collect();
    symbols.sort();
    let is_bad = |symbol: &&String| {
        symbol.contains(['-', '/', '^']) || symbol.starts_with(|c: char| c.is_ascii_digit())
    };
    if let Some(bad) = symbols.iter().find(is_bad) {
        return error(
            "400 Bad Request",
            &format!("code=400, message=invalid symbol: {bad}"),
        );
    }
    let instant = |name: &str| value(name).unwrap().parse::<DateTime<Utc>>().unwrap();
    let (first, last) = (instant("start"), instant("end"));
    if last < first {
        return error("400 Bad Request", "end should not be before start");
    }
    assert_eq!(value("timeframe").as_deref(), Some("5Min"));
    assert_eq!(value("adjustment").as_deref(), Some("split"));
    let asof = value("asof").unwrap_or_default();
    let limit: usize = value("limit").unwrap().parse().unwrap();
    assert!((1..=10_000).contains(&limit));
    let rows: Vec<(&str, DateTime<Utc>)> = (symbols.iter())
        .filter(|symbol| TICKERS.contains(&symbol.as_str()))
        .flat_map(|symbol| opens(symbol).into_iter().map(|at| (symbol.as_str(), at)))
        .filter(|(_, at)| first <= *at && *at <= last)
        .filter(|(symbol, at)| {
            let date = at.format("%Y-%m-%d").to_string();
            *symbol != "META" || date.as_str() >= RENAMED || asof.as_str() >= RENAMED
        })
        .collect();
    // A token is the parameters, the number of the page, and its first row.
    let (parameters, page, start) = match value("page_token") {
        None => (received.target.to_owned(), 0, 0),
        Some(token) => {
            let parts: Vec<&str> = token.split(' ').collect();
            (
                parts[0].to_owned(),
                parts[1].parse().unwrap(),
                parts[2].parse().unwrap(),
            )
        }
    };
    if !received.target.starts_with(&parameters) {
        return error("400 Bad Request", "invalid page token");
    }
    let end = (start + limit.min(PAGES[page % PAGES.len()])).min(rows.len());
    let mut bars: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (symbol, at) in &rows[start..end] {
        let price = price(symbol, *at);
        bars.entry(symbol).or_default().push(format!(
            r#"{{"c":{price},"h":{price},"l":{price},"n":3,"o":{price},"t":"{}","v":100,"vw":{price}}}"#,
            at.format("%Y-%m-%dT%H:%M:%SZ")
        ));
    }
    let bars: Vec<String> = bars
        .iter()
        .map(|(symbol, rows)| format!("\"{symbol}\":[{}]", rows.join(",")))
        .collect();
    // The last page can be empty too.
    let next = match end == rows.len() && end == start {
        true => "null".to_owned(),
        false => format!("\"{parameters} {} {end}\"", page + 1),
    };
    let bars = match bars.is_empty() {
        true => "null".to_owned(),
        false => format!("{{{}}}", bars.join(",")),
    };
    Response::ok(format!(r#"{{"bars":{bars},"next_page_token":{next}}}"#))
}

fn run(server: &Server, env: &TestEnv, line: &str) -> Run {
    let line = format!(
        "{line} --provider alpaca --rate 60000 --interval 5 --start 2025-02-03 --end 2025-02-05"
    );
    let run = (env.program(line.split_whitespace()))
        .env("APCA_API_KEY_ID", ID)
        .env("APCA_API_SECRET_KEY", SECRET)
        .env("ALPACA_BASE_URL", &server.url)
        .run();
    for part in [ID, SECRET] {
        run.hides(part);
    }
    run
}

/// Every bar of the session is stored once, and no other.
#[track_caller]
fn check_stored(env: &TestEnv) {
    for ticker in TICKERS {
        let session = |at: &DateTime<Utc>| {
            let minute = at.timestamp() / 60 % 1440;
            (14 * 60 + 30..21 * 60).contains(&minute)
        };
        let expected: Vec<(Timestamp, f64)> = opens(ticker)
            .into_iter()
            .filter(session)
            .map(|at| (at.into(), price(ticker, at)))
            .collect();
        let stored = staged(&env.path("data/staging"), ticker, Interval::M5);
        let stored: Vec<(Timestamp, f64)> = stored
            .iter()
            .map(|bar| (bar.timestamp, bar.close))
            .collect();
        assert_eq!(stored, expected, "{ticker}");
    }
}

const LINE: &str = "concurrent --tickers MSFT 3USL BRK.B META NOSUCH ZS AA^ AAPL";

#[test]
fn pages_of_any_length_lose_nothing() {
    let server = Server::start(page);
    let env = TestEnv::new();
    let first = run(&server, &env, &format!("{LINE} --summary-json")).code(3);
    let requests = server.requests().len();
    assert_eq!(first.json()["totals"]["requests"], requests);
    for ticker in ["3USL", "AA^"] {
        assert!(
            first.stderr.contains(&format!("[{ticker}] Failed in ")),
            "{}",
            first.snapshot()
        );
    }
    check_stored(&env);
    // All that is known is answered.
    run(
        &server,
        &env,
        "concurrent --resume --tickers MSFT BRK.B META NOSUCH ZS AAPL",
    )
    .ok();
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn faults_on_any_page_lose_nothing() {
    let server = Server::start(|received| match received.number % 9 {
        1 => Response::new("500 Internal Server Error", ""),
        4 => Response::new(
            "429 Too Many Requests",
            r#"{"message": "too many requests."}"#,
        ),
        7 => Response::closed(),
        _ => page(received),
    });
    let env = TestEnv::new();
    let line = "concurrent --tickers MSFT BRK.B META NOSUCH ZS AAPL --resume --max-requests 14";
    let mut runs = 0;
    while run(&server, &env, line).code != Some(0) {
        runs += 1;
        assert!(runs < 10, "no progress");
    }
    check_stored(&env);
}

/// If the last page never comes, no ticker without rows so far counts as empty.
#[test]
fn a_last_page_that_fails_answers_nothing_for_the_rest() {
    let server = Server::start(|received| {
        let is_late = (received.value("page_token")).is_some_and(|token| token.contains(" 5 "));
        match is_late {
            true => Response::new("418 Teapot", r#"{"message":"unknown trouble"}"#),
            false => page(received),
        }
    });
    let env = TestEnv::new();
    let line = "concurrent --tickers MSFT BRK.B META NOSUCH ZS AAPL";
    assert_ne!(run(&server, &env, line).code, Some(0));
    let gaps = (env.program(
        "gaps --interval 5 --start 2025-02-03 --end 2025-02-05 --format json".split_whitespace(),
    ))
    .run();
    assert!(!gaps.out().contains("\"empty\""), "{}", gaps.out());
    let whole = Server::start(page);
    run(&whole, &env, &format!("{line} --resume")).ok();
    check_stored(&env);
}
