//! Pages over REST.

use std::io::Write as _;

use super::bars::bars;
use super::request::{PageOf, Wanted};
use crate::model::{DAY_MICROS, Interval};
use crate::simulator::fault_kind::{CAPPED_ROWS, FaultKind};
use crate::simulator::row::Row;
use crate::simulator::service::Service;

/// Bytes of one kline, roughly.
const ROW_BYTES: usize = 180;

/// How far back the newest klines are searched for, in pages.
const PAGES_BACK_MAX: i64 = 40;

/// The klines of a page, oldest first. From a start they are the oldest, else the newest.
pub(super) fn rows(
    service: &Service<'_>,
    wanted: &Wanted,
    page: &PageOf,
    fault: Option<FaultKind>,
) -> Vec<Row> {
    let limit = match fault {
        Some(FaultKind::Capped) => page.limit.min(CAPPED_ROWS),
        _ => page.limit,
    };
    let now = service.now.micros();
    let end = page.end.unwrap_or(now).min(now);
    let span = (limit as i64 * wanted.interval.micros()).max(DAY_MICROS);
    let of = |from: i64, to: i64| bars(service, &wanted.symbol, wanted.interval, from, to);
    let mut rows = Vec::new();
    if let Some(start) = page.start {
        let mut from = start;
        while rows.len() < limit && from <= end {
            let to = end.min(from.saturating_add(span - 1));
            rows.extend(of(from, to));
            from = to + 1;
        }
        rows.truncate(limit);
        return rows;
    }
    let mut to = end;
    for _ in 0..PAGES_BACK_MAX {
        let mut older = of(to - span + 1, to);
        older.append(&mut rows);
        rows = older;
        to -= span;
        if rows.len() >= limit {
            break;
        }
    }
    rows.split_off(rows.len().saturating_sub(limit))
}

/// The body.
pub(super) fn json(rows: &[Row], interval: Interval, micros: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * ROW_BYTES + 2);
    out.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'[');
        fields(&mut out, row, interval, micros, "\"");
        out.push(b']');
    }
    out.push(b']');
    out
}

/// The twelve fields of a kline.
pub(super) fn fields(out: &mut Vec<u8>, row: &Row, interval: Interval, micros: bool, quote: &str) {
    let per_unit = if micros { 1 } else { 1_000 };
    let (open, end) = (
        row.at / per_unit,
        (row.at + interval.micros()) / per_unit - 1,
    );
    let Row {
        open: first,
        high,
        low,
        close,
        volume,
        vwap,
        trades,
        ..
    } = row;
    let value = vwap * volume;
    let (half, half_value) = (volume / 2.0, value / 2.0);
    // Writing into a Vec can't fail.
    let _ = write!(
        out,
        "{open},{quote}{first:.8}{quote},{quote}{high:.8}{quote},{quote}{low:.8}{quote},{quote}{close:.8}{quote},\
         {quote}{volume:.8}{quote},{end},{quote}{value:.8}{quote},{trades},{quote}{half:.8}{quote},\
         {quote}{half_value:.8}{quote},{quote}0{quote}"
    );
}
