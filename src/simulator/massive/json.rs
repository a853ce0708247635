//! Bars as the vendor writes them.

use std::io::Write as _;

use super::refusals::REQUEST_ID;
use super::request::{self, Aggregates};
use crate::simulator::fault_kind::FaultKind;
use crate::simulator::reply::Reply;
use crate::simulator::row::Row;
use crate::simulator::vendor::BarRequest;

/// Bytes of one bar, roughly.
const ROW_BYTES: usize = 112;

/// From this volume on, numbers are written with an exponent, as older responses had them.
const EXPONENT_VOLUME: f64 = 1e6;

/// One page.
pub(super) struct Page<'a> {
    pub rows: &'a [Row],
    /// How many minutes it was made of.
    pub minutes: usize,
    /// The instant at which the next page starts.
    pub next: Option<i64>,
    pub is_delayed: bool,
    pub fault: Option<FaultKind>,
}

/// A response without bars. It has no `results`.
pub(super) fn empty(request: &BarRequest) -> Reply {
    Reply::json(format!(
        r#"{{"ticker":"{}","queryCount":0,"resultsCount":0,"adjusted":{},"status":"OK","request_id":"{REQUEST_ID}","count":0}}"#,
        request.symbols[0], !request.nonadjusted
    ))
}

/// A response with bars.
pub(super) fn page(request: &BarRequest, aggregates: &Aggregates, page: &Page<'_>) -> Reply {
    let ticker = match page.fault {
        Some(FaultKind::OtherTicker) => "OTHER",
        _ => request.symbols[0].as_str(),
    };
    let adjusted = aggregates.adjusted != (page.fault == Some(FaultKind::OtherBasis));
    let (count, minutes) = (page.rows.len(), page.minutes);
    let mut out = Vec::with_capacity(count * ROW_BYTES + 256);
    // Writing into a Vec can't fail.
    let _ = write!(
        out,
        r#"{{"ticker":"{ticker}","queryCount":{minutes},"resultsCount":{count},"adjusted":{adjusted}"#
    );
    for (index, row) in page.rows.iter().enumerate() {
        let before = if index == 0 { ",\"results\":[" } else { "," };
        let _ = write!(out, "{before}{{\"v\":");
        let _ = match row.volume >= EXPONENT_VOLUME {
            true => write!(out, "{:e}", row.volume),
            false => write!(out, "{}", row.volume),
        };
        let _ = write!(
            out,
            r#","vw":{},"o":{},"c":{},"h":{},"l":{},"t":{},"n":{}}}"#,
            row.vwap,
            row.open,
            row.close,
            row.high,
            row.low,
            row.at / 1_000,
            row.trades
        );
    }
    if count > 0 {
        out.push(b']');
    }
    let status = if page.is_delayed { "DELAYED" } else { "OK" };
    let _ = write!(
        out,
        r#","status":"{status}","request_id":"{REQUEST_ID}","count":{count}"#
    );
    if let Some(from) = page.next {
        let host = match page.fault {
            Some(FaultKind::ForeignPage) => "example.org",
            _ => request.host.as_str(),
        };
        let to = request.to.as_deref().unwrap_or_default();
        let _ = write!(
            out,
            r#","next_url":"http://{host}/v2/aggs/ticker/{}/range/{}/{}/{to}?cursor={}""#,
            request.symbols[0],
            request.interval,
            from / 1_000,
            request::cursor(aggregates)
        );
    }
    out.push(b'}');
    Reply::json(out)
}
