//! The bars that the files of the corpus contain: invented prices at the hours of real markets.

use chrono::{Datelike, NaiveDate, TimeZone, Weekday};
use chrono_tz::Tz;

pub const NEW_YORK: Tz = chrono_tz::America::New_York;
pub const UTC: Tz = chrono_tz::UTC;

/// A bar; its time is that of its open, in seconds UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub at: i64,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
}

impl Bar {
    /// The time in `zone`, by a pattern of strftime.
    pub fn time(&self, zone: Tz, pattern: &str) -> String {
        time(self.at, zone, pattern)
    }

    /// `open,high,low,close`
    pub fn ohlc(&self) -> String {
        self.join([self.open, self.high, self.low, self.close], ",")
    }

    /// `open,high,low,close,volume`
    pub fn ohlcv(&self) -> String {
        format!("{},{}", self.ohlc(), self.volume)
    }

    /// The same with another separator.
    pub fn separated(&self, separator: &str) -> String {
        self.ohlcv().replace(',', separator)
    }

    fn join(&self, values: [f64; 4], separator: &str) -> String {
        values.map(|value| value.to_string()).join(separator)
    }
}

pub fn time(at: i64, zone: Tz, pattern: &str) -> String {
    zone.timestamp_opt(at, 0)
        .unwrap()
        .format(pattern)
        .to_string()
}

/// What a file contains of one series.
#[derive(Clone, Debug)]
pub struct Series {
    pub ticker: String,
    pub minutes: u16,
    pub bars: Vec<Bar>,
}

/// How a market trades, as far as prices show it.
#[derive(Clone, Copy)]
struct Style {
    price: f64,
    /// Steps of a price in one unit.
    price_steps: f64,
    volume: f64,
    volume_steps: f64,
}

const STOCK: Style = Style {
    price: 187.0,
    price_steps: 100.0,
    volume: 9_000.0,
    volume_steps: 1.0,
};
const CURRENCY: Style = Style {
    price: 1.03,
    price_steps: 100_000.0,
    volume: 80.0,
    volume_steps: 100.0,
};
const COIN: Style = Style {
    price: 98_000.0,
    price_steps: 100.0,
    volume: 12.0,
    volume_steps: 100_000.0,
};

/// A random walk over these times.
fn walk(ticker: &str, minutes: u16, times: impl Iterator<Item = i64>, style: Style) -> Series {
    let mut state = ticker.bytes().fold(u64::from(minutes) + 7, |sum, byte| {
        sum * 31 + u64::from(byte)
    });
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    let round = |value: f64, steps: f64| (value * steps).round() / steps;
    let mut price = style.price;
    let bars = times
        .map(|at| {
            let open = round(price, style.price_steps);
            price *= 1.0 + (random() - 0.5) * 0.000_8;
            let close = round(price, style.price_steps);
            let (top, bottom) = (open.max(close), open.min(close));
            Bar {
                at,
                open,
                high: round(top * (1.0 + random() * 0.000_3), style.price_steps).max(top),
                low: round(bottom * (1.0 - random() * 0.000_3), style.price_steps).min(bottom),
                close,
                volume: round(style.volume * (0.2 + random()), style.volume_steps),
            }
        })
        .collect();
    Series {
        ticker: ticker.to_owned(),
        minutes,
        bars,
    }
}

fn local(date: NaiveDate, minute: i64, zone: Tz) -> i64 {
    let midnight = date.and_hms_opt(0, 0, 0).unwrap();
    let at = midnight + chrono::Duration::minutes(minute);
    zone.from_local_datetime(&at).unwrap().timestamp()
}

pub fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn weekdays(first: &str, last: &str) -> Vec<NaiveDate> {
    let holiday = day("2025-01-20");
    day(first)
        .iter_days()
        .take_while(|date| *date <= day(last))
        .filter(|date| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && *date != holiday)
        .collect()
}

/// Bars of the sessions from `first` to `last`, from one minute of the day to another. A few
/// minutes without a trade have no bar.
pub fn sessions(
    ticker: &str,
    minutes: u16,
    [first, last]: [&str; 2],
    [open, close]: [i64; 2],
    zone: Tz,
) -> Series {
    let times = weekdays(first, last).into_iter().flat_map(move |date| {
        (open..close)
            .step_by(usize::from(minutes))
            .enumerate()
            .filter(move |(index, _)| minutes > 5 || index % 41 != 17)
            .map(move |(_, minute)| local(date, minute, zone))
    });
    walk(ticker, minutes, times, STOCK)
}

/// Regular hours of a stock in New York.
pub fn stock(ticker: &str, minutes: u16) -> Series {
    let days = match minutes {
        0..=5 => ["2025-01-13", "2025-01-15"],
        6..=30 => ["2025-01-13", "2025-01-24"],
        _ => ["2025-01-06", "2025-02-14"],
    };
    sessions(ticker, minutes, days, [570, 960], NEW_YORK)
}

/// The same over the dates 2 to 10 January, on which day and month can be confused.
pub fn stock_early(ticker: &str, minutes: u16) -> Series {
    let days = ["2025-01-02", "2025-01-08"];
    sessions(ticker, minutes, days, [570, 960], NEW_YORK)
}

/// With pre-market and post-market.
pub fn extended(ticker: &str, minutes: u16) -> Series {
    let days = ["2025-01-13", "2025-01-17"];
    sessions(ticker, minutes, days, [240, 1200], NEW_YORK)
}

/// Five days round the clock, from Sunday evening to Friday evening UTC.
pub fn currency(pair: &str, minutes: u16) -> Series {
    let weeks = if minutes >= 30 { 6 } else { 1 };
    let sunday = local(day("2025-01-12"), 22 * 60, UTC);
    let step = i64::from(minutes) * 60;
    let times = (0..weeks).flat_map(move |week| {
        let start = sunday + week * 7 * 86_400;
        (0..5 * 86_400 / step).map(move |index| start + index * step)
    });
    let limit = if minutes == 1 { 3_200 } else { usize::MAX };
    walk(pair, minutes, times.take(limit), CURRENCY)
}

/// Seven days round the clock.
pub fn coin(pair: &str, minutes: u16) -> Series {
    coin_from(pair, minutes, "2025-01-17")
}

pub fn coin_from(pair: &str, minutes: u16, first: &str) -> Series {
    let start = local(day(first), 0, UTC);
    let step = i64::from(minutes) * 60;
    let count = if minutes >= 30 { 24 * 21 } else { 3_000 };
    walk(
        pair,
        minutes,
        (0..count).map(move |index| start + index * step),
        COIN,
    )
}

/// One bar for each weekday, week, or other number of days.
pub fn days(ticker: &str, step: usize) -> Series {
    let dates = weekdays("2024-06-03", "2025-06-30")
        .into_iter()
        .step_by(step);
    walk(
        ticker,
        1440,
        dates.map(|date| local(date, 0, NEW_YORK)),
        STOCK,
    )
}
