//! The checks, each in a file.

mod flat;
mod jump;
mod last_minute;
mod outside;
pub(super) mod resolution;
mod spike;
mod volume;

use super::check::Check;
use super::finding::Found;
use super::view::View;

/// Adds what is found in a date.
type Run = fn(&View<'_>, &mut Vec<Found>);

/// The checks of one series by itself. [`Check::Resolution`] compares two.
pub(super) const OF_A_DAY: [(Check, Run); 6] = [
    (Check::ZeroPriceRange, flat::check),
    (Check::Spike, spike::check),
    (Check::Jump, jump::check),
    (Check::VolumeOutlier, volume::check),
    (Check::OutsideSession, outside::check),
    (Check::LastMinuteMissing, last_minute::check),
];
