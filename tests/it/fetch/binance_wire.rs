//! Binance against a server written from the exchange's documentation alone: files of months and days
//! in either unit, with a header or none, replaced or published too early, pages of klines, and a
//! server of files that doesn't work.

use std::collections::HashSet;
use std::io::{Cursor, Write as _};
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use super::wire::{Received, Response, Server};
use super::wire_market::{DAY_MS, MINUTE_MS};
use super::*;

const NOW: &str = "2025-03-05T10:00:30Z";
/// The time of [`NOW`] in milliseconds.
const NOW_MS: i64 = 1_741_168_830_000;
/// From here on files have microseconds.
const MICROS_FROM: i64 = 1_735_689_600_000;
const PAIRS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "LTCBTC"];
/// It isn't traded any more, so it is only in files.
const OLD_PAIR: &str = "LTCBTC";
const OLD_PAIR_ENDS: &str = "2025-01-20";

fn day_ms(date: &str) -> i64 {
    let date: NaiveDate = date.parse().unwrap();
    date.and_hms_opt(0, 0, 0)
        .unwrap()
        .and_utc()
        .timestamp_millis()
}

/// Whether there is a kline: the exchange stood still twice, and one pair ended.
fn exists(pair: &str, at: i64) -> bool {
    let still = day_ms("2025-02-10") + 3 * 60 * MINUTE_MS;
    let is_still = (still..still + 120 * MINUTE_MS).contains(&at)
        || at == day_ms("2025-03-04") + 60 * MINUTE_MS;
    !is_still && (pair != OLD_PAIR || at < day_ms(OLD_PAIR_ENDS))
}

/// Open, high, low, close and volume. Some klines have no trades.
fn values(pair: &str, at: i64) -> [f64; 5] {
    let base = f64::from(pair.bytes().map(u32::from).sum::<u32>());
    let slot = at / MINUTE_MS / 5;
    let price = base + (slot % 400) as f64 / 100.0;
    match slot % 10 {
        7 => [price, price, price, price, 0.0],
        _ => [price, price + 0.5, price - 0.5, price + 0.25, 3.5],
    }
}

/// The opens of klines in `from..until`, in milliseconds.
fn opens(pair: &str, step: i64, from: i64, until: i64) -> Vec<i64> {
    let first = from + (-from).rem_euclid(step);
    (first..until.min(NOW_MS))
        .step_by(step as usize)
        .filter(|at| exists(pair, *at))
        .collect()
}

/// The twelve fields of a kline.
fn fields(pair: &str, at: i64, step: i64, per_ms: i64, quote: &str) -> String {
    let [open, high, low, close, volume] = values(pair, at);
    let (at, end) = (at * per_ms, (at + step) * per_ms - 1);
    let trades = if volume == 0.0 { 0 } else { 7 };
    let value = volume * open;
    let text = |number: f64| format!("{quote}{number:.8}{quote}");
    [
        at.to_string(),
        text(open),
        text(high),
        text(low),
        text(close),
        text(volume),
        end.to_string(),
        text(value),
        trades.to_string(),
        text(volume / 2.0),
        text(value / 2.0),
        format!("{quote}0{quote}"),
    ]
    .join(",")
}

fn step_of(interval: &str) -> Option<i64> {
    let minutes = match interval {
        "1m" => 1,
        "5m" => 5,
        "15m" => 15,
        "30m" => 30,
        "1h" => 60,
        _ => return None,
    };
    Some(minutes * MINUTE_MS)
}

