//! `resolution`: longer bars that differ from the one-minute bars inside them.

use crate::audit::day::Day;
use crate::audit::finding::{Found, Severity, Values};
use crate::model::{Bar, CombinedBar, Grid, Hours, Interval, Timestamp};

/// How many times the tolerance of prices volumes may differ: vendors correct them later.
const VOLUME_TIMES: f64 = 100.0;

/// Compares the longer bars of a date with those that its one-minute bars make, on the session's
/// grid. A difference in prices is an error, one in volumes or bars that only one of them has a
/// warning. Only bars inside the session are compared.
pub(in crate::audit) fn check(
    minutes: &Day,
    longer: &Day,
    interval: Interval,
    hours: Hours,
    tolerance: f64,
) -> Option<Found> {
    let session = minutes.session().filter(|_| longer.session().is_some())?;
    let rebuilt = rebuild(minutes, interval, hours);
    let mut found: Option<Found> = None;
    let mut worst = 0.0;
    let mut compare = |at: i64, staged: Option<Bar>, rebuilt: Option<Bar>| {
        let (severity, off, values) = match (staged, rebuilt) {
            (Some(staged), Some(rebuilt)) => match difference(&staged, &rebuilt, tolerance) {
                Some(difference) => difference,
                None => return,
            },
            (Some(staged), None) => (Severity::Warning, 0.0, vec![("close", staged.close)]),
            (None, Some(rebuilt)) => (
                Severity::Warning,
                0.0,
                vec![("rebuilt_close", rebuilt.close)],
            ),
            (None, None) => return,
        };
        let found = found.get_or_insert(Found {
            severity,
            first: at,
            last: at,
            bars: 0,
            values: values.clone(),
        });
        found.last = at;
        found.bars += 1;
        // An error is more than any warning.
        let is_worse =
            (severity == Severity::Error, off) > (found.severity == Severity::Error, worst);
        if is_worse {
            (worst, found.severity, found.values) = (off, severity, values);
        }
    };
    let mut at = 0;
    for (open, close) in session.parts() {
        let range = open.micros()..close.micros();
        let is_inside =
            |time: i64| range.contains(&time) && time + whole(interval, hours) <= range.end;
        for (row, time) in longer.times().iter().enumerate() {
            if !is_inside(*time) {
                continue;
            }
            while let Some((before, bar)) = rebuilt.get(at).filter(|(before, _)| before < time) {
                if is_inside(*before) {
                    compare(*before, None, Some(*bar));
                }
                at += 1;
            }
            let same = rebuilt.get(at).filter(|(same, _)| same == time);
            at += usize::from(same.is_some());
            compare(*time, Some(longer.bars.get(row)), same.map(|(_, bar)| *bar));
        }
        while let Some((before, bar)) = rebuilt.get(at).filter(|(before, _)| *before < range.end) {
            if is_inside(*before) {
                compare(*before, None, Some(*bar));
            }
            at += 1;
        }
    }
    found
}

/// How much of a bar must be inside the session. On the grid of full hours a bar can also have
/// minutes from outside; on the session's grid the last one is only shorter.
fn whole(interval: Interval, hours: Hours) -> i64 {
    match Grid::of(interval, hours) {
        Grid::Session => 0,
        Grid::Clock => interval.micros(),
    }
}

/// The longer bars that one-minute bars inside the session make, with the times of their opens.
fn rebuild(minutes: &Day, interval: Interval, hours: Hours) -> Vec<(i64, Bar)> {
    let Some(session) = minutes.session() else {
        return Vec::new();
    };
    let mut rebuilt = Vec::new();
    let mut parts: Option<(i64, CombinedBar)> = None;
    let finish =
        |(slot, bar): (i64, CombinedBar)| (slot, bar.into_bar(Timestamp::from_micros(slot)));
    for range in &minutes.parts {
        let first = minutes.times()[range.start];
        let opens = session.parts().map(|(open, _)| open.micros());
        let open = match Grid::of(interval, hours) {
            Grid::Session => opens.filter(|open| *open <= first).last().unwrap_or(first),
            Grid::Clock => 0,
        };
        for row in range.clone() {
            let at = minutes.times()[row];
            let slot = at - (at - open).rem_euclid(interval.micros());
            let bar = minutes.bars.get(row);
            match &mut parts {
                Some((known, combined)) if *known == slot => combined.add(&bar),
                _ => rebuilt.extend(parts.replace((slot, CombinedBar::new(bar))).map(finish)),
            }
        }
    }
    rebuilt.extend(parts.map(finish));
    rebuilt
}

/// Severity, size and values of the largest difference; `None` within the tolerance.
fn difference(staged: &Bar, rebuilt: &Bar, tolerance: f64) -> Option<(Severity, f64, Values)> {
    let off = |one: f64, other: f64| {
        let size = one.abs().max(other.abs());
        if size == 0.0 {
            0.0
        } else {
            (one - other).abs() / size
        }
    };
    let prices = [
        ("open", "rebuilt_open", staged.open, rebuilt.open),
        ("high", "rebuilt_high", staged.high, rebuilt.high),
        ("low", "rebuilt_low", staged.low, rebuilt.low),
        ("close", "rebuilt_close", staged.close, rebuilt.close),
    ];
    let price = prices
        .into_iter()
        .map(|(name, other, one, two)| (off(one, two), vec![(name, one), (other, two)]))
        .max_by(|one, two| one.0.total_cmp(&two.0))
        .filter(|(off, _)| *off > tolerance);
    let volume = off(staged.volume, rebuilt.volume);
    match price {
        Some((off, values)) => Some((Severity::Error, off, values)),
        None if volume > tolerance * VOLUME_TIMES => {
            let values = vec![
                ("volume", staged.volume),
                ("rebuilt_volume", rebuilt.volume),
            ];
            Some((Severity::Warning, volume, values))
        }
        None => None,
    }
}
