//! One OHLCV bar, and what makes it valid.

use super::columns::{COLUMN_COUNT, Optional, Value};
use super::{DAY_MICROS, Reason, Timestamp};

/// One OHLCV record. Its timestamp is the instant the bar opens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// The instant the bar opens, UTC.
    pub timestamp: Timestamp,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Volume; a double because providers send fractional volumes.
    pub volume: f64,
    /// Volume-weighted average price, if the source has one.
    pub vwap: Option<f64>,
    /// Number of trades, if the source has one.
    pub trades: Option<i64>,
}

impl Bar {
    /// A bar without optional values.
    #[must_use]
    pub const fn new(
        timestamp: Timestamp,
        [open, high, low, close]: [f64; 4],
        volume: f64,
    ) -> Self {
        Self {
            timestamp,
            open,
            high,
            low,
            close,
            volume,
            vwap: None,
            trades: None,
        }
    }

    /// The values in the order of [`COLUMNS`](super::columns::COLUMNS).
    #[inline]
    #[must_use]
    pub fn values(&self) -> [Value; COLUMN_COUNT] {
        [
            Value::Double(self.open),
            Value::Double(self.high),
            Value::Double(self.low),
            Value::Double(self.close),
            Value::Double(self.volume),
            Value::double(self.vwap),
            Value::integer(self.trades),
        ]
    }

    /// The bar of these values; the counterpart of [`values`](Self::values).
    #[inline]
    #[must_use]
    pub fn from_values(timestamp: Timestamp, values: [Value; COLUMN_COUNT]) -> Self {
        let [open, high, low, close, volume, vwap, trades] = values;
        let double = |value: Value| value.as_double().unwrap_or(f64::MISSING);
        Self {
            timestamp,
            open: double(open),
            high: double(high),
            low: double(low),
            close: double(close),
            volume: double(volume),
            vwap: vwap.as_double(),
            trades: trades.as_integer(),
        }
    }

    /// The bar of values read as doubles, in the order of [`COLUMNS`](super::columns::COLUMNS);
    /// NaN for a missing one. A count must be whole, whether written `12` or `12.0`.
    #[inline]
    pub fn from_doubles(
        timestamp: Timestamp,
        [open, high, low, close, volume, vwap, trades]: [f64; COLUMN_COUNT],
    ) -> Result<Self, Reason> {
        Ok(Self {
            timestamp,
            open,
            high,
            low,
            close,
            volume,
            vwap: (!vwap.is_nan()).then_some(vwap),
            trades: whole(trades)?,
        })
    }

    /// Checks the rules for every bar: a whole minute, finite positive prices, low ≤ open and close
    /// ≤ high, a finite volume that isn't negative, and, if present, a finite vwap and a number of
    /// trades that isn't negative.
    pub fn check(&self) -> Result<(), Reason> {
        if !self.timestamp.is_in_range() {
            return Err(Reason::BadTimestamp);
        }
        if !self.timestamp.is_whole_minute() {
            return Err(Reason::NotWholeMinute);
        }
        let prices = [self.open, self.high, self.low, self.close];
        if !prices.iter().all(|p| p.is_finite() && *p > 0.0) {
            return Err(Reason::PriceNotPositive);
        }
        if self.low > self.open
            || self.low > self.close
            || self.open > self.high
            || self.close > self.high
        {
            return Err(Reason::HighLowOrder);
        }
        if !self.volume.is_finite() || self.volume < 0.0 {
            return Err(Reason::BadVolume);
        }
        if self.vwap.is_some_and(|v| !v.is_finite()) || self.trades.is_some_and(|n| n < 0) {
            return Err(Reason::BadNumber);
        }
        Ok(())
    }

    /// The latest instant at which a bar may open if the time is `now`: a day later, to allow for
    /// wrong clocks and time zones. After a bar in the future, `--since-last` would request
    /// nothing.
    #[must_use]
    pub const fn latest_open(now: Timestamp) -> Timestamp {
        Timestamp::from_micros(now.micros().saturating_add(DAY_MICROS))
    }

