//! The sizes from which on something is a finding.

/// The sizes from which on something is a finding. The defaults were chosen so that no correct bar
/// that they were measured on is an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bars in a row with one price and volume.
    pub flat_bars: usize,
    /// How far a bar's range goes beyond both neighbours, in usual moves of the ticker.
    pub spike: f64,
    /// The distance from a close to the next open, in usual moves of the ticker.
    pub jump: f64,
    /// A bar's volume, in usual largest volumes of a session.
    pub volume: f64,
    /// A missing last bar is reported only if the session has at least this share of its other
    /// bars.
    pub last_minute_share: f64,
    /// Relative difference of prices between a longer bar and the one-minute bars inside it.
    pub tolerance: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flat_bars: 15,
            spike: 15.0,
            jump: 15.0,
            volume: 20.0,
            last_minute_share: 0.98,
            tolerance: 0.0001,
        }
    }
}

/// How many times its limit a price must be off to be an error, not a warning.
pub(super) const ERROR_TIMES: f64 = 4.0;
