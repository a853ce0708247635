//! The client against a listener that responds with bytes of the test's choice.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::model::{Basis, Hours, Source, Ticker};
use crate::provider::contract::{access, request};
use crate::provider::{Error, ErrorKind, Page, Provider, Request, Retry, Scope};

const KEY: &str = "k3yThatIsNeverShown";

/// Responds to each request with the next of `responses`, then with the last one, and closes the
/// connection. The requests are kept.
async fn serve(responses: Vec<Vec<u8>>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stable/", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = requests.clone();
    tokio::spawn(async move {
        for call in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            log.lock().unwrap().push(String::from_utf8(head).unwrap());
            let response = responses.get(call).or(responses.last()).unwrap();
            let _ = socket.write_all(response).await;
            let _ = socket.shutdown().await;
        }
    });
    (url, requests)
}

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

fn client(url: &str) -> Fmp {
    Fmp::new(&access(KEY, url), Source::new("fmp")).unwrap()
}

async fn fetch(fmp: &Fmp, request: &Request) -> Result<Page, Error> {
    let reply = fmp.fetch(request).await?;
    fmp.parse(request, &reply)
}

/// The page or the error of one response.
async fn outcome(bytes: Vec<u8>) -> Result<Page, Error> {
    let (url, _) = serve(vec![bytes]).await;
    fetch(&client(&url), &request("AAPL", "2025-02-03", "2025-02-05")).await
}

#[tokio::test]
async fn the_request_is_as_documented_and_the_key_is_in_the_header_alone() {
    let (url, requests) = serve(vec![response("200 OK", "", "[]")]).await;
    let fmp = client(&url);
    let plain = request("AAPL", "2025-02-03", "2025-02-05");
    let unusual = Request {
        tickers: vec![Ticker::new("^GSPC").unwrap()],
        interval: crate::model::Interval::M60,
        basis: Basis::Unadjusted,
        hours: Hours::Extended,
        ..plain.clone()
    };
    let reply = fmp.fetch(&plain).await.unwrap();
    assert!(!reply.origin.contains(KEY));
    fmp.fetch(&unusual).await.unwrap();
    let requests = requests.lock().unwrap();
    let line = |index: usize| requests[index].lines().next().unwrap().to_owned();
    assert_eq!(
        line(0),
        "GET /stable/historical-chart/1min?symbol=AAPL&from=2025-02-03&to=2025-02-05 HTTP/1.1"
    );
    assert_eq!(
        line(1),
        "GET /stable/historical-chart/1hour?symbol=%5EGSPC&from=2025-02-03&to=2025-02-05&extended=true&nonadjusted=true HTTP/1.1"
    );
    assert!(requests[0].contains(&format!("apikey: {KEY}\r\n")));
    assert!(
        requests[0]
            .to_lowercase()
            .contains("accept-encoding: gzip\r\n")
    );
}

#[tokio::test]
async fn plain_and_compressed_bodies_are_read() {
    let body = r#"[{"date":"2025-02-04 15:59:00","open":233.01,"low":232.72,"high":233.13,"close":232.79,"volume":720121}]"#;
    let plain = outcome(response("200 OK", "", body)).await.unwrap();
    assert_eq!(plain.series[0].1.bars.len(), 1);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, body.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let bytes = [head.as_bytes(), &packed].concat();
    assert_eq!(outcome(bytes).await.unwrap(), plain);
    // Compressed and cut: an error, not a short response.
    let cut = [head.as_bytes(), &packed[..packed.len() - 12]].concat();
    assert_eq!(outcome(cut).await.unwrap_err().retry(), Retry::Backoff);
}

#[tokio::test]
async fn network_faults_are_retried() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[{\"date\":".to_vec();
    let reset = b"HTT".to_vec();
    let page = response("200 OK", "Content-Type: text/html\r\n", "<html>oops</html>");
    let half = response("200 OK", "", r#"[{"date":"2025-02-04 15:59:00","open":2"#);
    for bytes in [
        cut,
        reset,
        page,
        half,
        Vec::new(),
        response("502 Bad Gateway", "", "<html>"),
    ] {
        let error = outcome(bytes.clone()).await.unwrap_err();
        assert_eq!(
            (error.retry(), error.scope()),
            (Retry::Backoff, Scope::Window),
            "{error:?}"
        );
    }
    // Nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = client(&format!("http://{free}"));
    let error = fetch(&gone, &request("AAPL", "2025-02-03", "2025-02-03"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(error.to_string().ends_with(&free.to_string()), "{error}");
    assert_eq!(error.retry(), Retry::Backoff);
}

#[tokio::test]
async fn refusals_are_classified() {
    let json = "Content-Type: application/json\r\n";
    let limit = r#"{"Error Message":"Limit Reach . Please upgrade your plan"}"#;
    let error = outcome(response(
        "429 Too Many Requests",
        "Retry-After: 3\r\n",
        limit,
    ))
    .await;
    let after = Retry::After(std::time::Duration::from_secs(3));
    assert!(
        matches!(&error, Err(e) if e.kind() == ErrorKind::Limit && e.retry() == after),
        "{error:?}"
    );
    let error = outcome(response("200 OK", json, limit)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Limit);
    let text = "Query Error: Invalid or missing query parameter - symbol";
    let error = outcome(response("400 Bad Request", json, text))
        .await
        .unwrap_err();
    assert_eq!(error.scope(), Scope::Ticker);
    assert!(error.to_string().contains(text));
    let error = outcome(response(
        "200 OK",
        json,
        r#"{"Error Message":"new and strange"}"#,
    ))
    .await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(error.detail().contains("new and strange"));
    // A redirect is not followed: it would carry the key.
    let error = outcome(response(
        "302 Found",
        "Location: http://127.0.0.1:1/\r\n",
        "",
    ))
    .await;
    assert!(error.unwrap_err().to_string().contains("status 302"));
}

#[tokio::test]
async fn an_echoed_key_is_in_no_message_and_no_reject() {
    let invalid = format!(r#"{{"Error Message":"Invalid API KEY {KEY}"}}"#);
    let error = outcome(response("401 Unauthorized", "", &invalid))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("***") && !format!("{error:?}").contains(KEY));
    let strange = format!(r#"{{"you sent":"{KEY}"}}"#);
    let error = outcome(response("200 OK", "", &strange)).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains(KEY), "{error:?}");
    let row = format!(r#"[{{"date":"{KEY}"}}]"#);
    let page = outcome(response("200 OK", "", &row)).await.unwrap();
    assert_eq!(
        page.series[0].1.rejects[0].reject.raw,
        r#"[{"date":"***"}]"#.trim_matches(['[', ']'])
    );
    let error = Fmp::new(&access("a\u{1}b", BASE_URL), Source::new("fmp")).err();
    assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Key));
}

#[test]
fn base_urls_are_checked_and_shown_without_a_password() {
    let refused = |url: &str| {
        let client = Fmp::new(&access(KEY, url), Source::new("fmp"));
        client.err().map(|error| error.to_string())
    };
    assert!(refused(BASE_URL).is_none());
    for url in [
        "nonsense",
        "ftp://me:pa55@host/",
        "http://me:pa55@host/x?apikey=1",
        "http://h/#f",
    ] {
        let message = refused(url).unwrap();
        assert!(
            !message.contains("pa55") && !message.contains("apikey=1"),
            "{message}"
        );
    }
}