    /// Like [`check`](Self::check), and the bar may not open after `latest`, which is
    /// [`latest_open`](Self::latest_open) of the run's clock.
    #[inline]
    pub fn check_until(&self, latest: Timestamp) -> Result<(), Reason> {
        self.check()?;
        if self.timestamp > latest {
            return Err(Reason::InTheFuture);
        }
        Ok(())
    }

    /// Whether `other` has the same values: prices and volume are equal, optional values are equal
    /// or missing on either side.
    #[must_use]
    pub fn is_identical(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
        }
        self.timestamp == other.timestamp
            && self.open == other.open
            && self.high == other.high
            && self.low == other.low
            && self.close == other.close
            && self.volume == other.volume
            && agree(self.vwap, other.vwap)
            && agree(self.trades, other.trades)
    }

    /// Whether `other` has an optional value that this bar lacks.
    #[must_use]
    pub fn lacks_a_value_of(&self, other: &Self) -> bool {
        let mut pairs = self.values().into_iter().zip(other.values());
        pairs.any(|(own, theirs)| own.is_missing() && !theirs.is_missing())
    }
}

/// A count that was read as a double.
#[inline]
fn whole(value: f64) -> Result<Option<i64>, Reason> {
    if value.is_nan() {
        return Ok(None);
    }
    let whole = value as i64;
    if whole as f64 == value && whole < i64::MAX {
        Ok(Some(whole))
    } else {
        Err(Reason::BadNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar() -> Bar {
        let timestamp = Timestamp::from_micros(1_735_828_200_000_000);
        Bar::new(timestamp, [10.0, 11.0, 9.0, 10.5], 100.0)
    }

    #[test]
    fn each_rule_has_its_own_reason() {
        assert_eq!(bar().check(), Ok(()));
        let cases = [
            (Bar { low: 10.1, ..bar() }, Reason::HighLowOrder),
            (
                Bar {
                    high: 10.4,
                    ..bar()
                },
                Reason::HighLowOrder,
            ),
            (Bar { open: 0.0, ..bar() }, Reason::PriceNotPositive),
            (
                Bar {
                    close: f64::NAN,
                    ..bar()
                },
                Reason::PriceNotPositive,
            ),
            (
                Bar {
                    high: f64::INFINITY,
                    ..bar()
                },
                Reason::PriceNotPositive,
            ),
            (
                Bar {
                    volume: -1.0,
                    ..bar()
                },
                Reason::BadVolume,
            ),
            (
                Bar {
                    volume: f64::NAN,
                    ..bar()
                },
                Reason::BadVolume,
            ),
            (
                Bar {
                    vwap: Some(f64::NAN),
                    ..bar()
                },
                Reason::BadNumber,
            ),
            (
                Bar {
                    trades: Some(-1),
                    ..bar()
                },
                Reason::BadNumber,
            ),
            (
                Bar {
                    timestamp: Timestamp::from_micros(1_735_828_200_000_001),
                    ..bar()
                },
                Reason::NotWholeMinute,
            ),
            (
                Bar {
                    timestamp: Timestamp::from_micros(i64::MAX),
                    ..bar()
                },
                Reason::BadTimestamp,
            ),
        ];
        for (case, reason) in cases {
            assert_eq!(case.check(), Err(reason), "{case:?}");
        }
    }

    #[test]
    fn a_bar_opens_at_most_a_day_from_now() {
        let now = Timestamp::from_micros(bar().timestamp.micros() - DAY_MICROS);
        assert_eq!(bar().check_until(Bar::latest_open(now)), Ok(()));
        let before = Timestamp::from_micros(now.micros() - 1);
        assert_eq!(
            bar().check_until(Bar::latest_open(before)),
            Err(Reason::InTheFuture)
        );
    }

    #[test]
    fn a_missing_value_agrees_with_any() {
        let with = Bar {
            vwap: Some(10.2),
            trades: Some(7),
            ..bar()
        };
        assert!(with.is_identical(&bar()) && bar().is_identical(&with));
        assert!(!with.is_identical(&Bar {
            vwap: Some(10.3),
            ..with
        }));
        assert!(!bar().is_identical(&Bar {
            close: 10.4,
            ..bar()
        }));
    }
}
