//! Requests, bodies and pages of the service.

use super::decode::{self, Expected, NotRows, Unfit};
use super::*;
use crate::model::{Bar, Interval, Reason};
use crate::provider::contract::{access, request};
use crate::provider::mutate::check_mutated_responses;
use crate::provider::{ErrorKind, Page, Provider, Reply, Request, Rows};

const KEY: &str = "k3yThatIsNeverShown";

fn read(body: &str) -> Result<(Rows, Option<String>), NotRows> {
    let request = request("AAPL", "2025-02-03", "2025-02-05");
    let expected = Expected {
        symbol: "AAPL",
        is_adjusted: true,
    };
    decode::page(body.as_bytes(), &request, &expected, "http://x/")
}

fn with_rows(rows: &str) -> String {
    format!(r#"{{"ticker":"AAPL","adjusted":true,"status":"OK","results":[{rows}]}}"#)
}

#[test]
fn mutated_bodies_never_panic_and_bars_are_valid() {
    let client = Massive::new(&access(KEY, BASE_URL)).unwrap();
    let request = request("AAPL", "2025-02-03", "2025-02-05");
    let pieces = ["null", "1e999", "-1", "1738679400000"];
    check_mutated_responses("massive", &client, &request, &pieces);
}

#[test]
fn numbers_are_read_to_the_last_digit_in_every_form() {
    let rows = r#"{"v":588656.8568699993,"vw":187.1512,"o":187.15,"c":187.2,"h":1.8725e2,"l":187.1,"t":1738679400000,"n":148},
        {"t":1738679460000,"o":1,"h":2,"l":0.5,"c":1.5,"v":1.35647456e+08,"otc":true}"#;
    let (rows, next) = read(&with_rows(rows)).unwrap();
    assert!(rows.rejects.is_empty() && next.is_none());
    let bars: Vec<Bar> = rows.bars.iter().collect();
    assert_eq!(bars[0].timestamp.to_string(), "2025-02-04T14:30:00Z");
    assert_eq!(bars[0].volume, 588_656.856_869_999_3);
    assert_eq!(
        (bars[0].high, bars[0].vwap, bars[0].trades),
        (187.25, Some(187.1512), Some(148))
    );
    assert_eq!(
        (bars[1].volume, bars[1].vwap, bars[1].trades),
        (135_647_456.0, None, None)
    );
}

#[test]
fn bad_rows_are_rejects_with_their_reason() {
    let good = r#"{"t":1738679400000,"o":1,"h":2,"l":0.5,"c":1.5,"v":1}"#;
    let bad = [
        (
            r#"{"o":1,"h":2,"l":0.5,"c":1.5,"v":1}"#,
            Reason::BadTimestamp,
        ),
        (
            r#"{"t":"1738679400000","o":1,"h":2,"l":0.5,"c":1.5,"v":1}"#,
            Reason::BadTimestamp,
        ),
        (
            r#"{"t":1738679460001,"o":1,"h":2,"l":0.5,"c":1.5,"v":1}"#,
            Reason::NotWholeMinute,
        ),
        (
            r#"{"t":1738679460000,"o":"1","h":2,"l":0.5,"c":1.5,"v":1}"#,
            Reason::BadNumber,
        ),
        (
            r#"{"t":1738679460000,"o":1,"h":2,"l":0.5,"c":1.5}"#,
            Reason::BadNumber,
        ),
        (
            r#"{"t":1738679460000,"o":1,"h":2,"l":0.5,"c":1.5,"v":1,"n":1.5}"#,
            Reason::BadNumber,
        ),
        (
            r#"{"t":1738679460000,"o":9,"h":2,"l":0.5,"c":1.5,"v":1}"#,
            Reason::HighLowOrder,
        ),
        (
            r#"{"t":1738558799000,"o":1,"h":2,"l":0.5,"c":1.5,"v":1}"#,
            Reason::OutsideRange,
        ),
        (
            r#"{"t":1738818000000,"o":1,"h":2,"l":0.5,"c":1.5,"v":1}"#,
            Reason::OutsideRange,
        ),
        ("7", Reason::BadTimestamp),
    ];
    let body = bad
        .iter()
        .fold(good.to_owned(), |body, (row, _)| body + "," + row);
    let (rows, _) = read(&with_rows(&body)).unwrap();
    assert_eq!(rows.bars.len(), 1);
    let got: Vec<_> = (rows.rejects.iter())
        .map(|row| (row.reject.line, row.reject.raw.as_str(), row.reject.reason))
        .collect();
    let want: Vec<_> = (bad.iter().zip(2..))
        .map(|((raw, reason), line)| (line, *raw, *reason))
        .collect();
    assert_eq!(got, want);
}

#[test]
fn bodies_without_bars_are_empty_errors_or_unfit() {
    let empty = r#"{"ticker":"AAPL","adjusted":true,"status":"OK","resultsCount":0}"#;
    assert!(read(empty).unwrap().0.bars.is_empty());
    let delayed = r#"{"ticker":"AAPL","status":"DELAYED","results":null}"#;
    assert!(read(delayed).unwrap().0.bars.is_empty());
    let without_status = r#"{"ticker":"AAPL","resultsCount":0,"next_url":""}"#;
    assert_eq!(read(without_status).unwrap().1, None);
    for body in ["", "<html>", r#"{"status":"OK","resu"#] {
        assert!(matches!(read(body), Err(NotRows::NotJson(_))), "{body}");
    }
    let other = r#"{"adjusted":true,"status":"OK"}"#;
    for body in [
        "[]",
        "null",
        "3",
        "{}",
        other,
        r#"{"status":"OK","results":7}"#,
    ] {
        assert!(matches!(read(body), Err(NotRows::OtherJson)), "{body}");
    }
    let refused = r#"{"status":"NOT_AUTHORIZED","message":"no"}"#;
    assert!(matches!(read(refused), Err(NotRows::Refused { .. })));
    for (body, unfit) in [
        (
            r#"{"ticker":"MSFT","adjusted":true,"status":"OK"}"#,
            Unfit::Ticker,
        ),
        (
            r#"{"ticker":"AAPL","adjusted":false,"status":"OK"}"#,
            Unfit::Basis,
        ),
    ] {
        assert!(
            matches!(read(body), Err(NotRows::Unfit(found)) if found == unfit),
            "{body}"
        );
    }
}

fn page(base: &str, next: &str) -> Result<Page, ErrorKind> {
    let client = Massive::new(&access(KEY, base)).unwrap();
    let body = format!(r#"{{"ticker":"AAPL","adjusted":true,"status":"OK","next_url":"{next}"}}"#);
    let reply = Reply {
        origin: String::new(),
        body: body.into_bytes(),
        page: None,
    };
    let request = request("AAPL", "2025-02-03", "2025-02-05");
    client.parse(&request, &reply).map_err(|error| {
        assert!(!error.to_string().contains("cursor"), "{error}");
        error.kind()
    })
}

#[test]
fn a_next_page_is_only_followed_on_the_same_server() {
    let next = "https://api.massive.com/v2/aggs/ticker/AAPL/range/1/minute/17/2025-02-05?cursor=x";
    let token = page(BASE_URL, next).unwrap().next.unwrap().0;
    assert_eq!(
        token,
        "/v2/aggs/ticker/AAPL/range/1/minute/17/2025-02-05?cursor=x"
    );
    assert!(page("https://me:pw@api.massive.com/", next).is_ok());
    for next in [
        "https://api.massive.com.example.org/v2/aggs/ticker/AAPL/?cursor=x",
        "http://api.massive.com/v2/aggs/ticker/AAPL/?cursor=x",
        "https://api.massive.com:8443/v2/aggs/ticker/AAPL/?cursor=x",
        "https://api.massive.com/v3/elsewhere?cursor=x",
        "https://api.massive.com/v2/aggs/ticker/../../../v3/x?cursor=x",
        "/v2/aggs/ticker/AAPL/?cursor=x",
    ] {
        assert_eq!(
            page(BASE_URL, next).unwrap_err(),
            ErrorKind::Unexpected,
            "{next}"
        );
    }
}

#[tokio::test]
async fn requests_are_as_documented_and_the_key_is_in_the_header_alone() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = Massive::new(&access(KEY, &url)).unwrap();
    let new_york = request("BRK-B", "2025-02-03", "2025-02-05");
    let utc = Request {
        interval: Interval::M60,
        tz: chrono_tz::UTC,
        basis: crate::model::Basis::Unadjusted,
        ..request("X:BTCUSD", "2025-02-03", "2025-02-03")
    };
    for (request, expected) in [
        (
            new_york,
            "GET /v2/aggs/ticker/BRK.B/range/1/minute/2025-02-03/2025-02-05?adjusted=true&sort=asc&limit=50000 ",
        ),
        (
            utc,
            "GET /v2/aggs/ticker/X:BTCUSD/range/1/hour/1738540800000/1738627199999?adjusted=false&sort=asc&limit=50000 ",
        ),
    ] {
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let response = format!("HTTP/1.1 401 No\r\ncontent-length: 21\r\n\r\n{KEY}xx");
            socket.write_all(response.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        };
        let (head, error) = tokio::join!(server, client.fetch(&request));
        assert!(head.starts_with(expected), "{head}");
        assert!(
            head.contains(&format!("authorization: Bearer {KEY}\r\n")),
            "{head}"
        );
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
        assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
    }
}
