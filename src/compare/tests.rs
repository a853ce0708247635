//! Joins, factors and shifts of bars in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bars::Rows;
use super::factor;
use super::join::{Difference, Joined, Tolerance};
use super::shift;
use crate::model::{Bar, Interval, MINUTE_MICROS};

const BASIS_POINT: f64 = 1.0;

fn tolerance() -> Tolerance {
    Tolerance::of_basis_points(BASIS_POINT)
}

/// Bars with these minutes and closes. The other prices follow from the close.
fn rows(bars: impl IntoIterator<Item = (i64, f64)>) -> Rows {
    let mut rows = Rows::default();
    for (minute, close) in bars {
        rows.times.push(minute * MINUTE_MICROS);
        for (values, value) in
            (rows.values.iter_mut()).zip([close, close + 0.5, close - 0.5, close, 100.0])
        {
            values.push(value);
        }
    }
    rows
}

/// A close that moves like a price: each minute has another one.
fn price(minute: i64) -> f64 {
    let noise = (minute * minute * 31 + minute * 17).rem_euclid(997) as f64;
    100.0 + (noise / 10.0).round() / 10.0
}

fn session(minutes: std::ops::Range<i64>) -> Rows {
    rows(minutes.map(|minute| (minute, price(minute))))
}

/// The shift of bars there around `here`.
fn shift_of(here: &Rows, there: &Rows) -> Option<i32> {
    let none = Rows::default();
    shift::search(here, [&none, there, &none], Interval::M1, tolerance()).minutes
}

#[test]
fn a_shift_is_found_for_each_reason() {
    let here = session(870..1260);
    for minutes in [1, -1, 60, -60, 300, -240, 301, 840, -345] {
        let there = rows((870..1260).map(|minute| (minute + minutes, price(minute))));
        assert_eq!(shift_of(&here, &there), Some(minutes as i32), "{minutes}");
    }
    // Half of the bars are missing there.
    let there = rows(
        (870..1260)
            .step_by(2)
            .map(|minute| (minute + 60, price(minute))),
    );
    assert_eq!(shift_of(&here, &there), Some(60));
}

#[test]
fn bars_of_the_next_day_are_searched_too() {
    let here = session(870..1260);
    let next = rows((870..1260).map(|minute| (minute + 600, price(minute))));
    let none = Rows::default();
    let around = [&none, &none, &next];
    let found = shift::search(&here, around, Interval::M1, tolerance());
    assert_eq!(found.minutes, Some(600));
}

#[test]
fn a_shift_needs_bars_that_agree_clearly_better_with_it() {
    let here = session(870..1260);
    // Other prices, one price all day, and two prices that alternate.
    let other = rows((870..1260).map(|minute| (minute, price(minute) + 3.0)));
    assert_eq!(shift_of(&here, &other), None);
    let flat = |minutes: std::ops::Range<i64>| rows(minutes.map(|minute| (minute, 0.01)));
    assert_eq!(shift_of(&flat(870..1000), &flat(1000..1260)), None);
    let alternating = |from: i64| {
        rows((from..from + 390).map(|minute| (minute, 1.0 + (minute % 2) as f64 / 10.0)))
    };
    assert_eq!(shift_of(&alternating(870), &alternating(871)), None);
    // A price that changes every two hours.
    let steps = |shift: i64| rows((870..1260).map(|at| (at + shift, 5.0 + (at / 120) as f64)));
    assert_eq!(shift_of(&steps(0), &steps(15)), None);
    // Too few bars, and no bars at all.
    assert_eq!(shift_of(&session(870..873), &session(870..873)), None);
    assert_eq!(shift_of(&here, &Rows::default()), None);
}

#[test]
fn a_factor_of_a_series_needs_most_of_the_closes_that_differ() {
    let date = |day: u32| chrono::NaiveDate::from_ymd_opt(2025, 1, day).unwrap();
    let session = |day, factor, closes| factor::OfSession {
        session: date(day),
        factor,
        closes,
    };
    let late_split = vec![
        session(2, 0.25, 390),
        session(3, 0.25, 390),
        session(6, 2.0, 30),
    ];
    let found = factor::of_series(late_split.clone(), 810).unwrap();
    assert_eq!(
        (found.factor, found.bars, found.first, found.last),
        (0.25, 780, date(2), date(3))
    );
    // As many other closes differ without a factor.
    assert_eq!(factor::of_series(late_split, 1_560), None);
    assert_eq!(factor::of_series(Vec::new(), 5), None);
}

#[test]
fn the_factor_of_a_session_is_measured_from_here_to_there() {
    let bar = |minute: i64, scale: f64| -> Bar {
        let close = (price(minute) / scale * 100.0).round() / 100.0;
        rows([(minute, close)]).bar(0)
    };
    let pairs: Vec<(Bar, Bar)> = (0..390).map(|at| (bar(at, 1.0), bar(at, 4.0))).collect();
    let found = factor::of_session(&pairs, 0).unwrap();
    assert!((found - 0.25).abs() < 0.001, "{found}");
    assert_eq!(factor::of_session(&pairs[..2], 388), None, "two spikes");
}

#[test]
fn the_tolerance_is_a_share_of_the_larger_price() {
    assert!(tolerance().holds(100.0, 100.01) && tolerance().holds(100.01, 100.0));
    assert!(!tolerance().holds(100.0, 100.02));
    let none = Tolerance::of_basis_points(0.0);
    assert!(none.holds(100.0, 100.0) && !none.holds(100.0, 100.000_001));
}

/// Bars of a small range of minutes and closes, so that many keys and values meet.
fn bars() -> impl Strategy<Value = BTreeMap<i64, f64>> {
    proptest::collection::btree_map(
        0i64..40,
        (0u8..4).prop_map(|step| 100.0 + f64::from(step) * 0.005),
        0..40,
    )
}

proptest! {
    #[test]
    fn a_join_counts_like_a_map(here in bars(), there in bars()) {
        let (left, right) = (rows(here.clone()), rows(there.clone()));
        let joined = Joined::new(&left, &right, tolerance());
        let mut wanted = Vec::new();
        let (mut identical, mut within) = (0, 0);
        for minute in 0..40 {
            let micros = minute * MINUTE_MICROS;
            match (here.get(&minute), there.get(&minute)) {
                (Some(one), Some(other)) if one == other => identical += 1,
                // The low is the smallest price, so it has the narrowest tolerance.
                (Some(one), Some(other))
                    if (one - other).abs() <= (one.max(*other) - 0.5) * 1e-4 => within += 1,
                (Some(_), Some(_)) => wanted.push((micros, Difference::Different)),
                (Some(_), None) => wanted.push((micros, Difference::OnlyHere)),
                (None, Some(_)) => wanted.push((micros, Difference::OnlyThere)),
                (None, None) => {}
            }
        }
        let found: Vec<_> = joined.differing(&left, &right).iter().map(|bar| (bar.micros, bar.difference)).collect();
        prop_assert_eq!(&found, &wanted);
        let counts = joined.counts;
        prop_assert_eq!((counts.identical, counts.within), (identical, within));
        prop_assert_eq!(counts.both + counts.only_here, here.len() as u64);
        prop_assert_eq!(counts.both + counts.only_there, there.len() as u64);
        prop_assert_eq!(counts.both, counts.identical + counts.within + counts.different);
        let same = Joined::new(&left, &left, tolerance()).counts;
        prop_assert_eq!((same.identical, same.both), (here.len() as u64, here.len() as u64));
    }
}
