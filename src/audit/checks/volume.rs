//! `volume_outlier`: a bar with many times the usual volume.

use crate::audit::finding::{Found, Severity};
use crate::audit::view::View;

/// A bar whose volume is many times the largest of a usual session. It is a warning: such trades
/// happen.
pub(super) fn check(view: &View<'_>, out: &mut Vec<Found>) {
    let Some(usual) = view.usual.volume_max else {
        return;
    };
    let day = view.day;
    let volume = day.volume();
    for at in day.parts.iter().cloned().flatten() {
        let times = volume[at] / usual;
        if times > view.limits.volume {
            out.push(Found {
                severity: Severity::Warning,
                first: day.times()[at],
                last: day.times()[at],
                bars: 1,
                values: vec![("volume", volume[at]), ("usual_largest", usual)],
            });
        }
    }
}
