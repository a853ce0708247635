//! Whole series: longer bars next to one-minute bars, and the pieces in which bars are read.

use super::*;
use crate::model::MINUTE_MICROS;

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