fn error(status: &'static str, code: i32, text: &str) -> Response {
    Response::new(status, format!(r#"{{"code":{code},"msg":"{text}"}}"#))
        .header("content-type", "application/json;charset=UTF-8")
}

fn is_klines(received: &Received<'_>) -> bool {
    received.target.starts_with("/api/v3/klines?")
}

fn klines(received: &Received<'_>) -> Response {
    let value = |name: &str| received.value(name);
    let pair = value("symbol").unwrap();
    if !PAIRS.contains(&pair.as_str()) || pair == OLD_PAIR {
        return error("400 Bad Request", -1121, "Invalid symbol.");
    }
    let Some(step) = value("interval").and_then(|interval| step_of(&interval)) else {
        return error("400 Bad Request", -1120, "Invalid interval.");
    };
    let number = |name: &str| value(name).map(|text| text.parse::<i64>().unwrap());
    let (start, end) = (number("startTime").unwrap(), number("endTime").unwrap());
    let limit = number("limit").unwrap_or(500).min(1_000) as usize;
    // A page can be shorter than the limit.
    let limit = if received.number.is_multiple_of(3) {
        limit.min(333)
    } else {
        limit
    };
    let rows: Vec<String> = (opens(&pair, step, start, end + 1).into_iter().take(limit))
        .map(|at| format!("[{}]", fields(&pair, at, step, 1, "\"")))
        .collect();
    let response = Response::ok(format!("[{}]", rows.join(",")))
        .header("x-mbx-used-weight-1m", "2")
        .header("content-type", "application/json;charset=UTF-8");
    match received.number % 2 {
        0 => response.gzipped(),
        _ => response,
    }
}

/// What a file has, before it is zipped; `None` if it isn't published.
fn csv(received: &Received<'_>, is_early: bool) -> Option<(String, Vec<u8>)> {
    let parts: Vec<&str> = received.target.split('/').collect();
    let ["", "data", "spot", period, "klines", pair, interval, name] = parts[..] else {
        return None;
    };
    let step = step_of(interval)?;
    let name = name
        .strip_suffix(".CHECKSUM")
        .unwrap_or(name)
        .strip_suffix(".zip")?;
    let date = name.strip_prefix(&format!("{pair}-{interval}-"))?;
    let (start, end, published) = match period {
        "daily" => (day_ms(date), day_ms(date) + DAY_MS, day_ms(date) + DAY_MS),
        _ => {
            let start = day_ms(&format!("{date}-01"));
            let next = start + 32 * DAY_MS;
            let next: chrono::DateTime<chrono::Utc> =
                chrono::DateTime::from_timestamp_millis(next).unwrap();
            let end = day_ms(&next.format("%Y-%m-01").to_string());
            // The first Monday of the next month; the first of January 1970 was a Thursday.
            let mut monday = end;
            while (monday / DAY_MS + 3) % 7 != 0 {
                monday += DAY_MS;
            }
            (start, end, monday)
        }
    };
    if published > NOW_MS || !PAIRS.contains(&pair) {
        return None;
    }
    let per_ms = if start >= MICROS_FROM { 1_000 } else { 1 };
    let mut opens = opens(pair, step, start, end);
    if is_early {
        opens.truncate(opens.len() - opens.len() / 5);
    }
    if opens.is_empty() {
        return None;
    }
    let mut csv = String::new();
    // One pair's files have a header.
    if pair == "ETHUSDT" {
        csv += "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n";
    }
    for at in opens {
        csv += &fields(pair, at, step, per_ms, "");
        csv += "\n";
    }
    Some((format!("{name}.csv"), csv.into_bytes()))
}

fn zipped((name, csv): &(String, Vec<u8>)) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default())
        .unwrap();
    zip.write_all(csv).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A file or its checksum. Some files lack their last klines.
fn file(received: &Received<'_>) -> Response {
    let is_early = received.target.contains("2025-03-03");
    let Some(content) = csv(received, is_early) else {
        let body = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>";
        return Response::new("404 Not Found", body).header("content-type", "application/xml");
    };
    let zip = zipped(&content);
    match received.target.ends_with(".CHECKSUM") {
        true => {
            let hex: String = Sha256::digest(&zip)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            Response::ok(format!("{hex}  {}\n", content.0.replace(".csv", ".zip")))
        }
        false => Response::ok(zip),
    }
}

fn whole(received: &Received<'_>) -> Response {
    match is_klines(received) {
        true => klines(received),
        false => file(received),
    }
}

fn program<'a>(server: &Server, env: &'a TestEnv, line: &str) -> Program<'a> {
    let line = format!("{line} --provider binance --rate 600000");
    (env.program(line.split_whitespace()))
        .env("BINANCE_BASE_URL", &server.url)
        .env("BACKFILL_NOW", NOW)
}

fn run(server: &Server, env: &TestEnv, line: &str) -> Run {
    program(server, env, line).run()
}

