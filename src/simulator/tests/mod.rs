//! The simulator over real HTTP, against what fmp.md says of the service.

mod errors;
mod faults;
mod market;
mod responses;
mod world;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Clock, Config, Running, Simulator};
use crate::model::Timestamp;

/// A bar as a client reads it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Bar {
    date: String,
    #[serde(deserialize_with = "exact")]
    open: f64,
    #[serde(deserialize_with = "exact")]
    low: f64,
    #[serde(deserialize_with = "exact")]
    high: f64,
    #[serde(deserialize_with = "exact")]
    close: f64,
    #[serde(deserialize_with = "exact")]
    volume: f64,
}

/// Reads a number exactly; serde_json alone may be off by one bit.
fn exact<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?;
    raw.get().parse().map_err(serde::de::Error::custom)
}

/// A whole response.
#[derive(Debug)]
struct HttpResponse {
    status: u16,
    content_type: String,
    head: String,
    body: Vec<u8>,
}

impl HttpResponse {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn bars(&self) -> Vec<Bar> {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn clock_at(text: &str) -> Clock {
    let at: DateTime<Utc> = text.parse().unwrap();
    Arc::new(move || Timestamp::from(at))
}

/// A simulator whose clock is stopped at the end of 2025, without late openings.
fn simulator() -> Running {
    start(Config {
        late_opening: 0.0,
        ..Config::default()
    })
}

fn start(config: Config) -> Running {
    Simulator::start(config, clock_at("2025-12-31T23:00:00Z")).unwrap()
}

/// Sends a request over a new connection and reads it to the end.
fn exchange(running: &Running, request: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(running.address())?;
    stream.set_read_timeout(Some(Duration::from_millis(2_000)))?;
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    Ok(response)
}

fn send(running: &Running, path: &str, headers: &str) -> io::Result<HttpResponse> {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    parse(&exchange(running, &request)?)
}

fn parse(raw: &[u8]) -> io::Result<HttpResponse> {
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let end = raw
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(cut)?;
    let head = String::from_utf8(raw[..end].to_vec())
        .unwrap()
        .to_ascii_lowercase();
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let mut body = raw[end + 4..].to_vec();
    if header("transfer-encoding").as_deref() == Some("chunked") {
        body = dechunk(&body).ok_or_else(cut)?;
    } else {
        let length: usize = header("content-length").unwrap().parse().unwrap();
        if body.len() != length {
            return Err(cut());
        }
    }
    Ok(HttpResponse {
        status: head[9..12].parse().unwrap(),
        content_type: header("content-type").unwrap_or_default(),
        head,
        body,
    })
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        rest = rest.get(line + 2..)?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

/// A request for bars with a good key; `query` is what follows the interval, `1min?symbol=…`.
fn get(running: &Running, query: &str) -> HttpResponse {
    send(
        running,
        &format!("/stable/historical-chart/{query}"),
        "apikey: secret\r\n",
    )
    .unwrap()
}

fn bars(running: &Running, query: &str) -> Vec<Bar> {
    get(running, query).bars()
}

/// The wall times of one date's bars, oldest first.
fn times(bars: &[Bar], date: &str) -> Vec<String> {
    bars.iter()
        .rev()
        .filter_map(|bar| bar.date.strip_prefix(date)?.strip_prefix(' '))
        .map(str::to_owned)
        .collect()
}

fn post(running: &Running, change: &str) -> HttpResponse {
    let request = format!(
        "POST /simulator HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{change}",
        change.len()
    );
    let response = parse(&exchange(running, &request).unwrap()).unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    response
}

/// A symbol with few missing minutes and no split in 2024 and 2025.
fn liquid() -> &'static str {
    let quiet = |symbol: &&str| {
        let instrument =
            super::instrument::Instrument::new(Config::default().seed, symbol).unwrap();
        let years = ["2024", "2025"];
        instrument.missing < 100
            && !instrument.splits.iter().any(|split| {
                years
                    .iter()
                    .any(|year| split.date.to_string().starts_with(year))
            })
    };
    ["AAPL", "MSFT", "NVDA", "AMD", "INTC", "META", "TSLA", "SPY"]
        .into_iter()
        .find(quiet)
        .unwrap()
}
