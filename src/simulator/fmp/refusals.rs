//! The vendor's error texts.

use crate::simulator::quota::Spent;
use crate::simulator::reply::{JSON, Reply, TEXT};
use crate::simulator::vendor::Refusal;

const UPGRADE: &str = "https://site.financialmodelingprep.com/developer/docs/pricing";

/// The error response.
pub(super) fn refusal(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::InvalidKey => error(
            401,
            "Invalid API KEY. Feel free to create a Free API Key or visit \
             https://site.financialmodelingprep.com/faqs?search=why-is-my-api-key-invalid for more information.",
        ),
        Refusal::Suspended => error(
            403,
            "Your account has been suspended. Please contact support.",
        ),
        Refusal::Spent(spent) => limit(429, spent),
        Refusal::InsideOk => limit(200, Spent::Rate),
        Refusal::PlanLacksInterval => Reply::new(
            402,
            TEXT,
            format!(
                "Restricted Endpoint: This endpoint is not available under your current subscription please visit our \
                 subscription page to upgrade your plan at {UPGRADE}"
            ),
        ),
        Refusal::PlanLacksSymbol => Reply::new(
            402,
            TEXT,
            format!(
                "Premium Query Parameter: 'Special Endpoint : This value set for 'symbol' is not available under your \
                 current subscription please visit our subscription page to upgrade your plan at {UPGRADE}"
            ),
        ),
        Refusal::Legacy => error(
            403,
            "Legacy Endpoint : Due to Legacy endpoints being no longer supported - This endpoint is only available for \
             legacy users who have valid subscriptions prior August 31, 2025. Please visit our subscription page \
             https://site.financialmodelingprep.com/developer/docs/pricing.",
        ),
        // The text is plain, its content type is not.
        Refusal::BadQuery(parameter) => Reply::new(
            400,
            JSON,
            format!("Query Error: Invalid or missing query parameter - {parameter}"),
        ),
    }
}

/// An unknown address.
pub(super) fn not_found() -> Reply {
    Reply::new(404, JSON, "[]")
}

fn limit(status: u16, spent: Spent) -> Reply {
    let what = match spent {
        Spent::Rate | Spent::Day => "Limit Reach",
        Spent::Bandwidth => "Bandwidth Limit Reach",
    };
    error(
        status,
        &format!(
            "{what} . Please upgrade your plan or visit our documentation for more details at \
             https://site.financialmodelingprep.com/"
        ),
    )
}

fn error(status: u16, message: &str) -> Reply {
    Reply::new(status, JSON, format!("{{\"Error Message\":\"{message}\"}}"))
}
