//! What the servers written from documentation have: a few stocks of New York, minute by minute over a
//! clock change, and what a store must have of them. It shares no code with the simulator.

use super::*;

/// Clocks change on the Sunday between.
pub(super) const FIRST: &str = "2025-03-06";
pub(super) const LAST: &str = "2025-03-12";
const DATES: [(&str, i64); 5] = [
    ("2025-03-06", 5),
    ("2025-03-07", 5),
    ("2025-03-10", 4),
    ("2025-03-11", 4),
    ("2025-03-12", 4),
];
pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const DAY_MS: i64 = 1_440 * MINUTE_MS;
/// Minutes of the day from 04:00 to 20:00, and those of the session.
const TRADING: std::ops::Range<i64> = 240..1_200;
const SESSION: std::ops::Range<i64> = 570..960;

/// A bar of a minute or of several.
#[derive(Clone, Copy)]
pub(super) struct Minute {
    /// When it opens, in milliseconds UTC.
    pub(super) at: i64,
    /// Minute of the local day.
    pub(super) local: i64,
    /// Open, high, low and close.
    pub(super) prices: [f64; 4],
    pub(super) volume: f64,
}

/// Midnight of a date in New York, in milliseconds UTC.
pub(super) fn midnight(date: NaiveDate) -> i64 {
    let change: NaiveDate = "2025-03-09".parse().unwrap();
    let hours = if date <= change { 5 } else { 4 };
    date.and_hms_opt(hours, 0, 0)
        .unwrap()
        .and_utc()
        .timestamp_millis()
}

/// The minutes of a stock: one has all, one is thin and lacks a day, one trades once in seven minutes of
/// the session. No other stock has any.
pub(super) fn minutes(symbol: &str) -> Vec<Minute> {
    let has = |date: usize, minute: i64| match symbol {
        "AAPL" => true,
        "BRK.B" | "BRK-B" => date != 3 && minute % 3 != 1,
        "ZS" => SESSION.contains(&minute) && minute % 7 == 2,
        _ => false,
    };
    let base = f64::from(symbol.bytes().map(u32::from).sum::<u32>());
    let mut minutes = Vec::new();
    for (index, (date, hours)) in DATES.iter().enumerate() {
        let date: NaiveDate = date.parse().unwrap();
        let midnight = date.and_hms_opt(0, 0, 0).unwrap().and_utc();
        let midnight = midnight.timestamp_millis() + hours * 60 * MINUTE_MS;
        for local in TRADING.filter(|minute| has(index, *minute)) {
            let cents = (local * 37 + index as i64 * 11) % 500;
            let open = base + cents as f64 / 100.0;
            minutes.push(Minute {
                at: midnight + local * MINUTE_MS,
                local,
                prices: [open, open + 0.5, open - 0.25, open + 0.25],
                volume: 100.0 + cents as f64 + 0.25,
            });
        }
    }
    minutes
}

/// Bars of `step` minutes whose grid starts `offset` minutes after midnight.
pub(super) fn combined(minutes: &[Minute], step: i64, offset: i64) -> Vec<Minute> {
    let slot = |minute: &Minute| minute.at - (minute.local - offset).rem_euclid(step) * MINUTE_MS;
    let mut bars: Vec<Minute> = Vec::new();
    for minute in minutes {
        match bars.last_mut() {
            Some(bar) if bar.at == slot(minute) => {
                bar.prices[1] = bar.prices[1].max(minute.prices[1]);
                bar.prices[2] = bar.prices[2].min(minute.prices[2]);
                bar.prices[3] = minute.prices[3];
                bar.volume += minute.volume;
            }
            _ => bars.push(Minute {
                at: slot(minute),
                local: minute.local - (minute.local - offset).rem_euclid(step),
                ..*minute
            }),
        }
    }
    bars
}

/// The minutes of the session.
pub(super) fn session(symbol: &str) -> Vec<Minute> {
    let mut minutes = minutes(symbol);
    minutes.retain(|minute| SESSION.contains(&minute.local));
    minutes
}

/// Checks that each bar of the session is stored once, and no other.
#[track_caller]
pub(super) fn check_stored(env: &TestEnv, ticker: &str, symbol: &str, interval: Interval) {
    let step = i64::from(interval.minutes());
    let bars: Vec<Bar> = combined(&session(symbol), step, SESSION.start)
        .iter()
        .map(|bar| {
            Bar::new(
                Timestamp::from_micros(bar.at * 1_000),
                bar.prices,
                bar.volume,
            )
        })
        .collect();
    let stored: Vec<Bar> = staged(&env.path("data/staging"), ticker, interval)
        .iter()
        .map(|bar| Bar {
            vwap: None,
            trades: None,
            volume: (bar.volume * 1e6).round() / 1e6,
            ..*bar
        })
        .collect();
    same(&stored, &bars, &format!("{ticker} {interval}"));
}
