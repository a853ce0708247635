//! The vendor's error texts. Each is in `error` or in `message`.

use crate::simulator::reply::{JSON, Reply};
use crate::simulator::vendor::Refusal;

/// The identifier of a request in every body.
pub(super) const REQUEST_ID: &str = "6a7e466379af0a71039d60cc78e72282";

const TIMEFRAME: &str = "Your plan doesn't include this data timeframe. Please upgrade your plan at https://polygon.io/pricing";
const ENTITLED: &str =
    "You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing";

/// The error response.
pub(super) fn refusal(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::InvalidKey => error(401, "ERROR", "error", "Unknown API Key"),
        Refusal::Suspended => error(
            403,
            "ERROR",
            "error",
            "Your account has been suspended. Please contact support.",
        ),
        Refusal::Spent(_) => error(
            429,
            "ERROR",
            "error",
            "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue. \
             https://polygon.io/pricing",
        ),
        Refusal::PlanLacksInterval => error(403, "NOT_AUTHORIZED", "message", TIMEFRAME),
        Refusal::PlanLacksSymbol => error(403, "NOT_AUTHORIZED", "message", ENTITLED),
        Refusal::InsideOk => error(200, "NOT_AUTHORIZED", "message", TIMEFRAME),
        Refusal::BadQuery("order") => error(
            400,
            "ERROR",
            "error",
            "The parameter 'to' cannot be a time that occurs before 'from'",
        ),
        Refusal::BadQuery(parameter) => error(
            400,
            "ERROR",
            "error",
            &format!(
                "Could not parse the time parameter: '{parameter}'. Use YYYY-MM-DD or Unix MS Timestamps"
            ),
        ),
        Refusal::Legacy => not_found(),
    }
}

/// An unknown address.
pub(super) fn not_found() -> Reply {
    Reply::new(404, "text/plain", "404 page not found\n")
}

fn error(status: u16, word: &str, field: &str, text: &str) -> Reply {
    let body = format!(r#"{{"status":"{word}","request_id":"{REQUEST_ID}","{field}":"{text}"}}"#);
    Reply::new(status, JSON, body)
}
