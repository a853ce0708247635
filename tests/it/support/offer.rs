//! Bars as a run offers them to a store.

use backfill::model::{
    Bars, Basis, Hours, Interval, OnConflict, Provenance, SeriesKey, Source, Ticker,
};
use backfill::store::Offer;

/// Bars of NASDAQ whose price basis and hours aren't known, as those of CSV files.
pub fn offer(
    ticker: &str,
    interval: Interval,
    source: Source,
    bars: Bars,
    on_conflict: OnConflict,
) -> Offer {
    Offer {
        series: SeriesKey {
            interval,
            ticker: Ticker::new(ticker).unwrap(),
        },
        provenance: Provenance {
            exchange: "NASDAQ".into(),
            basis: Basis::Unknown,
            hours: Hours::Unknown,
        },
        source,
        bars,
        on_conflict,
        is_repeated_request: false,
        coverage: Vec::new(),
    }
}
