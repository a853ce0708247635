//! The bars of the simulator.

/// A bar, with its time in microseconds UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
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
}
