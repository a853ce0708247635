//! A response, and the ways in which it can break on its way.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::stream;

use super::wire::Wire;

pub(super) const JSON: &str = "application/json; charset=utf-8";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// How long a stalled connection is kept.
const STALL: Duration = Duration::from_secs(600);
/// Time for written bytes to be sent before the connection breaks.
const FLUSH: Duration = Duration::from_millis(20);
/// Parts of a slow body, and the wait between them.
const SLOW_PIECES: usize = 10;
const SLOW_WAIT: Duration = Duration::from_millis(30);

/// A response before it is sent.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    /// The seconds of `Retry-After`.
    pub retry_after: Option<u32>,
    /// Headers of the vendor.
    pub headers: Vec<(&'static str, String)>,
    pub delivery: Delivery,
}

/// How a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
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
    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            retry_after: None,
            headers: Vec::new(),
            delivery: Delivery::Whole,
        }
    }

    /// Bars, or any other good JSON.
    pub(super) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, JSON, body)
    }

    /// A wrong use of the simulator's own interface.
    pub(super) fn misuse(message: impl Into<String>) -> Self {
        Self::new(400, TEXT, message.into())
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
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
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
