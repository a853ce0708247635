//! Steps, klines, files and errors of the service.

use std::io::{Cursor, Write as _};

use sha2::Digest as _;

use super::archive::{self, Expected};
use super::row::Bounds;
use super::steps::{File, Span, Steps, Why};
use super::*;
use crate::model::{Bar, Interval, Reason, Timestamp};
use crate::provider::contract::{access, request};
use crate::provider::mutate::{check_mutated_responses, check_mutations};
use crate::provider::{Error, ErrorKind, Page, PageToken, Provider, Reply, Request, Retry, Scope};

/// 2025-02-04 00:00 UTC.
const DAY: i64 = 1_738_627_200_000;

fn utc(first: &str, last: &str) -> Request {
    Request {
        tz: chrono_tz::UTC,
        ..request("BTCUSDT", first, last)
    }
}

/// A request at this time.
fn at(now: &str, first: &str, last: &str) -> Request {
    let now: chrono::DateTime<chrono::Utc> = now.parse().unwrap();
    Request {
        latest: Bar::latest_open(Timestamp::from(now)),
        ..utc(first, last)
    }
}

fn client() -> Binance {
    Binance::new(&access("unused", "http://127.0.0.1:9")).unwrap()
}

fn parse(request: &Request, body: &[u8]) -> Result<Page, Error> {
    let reply = Reply {
        origin: "http://x/".to_owned(),
        body: body.to_vec(),
        page: None,
    };
    client().parse(request, &reply)
}

fn on_page(request: &Request, token: impl Into<String>) -> Request {
    Request {
        page: Some(PageToken(token.into())),
        ..request.clone()
    }
}

fn steps(request: &Request) -> String {
    Steps::of(request, request.page.as_ref())
        .unwrap()
        .to_string()
}

