//! The service's spelling of tickers.

/// `BRK-B` and `BRK/B` as `BRK.B`, and the preferred share `BAC-PL` as `BACpL`. A ticker with a
/// prefix (`X:BTCUSD`) stays as it is.
pub(super) fn spelled(ticker: &str) -> String {
    if ticker.contains(':') {
        return ticker.to_owned();
    }
    let Some((root, class)) = ticker.rsplit_once(['-', '/', '.']) else {
        return ticker.to_owned();
    };
    match class.strip_prefix('P') {
        Some(series) if series.len() == 1 => format!("{root}p{series}"),
        _ => format!("{root}.{class}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_classes_have_a_dot() {
        for (ticker, expected) in [
            ("AAPL", "AAPL"),
            ("BRK-B", "BRK.B"),
            ("BRK.B", "BRK.B"),
            ("BRK/B", "BRK.B"),
            ("BAC-PL", "BACpL"),
            ("X:BTCUSD", "X:BTCUSD"),
            ("O:SPY251219C00650000", "O:SPY251219C00650000"),
        ] {
            assert_eq!(spelled(ticker), expected);
        }
    }
}
