//! Requests, bodies and pages of the service.

use super::decode::{self, NotRows};
use super::*;
use crate::model::{Bar, Basis, Interval, Reason, Ticker, Timestamp};
use crate::provider::contract::{access_of_parts, request};
use crate::provider::mutate::check_mutated_responses;
use crate::provider::{ErrorKind, Page, PageToken, Request, Scope};

const ID: &str = "idThatIsNeverShown";
const SECRET: &str = "secretThatIsNeverShown";

fn client(url: &str, feed: Feed) -> Alpaca {
    Alpaca::new(&access_of_parts(&[ID, SECRET], url), feed).unwrap()
}

/// A request for these tickers, made at `now`.
fn request_of(tickers: &[&str], now: &str) -> Request {
    let now: chrono::DateTime<chrono::Utc> = now.parse().unwrap();
    Request {
        tickers: tickers
            .iter()
            .map(|name| Ticker::new(name).unwrap())
            .collect(),
        latest: Bar::latest_open(Timestamp::from(now)),
        ..request("AAPL", "2025-02-03", "2025-02-05")
    }
}

fn read(body: &str) -> Result<Page, NotRows> {
    let request = request_of(&["AAPL", "BRK-B", "BRK.B"], "2026-01-01T00:00:00Z");
    decode::page(body.as_bytes(), &request, "http://x/")
}

#[test]
fn mutated_bodies_never_panic_and_bars_are_valid() {
    let client = client(BASE_URL, Feed::Sip);
    let request = request_of(&["AAPL", "BRK-B"], "2026-01-01T00:00:00Z");
    let pieces = ["null", "1e999", "-1", "2025-02-04T14:30:00Z", "BRK.B"];
    check_mutated_responses("alpaca", &client, &request, &pieces);
}

#[test]
fn bars_belong_to_every_ticker_of_their_symbol() {
    let body = r#"{"bars":{"BRK.B":[{"c":177,"h":177.5,"l":1.7685e2,"n":812,"o":176.9,"t":"2025-02-04T14:30:00Z","v":91234,"vw":176.92},
        {"c":1,"h":1,"l":1,"n":0,"o":1,"t":"2025-02-04T14:31:00Z","v":0,"vw":0}]},"next_page_token":"QlJL"}"#;
    let page = read(body).unwrap();
    assert_eq!(page.next, Some(PageToken("QlJL".to_owned())));
    let tickers: Vec<&str> = page
        .series
        .iter()
        .map(|(ticker, _)| ticker.as_str())
        .collect();
    assert_eq!(tickers, ["BRK-B", "BRK.B"]);
    for (_, rows) in &page.series {
        assert!(rows.rejects.is_empty());
        let bars: Vec<Bar> = rows.bars.iter().collect();
        assert_eq!(bars[0].timestamp.to_string(), "2025-02-04T14:30:00Z");
        assert_eq!(
            (bars[0].low, bars[0].close, bars[0].volume),
            (176.85, 177.0, 91_234.0)
        );
        assert_eq!((bars[0].vwap, bars[0].trades), (Some(176.92), Some(812)));
        assert_eq!((bars[1].vwap, bars[1].trades), (None, Some(0)));
    }
}

