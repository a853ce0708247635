//! The bars of a pair between two instants.

use crate::model::{DAY_MICROS, Interval};
use crate::simulator::row::Row;
use crate::simulator::service::{Query, Service, combine};

/// The bars that open from `from` to `to`, both in microseconds and included.
pub(super) fn bars(
    service: &Service<'_>,
    symbol: &str,
    interval: Interval,
    from: i64,
    to: i64,
) -> Vec<Row> {
    let Ok(instrument) = service.market.instrument(symbol) else {
        return Vec::new();
    };
    let date = |at: i64| chrono::DateTime::from_timestamp_micros(at).map(|at| at.date_naive());
    let query = Query {
        symbol: symbol.to_owned(),
        interval,
        from: date(from),
        // The minutes of the last bar.
        to: date(
            to.saturating_add(interval.micros())
                .min(service.now.micros() + DAY_MICROS),
        ),
        extended: false,
        adjusted: false,
    };
    let mut minutes = Vec::new();
    service.each_session(&instrument, &query, |_, rows| {
        minutes.extend_from_slice(rows);
    });
    let mut rows = Vec::new();
    combine(&minutes, &[(0, i64::MAX)], interval, &mut rows);
    rows.retain(|row| from <= row.at && row.at <= to);
    service.spoil(symbol, &mut rows);
    rows
}
