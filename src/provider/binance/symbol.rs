//! The service's spelling of pairs and intervals.

use crate::model::Interval;
use crate::provider::Request;

/// `BTC-USDT`, `BTC/USDT`, `BTC_USDT` and `X:BTCUSDT` as `BTCUSDT`. The currencies stay as they are
/// typed: a price in USDT isn't one in USD.
pub(super) fn spelled(ticker: &str) -> String {
    let pair = ticker.strip_prefix("X:").unwrap_or(ticker);
    pair.replace(['-', '/', '_'], "")
}

/// The pair of the same coin that the service has, if the ticker's is in US dollars.
pub(super) fn in_tether(ticker: &str) -> Option<String> {
    let pair = spelled(ticker);
    let coin = pair.strip_suffix("USD").filter(|coin| !coin.is_empty())?;
    Some(format!("{coin}USDT"))
}

/// The pair of a request, as the service spells it.
pub(super) fn pair(request: &Request) -> String {
    spelled(request.tickers[0].as_str())
}

/// The service's name of an interval.
pub(super) fn interval_name(interval: Interval) -> &'static str {
    match interval {
        Interval::M1 => "1m",
        Interval::M5 => "5m",
        Interval::M15 => "15m",
        Interval::M30 => "30m",
        Interval::M60 => "1h",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_no_separator() {
        for ticker in ["BTCUSDT", "BTC-USDT", "BTC/USDT", "BTC_USDT", "X:BTCUSDT"] {
            assert_eq!(spelled(ticker), "BTCUSDT");
        }
        assert_eq!(spelled("1000SATS-USDT"), "1000SATSUSDT");
        assert_eq!(in_tether("BTC-USD").as_deref(), Some("BTCUSDT"));
        assert_eq!(in_tether("BTCUSDT"), None);
        assert_eq!(in_tether("USD"), None);
    }
}
