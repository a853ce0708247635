//! One OHLCV bar, and what makes it valid.

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
    /// Volume-weighted average price, where the source gives one.
    pub vwap: Option<f64>,
    /// Number of trades, where the source gives one.
    pub trades: Option<i64>,
}

impl Bar {
    /// Checks what every bar must hold: whole minute, finite positive prices, low ≤ open, close ≤ high, volume finite
    /// and not negative, vwap finite and trades not negative where they are given.
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

    /// The latest instant at which a bar may open when it is `now`: a day from now, for clocks and time zones that
    /// are wrong. A bar in the future would end every later `--since-last` before it asks.
    #[must_use]
    pub const fn latest_open(now: Timestamp) -> Timestamp {
        Timestamp::from_micros(now.micros().saturating_add(DAY_MICROS))
    }

    /// Checks what [`check`](Self::check) does, and that the bar does not open after `latest`, which is
    /// [`latest_open`](Self::latest_open) of the run's clock.
    #[inline]
    pub fn check_until(&self, latest: Timestamp) -> Result<(), Reason> {
        self.check()?;
        if self.timestamp > latest {
            return Err(Reason::InTheFuture);
        }
        Ok(())
    }

    /// Whether `other` says the same: prices and volume equal, vwap and trades equal or missing on either side.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar() -> Bar {
        Bar {
            timestamp: Timestamp::from_micros(1_735_828_200_000_000),
            open: 10.0,
            high: 11.0,
            low: 9.0,
            close: 10.5,
            volume: 100.0,
            vwap: None,
            trades: None,
        }
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
    fn a_missing_vwap_agrees_with_any() {
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
