//! The vendor's error texts.

use crate::simulator::reply::{HTML, JSON, Reply};
use crate::simulator::vendor::Refusal;

/// The page of the proxy, for a key that is wrong or missing.
const UNAUTHORIZED: &str = "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n\
    <center><h1>401 Authorization Required</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// The error response.
pub(super) fn refusal(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::InvalidKey => Reply::new(401, HTML, UNAUTHORIZED),
        Refusal::Suspended => error(403, "forbidden."),
        Refusal::Spent(_) => Reply::new(429, JSON, r#"{"message": "too many requests."}"#),
        Refusal::PlanLacksInterval => {
            error(403, "subscription does not permit querying recent SIP data")
        }
        Refusal::PlanLacksSymbol => bad("code=400, message=invalid symbol: PREMIUM-1"),
        Refusal::InsideOk => error(200, "internal server error occurred"),
        Refusal::BadQuery(parameter) => {
            bad(&format!("Invalid format for parameter {parameter}: empty"))
        }
        Refusal::Legacy => not_found(),
    }
}

/// A request that can't be understood.
pub(super) fn bad(message: &str) -> Reply {
    error(400, message)
}

/// An unknown address.
pub(super) fn not_found() -> Reply {
    error(404, "endpoint not found.")
}

fn error(status: u16, message: &str) -> Reply {
    let body = serde_json::json!({ "message": message }).to_string();
    Reply::new(status, JSON, body)
}
