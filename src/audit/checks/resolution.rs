//! `resolution`: longer bars that differ from the one-minute bars inside them.

use crate::audit::day::Day;
use crate::audit::finding::{Found, Severity, Values};
use crate::model::{Bar, CombinedBar, Grid, Hours, Interval, MINUTE_MICROS, Timestamp};

/// How many times the tolerance of prices volumes may differ: vendors correct them later.
const VOLUME_TIMES: f64 = 100.0;

/// Compares the longer bars of a date with those that its one-minute bars make, on the session's
/// grid. A difference in prices is an error; one in volumes, one that missing minutes explain, and bars
/// that only one of them has are warnings. Only bars inside the session are compared.
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
    let mut compare = |at: i64, staged: Option<Bar>, rebuilt: Option<&Rebuilt>| {
        let (severity, off, values) = match (staged, rebuilt) {
            (Some(staged), Some(rebuilt)) => match difference(&staged, rebuilt, tolerance) {
                Some(difference) => difference,
                None => return,
            },
            (Some(staged), None) => (Severity::Warning, 0.0, vec![("close", staged.close)]),
            (None, Some(rebuilt)) => (
                Severity::Warning,
                0.0,
                vec![("rebuilt_close", rebuilt.bar.close)],
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
            while let Some(before) = rebuilt.get(at).filter(|before| before.opens < *time) {
                if is_inside(before.opens) {
                    compare(before.opens, None, Some(before));
                }
                at += 1;
            }
            let same = rebuilt.get(at).filter(|same| same.opens == *time);
            at += usize::from(same.is_some());
            compare(*time, Some(longer.bars.get(row)), same);
        }
        while let Some(before) = rebuilt.get(at).filter(|before| before.opens < range.end) {
            if is_inside(before.opens) {
                compare(before.opens, None, Some(before));
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

/// A longer bar that one-minute bars inside the session make.
struct Rebuilt {
    opens: i64,
    bar: Bar,
    /// Whether there is a bar for each minute of the session in it.
    is_whole: bool,
}

/// The longer bars of a date, in order.
fn rebuild(minutes: &Day, interval: Interval, hours: Hours) -> Vec<Rebuilt> {
    let Some(session) = minutes.session() else {
        return Vec::new();
    };
    let mut rebuilt = Vec::new();
    let mut parts: Option<(i64, CombinedBar, i64)> = None;
    let expected = |slot: i64| -> i64 {
        let ends = session.parts().map(|(open, close)| {
            (close.micros().min(slot + interval.micros()) - open.micros().max(slot)).max(0)
        });
        ends.sum::<i64>() / MINUTE_MICROS
    };
    let finish = |(slot, bar, count): (i64, CombinedBar, i64)| Rebuilt {
        opens: slot,
        bar: bar.into_bar(Timestamp::from_micros(slot)),
        is_whole: count >= expected(slot),
    };
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
                Some((known, combined, count)) if *known == slot => {
                    combined.add(&bar);
                    *count += 1;
                }
                _ => {
                    let next = (slot, CombinedBar::new(bar), 1);
                    rebuilt.extend(parts.replace(next).map(finish));
                }
            }
        }
    }
    rebuilt.extend(parts.map(finish));
    rebuilt
}

/// Severity, size and values of the largest difference; `None` within the tolerance.
fn difference(staged: &Bar, rebuilt: &Rebuilt, tolerance: f64) -> Option<(Severity, f64, Values)> {
    let is_whole = rebuilt.is_whole;
    let rebuilt = &rebuilt.bar;
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
    let is_other_volume = volume > tolerance * VOLUME_TIMES;
    match price {
        // A minute without a bar can be one that wasn't downloaded. If nothing was traded in it, the volumes
        // are the same.
        Some((off, values)) => match is_whole || (rebuilt.volume > 0.0 && !is_other_volume) {
            true => Some((Severity::Error, off, values)),
            false => Some((Severity::Warning, off, values)),
        },
        None if is_other_volume => {
            let values = vec![
                ("volume", staged.volume),
                ("rebuilt_volume", rebuilt.volume),
            ];
            Some((Severity::Warning, volume, values))
        }
        None => None,
    }
}
