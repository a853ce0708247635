//! `zero_price_range`: a feed that repeats its last bar.

use crate::audit::finding::{Found, Severity};
use crate::audit::view::View;

/// A run of bars in which all prices and all volumes are the same. With a volume it is an error: a
/// long row of equal trades doesn't happen. Without one it is a warning: nothing was traded, and
/// the bars were filled in.
pub(super) fn check(view: &View<'_>, out: &mut Vec<Found>) {
    let day = view.day;
    // Long bars have fewer in a session.
    let session = day.session();
    let whole = session.map_or(usize::MAX, |session| session.expected(view.interval));
    let bars_min = view.limits.flat_bars.min(whole).max(2);
    let (open, high, low, close) = (day.open(), day.high(), day.low(), day.close());
    let volume = day.volume();
    let is_flat = |at: usize| high[at] == low[at];
    let repeats =
        |at: usize| is_flat(at) && close[at] == close[at - 1] && volume[at] == volume[at - 1];
    for part in &day.parts {
        let mut start = part.start;
        while start < part.end {
            let mut end = start + 1;
            if is_flat(start) {
                while end < part.end && repeats(end) {
                    end += 1;
                }
            }
            if end - start >= bars_min {
                out.push(Found {
                    severity: match volume[start] > 0.0 {
                        true => Severity::Error,
                        false => Severity::Warning,
                    },
                    first: day.times()[start],
                    last: day.times()[end - 1],
                    bars: (end - start) as u64,
                    values: vec![("price", open[start]), ("volume", volume[start])],
                });
            }
            start = end;
        }
    }
}
