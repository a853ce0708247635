//! The service's spelling of tickers.

use crate::model::Ticker;

/// `BRK-B` and `BRK/B` as `BRK.B`. **A dash would fail the whole request.**
pub(super) fn spelled(ticker: &Ticker) -> String {
    ticker.as_str().replace(['-', '/'], ".")
}
