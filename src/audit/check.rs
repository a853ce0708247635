//! The names of the checks.

use crate::model::words::words;

/// A check of stored values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// A run of bars with one price and one volume.
    ZeroPriceRange,
    /// A bar far beyond both of its neighbours.
    Spike,
    /// A price that changes between two bars inside a session, and stays changed.
    Jump,
    /// A bar with many times the usual volume.
    VolumeOutlier,
    /// Bars at times at which the exchange doesn't trade.
    OutsideSession,
    /// A session that has all bars but its last.
    LastMinuteMissing,
    /// Longer bars that differ from the one-minute bars inside them.
    Resolution,
}

words!(Check, "check", {
    ZeroPriceRange => "zero_price_range",
    Spike => "spike",
    Jump => "jump",
    VolumeOutlier => "volume_outlier",
    OutsideSession => "outside_session",
    LastMinuteMissing => "last_minute_missing",
    Resolution => "resolution",
});

impl Check {
    /// Whether findings of consecutive sessions become one.
    pub(super) const fn joins_sessions(self) -> bool {
        matches!(
            self,
            Self::OutsideSession | Self::LastMinuteMissing | Self::Resolution
        )
    }
}
