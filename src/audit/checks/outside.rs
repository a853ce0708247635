//! `outside_session`: bars at times at which the exchange doesn't trade.

use crate::audit::day::Trading;
use crate::audit::finding::{Found, Severity};
use crate::audit::view::View;
use crate::model::Hours;

/// Bars before the open, after the close and in the break of a series of regular hours, and bars of
/// a date without trading in any series. Where the hours of a series aren't known, as for CSV files,
/// it is a warning.
pub(super) fn check(view: &View<'_>, out: &mut Vec<Found>) {
    let day = view.day;
    let inside: usize = day.parts.iter().map(ExactSizeIterator::len).sum();
    let is_finding = match day.trading {
        Trading::Session(_) => view.hours == Hours::Regular && inside < day.bars.len(),
        Trading::Closed => true,
        Trading::Unknown => false,
    };
    if !is_finding {
        return;
    }
    let is_inside = |at: &usize| day.parts.iter().any(|part| part.contains(at));
    let mut outside = (0..day.bars.len()).filter(|at| !is_inside(at));
    let Some(first) = outside.next() else { return };
    let last = outside.next_back().unwrap_or(first);
    out.push(Found {
        severity: match view.hours {
            Hours::Unknown => Severity::Warning,
            Hours::Regular | Hours::Extended => Severity::Error,
        },
        first: day.times()[first],
        last: day.times()[last],
        bars: (day.bars.len() - inside) as u64,
        values: vec![
            ("close", day.close()[first]),
            ("volume", day.volume()[first]),
        ],
    });
}
