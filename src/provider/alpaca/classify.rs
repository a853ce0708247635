//! What a status and an error text mean.

use std::borrow::Cow;

use serde::Deserialize;

use super::symbol;
use crate::advice::Advice;
use crate::model::Ticker;
use crate::provider::{Error, ErrorKind, Request};

/// The environment variables with the two parts of the key.
pub(super) const KEY_VARIABLES: [&str; 2] = ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"];

/// What to do about a key.
pub(super) const KEY_ADVICE: Advice = Advice::SetKey {
    variables: Some(Cow::Borrowed("APCA_API_KEY_ID and APCA_API_SECRET_KEY")),
};

/// The form of the service's own errors.
#[derive(Deserialize)]
struct ErrorObject {
    message: String,
}

/// The text of an error object; `None` if the body isn't one.
pub(super) fn error_text(body: &[u8]) -> Option<String> {
    let object: ErrorObject = serde_json::from_slice(body).ok()?;
    Some(object.message)
}

/// The error of a response with a status other than 200. `text` is the error object's message, or
/// the body.
pub(super) fn of_status(request: &Request, status: u16, text: &str) -> Error {
    // Older versions refused with 422 what is refused with 403 or 400 now.
    match status {
        // Its body is a page of the proxy.
        401 => bad_key(status),
        429 => Error::new(ErrorKind::Limit, "too many requests"),
        400 | 403 | 422 if text.contains("recent SIP") => {
            let message = "the plan of the key doesn't include the newest bars";
            Error::new(ErrorKind::Withheld, message).in_window(request)
        }
        403 if text.contains("forbidden") => bad_key(status),
        403 => Error::new(
            ErrorKind::Forbidden,
            "the provider forbids the request (status 403)",
        ),
        400 | 422 if text.to_lowercase().contains("invalid symbol") => {
            let message = format!("the provider refuses a ticker (status {status})");
            Error::new(ErrorKind::Ticker, message).about(refused(request, text))
        }
        400 | 422 => Error::new(
            ErrorKind::BadRequest,
            format!("the provider doesn't understand the request (status {status})"),
        )
        .in_window(request),
        408 | 425 | 500.. => Error::new(
            ErrorKind::Transient,
            format!("the provider failed with status {status}"),
        )
        .in_window(request),
        _ => Error::new(ErrorKind::Unexpected, format!("unexpected status {status}"))
            .in_window(request),
    }
}

fn bad_key(status: u16) -> Error {
    let message = format!("the provider refuses the key (status {status})");
    Error::new(ErrorKind::Key, message).with_hint(KEY_ADVICE)
}

/// The ticker that an error text names, if it is one of the request.
fn refused(request: &Request, text: &str) -> Option<Ticker> {
    let (_, named) = text.split_once(": ")?;
    // A later version writes the words twice, and others may write more after the name.
    let named = named.rsplit(": ").next()?;
    let named = named.split([' ', ',', '"']).next()?;
    let tickers = request.tickers.iter();
    let mut named = tickers.filter(|ticker| symbol::spelled(ticker) == named);
    named.next().cloned()
}
