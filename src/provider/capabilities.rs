//! What a vendor offers, as data.

use std::time::Duration;

use crate::model::{Basis, Hours, Interval, Source};

/// In which zone a vendor writes its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Wall time of the exchange, without an offset.
    Exchange,
    /// UTC, or with an offset.
    Utc,
}

/// What a vendor offers.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The name under which its bars and its coverage are stored.
    pub source: Source,
    /// Symbols that one request can ask for.
    pub tickers_per_request: usize,
    /// Dates that one request may span, for each interval in the order of [`Interval::ALL`].
    pub window_days: [u16; 5],
    /// Requests a minute that its plans allow where the user says nothing.
    pub requests_per_minute: u32,
    /// Price bases on offer.
    pub basis: &'static [Basis],
    /// Hours on offer.
    pub hours: &'static [Hours],
    /// How its times are written.
    pub zone: Zone,
    /// How long after its close a bar can still change.
    pub settles_after: Duration,
}

impl Capabilities {
    /// Dates that one request of this interval may span, at least 1.
    #[must_use]
    pub fn window_days(&self, interval: Interval) -> u16 {
        let index = Interval::ALL.iter().position(|i| *i == interval);
        index.map_or(1, |index| self.window_days[index].max(1))
    }
}
