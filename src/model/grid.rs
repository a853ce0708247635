//! Where the bars of an interval start.

use super::{Hours, Interval};

/// What the bars of an interval are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// From the open of each part of the session.
    Session,
    /// From the full hour, whenever trading begins.
    Clock,
}

impl Grid {
    /// The grid of all bars in a store: hours outside the session start at the full hour, all other
    /// bars at the session's open. Shorter bars lie on both grids.
    ///
    /// A provider with another grid can't be used for that interval: one series would have bars of
    /// two.
    #[must_use]
    pub fn of(interval: Interval, hours: Hours) -> Self {
        match (interval, hours) {
            (Interval::M60, Hours::Extended) => Self::Clock,
            _ => Self::Session,
        }
    }
}
