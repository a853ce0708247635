//! Binance: klines over REST by weight, and zip files of months and days with their checksums.
//!
//! There is no key, so the plan of another provider has another meaning here: a symbol that the plan
//! lacks isn't traded any more, and is only in files. The fault `402` is the refusal of a country
//! (451), `403-suspended` that of the firewall, and `429-bandwidth` a ban (418).

mod bars;
mod files;
mod klines;
mod refusals;
mod request;

use axum::http::{HeaderMap, Uri};

use self::request::{Wanted, Wants};
use super::fault_kind::FaultKind;
use super::quota::{Limits, Tier};
use super::reply::Reply;
use super::service::Service;
use super::vendor::{BarRequest, Refusal, Vendor};

/// The vendor.
pub(super) struct Binance;

/// Weight of a request for klines.
const WEIGHT: usize = 2;
/// Weight that an address may use in a minute.
const WEIGHT_MAX: u32 = 6_000;

impl Vendor for Binance {
    fn name(&self) -> &'static str {
        "binance"
    }

    fn limits(&self, _: Tier) -> Limits {
        Limits {
            per_minute: Some(WEIGHT_MAX / WEIGHT as u32),
            ..Limits::default()
        }
    }

    fn read(&self, uri: &Uri, headers: &HeaderMap) -> Result<BarRequest, Reply> {
        request::read(uri, headers).ok_or_else(refusals::not_found)
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        refusals::refusal(refusal)
    }

    fn empty(&self, request: &BarRequest) -> Reply {
        match request::is_file(request) {
            true => refusals::no_file(),
            false => Reply::json("[]"),
        }
    }

    fn respond(
        &self,
        service: &Service<'_>,
        request: &BarRequest,
        fault: Option<FaultKind>,
    ) -> (Reply, usize) {
        let wanted = match Wanted::of(request) {
            Ok(wanted) => wanted,
            Err(reply) => return (reply, 0),
        };
        let is_known = is_pair(service, &wanted.symbol);
        match &wanted.wants {
            Wants::Klines(page) => {
                if !is_known || service.world.is_premium(&wanted.symbol) {
                    return (refusals::unknown_symbol(), 0);
                }
                let rows = klines::rows(service, &wanted, page, fault);
                let mut reply = Reply::json(klines::json(&rows, wanted.interval, page.micros));
                let weight = (service.calls * WEIGHT).to_string();
                reply.headers.push(("x-mbx-used-weight-1m", weight));
                (reply, rows.len())
            }
            Wants::File(file) => match is_known {
                true => files::respond(service, &wanted, file, fault),
                false => (refusals::no_file(), 0),
            },
        }
    }
}

/// Whether the service has the pair.
fn is_pair(service: &Service<'_>, symbol: &str) -> bool {
    service.market.knows(symbol)
        && !service.world.is_unknown(symbol)
        && (service.market.instrument(symbol)).is_ok_and(|instrument| instrument.is_pair())
}
