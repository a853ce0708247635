//! What differs between the simulated providers: addresses, parameters, responses and errors.

use axum::http::{HeaderMap, Uri};
use xxhash_rust::xxh3::xxh3_64;

use super::fault_kind::FaultKind;
use super::quota::{Limits, Spent, Tier};
use super::reply::Reply;
use super::service::Service;

/// The header with which a test requests a fault for this one request.
pub const FAULT_HEADER: &str = "x-simulator-fault";

/// One simulated provider. The market, keys, quotas, faults and the log are the same for all.
pub(super) trait Vendor: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// The path of its base URL.
    fn base_path(&self) -> &'static str {
        ""
    }

    /// What a plan allows.
    fn limits(&self, tier: Tier) -> Limits;

    /// Reads a request for bars. The error is the response to any other address; such a request
    /// isn't logged and doesn't count against a quota.
    fn read(&self, uri: &Uri, headers: &HeaderMap) -> Result<BarRequest, Reply>;

    /// The error response.
    fn refuse(&self, refusal: Refusal) -> Reply;

    /// A response without bars to a good request.
    fn empty(&self, request: &BarRequest) -> Reply;

    /// The bars, and how many they are. `fault` is one that changes an intact response
    /// ([`FaultKind::is_in_response`]).
    fn respond(
        &self,
        service: &Service<'_>,
        request: &BarRequest,
        fault: Option<FaultKind>,
    ) -> (Reply, usize);
}

/// Why a request gets no bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The key is missing or unknown.
    InvalidKey,
    /// The account is suspended.
    Suspended,
    /// A limit is spent.
    Spent(Spent),
    /// The plan lacks the interval, or the dates.
    PlanLacksInterval,
    /// The plan lacks the symbol.
    PlanLacksSymbol,
    /// An address of an older version.
    Legacy,
    /// A parameter is missing or unreadable.
    BadQuery(&'static str),
    /// An error that comes with status 200.
    InsideOk,
}

/// A request for bars: what can be read of it.
#[derive(Debug, Default)]
pub(super) struct BarRequest {
    pub key: Option<String>,
    /// The address that the request was sent to.
    pub host: String,
    /// As the vendor spells them.
    pub symbols: Vec<String>,
    pub interval: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub extended: bool,
    pub nonadjusted: bool,
    /// The page and other parameters.
    pub more: Vec<(String, String)>,
    /// The fault that the request itself requests.
    pub fault: Option<String>,
}

impl BarRequest {
    /// A request with the host and the fault of its headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            host: header(headers, "host").unwrap_or_default().to_owned(),
            fault: header(headers, FAULT_HEADER).map(str::to_owned),
            ..Self::default()
        }
    }

    /// Equal for equal requests.
    pub(super) fn fingerprint(&self) -> u64 {
        let Self {
            symbols,
            interval,
            from,
            to,
            extended,
            nonadjusted,
            more,
            ..
        } = self;
        let symbols = symbols.join(",");
        let mut text = format!("{symbols}|{interval}|{from:?}|{to:?}|{extended}|{nonadjusted}");
        for (name, value) in more {
            text.push_str(&format!("|{name}={value}"));
        }
        xxh3_64(text.as_bytes())
    }
}

/// The value of a header.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The pairs of a query string, decoded.
pub(super) fn pairs(uri: &Uri) -> Vec<(String, String)> {
    axum::extract::Query::try_from_uri(uri)
        .map(|query| query.0)
        .unwrap_or_default()
}
