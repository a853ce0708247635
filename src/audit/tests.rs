//! Each check finds its fault, and nothing in correct bars.

use std::convert::Infallible;

use super::check::Check;
use super::finding::{Finding, Severity};
use super::limits::Limits;
use super::ticker::{self, Common, Input};
use crate::calendar::{Calendar, Session};
use crate::model::{
    Bar, Bars, CombinedBar, DateRange, Hours, Interval, MINUTE_MICROS, SeriesKey, Timestamp,
};

/// Sessions of the tests, from 2025-01-02: the 5th is before a closed day.
const SESSIONS: u64 = 25;

/// A random walk whose usual move is about 0.0005.
struct Walk {
    state: u64,
    price: f64,
}

impl Walk {
    fn random(&mut self) -> f64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn bar(&mut self, at: Timestamp) -> Bar {
        let open = self.price;
        self.price *= 1.0 + (self.random() - 0.5) * 0.002;
        let (low, high) = (open.min(self.price), open.max(self.price));
        let volume = 1000.0 + (self.random() * 1000.0).round();
        Bar::new(at, [open, high * 1.0002, low * 0.9998, self.price], volume)
    }
}

fn sessions() -> Vec<Session> {
    let first = "2025-01-02".parse().unwrap();
    let dates = DateRange::new(first, first + chrono::Days::new(60)).unwrap();
    let mut sessions = Calendar::for_exchange("NASDAQ")
        .unwrap()
        .sessions(dates)
        .unwrap();
    sessions.truncate(SESSIONS as usize);
    sessions
}

/// Correct one-minute bars.
fn minutes() -> Vec<Bar> {
    let mut walk = Walk {
        state: 1,
        price: 100.0,
    };
    let grids = sessions()
        .into_iter()
        .flat_map(|session| session.grid(Interval::M1));
    grids.map(|at| walk.bar(at)).collect()
}

/// The index of a minute of a session.
fn at(session: usize, minute: usize) -> usize {
    session * 390 + minute
}

/// The longer bars of correct one-minute bars.
fn longer(minutes: &[Bar], interval: Interval) -> Vec<Bar> {
    let mut bars = Vec::new();
    for session in sessions() {
        for open in session.grid(interval) {
            let end = (open.micros() + interval.micros()).min(session.close.micros());
            let range = open.micros()..end;
            let mut inside = minutes
                .iter()
                .filter(|bar| range.contains(&bar.timestamp.micros()));
            let Some(first) = inside.next() else { continue };
            let mut combined = CombinedBar::new(*first);
            inside.for_each(|bar| combined.add(bar));
            bars.push(combined.into_bar(open));
        }
    }
    bars
}

fn audited(
    series: &[(Interval, &[Bar])],
    hours: Hours,
    limits: &Limits,
    piece: usize,
    exchange: Option<&str>,
) -> Vec<Finding> {
    let inputs = series.iter().map(|(interval, bars)| Input {
        key: SeriesKey {
            interval: *interval,
            ticker: "ACME".parse().unwrap(),
        },
        hours,
        pieces: (bars.chunks(piece))
            .map(|bars| Ok::<Bars, Infallible>(bars.iter().copied().collect())),
        calendar: Calendar::for_exchange(exchange.unwrap_or("CRYPTO")).unwrap(),
        is_known: exchange.is_some(),
        is_wanted: true,
        is_comparable: *interval != Interval::M1,
    });
    let common = Common {
        checks: Check::ALL,
        limits,
        now: Timestamp::from_micros(i64::MAX),
    };
    let Ok(checked) = ticker::audit(inputs.collect(), common);
    checked.findings
}

/// What is found in one-minute bars of NASDAQ: `check severity bars`.
fn found(bars: &[Bar], hours: Hours) -> Vec<String> {
    let findings = audited(
        &[(Interval::M1, bars)],
        hours,
        &Limits::default(),
        1000,
        Some("NASDAQ"),
    );
    findings
        .iter()
        .map(|found| format!("{} {} {}", found.check, found.severity, found.bars))
        .collect()
}

fn found_with(change: impl FnOnce(&mut Vec<Bar>)) -> Vec<String> {
    let mut bars = minutes();
    change(&mut bars);
    found(&bars, Hours::Regular)
}

fn scale(bar: &mut Bar, factor: f64) {
    for price in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
        *price *= factor;
    }
}

