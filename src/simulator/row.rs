//! The bars of the simulator.

/// A bar, with its time in microseconds UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// The instant the bar opens.
    pub at: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    pub volume: f64,
    /// Average price by volume.
    pub vwap: f64,
    /// Number of trades.
    pub trades: u64,
}

/// Shares of a typical trade.
const TRADE_SHARES: f64 = 40.0;

impl Row {
    /// Sets average price and number of trades of a minute, from its prices and volume.
    pub(super) fn add_trades(&mut self) {
        let middle = (self.high + self.low + self.close) / 3.0;
        let rounded = (middle * 10_000.0).round() / 10_000.0;
        self.vwap = rounded.clamp(self.low, self.high);
        self.trades = (self.volume / TRADE_SHARES).ceil() as u64;
    }

    /// Adds a later minute of the same bar.
    pub(super) fn absorb(&mut self, minute: &Self) {
        let volume = self.volume + minute.volume;
        if volume > 0.0 {
            let value = self.vwap * self.volume + minute.vwap * minute.volume;
            self.vwap = value / volume;
        }
        self.high = self.high.max(minute.high);
        self.low = self.low.min(minute.low);
        self.close = minute.close;
        self.volume = volume;
        self.trades += minute.trades;
    }
}
