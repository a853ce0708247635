//! The checks of one date: what they find, what is just below a limit, and what only looks like a fault.

use super::bars::Walk;
use super::*;
use crate::model::MINUTE_MICROS;

#[test]
fn a_repeated_bar_is_found_from_the_limit_on() {
    let repeat = |bars: usize, volume: f64| {
        move |all: &mut Vec<Bar>| {
            let price = all[at(3, 100)].close;
            for bar in &mut all[at(3, 101)..at(3, 101) + bars] {
                *bar = Bar::new(bar.timestamp, [price; 4], volume);
            }
        }
    };
    assert_eq!(found_with(repeat(15, 100.0)), ["zero_price_range error 15"]);
    assert_eq!(found_with(repeat(15, 0.0)), ["zero_price_range warning 15"]);
    assert_eq!(found_with(repeat(14, 100.0)), [""; 0]);
    // One price with other volumes is a quiet market.
    let quiet = |all: &mut Vec<Bar>| {
        let price = all[at(3, 100)].close;
        for (index, bar) in all[at(3, 101)..at(3, 131)].iter_mut().enumerate() {
            *bar = Bar::new(bar.timestamp, [price; 4], 100.0 + (index % 2) as f64);
        }
    };
    assert_eq!(found_with(quiet), [""; 0]);
}

#[test]
fn a_spike_is_found_by_its_size() {
    let high = |factor: f64| move |all: &mut Vec<Bar>| all[at(12, 200)].high *= factor;
    assert_eq!(found_with(high(1.005)), [""; 0]);
    assert_eq!(found_with(high(1.012)), ["spike warning 1"]);
    assert_eq!(found_with(high(1.05)), ["spike error 1"]);
    assert_eq!(
        found_with(|all| all[at(12, 200)].low *= 0.95),
        ["spike error 1"]
    );
    // A bar that is off as a whole is a spike, and not two jumps.
    assert_eq!(
        found_with(|all| scale(&mut all[at(12, 200)], 1.1)),
        ["spike error 1"]
    );
    // At the ends of a session only an error counts.
    for minute in [0, 389] {
        let end = |factor: f64| move |all: &mut Vec<Bar>| all[at(12, minute)].high *= factor;
        assert_eq!(found_with(end(1.012)), [""; 0]);
        assert_eq!(found_with(end(1.05)), ["spike error 1"]);
    }
}

#[test]
fn a_price_that_stays_is_not_a_spike() {
    // Each bar opens where the one before it closed.
    let news = |all: &mut Vec<Bar>| {
        all[at(12, 200)].close *= 1.05;
        all[at(12, 200)].high *= 1.05;
        all[at(12, 201)..at(13, 0)]
            .iter_mut()
            .for_each(|bar| scale(bar, 1.05));
    };
    assert_eq!(found_with(news), [""; 0]);
    // Overnight and after a halt as well.
    let overnight = |all: &mut Vec<Bar>| {
        all[at(12, 0)..].iter_mut().for_each(|bar| scale(bar, 1.3));
    };
    assert_eq!(found_with(overnight), [""; 0]);
    let halt = |all: &mut Vec<Bar>| {
        all[at(12, 205)..]
            .iter_mut()
            .for_each(|bar| scale(bar, 1.3));
        all.drain(at(12, 200)..at(12, 205));
    };
    assert_eq!(found_with(halt), [""; 0]);
}

#[test]
fn a_jump_is_found_by_its_size() {
    let jump = |factor: f64| {
        move |all: &mut Vec<Bar>| {
            all[at(12, 200)..]
                .iter_mut()
                .for_each(|bar| scale(bar, factor));
        }
    };
    assert_eq!(found_with(jump(1.005)), [""; 0]);
    assert_eq!(found_with(jump(1.015)), ["jump warning 2"]);
    assert_eq!(found_with(jump(1.1)), ["jump error 2"]);
    assert_eq!(found_with(jump(0.5)), ["jump error 2"]);
}

#[test]
fn a_turbulent_session_is_compared_with_itself() {
    let turbulent = |all: &mut Vec<Bar>| {
        let mut walk = Walk {
            state: 5,
            price: all[at(12, 0)].open,
        };
        for minute in 0..390 {
            let calm = walk.price;
            let mut bar = walk.bar(all[at(12, minute)].timestamp);
            // Ten times the usual move.
            walk.price = calm * (1.0 + (bar.close / calm - 1.0) * 10.0);
            bar.close = walk.price;
            (bar.low, bar.high) = (calm.min(walk.price), calm.max(walk.price));
            all[at(12, minute)] = bar;
        }
    };
    assert_eq!(found_with(turbulent), [""; 0]);
}

#[test]
fn a_volume_is_compared_with_other_sessions() {
    let volume = |volume: f64| move |all: &mut Vec<Bar>| all[at(0, 200)].volume = volume;
    assert_eq!(found_with(volume(39_000.0)), [""; 0]);
    assert_eq!(found_with(volume(41_000.0)), ["volume_outlier warning 1"]);
    // An auction that is large every day is usual.
    let auctions = |all: &mut Vec<Bar>| {
        (0..SESSIONS as usize).for_each(|session| all[at(session, 389)].volume = 1e6);
    };
    assert_eq!(found_with(auctions), [""; 0]);
    // A session by itself is compared with its other bars.
    let mut one = minutes();
    one.truncate(390);
    one[200].volume = 41_000.0;
    assert_eq!(found(&one, Hours::Regular), ["volume_outlier warning 1"]);
}

#[test]
fn bars_outside_the_session_depend_on_the_hours() {
    let extended = |all: &mut Vec<Bar>| {
        for session in [3, 2] {
            let first = all[at(session, 0)];
            let before = Timestamp::from_micros(first.timestamp.micros() - 30 * MINUTE_MICROS);
            all.insert(
                at(session, 0),
                Bar {
                    timestamp: before,
                    ..first
                },
            );
        }
    };
    // Sessions after one another are one finding.
    assert_eq!(found_with(extended), ["outside_session error 2"]);
    let mut bars = minutes();
    extended(&mut bars);
    assert_eq!(found(&bars, Hours::Extended), [""; 0]);
    assert_eq!(found(&bars, Hours::Unknown), [""; 0]);
    // The exchange was closed on 2025-01-09.
    let mut bars = minutes();
    let last = bars[at(4, 389)];
    let closed = Timestamp::from_micros(last.timestamp.micros() + 18 * 60 * MINUTE_MICROS);
    bars.insert(
        at(5, 0),
        Bar {
            timestamp: closed,
            ..last
        },
    );
    assert_eq!(found(&bars, Hours::Regular), ["outside_session error 1"]);
    assert_eq!(found(&bars, Hours::Unknown), ["outside_session warning 1"]);
}

#[test]
fn a_missing_last_minute_needs_all_others() {
    let without = |sessions: &'static [usize]| {
        move |all: &mut Vec<Bar>| {
            for session in sessions {
                all.remove(at(*session, 389));
            }
        }
    };
    assert_eq!(found_with(without(&[7])), ["last_minute_missing warning 1"]);
    // Of sessions after one another in one finding.
    assert_eq!(
        found_with(without(&[9, 8, 7, 3])),
        [
            "last_minute_missing warning 1",
            "last_minute_missing warning 3"
        ]
    );
    let thin = |all: &mut Vec<Bar>| {
        all.remove(at(7, 389));
        all.drain(at(7, 100)..at(7, 108));
    };
    assert_eq!(found_with(thin), [""; 0]);
}
