//! A longer bar, from the shorter bars inside it.

use super::columns::{COLUMN_COUNT, COLUMNS, Combine, VOLUME, Value};
use super::{Bar, Timestamp};

/// Shorter bars, combined by the rule of each column.
pub struct CombinedBar {
    first: Bar,
    /// The values of several bars together; for a volume-weighted column the sum of value times
    /// volume. `None` while there is one bar, which keeps its values to the last bit.
    values: Option<[Value; COLUMN_COUNT]>,
}

impl CombinedBar {
    /// Starts with the earliest bar.
    #[must_use]
    pub const fn new(first: Bar) -> Self {
        Self {
            first,
            values: None,
        }
    }

    /// Adds the next bar.
    pub fn add(&mut self, bar: &Bar) {
        let values = self.values.get_or_insert_with(|| weighted(&self.first));
        for ((known, new), column) in values.iter_mut().zip(weighted(bar)).zip(&COLUMNS) {
            *known = combine(column.combine, *known, new);
        }
    }

    /// The bar that opens at `timestamp`.
    #[must_use]
    pub fn into_bar(self, timestamp: Timestamp) -> Bar {
        let Some(mut values) = self.values else {
            return Bar {
                timestamp,
                ..self.first
            };
        };
        let volume = values[VOLUME].as_double().unwrap_or_default();
        for (value, column) in values.iter_mut().zip(&COLUMNS) {
            if column.combine == Combine::VolumeWeighted {
                let mean = value.as_double().map(|turnover| turnover / volume);
                *value = Value::double(mean.filter(|mean| mean.is_finite()));
            }
        }
        Bar::from_values(timestamp, values)
    }
}

/// The values of a bar, those of volume-weighted columns times its volume. A bar without volume
/// adds nothing to them, whether it has a value or not.
fn weighted(bar: &Bar) -> [Value; COLUMN_COUNT] {
    let mut values = bar.values();
    for (value, column) in values.iter_mut().zip(&COLUMNS) {
        if column.combine == Combine::VolumeWeighted {
            *value = if bar.volume == 0.0 {
                Value::Double(0.0)
            } else {
                Value::double(value.as_double().map(|value| value * bar.volume))
            };
        }
    }
    values
}

/// The value of two bars together, `old` the earlier.
fn combine(how: Combine, old: Value, new: Value) -> Value {
    match (how, old, new) {
        (Combine::First, old, _) => old,
        (Combine::Last, _, new) => new,
        (Combine::Max, Value::Double(old), Value::Double(new)) => Value::Double(old.max(new)),
        (Combine::Min, Value::Double(old), Value::Double(new)) => Value::Double(old.min(new)),
        // A missing double is NaN, and so is its sum.
        (Combine::Sum | Combine::VolumeWeighted, Value::Double(old), Value::Double(new)) => {
            Value::Double(old + new)
        }
        (Combine::Max, Value::Integer(old), Value::Integer(new)) => Value::Integer(old.max(new)),
        (Combine::Min, Value::Integer(old), Value::Integer(new)) => Value::Integer(old.min(new)),
        (Combine::Sum | Combine::VolumeWeighted, old, new) => {
            let sum = old.as_integer().zip(new.as_integer());
            Value::integer(sum.and_then(|(old, new)| old.checked_add(new)))
        }
        (Combine::Max | Combine::Min, old, _) => old,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(close: f64, volume: f64, vwap: Option<f64>, trades: Option<i64>) -> Bar {
        Bar {
            vwap,
            trades,
            ..Bar::new(Timestamp::from_micros(0), [5.0, 9.0, 1.0, close], volume)
        }
    }

    fn combined(bars: &[Bar]) -> Bar {
        let mut combined = CombinedBar::new(bars[0]);
        bars[1..].iter().for_each(|bar| combined.add(bar));
        combined.into_bar(Timestamp::from_micros(0))
    }

    #[test]
    fn each_column_has_its_rule() {
        let bars = [
            bar(6.0, 10.0, Some(2.0), Some(3)),
            Bar {
                open: 8.0,
                high: 10.0,
                low: 0.5,
                ..bar(7.0, 30.0, Some(6.0), Some(4))
            },
            // Without volume, a missing average price doesn't matter.
            bar(8.0, 0.0, None, Some(0)),
        ];
        let expected = Bar {
            high: 10.0,
            low: 0.5,
            ..bar(8.0, 40.0, Some(5.0), Some(7))
        };
        assert_eq!(combined(&bars), expected);
        let without = [bars[0], bar(7.0, 1.0, None, None)];
        assert_eq!(combined(&without), bar(7.0, 11.0, None, None));
    }

    #[test]
    fn one_bar_keeps_its_values_to_the_last_bit() {
        // 0.1 * 3.0 / 3.0 isn't 0.1 in doubles.
        for lone in [
            bar(6.0, 3.0, Some(0.1), None),
            bar(6.0, 0.0, Some(2.0), Some(1)),
        ] {
            assert_eq!(combined(&[lone]), lone);
        }
    }
}
