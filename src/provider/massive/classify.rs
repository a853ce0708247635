//! What a status and an error text mean.
//!
//! `upgrade your plan` is in texts of different scope, so each text is recognised by words that no
//! other text has.

use std::borrow::Cow;

use serde::Deserialize;

use crate::advice::Advice;
use crate::provider::{Error, ErrorKind, Request};

/// What to do about a key.
pub(super) const KEY_ADVICE: Advice = Advice::SetKey {
    variables: Some(Cow::Borrowed("MASSIVE_API_KEY")),
};

/// The form of the service's own errors. The text is in either field.
#[derive(Deserialize)]
struct ErrorObject {
    error: Option<String>,
    message: Option<String>,
}

/// The text of an error object; `None` if the body isn't one.
pub(super) fn error_text(body: &[u8]) -> Option<String> {
    let object: ErrorObject = serde_json::from_slice(body).ok()?;
    object.error.or(object.message)
}

/// The error of a response with a status other than 200. `is_first` means that no request of the
/// client has returned bars.
pub(super) fn of_status(request: &Request, status: u16, text: &str, is_first: bool) -> Error {
    match status {
        429 => limit(),
        401 => bad_key(),
        403 => of_plan(request, text, is_first),
        // Seen once without cause, and the dates of a request are always in order.
        400 if text.contains("before 'from'") => transient(request, status),
        408 | 425 | 500.. => transient(request, status),
        400 | 404 => Error::new(
            ErrorKind::BadRequest,
            format!("the provider doesn't understand the request (status {status})"),
        )
        .in_window(request),
        _ => {
            Error::new(ErrorKind::Ticker, format!("unexpected status {status}")).in_window(request)
        }
    }
}

/// The error of a body whose own status is an error, though it came with status 200.
pub(super) fn of_body(request: &Request, status: &str, text: &str, is_first: bool) -> Error {
    match status {
        "NOT_AUTHORIZED" => of_plan(request, text, is_first),
        _ if text.contains("API Key") => bad_key(),
        _ if text.contains("maximum requests") => limit(),
        _ if is_about_plan(text) => of_plan(request, text, is_first),
        _ => Error::new(
            ErrorKind::Unexpected,
            format!("the response has the status {status:?}"),
        )
        .in_window(request),
    }
}

fn bad_key() -> Error {
    Error::new(ErrorKind::Key, "the provider refuses the key").with_hint(KEY_ADVICE)
}

fn limit() -> Error {
    Error::new(ErrorKind::Limit, "too many requests")
}

/// Whether a text says that the plan lacks the dates.
fn is_about_dates(text: &str) -> bool {
    text.contains("timeframe") || text.contains("before end of day")
}

fn is_about_plan(text: &str) -> bool {
    is_about_dates(text) || text.contains("entitled")
}

/// The plan of the key doesn't include what was requested.
fn of_plan(request: &Request, text: &str, is_first: bool) -> Error {
    if is_about_dates(text) {
        let message = "the plan of the key doesn't include these dates";
        return Error::new(ErrorKind::Withheld, message).in_window(request);
    }
    if text.contains("entitled") {
        let message = "the plan of the key doesn't include";
        // If nothing came yet, the plan probably lacks all tickers of this kind.
        let kind = match is_first {
            true => ErrorKind::Forbidden,
            false => ErrorKind::Ticker,
        };
        return Error::new(kind, format!("{message} {}", request.tickers[0]))
            .with_hint("leave the ticker out, or take a larger plan");
    }
    Error::new(
        ErrorKind::Forbidden,
        "the provider forbids the request (status 403)",
    )
}

fn transient(request: &Request, status: u16) -> Error {
    Error::new(
        ErrorKind::Transient,
        format!("the provider failed with status {status}"),
    )
    .in_window(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::contract::request;
    use crate::provider::{Retry, Scope};

    #[test]
    fn every_error_of_the_service_has_its_own_meaning() {
        let timeframe = "Your plan doesn't include this data timeframe. Please upgrade your plan at https://polygon.io/pricing";
        let entitled = "You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing";
        let today = "Attempted to request today's data before end of day. Please upgrade your plan";
        let limit = "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue.";
        let reversed = "The parameter 'to' cannot be a time that occurs before 'from'";
        let cases: &[(u16, &str, ErrorKind, Scope, Retry)] = &[
            (
                401,
                "Unknown API Key",
                ErrorKind::Key,
                Scope::Run,
                Retry::Never,
            ),
            (
                403,
                timeframe,
                ErrorKind::Withheld,
                Scope::Window,
                Retry::Never,
            ),
            (403, today, ErrorKind::Withheld, Scope::Window, Retry::Never),
            (
                403,
                entitled,
                ErrorKind::Ticker,
                Scope::Ticker,
                Retry::Never,
            ),
            (
                403,
                "forbidden",
                ErrorKind::Forbidden,
                Scope::Run,
                Retry::Never,
            ),
            (429, limit, ErrorKind::Limit, Scope::Run, Retry::Backoff),
            (429, "", ErrorKind::Limit, Scope::Run, Retry::Backoff),
            (
                400,
                "Could not parse",
                ErrorKind::BadRequest,
                Scope::Ticker,
                Retry::Never,
            ),
            (
                400,
                reversed,
                ErrorKind::Transient,
                Scope::Window,
                Retry::Backoff,
            ),
            (404, "", ErrorKind::BadRequest, Scope::Ticker, Retry::Never),
            (
                502,
                "<html>",
                ErrorKind::Transient,
                Scope::Window,
                Retry::Backoff,
            ),
        ];
        let request = request("AAPL", "2025-02-03", "2025-02-05");
        for (status, text, kind, scope, retry) in cases {
            let error = of_status(&request, *status, text, false);
            assert_eq!(error.kind(), *kind, "{status} {text}");
            assert_eq!(error.scope(), *scope, "{status} {text}");
            assert_eq!(error.retry(), *retry, "{status} {text}");
        }
        let first = of_status(&request, 403, entitled, true);
        assert_eq!(first.kind(), ErrorKind::Forbidden);
        for (status, text, kind) in [
            ("NOT_AUTHORIZED", timeframe, ErrorKind::Withheld),
            ("ERROR", timeframe, ErrorKind::Withheld),
            ("ERROR", entitled, ErrorKind::Ticker),
            ("ERROR", "Unknown API Key", ErrorKind::Key),
            ("ERROR", limit, ErrorKind::Limit),
            ("ERROR", "other", ErrorKind::Unexpected),
        ] {
            let inside = of_body(&request, status, text, false);
            assert_eq!(inside.kind(), kind, "{status} {text}");
        }
    }

    #[test]
    fn the_text_is_in_either_field() {
        for body in [r#"{"error":"x"}"#, r#"{"status":"E","message":"x"}"#] {
            assert_eq!(error_text(body.as_bytes()).as_deref(), Some("x"));
        }
        assert_eq!(error_text(b""), None);
    }
}
