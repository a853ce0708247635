//! What a status and the service's error code mean.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use super::symbol;
use crate::advice::Advice;
use crate::provider::http::{Http, HttpResponse};
use crate::provider::{Error, ErrorKind, Request};

/// How long a ban lasts whose response doesn't say so: bans last from minutes to days.
const BAN_UNNAMED: Duration = Duration::from_secs(3_600);

/// The form of the service's errors.
#[derive(Debug, Deserialize)]
struct ErrorObject<'a> {
    code: i64,
    #[serde(borrow)]
    msg: Cow<'a, str>,
}

/// An error of the service.
#[derive(Debug)]
pub(super) struct Refusal {
    code: i64,
    text: String,
}

/// The error in a body; `None` if it has none.
pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    let object: ErrorObject<'_> = serde_json::from_slice(body).ok()?;
    Some(Refusal {
        code: object.code,
        text: object.msg.into_owned(),
    })
}

/// The error of a response other than 200.
pub(super) fn error_of(http: &Http, request: &Request, response: &HttpResponse) -> Error {
    let body = &response.reply.body;
    let refusal = refusal(body);
    let error = of_status(request, response.status, refusal.as_ref());
    let text = refusal.map_or_else(
        || String::from_utf8_lossy(body).into_owned(),
        |refusal| refusal.text,
    );
    let error = match text.trim() {
        "" => error,
        text => error.with_detail(http.excerpt(text.as_bytes())),
    };
    match response.retry_after {
        None => error,
        wait => error.with_retry_after(wait),
    }
}

/// The error of a status and the service's error in a body without klines.
pub(super) fn of_status(request: &Request, status: u16, refusal: Option<&Refusal>) -> Error {
    let (code, text) = refusal.map_or((0, ""), |refusal| (refusal.code, refusal.text.as_str()));
    match (status, code) {
        (418, _) => banned(),
        (429, _) | (_, -1003 | -1015) => Error::new(ErrorKind::Limit, "too many requests"),
        (451, _) => Error::new(
            ErrorKind::Forbidden,
            "the provider refuses the country of this address (status 451)",
        )
        .with_hint(
            "request past days only, which come from public files; or set BINANCE_BASE_URL to https://data-api.binance.vision, which has market data only",
        ),
        (403, _) => Error::new(
            ErrorKind::Forbidden,
            "the provider's firewall refuses the requests (status 403)",
        )
        .with_hint(Advice::ResumeLater { lower_rate: true }),
        (_, -1121) => unknown(request),
        // The only text of a request that a user types.
        (_, -1100) if text.contains("symbol") => unknown(request),
        (408 | 425 | 500.., _) | (_, -1000 | -1001 | -1006 | -1007 | -1008 | -1016) => Error::new(
            ErrorKind::Transient,
            format!("the provider failed with status {status}"),
        )
        .in_window(request),
        (400 | 404, _) => Error::new(
            ErrorKind::BadRequest,
            format!("the provider doesn't understand the request (status {status})"),
        )
        .in_window(request),
        (200, _) => Error::new(
            ErrorKind::Unexpected,
            format!("the response is the error {code}"),
        )
        .in_window(request),
        _ => {
            Error::new(ErrorKind::Ticker, format!("unexpected status {status}")).in_window(request)
        }
    }
}

/// Requests during a ban make it longer. Without a time from the server, the run ends.
fn banned() -> Error {
    Error::new(ErrorKind::Limit, "the provider bans this address")
        .with_retry_after(Some(BAN_UNNAMED))
}

fn unknown(request: &Request) -> Error {
    let ticker = &request.tickers[0];
    let error = Error::new(
        ErrorKind::Ticker,
        format!("the provider doesn't have {ticker}"),
    );
    match symbol::in_tether(ticker.as_str()) {
        Some(pair) => error.with_hint(format!(
            "{ticker} is in US dollars; the provider trades {pair}, whose prices differ a little"
        )),
        None => error,
    }
}
