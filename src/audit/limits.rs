//! From which size on something is a finding.

/// From which size on something is a finding. The defaults were chosen so that no correct bar that
/// they were measured on is an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bars in a row with one price and volume.
    pub flat_bars: usize,
    /// A bar's way beyond both neighbours, in usual moves of the ticker.
    pub spike: f64,
    /// The way from a close to the next open, in usual moves of the ticker.
    pub jump: f64,
    /// A bar's volume, in usual largest volumes of a session.
    pub volume: f64,
    /// Share of a session's other bars without which its missing last bar isn't reported.
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
