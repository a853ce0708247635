//! `jump`: a price that changes between two bars, and stays changed.

use crate::audit::finding::{Found, Severity};
use crate::audit::limits::ERROR_TIMES;
use crate::audit::view::View;

/// The distance from a close to the open of the next bar, in usual moves, if the prices before and
/// after it stay where they are: otherwise it is a part of a spike. After a pause between bars,
/// such as a halt, a price may differ.
pub(super) fn check(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(step) = view.usual.step else { return };
    let limit = view.limits.jump * step;
    let day = view.day;
    let (open, close, times) = (day.open(), day.close(), day.times());
    let way = |from: f64, to: f64| (to / from).max(from / to) - 1.0;
    for part in &day.parts {
        for at in part.start..part.end.saturating_sub(1) {
            let next = at + 1;
            let jump = way(close[at], open[next]);
            if jump <= limit || times[next] - times[at] != view.interval.micros() {
                continue;
            }
            let stays = |from: usize, to: usize| way(close[from], close[to]) < jump / 2.0;
            let is_level = (at == part.start || stays(at - 1, at))
                && (next + 1 == part.end || stays(next, next + 1))
                && way(open[next], close[next]) < jump / 2.0;
            if !is_level {
                continue;
            }
            out.push(Found {
                severity: match jump > limit * ERROR_TIMES {
                    true => Severity::Error,
                    false => Severity::Warning,
                },
                first: times[at],
                last: times[next],
                bars: 2,
                values: vec![
                    ("close", close[at]),
                    ("next_open", open[next]),
                    ("usual_moves", jump / step),
                ],
            });
        }
    }
}
