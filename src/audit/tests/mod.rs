//! Each check finds its fault, and nothing in correct bars.

mod bars;
mod days;
mod series;

use std::convert::Infallible;

use super::check::Check;
use super::finding::{Finding, Severity};
use super::limits::Limits;
use super::ticker::{self, Common, Input};
use crate::calendar::Calendar;
use crate::model::{Bar, Bars, Hours, Interval, SeriesKey, Timestamp};
use bars::{SESSIONS, at, longer, minutes};

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
