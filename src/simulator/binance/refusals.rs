//! The vendor's errors: a code and a text.

use crate::simulator::quota::Spent;
use crate::simulator::reply::{HTML, JSON, Reply};
use crate::simulator::vendor::Refusal;

/// The value of `Retry-After`. The service sends up to a minute.
const LIMIT_SECONDS: u32 = 1;
const BAN_SECONDS: u32 = 7_200;

/// The error response.
pub(super) fn refusal(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Spent(Spent::Rate) => Reply {
            retry_after: Some(LIMIT_SECONDS),
            ..error(
                429,
                -1003,
                "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
            )
        },
        Refusal::Spent(Spent::Day | Spent::Bandwidth) => Reply {
            retry_after: Some(BAN_SECONDS),
            ..error(
                418,
                -1003,
                "Way too much request weight used; IP banned until 1735689999999. Please use WebSocket Streams for live updates to avoid bans.",
            )
        },
        Refusal::PlanLacksInterval => error(
            451,
            0,
            "Service unavailable from a restricted location according to 'b. Eligibility' in https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in error.",
        ),
        Refusal::InvalidKey => error(401, -2014, "API-key format invalid."),
        Refusal::Suspended => Reply::new(
            403,
            HTML,
            "<html><head><title>403 Forbidden</title></head><body><center><h1>403 Forbidden</h1></center></body></html>",
        ),
        Refusal::PlanLacksSymbol => unknown_symbol(),
        Refusal::BadQuery(name) => missing(name),
        Refusal::InsideOk => error(
            200,
            -1007,
            "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        ),
        Refusal::Legacy => not_found(),
    }
}

pub(super) fn unknown_symbol() -> Reply {
    error(400, -1121, "Invalid symbol.")
}

pub(super) fn invalid_interval() -> Reply {
    error(400, -1120, "Invalid interval.")
}

pub(super) fn illegal_symbol() -> Reply {
    error(
        400,
        -1100,
        "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
    )
}

pub(super) fn missing(name: &str) -> Reply {
    let text = format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.");
    error(400, -1102, &text)
}

/// An unknown address.
pub(super) fn not_found() -> Reply {
    Reply::new(404, HTML, "<html><body>404</body></html>")
}

/// A file that isn't there.
pub(super) fn no_file() -> Reply {
    Reply::new(
        404,
        "application/xml",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
    )
}

fn error(status: u16, code: i32, text: &str) -> Reply {
    Reply::new(status, JSON, format!(r#"{{"code":{code},"msg":"{text}"}}"#))
}
