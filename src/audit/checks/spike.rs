//! `spike`: a bar far beyond both of its neighbours.

use crate::audit::finding::{Found, Severity};
use crate::audit::limits::ERROR_TIMES;
use crate::audit::view::View;

/// How far a bar's range goes beyond those of the bars before and after it, in usual moves. So a
/// price that stays isn't a spike. The first and the last bar of a session have one neighbour, and
/// real prices move most there: only what would be an error is reported.
pub(super) fn check(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(step) = view.usual.step else { return };
    let limit = view.limits.spike * step;
    let day = view.day;
    let (high, low, close) = (day.high(), day.low(), day.close());
    for part in &day.parts {
        for at in part.clone() {
            let before = (at > part.start).then(|| at - 1);
            let after = (at + 1 < part.end).then_some(at + 1);
            let neighbours = [before, after];
            let around = || neighbours.into_iter().flatten();
            let (top, bottom) = around().fold((0.0_f64, f64::INFINITY), |(top, bottom), at| {
                (top.max(high[at]), bottom.min(low[at]))
            });
            if top == 0.0 {
                // Its part of the session has no other bar.
                continue;
            }
            let (up, down) = (high[at] / top - 1.0, bottom / low[at] - 1.0);
            let way = up.max(down);
            let is_error = way > limit * ERROR_TIMES;
            if way <= limit || (!is_error && neighbours.contains(&None)) {
                continue;
            }
            let mut values = match up > down {
                true => vec![("high", high[at])],
                false => vec![("low", low[at])],
            };
            values.extend(before.map(|at| ("close_before", close[at])));
            values.extend(after.map(|at| ("close_after", close[at])));
            values.push(("usual_moves", way / step));
            out.push(Found {
                severity: if is_error {
                    Severity::Error
                } else {
                    Severity::Warning
                },
                first: day.times()[at],
                last: day.times()[at],
                bars: 1,
                values,
            });
        }
    }
}
