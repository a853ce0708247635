//! What a status and an error text mean.
//!
//! Texts are matched by words that only one meaning has. `upgrade your plan` isn't one of them: it
//! is in responses that end the run, that fail a ticker, and that require a wait.

use std::borrow::Cow;

use serde::Deserialize;

use crate::advice::Advice;
use crate::provider::{Error, ErrorKind, Request};

/// The environment variable with the key.
pub(super) const KEY_VARIABLE: &str = "FMP_API_KEY";

/// What to do about a key.
pub(super) const KEY_ADVICE: Advice = Advice::SetKey {
    variables: Some(Cow::Borrowed(KEY_VARIABLE)),
};

/// The form of the service's own errors.
#[derive(Deserialize)]
struct ErrorObject {
    #[serde(rename = "Error Message")]
    message: String,
}

/// The message of an error object; `None` if the body isn't one.
pub(super) fn error_message(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<ErrorObject>(body)
        .ok()
        .map(|error| error.message)
}

/// The error of a response with a status other than 200. `text` is the error object's message, or
/// the body.
pub(super) fn of_status(request: &Request, status: u16, text: &str) -> Error {
    // Each request has one ticker: others are never sent.
    let ticker = &request.tickers[0];
    match status {
        429 if is_bandwidth(text) => bandwidth(),
        429 => limit(),
        401 => bad_key(status),
        403 => Error::new(
            ErrorKind::Forbidden,
            "the provider forbids the request (status 403)",
        ),
        402 if text.contains("Restricted Endpoint") => plan_lacks_interval(),
        402 => Error::new(
            ErrorKind::Ticker,
            format!("the plan of the key does not include {ticker}"),
        )
        .with_hint("leave the ticker out, or take a larger plan"),
        400 => Error::new(
            ErrorKind::Ticker,
            format!("the provider refuses {ticker} (status {status})"),
        ),
        408 | 425 | 500.. => Error::new(
            ErrorKind::Transient,
            format!("the provider failed with status {status}"),
        )
        .in_window(request),
        _ => {
            Error::new(ErrorKind::Ticker, format!("unexpected status {status}")).in_window(request)
        }
    }
}

/// The error of an error object that came with status 200; `None` if its words aren't known.
pub(super) fn of_message(text: &str) -> Option<Error> {
    if is_bandwidth(text) {
        Some(bandwidth())
    } else if text.contains("Limit Reach") {
        Some(limit())
    } else if text.contains("Invalid API KEY") {
        Some(bad_key(200))
    } else if text.contains("Restricted Endpoint") {
        Some(plan_lacks_interval())
    } else if text.contains("Legacy Endpoint") || text.to_lowercase().contains("suspended") {
        let message = "the provider forbids the request";
        Some(Error::new(ErrorKind::Forbidden, message))
    } else {
        None
    }
}

/// Only its first word differs from the other limit's text.
fn is_bandwidth(text: &str) -> bool {
    text.contains("Bandwidth Limit Reach")
}

fn bandwidth() -> Error {
    Error::new(ErrorKind::Quota, "the bandwidth of the plan is spent")
        .with_hint(Advice::ResumeWithinDays { counted: 30 })
}

/// The rate of a minute, or the quota of a day: the words are the same.
fn limit() -> Error {
    Error::new(ErrorKind::Limit, "too many requests")
}

fn bad_key(status: u16) -> Error {
    let message = format!("the provider refuses the key (status {status})");
    Error::new(ErrorKind::Key, message).with_hint(KEY_ADVICE)
}

fn plan_lacks_interval() -> Error {
    let message = "the plan of the key does not allow this request";
    Error::new(ErrorKind::Forbidden, message).with_hint(Advice::LargerPlan)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::provider::{Retry, Scope};

    /// Each known error of the service: status, body, and how it is classified.
    #[test]
    fn every_error_of_the_service_has_its_own_meaning() {
        let request = crate::provider::contract::request("AAPL", "2025-02-03", "2025-02-05");
        let of = |status: u16, retry_after: Option<Duration>, text: &str| {
            of_status(&request, status, text).with_retry_after(retry_after)
        };
        let after = Duration::from_secs(7);
        let cases: &[(u16, &str, Scope, Retry, bool)] = &[
            (
                401,
                "Invalid API KEY. Feel free to create a Free API Key",
                Scope::Run,
                Retry::Never,
                false,
            ),
            (
                402,
                "Restricted Endpoint: This endpoint is not available under your current subscription … upgrade your plan",
                Scope::Run,
                Retry::Never,
                false,
            ),
            (
                402,
                "Premium Query Parameter: 'Special Endpoint : This value set for 'symbol' is not available … upgrade your plan",
                Scope::Ticker,
                Retry::Never,
                false,
            ),
            (
                403,
                "Legacy Endpoint : Due to Legacy endpoints being no longer supported",
                Scope::Run,
                Retry::Never,
                false,
            ),
            (
                429,
                "Limit Reach . Please upgrade your plan or visit our documentation",
                Scope::Run,
                Retry::After(after),
                true,
            ),
            (
                429,
                "Bandwidth Limit Reach . Please upgrade your plan or visit",
                Scope::Run,
                Retry::Never,
                true,
            ),
            (
                400,
                "Query Error: Invalid or missing query parameter - symbol",
                Scope::Ticker,
                Retry::Never,
                false,
            ),
            (500, "", Scope::Window, Retry::After(after), false),
            (503, "<html>", Scope::Window, Retry::After(after), false),
            (404, "[]", Scope::Ticker, Retry::Never, false),
            (302, "", Scope::Ticker, Retry::Never, false),
        ];
        for (status, text, scope, retry, quota) in cases {
            let error = of(*status, Some(after), text);
            assert_eq!(error.scope(), *scope, "{error}");
            assert_eq!(error.retry(), *retry, "{error}");
            assert_eq!(error.is_quota(), *quota, "{error}");
        }
        assert_eq!(of(429, None, "Limit Reach . ").retry(), Retry::Backoff);
        let kind = |text| of_message(text).map(|error| error.kind());
        assert_eq!(kind("Limit Reach . Please"), Some(ErrorKind::Limit));
        assert_eq!(kind("Bandwidth Limit Reach . "), Some(ErrorKind::Quota));
        assert_eq!(kind("something else: upgrade your plan"), None);
    }
}
