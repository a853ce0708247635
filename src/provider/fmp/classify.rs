//! What a status and a body mean.
//!
//! Texts are matched by the words that tell the rows apart. `upgrade your plan` is none of them: it stands in answers
//! that stop the run, fail a ticker, and ask for patience alike.

use std::time::Duration;

use serde::Deserialize;

use crate::model::Ticker;
use crate::provider::{Error, Query};

/// The form of the service's own errors.
#[derive(Deserialize)]
struct ErrorObject {
    #[serde(rename = "Error Message")]
    message: String,
}

/// What the service says in an error object; `None` where the body is none.
pub(super) fn error_message(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<ErrorObject>(body)
        .ok()
        .map(|error| error.message)
}

/// An answer without bars, ready to be judged.
pub(super) struct Judged<'a> {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// The words to match: the error object's message, or the body's text.
    pub(super) text: &'a str,
    /// The same, short and without the key, to be shown.
    pub(super) said: String,
}

/// The error that an answer other than 200 is.
pub(super) fn of_status(query: &Query, judged: Judged<'_>) -> Error {
    let Judged {
        status,
        retry_after,
        text,
        said,
    } = judged;
    match status {
        429 if is_bandwidth(text) => Error::Bandwidth { said },
        429 => Error::Limit { retry_after, said },
        401 => Error::Key { status, said },
        403 => Error::Forbidden { said },
        402 if text.contains("Restricted Endpoint") => Error::Plan { said },
        402 => Error::PlanTicker {
            ticker: ticker(query),
            said,
        },
        400 => Error::RefusedTicker {
            ticker: ticker(query),
            status,
            said,
        },
        408 | 425 | 500.. => Error::Server {
            status,
            retry_after,
            window: query.to_string(),
            said,
        },
        _ => Error::Status {
            status,
            window: query.to_string(),
            said,
        },
    }
}

/// The error that an error object under 200 is; `None` where its words are not known.
pub(super) fn of_message(text: &str, said: &str) -> Option<Error> {
    let said = said.to_owned();
    if is_bandwidth(text) {
        Some(Error::Bandwidth { said })
    } else if text.contains("Limit Reach") {
        Some(Error::Limit {
            retry_after: None,
            said,
        })
    } else if text.contains("Invalid API KEY") {
        Some(Error::Key { status: 200, said })
    } else if text.contains("Restricted Endpoint") {
        Some(Error::Plan { said })
    } else if text.contains("Legacy Endpoint") || text.to_lowercase().contains("suspended") {
        Some(Error::Forbidden { said })
    } else {
        None
    }
}

/// Told from the other limit by its first word alone.
fn is_bandwidth(text: &str) -> bool {
    text.contains("Bandwidth Limit Reach")
}

/// One symbol a call; an empty query never gets this far.
fn ticker(query: &Query) -> Ticker {
    query.tickers[0].clone()
}

/// The wait that `Retry-After` names: seconds, or an instant, reckoned from the server's own clock in `date`.
pub(super) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    let now = chrono::DateTime::parse_from_rfc2822(date?.trim()).ok()?;
    Some((at - now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Retry, Scope};

    /// Every row of the service's error table: status, body, what it becomes.
    #[test]
    fn every_row_of_the_error_table_has_its_own_meaning() {
        let query = crate::provider::contract::query("AAPL", "2025-02-03", "2025-02-05");
        let of = |status: u16, retry_after: Option<Duration>, text: &str| {
            of_status(
                &query,
                Judged {
                    status,
                    retry_after,
                    text,
                    said: text.to_owned(),
                },
            )
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
        assert!(matches!(
            of_message("Limit Reach . Please", "x"),
            Some(Error::Limit { .. })
        ));
        assert!(matches!(
            of_message("Bandwidth Limit Reach . ", "x"),
            Some(Error::Bandwidth { .. })
        ));
        assert!(of_message("something else: upgrade your plan", "x").is_none());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Some("Thu, 02 Jan 2025 14:30:00 GMT");
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        let date = "Thu, 02 Jan 2025 14:30:09 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(9)));
        let past = "Thu, 02 Jan 2025 14:29:00 GMT";
        assert_eq!(retry_after(past, now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after(date, None), None);
    }
}