#[test]
fn correct_bars_have_no_findings() {
    let minutes = minutes();
    let of: Vec<Vec<Bar>> = Interval::ALL[1..]
        .iter()
        .map(|i| longer(&minutes, *i))
        .collect();
    let mut series: Vec<(Interval, &[Bar])> = vec![(Interval::M1, &minutes)];
    series.extend(
        Interval::ALL[1..]
            .iter()
            .copied()
            .zip(of.iter().map(Vec::as_slice)),
    );
    for hours in [Hours::Regular, Hours::Unknown] {
        let found = audited(&series, hours, &Limits::default(), 777, Some("NASDAQ"));
        assert_eq!(found, []);
    }
}

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
fn a_price_that_stays_is_no_spike() {
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

/// Severity and bars of the findings of longer bars next to one-minute bars.
fn resolution(minutes: &[Bar], interval: Interval, bars: &[Bar]) -> Vec<(Severity, u64)> {
    let series = [(Interval::M1, minutes), (interval, bars)];
    let limits = Limits {
        spike: 1e9,
        jump: 1e9,
        ..Limits::default()
    };
    let found = audited(&series, Hours::Regular, &limits, 500, Some("NASDAQ"));
    let of = |found: &Finding| found.check == Check::Resolution;
    let found = found.into_iter().filter(of);
    found.map(|found| (found.severity, found.bars)).collect()
}

#[test]
fn longer_bars_are_rebuilt() {
    let minutes = minutes();
    let compare = |interval: Interval, change: &dyn Fn(&mut Vec<Bar>)| {
        let mut bars = longer(&minutes, interval);
        change(&mut bars);
        resolution(&minutes, interval, &bars)
    };
    for interval in &Interval::ALL[1..] {
        let error = [(Severity::Error, 1)];
        let warning = [(Severity::Warning, 1)];
        let without_one = |bars: &mut Vec<Bar>| {
            bars.remove(10);
        };
        assert_eq!(compare(*interval, &|bars| bars[10].close *= 1.0002), error);
        assert_eq!(compare(*interval, &|bars| bars[10].close *= 1.00005), []);
        assert_eq!(compare(*interval, &|bars| bars[10].volume *= 1.02), warning);
        assert_eq!(compare(*interval, &|bars| bars[10].volume *= 1.005), []);
        assert_eq!(compare(*interval, &without_one), warning);
        // A minute that wasn't downloaded isn't an error of the longer bar. One without trades explains nothing.
        let highest = |bars: &[Bar]| {
            let found = (0..390).max_by(|a, b| bars[*a].high.total_cmp(&bars[*b].high));
            found.unwrap()
        };
        let mut lacking = minutes.clone();
        let mut whole = longer(&minutes, *interval);
        lacking.remove(highest(&minutes));
        assert_eq!(resolution(&lacking, *interval, &whole), warning);
        whole = longer(&lacking, *interval);
        whole[1].high *= 1.01;
        assert_eq!(resolution(&lacking, *interval, &whole), error);
        // Another label: no bar has its time.
        let shifted = compare(*interval, &|bars| {
            for bar in bars {
                bar.timestamp = Timestamp::from_micros(bar.timestamp.micros() + MINUTE_MICROS);
            }
        });
        assert_eq!(shifted.len(), 1, "{shifted:?}");
    }
}

#[test]
fn pieces_do_not_change_the_findings() {
    let mut bars = minutes();
    bars[at(2, 389)].high *= 1.5;
    bars[at(3, 0)].low *= 0.5;
    bars[at(20, 5)].volume = 1e9;
    bars.remove(at(9, 389));
    let five = longer(&minutes(), Interval::M5);
    let series = [(Interval::M1, &bars[..]), (Interval::M5, &five[..])];
    let all = |piece: usize| {
        audited(
            &series,
            Hours::Regular,
            &Limits::default(),
            piece,
            Some("NASDAQ"),
        )
    };
    let whole = all(usize::MAX);
    assert!(whole.len() >= 6, "{whole:?}");
    for piece in [1, 2, 389, 390, 391, 1000] {
        assert_eq!(all(piece), whole, "{piece}");
    }
}

#[test]
fn without_a_calendar_values_are_checked() {
    let mut bars = minutes();
    bars[at(2, 100)].high *= 1.5;
    bars.remove(at(9, 389));
    let found = audited(
        &[(Interval::M1, &bars)],
        Hours::Regular,
        &Limits::default(),
        500,
        None,
    );
    let checks: Vec<Check> = found.iter().map(|found| found.check).collect();
    assert_eq!(checks, [Check::Spike]);
}

#[test]
fn one_series_can_have_very_many_findings() {
    let mut bars = minutes();
    for bar in bars.iter_mut().step_by(4) {
        bar.high *= 1.02;
    }
    // An error after many warnings.
    bars[at(SESSIONS as usize - 1, 200)].high *= 2.0;
    let count = bars.len() as u64;
    let inputs = [Input {
        key: SeriesKey {
            interval: Interval::M1,
            ticker: "ACME".parse().unwrap(),
        },
        hours: Hours::Regular,
        pieces: std::iter::once(Ok::<Bars, Infallible>(bars.into_iter().collect())),
        calendar: Calendar::for_exchange("NASDAQ").unwrap(),
        is_known: true,
        is_wanted: true,
        is_comparable: false,
    }];
    let common = Common {
        checks: &[Check::Spike],
        limits: &Limits::default(),
        now: Timestamp::from_micros(0),
    };
    let Ok(checked) = ticker::audit(inputs.into(), common);
    let of = |severity| {
        let found = checked.findings.iter();
        found.filter(|found| found.severity == severity).count()
    };
    assert_eq!((of(Severity::Warning), of(Severity::Error)), (1000, 1));
    assert!(checked.dropped > 1000, "{}", checked.dropped);
    assert_eq!(checked.bars, count);
}