/// Checks that each settled kline is stored once, and no other.
#[track_caller]
fn check(env: &TestEnv, pairs: &[&str], interval: Interval, first: &str) {
    let step = i64::from(interval.minutes()) * MINUTE_MS;
    for pair in pairs {
        let bars: Vec<Bar> = opens(pair, step, day_ms(first), NOW_MS)
            .into_iter()
            // The last kline is settled a minute after its close.
            .filter(|at| at + step + MINUTE_MS <= NOW_MS)
            .map(|at| {
                let [open, high, low, close, volume] = values(pair, at);
                let at = Timestamp::from_micros(at * 1_000);
                Bar::new(at, [open, high, low, close], volume)
            })
            .collect();
        let stored: Vec<Bar> = staged(&env.path("data/staging"), pair, interval)
            .into_iter()
            .map(|bar| Bar {
                vwap: None,
                trades: None,
                ..bar
            })
            .collect();
        same(&stored, &bars, pair);
    }
}

const RANGE: &str = "--start 2024-12-20 --end 2025-03-05";

#[test]
fn every_bar_is_stored_once() {
    std::thread::scope(|threads| {
        for (command, interval) in [
            ("specific", Interval::M60),
            ("concurrent", Interval::M15),
            ("concurrent", Interval::M5),
        ] {
            threads.spawn(move || {
                let server = Server::start(whole);
                let env = TestEnv::new();
                let minutes = interval.minutes();
                let line = format!(
                    "{command} --tickers BTCUSDT ETHUSDT LTCBTC --interval {minutes} {RANGE}"
                );
                let json = run(&server, &env, &format!("{line} --summary-json"))
                    .ok()
                    .json();
                assert_eq!(json["totals"]["requests"], server.requests().len());
                check(&env, &PAIRS, interval, "2024-12-20");
            });
        }
    });
}

#[test]
fn faults_that_pass_lose_nothing() {
    let damaged = Mutex::new(HashSet::new());
    let server = Server::start(move |received| {
        // A file that can't be used is requested once more. So only one response of each file is damaged.
        let is_first_damage = || {
            let file = received.target.trim_end_matches(".CHECKSUM").to_owned();
            is_klines(received) || damaged.lock().unwrap().insert(file)
        };
        let limit = error(
            "429 Too Many Requests",
            -1003,
            "Too much request weight used",
        );
        match received.number {
            0 => Response::new("500 Internal Server Error", ""),
            2 => whole(received).cut(),
            3 if is_first_damage() => Response::ok("<html></html>"),
            5 => Response::closed(),
            6 => limit.header("retry-after", "1"),
            8 => error("504 Gateway Timeout", -1007, "Timeout waiting for response"),
            9 => error("418 I'm a teapot", -1003, "banned until").header("retry-after", "1"),
            11 => Response::ok(""),
            // A file that was replaced after its checksum was sent.
            13..=16
                if !is_klines(received)
                    && !received.target.ends_with("CHECKSUM")
                    && is_first_damage() =>
            {
                Response::ok(zipped(&csv(received, true).unwrap()))
            }
            18 if is_first_damage() => error("200 OK", -1001, "DISCONNECTED"),
            _ => whole(received),
        }
    });
    let env = TestEnv::new();
    let line = format!("concurrent --tickers BTCUSDT ETHUSDT LTCBTC --interval 60 {RANGE}");
    run(&server, &env, &line).ok();
    check(&env, &PAIRS, Interval::M60, "2024-12-20");
}

#[test]
fn killed_runs_continue() {
    let server = Server::start(|received| {
        std::thread::sleep(std::time::Duration::from_millis(15));
        whole(received)
    });
    let env = TestEnv::new();
    let line = format!("concurrent --tickers BTCUSDT ETHUSDT --interval 15 {RANGE} --resume");
    for requests in [3, 9, 20] {
        server.kill_after(program(&server, &env, &line), requests);
    }
    run(&server, &env, &line).ok();
    check(&env, &PAIRS[..2], Interval::M15, "2024-12-20");
    env.typed("verify").ok();
}