#[test]
fn months_come_before_days_and_days_before_klines() {
    let now = "2025-03-05T10:00:30Z";
    // The next step is the last.
    assert_eq!(
        steps(&at(now, "2025-01-01", "2025-01-31")),
        "0;month,2025-01-01,0"
    );
    assert_eq!(
        steps(&at(now, "2025-01-30", "2025-02-28")),
        "0;month,2025-02-01,0;day,2025-01-31,0;day,2025-01-30,0"
    );
    assert_eq!(
        steps(&at(now, "2025-03-04", "2025-03-06")),
        "0;klines,n,1741132800000,1741168829999;day,2025-03-04,0"
    );
    let tomorrow = steps(&at(now, "2025-03-06", "2025-03-06"));
    assert_eq!(tomorrow, "0;klines,n,1741219200000,1741219200000");
    for token in [
        "",
        "x",
        "0;month",
        "0;klines,n,1",
        "0;week,2025-01-01,0",
        "0;day,2025-01-01,0,a,b",
    ] {
        assert!(token.parse::<Steps>().is_err(), "{token}");
        let requested = on_page(&utc("2025-02-04", "2025-02-04"), token);
        assert_eq!(
            parse(&requested, b"[]").unwrap_err().kind(),
            ErrorKind::BadRequest
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_replaced_by_smaller_ones_and_klines() {
    let month = utc("2025-02-01", "2025-02-28");
    let mut requested = month.clone();
    let mut tokens = Vec::new();
    // Nothing but 404.
    for _ in 0..4 {
        let next = parse(&requested, b"").unwrap().next.unwrap();
        tokens.push(next.0.clone());
        requested.page = Some(next);
    }
    assert!(tokens[0].ends_with(";day,2025-02-02,0;day,2025-02-01,0"));
    assert!(tokens[1].starts_with("1;klines,n,1738368000000,1738454399999;"));
    // After three days without a file, the rest of the month comes over REST.
    assert_eq!(tokens[3], "3;klines,n,1738368000000,1740787199999");
}

#[test]
fn a_file_that_does_not_fit_is_requested_once_more() {
    let day = utc("2025-02-04", "2025-02-04");
    let sha256 = "0".repeat(64);
    let first = parse(&day, format!("{sha256}  x.zip\n").as_bytes()).unwrap();
    assert_eq!(
        first.next.clone().unwrap().0,
        format!("0;day,2025-02-04,0,{sha256}")
    );
    let again = parse(&on_page(&day, first.next.unwrap().0), b"PK").unwrap();
    assert_eq!(again.next.clone().unwrap().0, "0;day,2025-02-04,1");
    let last = parse(&on_page(&day, again.next.unwrap().0), b"no checksum").unwrap();
    assert_eq!(
        last.next.unwrap().0,
        format!("0;klines,d,{DAY},{}", DAY + 86_399_999)
    );
}

fn kline(at: i64) -> String {
    format!(r#"[{at},"10.5","11.00000000","10","10.75","4.0",0,"42.50000000",7,"1","2","0"]"#)
}

#[test]
fn klines_have_milliseconds_or_microseconds_and_pages_follow_the_newest() {
    let day = utc("2025-02-04", "2025-02-04");
    let requested = on_page(&day, format!("0;klines,n,{DAY},{}", DAY + 86_399_999));
    let body = format!("[{},\n {}]", kline(DAY), kline((DAY + 60_000) * 1_000));
    let page = parse(&requested, body.as_bytes()).unwrap();
    let bars: Vec<Bar> = page.series[0].1.bars.iter().collect();
    assert_eq!(bars.len(), 2);
    assert_eq!(bars[1].timestamp.to_string(), "2025-02-04T00:01:00Z");
    assert_eq!(
        [bars[0].open, bars[0].high, bars[0].low, bars[0].close],
        [10.5, 11.0, 10.0, 10.75]
    );
    assert_eq!(
        (bars[0].volume, bars[0].vwap, bars[0].trades),
        (4.0, Some(10.625), Some(7))
    );
    // Two klines are less than a page, but the span hasn't ended.
    let next = format!("0;klines,n,{},{}", DAY + 120_000, DAY + 86_399_999);
    assert_eq!(page.next.unwrap().0, next);
    assert_eq!(parse(&on_page(&day, next), b"[]").unwrap().next, None);
    // A kline from before the span would be requested again and again.
    let repeated = on_page(
        &day,
        format!("0;klines,n,{},{}", DAY + 120_000, DAY + 86_399_999),
    );
    let error = parse(&repeated, format!("[{}]", kline(DAY)).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
}

#[test]
fn rows_that_are_not_klines_are_rejects() {
    let day = on_page(
        &utc("2025-02-04", "2025-02-04"),
        format!("0;klines,n,{DAY},{DAY}"),
    );
    let cases = [
        ("7", Reason::BadTimestamp),
        ("[]", Reason::BadTimestamp),
        (r#"["x","1","1","1","1","1"]"#, Reason::BadTimestamp),
        (r#"[1738627200000,"1","1"]"#, Reason::BadNumber),
        (
            r#"[1738627200000,"1","inf","1","1","1"]"#,
            Reason::BadNumber,
        ),
        (r#"[1738627200000,null,"1","1","1","1"]"#, Reason::BadNumber),
        (
            r#"[1738627200000,"1","0.5","1","1","1"]"#,
            Reason::HighLowOrder,
        ),
        (r#"[1738627200000,"1","1","1","1","-1"]"#, Reason::BadVolume),
        (
            r#"[1738627200000,"1","1","1","1","1",0,"x"]"#,
            Reason::BadNumber,
        ),
        (
            r#"[1738627200000,"1","1","1","1","1",0,"1","x"]"#,
            Reason::BadNumber,
        ),
        (
            r#"[1738713600000,"1","1","1","1","1"]"#,
            Reason::OutsideRange,
        ),
    ];
    for (row, reason) in cases {
        let page = parse(&day, format!("[{row}]").as_bytes()).unwrap();
        let rows = &page.series[0].1;
        assert_eq!((rows.bars.len(), rows.rejects.len()), (0, 1), "{row}");
        assert_eq!(rows.rejects[0].reject.reason, reason, "{row}");
    }
    for (body, kind) in [
        ("", ErrorKind::Transient),
        ("[[1738627", ErrorKind::Transient),
        ("{}", ErrorKind::Unexpected),
        (
            r#"{"code":-1121,"msg":"Invalid symbol."}"#,
            ErrorKind::Ticker,
        ),
        (r#"{"code":-1007,"msg":"Timeout"}"#, ErrorKind::Transient),
        (r#"{"code":-9,"msg":"?"}"#, ErrorKind::Unexpected),
    ] {
        assert_eq!(
            parse(&day, body.as_bytes()).unwrap_err().kind(),
            kind,
            "{body}"
        );
    }
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn read(csv: &str) -> Result<archive::FileRows, String> {
    let request = utc("2025-02-04", "2025-02-04");
    let expected = Expected {
        file: File::Day(request.dates.first()),
        interval: Interval::M1,
        bounds: Bounds::of(&request),
    };
    archive::read(&zip(&[("x.csv", csv.as_bytes())]), &expected, "http://x/")
}

#[test]
fn files_have_a_header_or_none_and_either_unit() {
    let row = |at: i64| format!("{at},10.5,11,10,10.75,4,0,42.5,7,1,2,0");
    let all = |unit: i64| -> String {
        let rows: Vec<String> = (0..1_440)
            .map(|minute| row((DAY + minute * 60_000) * unit))
            .collect();
        rows.join("\n")
    };
    for csv in [
        all(1),
        all(1_000),
        format!("open_time,open\r\n{}\r\n", all(1).replace('\n', "\r\n")),
    ] {
        let found = read(&csv).unwrap();
        assert_eq!(
            (found.rows.bars.len(), found.rows.rejects.len()),
            (1_440, 0)
        );
        assert!(found.missing.is_empty());
    }
    // Two minutes near each other, and the rest of the day.
    let some: Vec<String> = (0..600)
        .filter(|minute| ![5, 8].contains(minute))
        .map(|minute| row(DAY + minute * 60_000))
        .collect();
    let span = |from: i64, until: i64| Span {
        from: DAY + from * 60_000,
        to: DAY + until * 60_000 - 1,
        why: Why::Missing,
    };
    assert_eq!(
        read(&some.join("\n")).unwrap().missing,
        [span(5, 9), span(600, 1_440)]
    );
    // The next day's minute isn't of this file, and a second header isn't a row.
    let odd = format!("{}\n{}\nopen_time,open\n", row(DAY), row(DAY + 86_400_000));
    let found = read(&odd).unwrap();
    let reasons: Vec<Reason> = found
        .rows
        .rejects
        .iter()
        .map(|row| row.reject.reason)
        .collect();
    assert_eq!(reasons, [Reason::OutsideRange, Reason::BadTimestamp]);
}

#[test]
fn hostile_files_are_refused() {
    let request = utc("2025-02-04", "2025-02-04");
    let expected = Expected {
        file: File::Day(request.dates.first()),
        interval: Interval::M1,
        bounds: Bounds::of(&request),
    };
    let refused = |bytes: &[u8]| archive::read(bytes, &expected, "x").err().unwrap();
    assert!(refused(b"").contains("isn't a valid zip"));
    assert!(refused(&zip(&[])).contains("0 files"));
    assert!(refused(&zip(&[("a", b"1"), ("b", b"2")])).contains("2 files"));
    // 40 MB in 40 kB.
    assert!(refused(&zip(&[("a", &vec![b'1'; 40 << 20])])).contains("bytes unzipped"));
    assert!(refused(&zip(&[("a", &b"1\n".repeat(5_000))])).contains("more than 2440 rows"));
    let mut torn = zip(&[("a", &b"1,2,3\n".repeat(100))]);
    torn[40] ^= 0x55;
    assert!(archive::read(&torn, &expected, "x").is_err());
}

#[test]
fn every_error_of_the_service_has_its_own_meaning() {
    let cases: &[(u16, &str, ErrorKind, Scope, Retry)] = &[
        (
            429,
            r#"{"code":-1003,"msg":"Too much request weight used"}"#,
            ErrorKind::Limit,
            Scope::Run,
            Retry::Backoff,
        ),
        (
            400,
            r#"{"code":-1003,"msg":"Too many"}"#,
            ErrorKind::Limit,
            Scope::Run,
            Retry::Backoff,
        ),
        (429, "", ErrorKind::Limit, Scope::Run, Retry::Backoff),
        (
            418,
            r#"{"code":-1003,"msg":"IP banned"}"#,
            ErrorKind::Limit,
            Scope::Run,
            Retry::After(std::time::Duration::from_secs(3_600)),
        ),
        (
            400,
            r#"{"code":-1121,"msg":"Invalid symbol."}"#,
            ErrorKind::Ticker,
            Scope::Ticker,
            Retry::Never,
        ),
        (
            400,
            r#"{"code":-1100,"msg":"Illegal characters found in parameter 'symbol'"}"#,
            ErrorKind::Ticker,
            Scope::Ticker,
            Retry::Never,
        ),
        (
            400,
            r#"{"code":-1120,"msg":"Invalid interval."}"#,
            ErrorKind::BadRequest,
            Scope::Ticker,
            Retry::Never,
        ),
        (
            400,
            r#"{"code":-1102,"msg":"Mandatory parameter"}"#,
            ErrorKind::BadRequest,
            Scope::Ticker,
            Retry::Never,
        ),
        (
            403,
            "<html>",
            ErrorKind::Forbidden,
            Scope::Run,
            Retry::Never,
        ),
        (
            451,
            r#"{"code":0,"msg":"Service unavailable from a restricted location"}"#,
            ErrorKind::Forbidden,
            Scope::Run,
            Retry::Never,
        ),
        (503, "", ErrorKind::Transient, Scope::Window, Retry::Backoff),
        (
            400,
            r#"{"code":-1007,"msg":"Timeout"}"#,
            ErrorKind::Transient,
            Scope::Window,
            Retry::Backoff,
        ),
        (
            404,
            "<html>",
            ErrorKind::BadRequest,
            Scope::Ticker,
            Retry::Never,
        ),
        (301, "", ErrorKind::Ticker, Scope::Ticker, Retry::Never),
    ];
    let request = utc("2025-02-04", "2025-02-04");
    for (status, body, kind, scope, retry) in cases {
        let refusal = classify::refusal(body.as_bytes());
        let error = classify::of_status(&request, *status, refusal.as_ref());
        assert_eq!(error.kind(), *kind, "{status} {body}");
        assert_eq!(error.scope(), *scope, "{status} {body}");
        assert_eq!(error.retry(), *retry, "{status} {body}");
    }
}

#[test]
fn mutated_klines_and_files_never_panic_and_bars_are_valid() {
    let klines = on_page(
        &utc("2025-02-03", "2025-02-05"),
        "0;klines,n,1738540800000,1738799999999",
    );
    let pieces = [
        "null",
        "[",
        "]",
        "1e999",
        "-1",
        "1738627200000",
        "1738627200000000",
    ];
    check_mutated_responses("binance", &client(), &klines, &pieces);
    check_mutations("binance_file", &["\n", "1738627200000,", "x,"], |bytes| {
        let bars = read_file(bytes)?;
        assert!(bars.iter().all(|bar| bar.check().is_ok()));
        assert!(bars.timestamps().is_sorted());
        Some(())
    });
}

#[test]
fn a_checksum_is_that_of_the_file() {
    let bytes = b"PK";
    let hex: String = sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let line = format!("{}  BTCUSDT-1m-2025-02-04.zip\n", hex.to_uppercase());
    assert!(archive::fits(
        bytes,
        &archive::checksum(line.as_bytes()).unwrap()
    ));
    for bad in ["", "<html>", &hex[1..], &format!("{hex}0  x")] {
        assert_eq!(archive::checksum(bad.as_bytes()), None, "{bad}");
    }
}