#[test]
fn bad_rows_are_rejects_with_their_reason() {
    let row = |t: &str, rest: &str| format!(r#"{{"t":{t},{rest}}}"#);
    let good = r#""o":1,"h":2,"l":0.5,"c":1.5,"v":1"#;
    let rows = [
        (row(r#""2025-02-04T14:31:00Z""#, good), None),
        (row("1738679400000", good), Some(Reason::BadTimestamp)),
        (row(r#""yesterday""#, good), Some(Reason::BadTimestamp)),
        (
            row(r#""2025-02-04T14:31:01Z""#, good),
            Some(Reason::NotWholeMinute),
        ),
        (
            row(r#""2025-02-03T04:59:00Z""#, good),
            Some(Reason::OutsideRange),
        ),
        (
            row(r#""2025-02-06T05:00:00Z""#, good),
            Some(Reason::OutsideRange),
        ),
        (
            row(
                r#""2025-02-04T14:31:00Z""#,
                r#""o":1,"h":2,"l":0.5,"c":1.5"#,
            ),
            Some(Reason::BadNumber),
        ),
        (
            row(
                r#""2025-02-04T14:31:00Z""#,
                r#""o":3,"h":2,"l":0.5,"c":1.5,"v":1"#,
            ),
            Some(Reason::HighLowOrder),
        ),
        ("7".to_owned(), Some(Reason::BadTimestamp)),
    ];
    let texts: Vec<&str> = rows.iter().map(|(row, _)| row.as_str()).collect();
    let body = format!(
        r#"{{"bars":{{"AAPL":[{}]}},"next_page_token":null}}"#,
        texts.join(",")
    );
    let page = read(&body).unwrap();
    let (_, read) = &page.series[0];
    assert_eq!(read.bars.len(), 1);
    let got: Vec<(&str, Option<Reason>)> = (read.rejects.iter())
        .map(|row| (row.reject.raw.as_str(), Some(row.reject.reason)))
        .collect();
    let want: Vec<(&str, Option<Reason>)> = (rows.iter().skip(1))
        .map(|(row, reason)| (row.as_str(), *reason))
        .collect();
    assert_eq!(got, want);
}

#[test]
fn pages_without_bars_differ_from_other_bodies() {
    for body in [
        r#"{"bars":{},"next_page_token":null}"#,
        r#"{"bars":null,"next_page_token":null}"#,
        r#"{"next_page_token":null}"#,
        r#"{"bars":{"AAPL":[]},"next_page_token":null}"#,
    ] {
        let page = read(body).unwrap();
        let is_empty = page.series.iter().all(|(_, rows)| rows.bars.is_empty());
        assert!(is_empty && page.next.is_none(), "{body}");
    }
    let more = read(r#"{"bars":{},"next_page_token":"x"}"#).unwrap();
    assert!(more.next.is_some());
    for body in ["", "<html>", r#"{"bars":{"AAPL":[{"c":17"#] {
        assert!(matches!(read(body), Err(NotRows::NotJson(_))), "{body}");
    }
    for body in [
        "[]",
        "null",
        "{}",
        r#"{"message":"x"}"#,
        r#"{"bars":[]}"#,
        r#"{"bars":{"AAPL":7}}"#,
    ] {
        assert!(matches!(read(body), Err(NotRows::OtherJson)), "{body}");
    }
    let other = r#"{"bars":{"OTHER":[]},"next_page_token":null}"#;
    assert!(matches!(read(other), Err(NotRows::OtherTicker)));
}

/// The server's end of one request: the head that it got.
async fn respond(listener: &tokio::net::TcpListener, response: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    socket.write_all(response.as_bytes()).await.unwrap();
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn requests_are_as_documented_and_end_before_the_newest_bars() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let later = "2026-01-01T00:00:00Z";
    let during = "2025-02-05T20:30:10Z";
    let old = request_of(&["MSFT", "BRK-B", "AAPL"], later);
    let recent = request_of(&["AAPL"], during);
    let further = Request {
        page: Some(PageToken("a+/=".to_owned())),
        ..recent.clone()
    };
    let hours = Request {
        interval: Interval::M60,
        basis: Basis::Unadjusted,
        ..recent.clone()
    };
    let sip = "2025-02-05T20%3A14%3A10.000Z";
    let whole = "2025-02-06T04%3A59%3A59.999Z";
    let expected = |symbols: &str, timeframe: &str, end: &str, more: &str| {
        format!(
            "GET /v2/stocks/bars?symbols={symbols}&timeframe={timeframe}&start=2025-02-03T05%3A00%3A00.000Z&end={end}&limit=10000&{more}"
        )
    };
    for (feed, request, expected) in [
        (
            Feed::Sip,
            &old,
            expected(
                "AAPL%2CBRK.B%2CMSFT",
                "1Min",
                whole,
                "adjustment=split&feed=sip&asof=",
            ),
        ),
        (
            Feed::Sip,
            &recent,
            expected("AAPL", "1Min", sip, "adjustment=split&feed=sip&asof="),
        ),
        (
            Feed::Sip,
            &further,
            expected("AAPL", "1Min", sip, "adjustment=split&feed=sip&asof="),
        ),
        (
            Feed::Iex,
            &hours,
            expected("AAPL", "1Hour", whole, "adjustment=raw&feed=iex&asof="),
        ),
    ] {
        let client = client(&url, feed);
        let response = format!("HTTP/1.1 401 No\r\ncontent-length: 42\r\n\r\n{ID} {SECRET} ");
        let (head, error) = tokio::join!(respond(&listener, &response), client.fetch(request));
        assert!(head.starts_with(&expected), "{head}");
        assert_eq!(
            request.page.is_some(),
            head.contains("&page_token=a%2B%2F%3D "),
            "{head}"
        );
        for header in [
            format!("apca-api-key-id: {ID}\r\n"),
            format!("apca-api-secret-key: {SECRET}\r\n"),
        ] {
            assert!(head.contains(&header), "{head}");
        }
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
        for part in [ID, SECRET] {
            assert!(!format!("{error} {error:?}").contains(part), "{error}");
        }
    }
    // Nothing of these dates can be requested yet.
    let early = request_of(&["AAPL"], "2025-02-03T05:10:00Z");
    let error = client(&url, Feed::Sip).fetch(&early).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Withheld);
    // No content is a page without bars.
    let client = client(&url, Feed::Sip);
    let (_, reply) = tokio::join!(
        respond(&listener, "HTTP/1.1 204 No Content\r\n\r\n"),
        client.fetch(&old)
    );
    assert_eq!(
        client.parse(&old, &reply.unwrap()).unwrap(),
        Page::default()
    );
}

#[test]
fn every_error_of_the_service_has_its_own_meaning() {
    use ErrorKind as K;
    let recent = "subscription does not permit querying recent SIP data";
    let cases: &[(u16, &str, ErrorKind, Scope)] = &[
        (
            401,
            "<html><head><title>401 Authorization Required",
            K::Key,
            Scope::Run,
        ),
        (403, "forbidden.", K::Key, Scope::Run),
        (403, "something else", K::Forbidden, Scope::Run),
        (403, recent, K::Withheld, Scope::Window),
        (422, recent, K::Withheld, Scope::Window),
        (400, "invalid symbol: BRK.B", K::Ticker, Scope::Ticker),
        (
            422,
            "code=400, message=invalid symbol: BRK.B",
            K::Ticker,
            Scope::Ticker,
        ),
        (
            400,
            "end should not be before start",
            K::BadRequest,
            Scope::Ticker,
        ),
        (
            400,
            "invalid timeframe: 3Fortnight",
            K::BadRequest,
            Scope::Ticker,
        ),
        (404, "", K::Unexpected, Scope::Window),
        (429, "too many requests.", K::Limit, Scope::Run),
        (500, "", K::Transient, Scope::Window),
        (504, "<html>", K::Transient, Scope::Window),
    ];
    let request = request_of(&["AAPL", "BRK-B"], "2026-01-01T00:00:00Z");
    for (status, text, kind, scope) in cases {
        let error = classify::of_status(&request, *status, text);
        assert_eq!(
            (error.kind(), error.scope()),
            (*kind, *scope),
            "{status} {text}"
        );
        let named = text.contains("BRK.B").then_some("BRK-B");
        assert_eq!(error.ticker().map(Ticker::as_str), named, "{text}");
    }
    let unknown = classify::of_status(&request, 400, "invalid symbol: OTHER");
    assert_eq!((unknown.kind(), unknown.ticker()), (K::Ticker, None));
}
