//! Applies a fault to a response.

use super::fault_kind::FaultKind;
use super::quota::Spent;
use super::reply::{Delivery, HTML, Reply, TEXT};
use super::vendor::{BarRequest, Refusal, Vendor};

/// The response to `request` after `fault`. A fault inside the response or its bars was applied when
/// it was made.
pub(super) fn spoiled(
    reply: Reply,
    fault: FaultKind,
    vendor: &dyn Vendor,
    request: &BarRequest,
) -> Reply {
    use FaultKind as K;
    let bare = |delivery| Reply {
        delivery,
        ..Reply::json("")
    };
    let sent = |reply: Reply, delivery| Reply { delivery, ..reply };
    match fault {
        K::Error500 => Reply::new(500, HTML, page("500 Internal Server Error")),
        K::Error502 => Reply::new(502, HTML, page("502 Bad Gateway")),
        K::Error503 => Reply::new(
            503,
            TEXT,
            "upstream connect error or disconnect/reset before headers",
        ),
        K::Html => Reply::new(200, HTML, page("Just a moment...")),
        K::Garbage => Reply::json([0x1f, 0x8b, 0xff, 0x00, 0xfe, b'[', 0x80, b'{', 0x07]),
        K::Empty => vendor.empty(request),
        K::ErrorObject => vendor.refuse(Refusal::InsideOk),
        K::StrangeObject => Reply::json(r#"{"message":"something went wrong"}"#),
        K::InvalidKey => vendor.refuse(Refusal::InvalidKey),
        K::Restricted => vendor.refuse(Refusal::PlanLacksInterval),
        K::PremiumSymbol => vendor.refuse(Refusal::PlanLacksSymbol),
        K::Legacy => vendor.refuse(Refusal::Legacy),
        K::Suspended => vendor.refuse(Refusal::Suspended),
        K::Limit => vendor.refuse(Refusal::Spent(Spent::Rate)),
        K::LimitRetryAfter => Reply {
            retry_after: Some(1),
            ..vendor.refuse(Refusal::Spent(Spent::Rate))
        },
        K::LimitEmpty => Reply::new(429, TEXT, ""),
        K::Bandwidth => vendor.refuse(Refusal::Spent(Spent::Bandwidth)),
        K::BadQuery => vendor.refuse(Refusal::BadQuery("symbol")),
        K::Reset => bare(Delivery::Reset),
        K::Stall => bare(Delivery::Stall),
        K::ResetBody => sent(reply, Delivery::ResetBody),
        K::StallBody => sent(reply, Delivery::StallBody),
        K::Cut => sent(reply, Delivery::Cut),
        K::CutChunked => sent(reply, Delivery::CutChunked),
        K::Slow => sent(reply, Delivery::Slow),
        K::Half => {
            let mut half = reply.body;
            half.truncate(half.len() / 2);
            Reply::json(half)
        }
        K::Strings => Reply::json(strings(&reply.body)),
        K::Renamed => {
            let body = String::from_utf8_lossy(&reply.body);
            let body = body.replace("\"close\":", "\"last\":");
            Reply::json(body.replace("\"c\":", "\"last\":"))
        }
        K::BadOhlc
        | K::Spike
        | K::LateOpening
        | K::Truncated
        | K::Capped
        | K::RepeatedPage
        | K::ForeignPage
        | K::OtherTicker
        | K::OtherBasis
        | K::WrongChecksum
        | K::MissingFile
        | K::HeaderLine => reply,
    }
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
