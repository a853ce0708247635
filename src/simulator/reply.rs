//! The service's responses: each of its errors, and the ways in which a response can break.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::stream;

use super::fault::FaultKind;
use super::quota::Spent;
use super::wire::Wire;

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// How long a stalled connection is kept.
const STALL: Duration = Duration::from_secs(600);
/// Time for written bytes to be sent before the connection breaks.
const FLUSH: Duration = Duration::from_millis(20);
/// Parts of a slow body, and the wait between them.
const SLOW_PIECES: usize = 10;
const SLOW_WAIT: Duration = Duration::from_millis(30);

const UPGRADE: &str = "https://site.financialmodelingprep.com/developer/docs/pricing";

/// A response before it is sent.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    content_type: &'static str,
    pub body: Vec<u8>,
    retry_after: bool,
    delivery: Delivery,
}

/// How a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Whole,
    Reset,
    ResetBody,
    Stall,
    StallBody,
    Cut,
    CutChunked,
    Slow,
}

impl Reply {
    fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            retry_after: false,
            delivery: Delivery::Whole,
        }
    }

    /// Bars, or any other good JSON.
    pub(super) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, JSON, body)
    }

    fn error(status: u16, message: &str) -> Self {
        Self::new(status, JSON, format!("{{\"Error Message\":\"{message}\"}}"))
    }

    /// A missing or unknown key.
    pub(super) fn invalid_key() -> Self {
        Self::error(
            401,
            "Invalid API KEY. Feel free to create a Free API Key or visit \
             https://site.financialmodelingprep.com/faqs?search=why-is-my-api-key-invalid for more information.",
        )
    }

    /// The plan lacks the interval.
    pub(super) fn restricted() -> Self {
        Self::new(
            402,
            TEXT,
            format!(
                "Restricted Endpoint: This endpoint is not available under your current subscription please visit our \
                 subscription page to upgrade your plan at {UPGRADE}"
            ),
        )
    }

    /// The plan lacks the symbol.
    pub(super) fn premium_symbol() -> Self {
        Self::new(
            402,
            TEXT,
            format!(
                "Premium Query Parameter: 'Special Endpoint : This value set for 'symbol' is not available under your \
                 current subscription please visit our subscription page to upgrade your plan at {UPGRADE}"
            ),
        )
    }

    /// An address of an older version.
    pub(super) fn legacy() -> Self {
        Self::error(
            403,
            "Legacy Endpoint : Due to Legacy endpoints being no longer supported - This endpoint is only available for \
             legacy users who have valid subscriptions prior August 31, 2025. Please visit our subscription page \
             https://site.financialmodelingprep.com/developer/docs/pricing.",
        )
    }

    pub(super) fn suspended() -> Self {
        Self::error(
            403,
            "Your account has been suspended. Please contact support.",
        )
    }

    /// A limit is spent.
    pub(super) fn spent(spent: Spent) -> Self {
        let what = match spent {
            Spent::Rate | Spent::Day => "Limit Reach",
            Spent::Bandwidth => "Bandwidth Limit Reach",
        };
        Self::error(429, &limit_message(what))
    }

    /// A query parameter is missing or unreadable. The text is plain, its content type is not.
    pub(super) fn bad_query(parameter: &str) -> Self {
        let body = format!("Query Error: Invalid or missing query parameter - {parameter}");
        Self::new(400, JSON, body)
    }

    /// An unknown address.
    pub(super) fn not_found() -> Self {
        Self::new(404, JSON, "[]")
    }

    /// A wrong use of the simulator's own interface.
    pub(super) fn misuse(message: impl Into<String>) -> Self {
        Self::new(400, TEXT, message.into())
    }

    /// The response after `fault`.
    pub(super) fn spoiled(self, fault: FaultKind) -> Self {
        use FaultKind as K;
        let deliver = |delivery| Self {
            delivery,
            ..Self::json("")
        };
        match fault {
            K::Error500 => Self::new(500, HTML, page("500 Internal Server Error")),
            K::Error502 => Self::new(502, HTML, page("502 Bad Gateway")),
            K::Error503 => Self::new(
                503,
                TEXT,
                "upstream connect error or disconnect/reset before headers",
            ),
            K::Html => Self::new(200, HTML, page("Just a moment...")),
            K::Garbage => Self::json([0x1f, 0x8b, 0xff, 0x00, 0xfe, b'[', 0x80, b'{', 0x07]),
            K::Empty => Self::json("[]"),
            K::ErrorObject => Self {
                status: 200,
                ..Self::spent(Spent::Rate)
            },
            K::StrangeObject => Self::json(r#"{"message":"something went wrong"}"#),
            K::InvalidKey => Self::invalid_key(),
            K::Restricted => Self::restricted(),
            K::PremiumSymbol => Self::premium_symbol(),
            K::Legacy => Self::legacy(),
            K::Suspended => Self::suspended(),
            K::Limit => Self::spent(Spent::Rate),
            K::LimitRetryAfter => Self {
                retry_after: true,
                ..Self::spent(Spent::Rate)
            },
            K::Bandwidth => Self::spent(Spent::Bandwidth),
            K::BadQuery => Self::bad_query("symbol"),
            K::Reset => deliver(Delivery::Reset),
            K::Stall => deliver(Delivery::Stall),
            K::ResetBody => Self {
                delivery: Delivery::ResetBody,
                ..self
            },
            K::StallBody => Self {
                delivery: Delivery::StallBody,
                ..self
            },
            K::Cut => Self {
                delivery: Delivery::Cut,
                ..self
            },
            K::CutChunked => Self {
                delivery: Delivery::CutChunked,
                ..self
            },
            K::Slow => Self {
                delivery: Delivery::Slow,
                ..self
            },
            K::Half => {
                let mut half = self.body;
                half.truncate(half.len() / 2);
                Self::json(half)
            }
            K::Strings => Self::json(strings(&self.body)),
            K::Renamed => {
                let body = String::from_utf8_lossy(&self.body);
                Self::json(body.replace("\"close\":", "\"last\":"))
            }
            K::BadOhlc | K::Spike | K::LateOpening | K::Truncated | K::Capped => self,
        }
    }

    /// Sends the response over the connection of `wire`, whole or broken.
    pub(super) async fn send(self, wire: &Wire) -> Response<Body> {
        let length = self.body.len();
        let half = length / 2;
        let start = Bytes::copy_from_slice(&self.body[..half]);
        let rest = self.body;
        let wire = wire.clone();
        let (body, length) = match self.delivery {
            Delivery::Whole => (Body::from(rest), None),
            Delivery::Reset => {
                wire.reset();
                (Body::empty(), None)
            }
            Delivery::Stall => {
                tokio::time::sleep(STALL).await;
                wire.reset();
                (Body::empty(), None)
            }
            Delivery::StallBody => (two_steps(start, STALL, || Ok(Bytes::new())), Some(length)),
            Delivery::Cut => (two_steps(start, FLUSH, end_early), Some(length)),
            Delivery::CutChunked => (two_steps(start, FLUSH, end_early), None),
            Delivery::ResetBody => {
                let tail = Bytes::copy_from_slice(&rest[half..]);
                let reset = move || {
                    wire.reset();
                    Ok(tail)
                };
                (two_steps(start, FLUSH, reset), Some(length))
            }
            Delivery::Slow => (drops(rest), Some(length)),
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn limit_message(what: &str) -> String {
    format!(
        "{what} . Please upgrade your plan or visit our documentation for more details at \
         https://site.financialmodelingprep.com/"
    )
}

fn page(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><center><h1>{title}</h1></center></body></html>\n"
    )
}

/// The same JSON with every number as a string. No text in bars has a colon before a digit.
fn strings(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() * 5 / 4);
    let mut inside = false;
    for (at, &byte) in body.iter().enumerate() {
        let starts = body[..at].ends_with(b"\":") && byte.is_ascii_digit();
        let ends = inside && matches!(byte, b',' | b'}');
        if starts || ends {
            out.push(b'"');
        }
        inside = (inside || starts) && !ends;
        out.push(byte);
    }
    out
}

fn end_early() -> io::Result<Bytes> {
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// A body that starts, waits, and continues with what `then` returns.
fn two_steps<F>(start: Bytes, wait: Duration, then: F) -> Body
where
    F: FnOnce() -> io::Result<Bytes> + Send + 'static,
{
    Body::from_stream(stream::unfold(
        (Some(start), Some(then)),
        move |(start, then)| async move {
            match (start, then) {
                (Some(start), then) => Some((Ok(start), (None, then))),
                (None, Some(then)) => {
                    tokio::time::sleep(wait).await;
                    Some((then(), (None, None)))
                }
                (None, None) => None,
            }
        },
    ))
}

fn drops(body: Vec<u8>) -> Body {
    let body = Bytes::from(body);
    let piece = body.len().div_ceil(SLOW_PIECES).max(1);
    Body::from_stream(stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(SLOW_WAIT).await;
        let drop = rest.split_to(piece.min(rest.len()));
        Some((Ok::<_, io::Error>(drop), rest))
    }))
}
