//! A symbol of the simulated market: its exchange, its volatility and volume, its splits.

use chrono::{Datelike, NaiveDate};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::calendar::{self, Calendar, suffix_exchange};

/// The day on which a symbol's traded price equals its level, without any split.
const REFERENCE_YEAR: i32 = 2020;
/// Years in which splits can happen.
const SPLIT_YEARS: std::ops::Range<i32> = 1990..2060;

/// How a symbol is traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stock,
    Index,
    Currency,
    /// A coin in US dollars.
    Coin,
    /// A coin on an exchange for coins, which has a bar for each minute.
    Pair,
}

/// A stock split: on `date` one share became `ratio` shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    pub date: NaiveDate,
    pub ratio: f64,
}

/// A symbol of the simulated market. Everything follows from the seed and the symbol.
#[derive(Debug)]
pub(super) struct Instrument {
    /// Drives every random number of the symbol.
    pub key: u64,
    pub calendar: Calendar,
    pub kind: Kind,
    /// Standard deviation of a day's log return.
    pub sigma: f64,
    /// Log of the price level around which the symbol moves.
    pub base_ln: f64,
    /// Log growth per year.
    pub drift: f64,
    /// Typical volume of a minute.
    pub volume: f64,
    /// How many of 65,536 minutes have no trade.
    pub missing: u16,
    /// Splits in order of date.
    pub splits: Vec<Split>,
}

const CURRENCIES: [&str; 20] = [
    "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "HKD",
    "SGD", "CNY", "MXN", "ZAR", "TRY", "INR", "BRL",
];
const COINS: [&str; 16] = [
    "BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "BNB", "DOT", "AVAX", "LINK", "TRX", "MATIC",
    "SHIB", "UNI", "ATOM",
];
/// What coins are traded for on an exchange for coins.
const QUOTES: [&str; 6] = ["USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB"];
const INDEXES: [(&str, &str); 9] = [
    ("^GDAXI", "XETRA"),
    ("^N225", "JPX"),
    ("^FTSE", "LSE"),
    ("^HSI", "HKEX"),
    ("^FCHI", "PAR"),
    ("^AEX", "AMS"),
    ("^SSMI", "SIX"),
    ("^GSPTSE", "TSX"),
    ("^AXJO", "ASX"),
];

/// The exchange that a symbol trades on, and how.
fn venue(symbol: &str) -> (&'static str, Kind) {
    if let Some(exchange) = suffix_exchange(symbol) {
        return (exchange, Kind::Stock);
    }
    if symbol.starts_with('^') {
        let exchange = INDEXES
            .iter()
            .find(|(name, _)| *name == symbol)
            .map_or("NYSE", |(_, exchange)| *exchange);
        return (exchange, Kind::Index);
    }
    if let Some(coin) = symbol.strip_suffix("USD")
        && COINS.contains(&coin)
    {
        return ("CRYPTO", Kind::Coin);
    }
    if QUOTES.iter().any(|quote| {
        symbol
            .strip_suffix(quote)
            .is_some_and(|coin| COINS.contains(&coin))
    }) {
        return ("CRYPTO", Kind::Pair);
    }
    if symbol.len() == 6
        && symbol.is_char_boundary(3)
        && CURRENCIES.contains(&&symbol[..3])
        && CURRENCIES.contains(&&symbol[3..])
    {
        return ("FOREX", Kind::Currency);
    }
    ("NASDAQ", Kind::Stock)
}

impl Instrument {
    /// The instrument called `symbol` in the market of `seed`.
    pub(super) fn new(seed: u64, symbol: &str) -> Result<Self, calendar::Error> {
        let key = xxh3_64_with_seed(symbol.as_bytes(), seed);
        let (exchange, kind) = venue(symbol);
        let (low, high, sigma) = match kind {
            Kind::Stock => (
                30.0_f64,
                500.0_f64,
                0.008 + 0.022 * unit(mix(key ^ 1)).powi(2),
            ),
            Kind::Index => (1_000.0, 40_000.0, 0.009),
            Kind::Currency => (0.6, 1.8, 0.004),
            Kind::Coin | Kind::Pair => (0.5, 60_000.0, 0.03),
        };
        let between = unit(mix(key ^ 2));
        let missing = match mix(key ^ 5) % 100 {
            _ if kind != Kind::Stock => 40,
            0..60 => 60,
            60..85 => 600,
            85..95 => 3_300,
            _ => 16_000,
        };
        Ok(Self {
            key,
            calendar: Calendar::for_exchange(exchange)?,
            kind,
            sigma,
            base_ln: low.ln() + between * (high.ln() - low.ln()),
            drift: if kind == Kind::Currency {
                0.0
            } else {
                -0.03 + 0.15 * unit(mix(key ^ 3))
            },
            volume: (600.0_f64.ln() + unit(mix(key ^ 4)) * (150_000.0_f64 / 600.0).ln()).exp(),
            missing,
            splits: if kind == Kind::Stock {
                splits(key)
            } else {
                Vec::new()
            },
        })
    }

    /// Whether an exchange for coins has it.
    pub(super) fn is_pair(&self) -> bool {
        self.kind == Kind::Pair
    }

