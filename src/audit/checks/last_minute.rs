//! `last_minute_missing`: a session that has all bars but its last.

use crate::audit::finding::{Found, Severity};
use crate::audit::view::View;
use crate::model::Grid;

/// A session without its last bar, if it has nearly all others: a ticker that trades every minute
/// also trades in the last one. A session that isn't over lacks nothing. On the grid of full hours,
/// bars at both ends of a session are partly outside it, and aren't checked.
pub(super) fn check(view: &View<'_>, out: &mut Vec<Found>) {
    let day = view.day;
    let session = day.session().filter(|session| session.close <= view.now);
    let Some(session) = session.filter(|_| Grid::of(view.interval, view.hours) == Grid::Session)
    else {
        return;
    };
    let (Some(end), Some(part)) = (session.parts().last(), day.parts.last()) else {
        return;
    };
    let interval = view.interval.micros();
    let (open, close) = (end.0.micros(), end.1.micros());
    let last = open + (close - 1 - open) / interval * interval;
    let newest = part.end - 1;
    if day.times()[newest] >= last {
        return;
    }
    let bars: usize = day.parts.iter().map(ExactSizeIterator::len).sum();
    let others = session.expected(view.interval) - 1;
    if bars == 0 || (bars as f64) < view.limits.last_minute_share * others as f64 {
        return;
    }
    out.push(Found {
        severity: Severity::Warning,
        first: last,
        last,
        bars: 1,
        values: vec![
            ("close_before", day.close()[newest]),
            ("volume_before", day.volume()[newest]),
        ],
    });
}
