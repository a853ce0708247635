//! The ticker and the interval that a file's name shows.

use super::vendors::all;
use crate::inject::file_ticker::usual_name;
use crate::inject::filename::{only_interval, words};

/// What a file's name shows.
pub(in crate::inject) struct FileName {
    /// By the layout's rule for names; else the first word that isn't about something else. `None` if there
    /// is none.
    pub(in crate::inject) ticker: Option<String>,
    /// In minutes, if the name shows exactly one.
    pub(in crate::inject) interval: Option<u32>,
}

impl FileName {
    /// Reads the stem of a name.
    pub(in crate::inject) fn read(stem: &str) -> Self {
        let named = all().find_map(|layout| layout.file_name?(stem));
        let named = named.unwrap_or_default();
        let usual = usual_name(stem);
        let is_by_rule = named.ticker.is_some();
        Self {
            interval: named
                .interval
                .or(if is_by_rule { None } else { usual.interval }),
            ticker: named.ticker.or(usual.ticker),
        }
    }

    /// The interval if a column has the ticker, so that the first word may show it too.
    pub(in crate::inject) fn interval_anywhere(&self, stem: &str) -> Option<u32> {
        self.interval.or_else(|| only_interval(words(stem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_file_names() {
        let cases = [
            ("SPY_full_1min", "SPY", Some(1)),
            ("DAT_ASCII_EURUSD_M1_2012", "EURUSD", Some(1)),
            ("BATS_SPY, 1", "SPY", Some(1)),
            ("BATS_SPY, 1D", "SPY", Some(1440)),
            ("CME_MINI_ES1!, 5_0a1b2", "ES1!", Some(5)),
            ("BTCUSDT-1m-2024-01", "BTCUSDT", Some(1)),
            ("BTCUSDT-1d-2024-01", "BTCUSDT", Some(1440)),
            ("EURUSD_M15_202401020000_202401312359", "EURUSD", Some(15)),
            (
                "EURUSD_Candlestick_1_M_BID_01.01.2024-31.01.2024",
                "EURUSD",
                Some(1),
            ),
            (
                "EURUSD_Candlestick_1_Hour_BID_01.01.2024-31.01.2024",
                "EURUSD",
                Some(60),
            ),
            ("SPY", "SPY", None),
            ("BRK.B", "BRK.B", None),
            ("BTC-USD", "BTC-USD", None),
            ("M1", "M1", None),
            ("SPY_1min_5min", "SPY", None),
            ("SPY_1M", "SPY", None),
            ("SPY_H1", "SPY", Some(60)),
            ("aapl.us", "aapl.us", None),
            ("EUR_USD_M1", "EURUSD", Some(1)),
            ("BTC_USDT-1m", "BTCUSDT", Some(1)),
            ("BTC-USDT", "BTC-USDT", None),
            ("intraday_1min_AAPL", "AAPL", Some(1)),
            ("fx_intraday_5min_EURUSD", "EURUSD", Some(5)),
            ("FOREX_EURUSD_1H_ASK", "EURUSD", Some(60)),
            ("eurusd-m1-bid-2025-01-12-2025-01-15", "eurusd", Some(1)),
            ("table_aapl", "aapl", None),
            ("AAPL (1)", "AAPL", None),
            ("AAPL_2025-01-02_5min", "AAPL", Some(5)),
            ("2025-01_AAPL", "AAPL", None),
            ("EURUSD60", "EURUSD", Some(60)),
            ("XBTUSD_60", "XBTUSD", Some(60)),
            ("AAPL_60", "AAPL", None),
            (
                "bitstampUSD_1-min_data_2012-01-01_to_2025-01-19",
                "BTCUSD",
                Some(1),
            ),
            ("EURUSD1", "EURUSD", Some(1)),
            ("US30", "US30", None),
            ("AAPL_240min", "AAPL", Some(240)),
            ("data", "", None),
            ("ohlcv_1min", "", Some(1)),
            ("AAPL Historical Data", "AAPL", None),
        ];
        for (stem, ticker, interval) in cases {
            let name = FileName::read(stem);
            assert_eq!(
                (name.ticker.as_deref().unwrap_or_default(), name.interval),
                (ticker, interval),
                "{stem}"
            );
        }
        for (stem, interval) in [("glbx-mdp3-20240102.ohlcv-1m", 1), ("5min_bars", 5)] {
            let anywhere = FileName::read(stem).interval_anywhere(stem);
            assert_eq!(anywhere, Some(interval), "{stem}");
        }
    }
}