    /// Log of the level at the close of a day (counted from 1970), before any split. A sum of noise
    /// whose periods double: any day is computed directly, and neighbouring days differ by about a
    /// day's return.
    pub(super) fn level_ln(&self, day: i64) -> f64 {
        let mut sum = 0.0;
        let mut amplitude = self.sigma * 0.55;
        for octave in 0..12 {
            let period = 1_i64 << octave;
            let (cell, inside) = (day.div_euclid(period), day.rem_euclid(period));
            let at = |cell: i64| normal(mix(self.key ^ mix((cell as u64) << 8 | octave)));
            let share = inside as f64 / period as f64;
            sum += amplitude * (at(cell) * (1.0 - share) + at(cell + 1) * share);
            amplitude *= std::f64::consts::SQRT_2;
        }
        let years = day as f64 / 365.25 - f64::from(REFERENCE_YEAR - 1970);
        self.base_ln + self.drift * years + sum
    }

    /// How many shares on `date` correspond to one share on the reference day.
    fn shares(&self, date: NaiveDate, more: &[Split]) -> f64 {
        let reference = NaiveDate::from_ymd_opt(REFERENCE_YEAR, 1, 1).unwrap_or_default();
        self.splits
            .iter()
            .chain(more)
            .map(|split| match (reference < split.date, split.date <= date) {
                (true, true) => split.ratio,
                (false, false) => split.ratio.recip(),
                _ => 1.0,
            })
            .product()
    }

    /// The level of `date` divided by this is the traded price.
    pub(super) fn traded_divisor(&self, date: NaiveDate, more: &[Split]) -> f64 {
        self.shares(date, more)
    }

    /// The traded price of `date` divided by this is the price adjusted for splits until `today`.
    pub(super) fn adjustment(&self, date: NaiveDate, today: NaiveDate, more: &[Split]) -> f64 {
        self.splits
            .iter()
            .chain(more)
            .filter(|split| date < split.date && split.date <= today)
            .map(|split| split.ratio)
            .product()
    }

    /// Price steps per unit of currency.
    pub(super) const fn steps(&self) -> f64 {
        match self.kind {
            Kind::Stock | Kind::Index => 100.0,
            Kind::Currency => 100_000.0,
            Kind::Coin | Kind::Pair => 10_000.0,
        }
    }
}

/// About one split in eight years; most increase the number of shares.
fn splits(key: u64) -> Vec<Split> {
    SPLIT_YEARS
        .filter_map(|year| {
            let random = mix(key ^ mix(0x5eed ^ year as u64));
            if !random.is_multiple_of(8) {
                return None;
            }
            let ratio = [2.0, 2.0, 2.0, 3.0, 4.0, 10.0, 1.5, 0.1][(random >> 8) as usize % 8];
            let day = 1 + (random >> 16) as u32 % 365;
            let date = NaiveDate::from_yo_opt(year, day)?;
            debug_assert_eq!(date.year(), year);
            Some(Split { date, ratio })
        })
        .collect()
}

/// A hash of a 64-bit number (the finaliser of splitmix64).
pub(super) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in [0, 1).
pub(super) fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Approximately a standard normal number: the sum of four uniform ones.
pub(super) fn normal(random: u64) -> f64 {
    let sum: u64 = (0..4).map(|part| (random >> (16 * part)) & 0xffff).sum();
    (sum as f64 / 65_536.0 - 2.0) * 1.732_050_8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_trade_where_their_name_says() {
        for (symbol, expected) in [
            ("AAPL", "NASDAQ"),
            ("BRK-B", "NASDAQ"),
            ("SHOP.TO", "TSX"),
            ("^GDAXI", "XETRA"),
            ("^GSPC", "NYSE"),
            ("EURUSD", "FOREX"),
            ("BTCUSD", "CRYPTO"),
            ("GOOGLE", "NASDAQ"),
        ] {
            assert_eq!(venue(symbol).0, expected, "{symbol}");
        }
    }

    #[test]
    fn adjusting_undoes_the_splits_up_to_today() {
        let date = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        let mut instrument = Instrument::new(1, "AAPL").unwrap();
        instrument.splits = vec![
            Split {
                date: date(2018, 6, 1),
                ratio: 3.0,
            },
            Split {
                date: date(2024, 6, 10),
                ratio: 10.0,
            },
        ];
        let traded = |d| instrument.traded_divisor(d, &[]);
        assert_eq!(traded(date(2024, 6, 7)) * 10.0, traded(date(2024, 6, 10)));
        assert!((traded(date(2018, 5, 31)) * 3.0 - traded(date(2018, 6, 1))).abs() < 1e-12);
        let adjusted = |d, today| instrument.adjustment(d, today, &[]);
        assert_eq!(adjusted(date(2024, 6, 7), date(2024, 6, 9)), 1.0);
        assert_eq!(adjusted(date(2024, 6, 7), date(2024, 6, 10)), 10.0);
        assert_eq!(adjusted(date(2017, 1, 1), date(2025, 1, 1)), 30.0);
    }

    #[test]
    fn neighbouring_days_differ_by_about_a_days_return() {
        for symbol in ["AAPL", "MSFT", "XYZ", "EURUSD", "^GSPC"] {
            let instrument = Instrument::new(7, symbol).unwrap();
            let steps: Vec<f64> = (18_000..20_000)
                .map(|day| {
                    (instrument.level_ln(day + 1) - instrument.level_ln(day)) / instrument.sigma
                })
                .collect();
            let deviation = (steps.iter().map(|s| s * s).sum::<f64>() / steps.len() as f64).sqrt();
            assert!((0.5..2.0).contains(&deviation), "{symbol} {deviation}");
        }
    }
}
