//! Which stored session a run requests next to new ones, so that both can be compared.
//!
//! A provider that adjusts for splits restates all history when one takes effect. New bars then have
//! another price basis than the stored ones, and nothing in the new bars shows it. So before a run
//! adds bars to a series, it must see at least one stored session as the provider returns it now:
//!
//! 1. The first window already requests a stored session: nothing to do.
//! 2. The first window has dates to spare: it also requests the stored session before it. Free.
//! 3. As many windows can be cut differently, so that the first one reaches back to that session.
//!    Free too.
//! 4. A later window requests a stored session again: that window goes first. Free. Bars that are
//!    requested again don't conflict, so this order doesn't get a later window refused.
//! 5. Otherwise a comparison window goes first: one request for one stored session.

use chrono::NaiveDate;

use super::days::Day;
use super::limits::RequestLimits;
use super::windows::{DayState, Window, date_range, windows};

/// The windows, changed so that the first one requests a stored session too, or with a comparison
/// window before it. `stored` is sorted. `None` if they need no change.
pub(super) fn with_comparison(
    planned: &[Window],
    days: &[(Day, DayState)],
    stored: &[NaiveDate],
    limits: &RequestLimits,
) -> Option<Vec<Window>> {
    let first = planned.first()?;
    let requests_stored = |window: &Window| {
        let at = stored.partition_point(|date| *date < window.request.first());
        (stored.get(at)).is_some_and(|date| window.request.contains(*date))
    };
    if requests_stored(first) {
        return None;
    }
    let after = stored.partition_point(|date| *date < first.request.first());
    let before = after.checked_sub(1).map(|at| stored[at]);
    let nearest = before.or_else(|| stored.get(after).copied())?;
    if let Some(before) = before {
        let fits = (first.request.last() - before).num_days() < i64::from(limits.span_max);
        if fits {
            let mut widened = planned.to_vec();
            widened[0].request = date_range(before, first.request.last());
            return Some(widened);
        }
        if let Some(recut) = recut(planned, days, before, limits) {
            return Some(recut);
        }
    }
    let mut all = planned.to_vec();
    match (planned.iter()).position(|window| window.refetch && requests_stored(window)) {
        Some(at) => all[..=at].rotate_right(1),
        None => all.insert(0, Window::comparison(nearest)),
    }
    Some(all)
}

/// The same days in as many windows, the first of which also requests `stored`.
fn recut(
    planned: &[Window],
    days: &[(Day, DayState)],
    stored: NaiveDate,
    limits: &RequestLimits,
) -> Option<Vec<Window>> {
    let mut marked = days.to_vec();
    let index = (marked.binary_search_by_key(&stored, |(day, _)| day.date)).ok()?;
    marked[index].1 = DayState::New;
    let mut cut = windows(&marked, limits);
    let first = cut.first_mut()?;
    let wanted: Vec<Day> = (first.days.iter().copied())
        .filter(|day| day.date != stored)
        .collect();
    let start = wanted.first()?.date;
    first.keep = date_range(start, first.keep.last());
    first.skip.retain(|date| *date >= start);
    first.days = wanted;
    (cut.len() == planned.len()).then_some(cut)
}
