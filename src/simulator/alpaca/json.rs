//! Bars as the vendor writes them.

use std::io::Write as _;

use chrono::{DateTime, Utc};

use crate::simulator::fault_kind::FaultKind;
use crate::simulator::reply::Reply;
use crate::simulator::row::Row;

/// Bytes of one bar, roughly.
const ROW_BYTES: usize = 112;

/// A page. A symbol without bars isn't in it.
pub(super) fn page(
    series: &[(String, Vec<Row>)],
    token: Option<&str>,
    fault: Option<FaultKind>,
) -> Reply {
    let count: usize = series.iter().map(|(_, rows)| rows.len()).sum();
    let mut out = Vec::with_capacity(count * ROW_BYTES + 256);
    out.extend_from_slice(b"{\"bars\":{");
    for (index, (symbol, rows)) in series.iter().enumerate() {
        let symbol = match fault {
            Some(FaultKind::OtherTicker) => "OTHER",
            _ => symbol,
        };
        let comma = if index > 0 { "," } else { "" };
        // Writing into a Vec can't fail.
        let _ = write!(out, "{comma}\"{symbol}\":[");
        for (index, row) in rows.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let at = DateTime::<Utc>::from_timestamp_micros(row.at).unwrap_or_default();
            let _ = write!(
                out,
                r#"{comma}{{"c":{},"h":{},"l":{},"n":{},"o":{},"t":"{}","v":{},"vw":{}}}"#,
                row.close,
                row.high,
                row.low,
                row.trades,
                row.open,
                at.format("%Y-%m-%dT%H:%M:%SZ"),
                row.volume,
                row.vwap
            );
        }
        out.push(b']');
    }
    let _ = match token {
        Some(token) => write!(out, "}},\"next_page_token\":\"{token}\"}}"),
        None => write!(out, "}},\"next_page_token\":null}}"),
    };
    Reply::json(out)
}