/// If files can't be had, all bars come over REST, and a pair that isn't there fails.
#[test]
fn without_files_bars_come_over_rest() {
    let cases: [(&str, bool); 6] = [
        ("404 Not Found", false),
        ("500 Internal Server Error", true),
        ("403 Forbidden", true),
        ("451 Unavailable For Legal Reasons", true),
        // Closed connections, and responses that are neither files nor checksums.
        ("", true),
        ("200 OK", false),
    ];
    std::thread::scope(|threads| {
        for (status, is_reported) in cases {
            threads.spawn(move || {
                let server = Server::start(move |received| match is_klines(received) {
                    true => klines(received),
                    false => Response::new(status, "<html>sorry</html>"),
                });
                let env = TestEnv::new();
                let line = format!("concurrent --tickers BTCUSDT ETHUSDT --interval 60 {RANGE}");
                let done = run(&server, &env, &format!("{line} --summary-json")).ok();
                let warned = done.stderr.contains("files can't be read");
                assert_eq!(warned, is_reported, "{status}: {}", done.stderr);
                assert_eq!(done.json()["totals"]["requests"], server.requests().len());
                check(&env, &PAIRS[..2], Interval::M60, "2024-12-20");

                let old = format!("specific --tickers LTCBTC BTC-USD --interval 60 {RANGE}");
                let failed = run(&server, &env, &old).code(3);
                for message in ["doesn't have LTCBTC", "the provider trades BTCUSDT"] {
                    assert!(failed.stderr.contains(message), "{}", failed.stderr);
                }
                let gaps = env.typed("gaps --tickers LTCBTC --interval 60 --format json");
                assert!(!gaps.out().contains("\"empty\""), "{}", gaps.out());
            });
        }
    });
}

/// Files that fail in the middle of a run aren't missing files: a pair that is only in them isn't
/// stored as without bars.
#[test]
fn a_pair_of_files_that_fail_later_is_not_empty() {
    let server = Server::start(|received| {
        match received.target.contains("2025-01") && !is_klines(received) {
            true => Response::new("403 Forbidden", ""),
            false => whole(received),
        }
    });
    let env = TestEnv::new();
    let line = format!("specific --tickers LTCBTC --interval 60 {RANGE}");
    let failed = run(&server, &env, &line).code(3);
    assert!(
        failed.stderr.contains("its files can't be read"),
        "{}",
        failed.stderr
    );
    let healthy = Server::start(whole);
    run(&healthy, &env, &format!("{line} --resume")).ok();
    check(&env, &[OLD_PAIR], Interval::M60, "2024-12-20");
}

#[test]
fn each_error_stops_what_it_concerns() {
    let ban = error(
        "418 I'm a teapot",
        -1003,
        "Way too much request weight used; IP banned",
    );
    let cases = [
        (
            ban.clone().header("retry-after", "7200"),
            5,
            "quota is spent",
        ),
        (ban, 5, "quota is spent"),
        (
            error("451 Unavailable", 0, "restricted location"),
            1,
            "refuses the country",
        ),
        (
            Response::new("403 Forbidden", "<html>blocked</html>"),
            1,
            "firewall refuses",
        ),
        (
            error("400 Bad Request", -1102, "missing"),
            3,
            "doesn't understand",
        ),
        (Response::ok("{}"), 3, "not a list of klines"),
        (
            Response::new("307 Moved", "").header("location", "http://x/"),
            1,
            "redirects",
        ),
    ];
    std::thread::scope(|threads| {
        for (response, code, message) in cases {
            threads.spawn(move || {
                let server = Server::start(move |received| {
                    match is_klines(received) && received.target.contains("ETHUSDT") {
                        true => response.clone(),
                        false => whole(received),
                    }
                });
                let env = TestEnv::new();
                let line = format!("specific --tickers BTCUSDT ETHUSDT --interval 60 {RANGE}");
                let failed = run(&server, &env, &line);
                assert_eq!(failed.code, Some(code), "{message}: {}", failed.stderr);
                assert!(
                    failed.stderr.contains(message),
                    "{message}: {}",
                    failed.stderr
                );
                let healthy = Server::start(whole);
                run(&healthy, &env, &format!("{line} --resume")).ok();
                check(&env, &PAIRS[..2], Interval::M60, "2024-12-20");
            });
        }
    });
}
