//! Restated history that has another price basis: every close moved by one factor. If volumes moved
//! the other way, it looks like a split.

use std::fmt;

use super::Bar;

/// A change of the price basis, as compared bars show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BasisChange {
    /// Prices moved by the factor of a split, and volumes the other way.
    Split(Split),
    /// Stored closes are this many times the new ones; no split explains it.
    Factor(f64),
}

impl BasisChange {
    /// The stored closes divided by the new ones.
    #[must_use]
    pub fn factor(self) -> f64 {
        match self {
            Self::Split(split) => split.factor(),
            Self::Factor(factor) => factor,
        }
    }

    /// The change by which `pairs` of a stored bar and the bar offered for it differ, if one factor
    /// explains them. `identical` is the number of other bars that were compared and are the same.
    #[must_use]
    pub fn between(pairs: &[(Bar, Bar)], identical: u64) -> Option<Self> {
        if let Some(split) = Split::between(pairs) {
            return Some(Self::Split(split));
        }
        // If every compared bar differs, few are enough: one session of long bars has only a few.
        let few = if identical == 0 {
            PAIRS_MIN
        } else {
            FACTOR_PAIRS_MIN
        };
        if pairs.len() < few || (pairs.len() as u64) < identical {
            return None;
        }
        let factor = median(pairs.iter().map(|(old, new)| old.close / new.close))?;
        let rounding = median(
            pairs
                .iter()
                .map(|(old, new)| rounding(old.close, new.close)),
        )?;
        let agreeing = pairs
            .iter()
            .filter(|(old, new)| {
                let spread = FACTOR_SPREAD_MAX + self::rounding(old.close, new.close);
                deviation(old.close / new.close, factor) <= spread
            })
            .count();
        let agrees = agreeing as f64 >= AGREEING_SHARE_MIN * pairs.len() as f64;
        let is_another = deviation(factor, 1.0) > 2.0 * FACTOR_SPREAD_MAX + rounding;
        (agrees && is_another).then_some(Self::Factor(factor))
    }
}

/// The fewest pairs for a factor that isn't a split's.
const FACTOR_PAIRS_MIN: usize = 20;
/// How far one ratio may deviate from such a factor, as a share of it, beyond its rounding.
const FACTOR_SPREAD_MAX: f64 = 0.0005;
/// The fewest pairs for the factor of a split.
const PAIRS_MIN: usize = 3;
/// The share of the pairs whose closes must agree on the factor.
const AGREEING_SHARE_MIN: f64 = 0.9;
/// How far a ratio of closes may deviate from a split's factor, as a share of it, beyond its
/// rounding.
const DEVIATION_MAX: f64 = 0.004;
/// The coarsest rounding of prices.
const ROUNDED_TO: f64 = 0.01;
/// How far the median ratio of volumes may deviate from the factor, as a share of it.
const VOLUME_DEVIATION_MAX: f64 = 0.15;
/// The most new shares for one old share, or the reverse.
const ONE_SIDED_MAX: u32 = 100;
/// The most shares on either side of a split such as 3:2.
const TWO_SIDED_MAX: u32 = 5;

/// A split: new shares for old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Number of new shares.
    pub new: u32,
    /// Number of old shares that they replace.
    pub old: u32,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.new, self.old)
    }
}

impl Split {
    fn factor(self) -> f64 {
        f64::from(self.new) / f64::from(self.old)
    }

    /// The split by which `pairs` of a stored bar and the bar offered for it differ; `None` if they
    /// differ in another way, or are too few.
    #[must_use]
    pub fn between(pairs: &[(Bar, Bar)]) -> Option<Self> {
        if pairs.len() < PAIRS_MIN {
            return None;
        }
        let price = median(pairs.iter().map(|(old, new)| old.close / new.close))?;
        let split = candidates()
            .filter(|split| deviation(price, split.factor()) <= DEVIATION_MAX)
            .min_by(|a, b| deviation(price, a.factor()).total_cmp(&deviation(price, b.factor())))?;
        let agreeing = pairs
            .iter()
            .filter(|(old, new)| split.explains(old.close, new.close))
            .count();
        if (agreeing as f64) < AGREEING_SHARE_MIN * pairs.len() as f64 {
            return None;
        }
        let traded = pairs
            .iter()
            .filter(|(old, new)| old.volume > 0.0 && new.volume > 0.0);
        let volume = median(traded.map(|(old, new)| new.volume / old.volume))?;
        (deviation(volume, split.factor()) <= VOLUME_DEVIATION_MAX).then_some(split)
    }

    /// Whether two closes differ by this factor, apart from their rounding.
    fn explains(self, old: f64, new: f64) -> bool {
        deviation(old / new, self.factor()) <= DEVIATION_MAX + rounding(old, new)
    }
}

/// How far the rounding of two closes can change their ratio.
fn rounding(old: f64, new: f64) -> f64 {
    ROUNDED_TO / old + ROUNDED_TO / new
}

/// How far a ratio deviates from a factor, as a share of the factor.
fn deviation(ratio: f64, factor: f64) -> f64 {
    (ratio / factor - 1.0).abs()
}

fn candidates() -> impl Iterator<Item = Split> {
    let whole = (2..=ONE_SIDED_MAX)
        .flat_map(|many| [Split { new: many, old: 1 }, Split { new: 1, old: many }]);
    let mixed = (2..=TWO_SIDED_MAX).flat_map(|new| {
        (2..=TWO_SIDED_MAX)
            .filter(move |old| *old != new && (new, *old) != (2, 4) && (new, *old) != (4, 2))
            .map(move |old| Split { new, old })
    });
    whole.chain(mixed)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use proptest::prelude::*;

    fn pairs(prices: &[f64], factor: f64, volume_factor: f64, step: f64) -> Vec<(Bar, Bar)> {
        (prices.iter().enumerate())
            .map(|(place, price)| {
                let bar = |close: f64, volume: f64| {
                    Bar::new(
                        Timestamp::from_micros(place as i64 * 60_000_000),
                        [close, close, close, close],
                        volume,
                    )
                };
                let volume = 1_000.0 + 37.0 * place as f64;
                let new = (price / factor / step).round().max(1.0) * step;
                (bar(*price, volume), bar(new, volume * volume_factor))
            })
            .collect()
    }

    const PRICES: [f64; 8] = [233.01, 232.79, 233.4, 234.0, 233.98, 233.5, 232.11, 231.99];

    fn found(factor: f64, volume_factor: f64) -> Option<String> {
        Split::between(&pairs(&PRICES, factor, volume_factor, 0.01)).map(|split| split.to_string())
    }

    #[test]
    fn splits_have_their_usual_names() {
        for (factor, name) in [
            (2.0, "2:1"),
            (4.0, "4:1"),
            (0.25, "1:4"),
            (1.5, "3:2"),
            (0.1, "1:10"),
            (20.0, "20:1"),
            (5.0 / 4.0, "5:4"),
        ] {
            assert_eq!(found(factor, factor).as_deref(), Some(name));
        }
    }

    #[test]
    fn other_revisions_are_not_splits() {
        // A dividend, a correction of prices alone, volumes that moved with the prices.
        assert_eq!(found(1.004, 1.0), None);
        assert_eq!(found(2.0, 1.0), None);
        assert_eq!(found(2.0, 0.5), None);
        assert_eq!(found(1.0, 2.0), None);
        // Too few pairs, and none that agree.
        let few = pairs(&PRICES[..2], 2.0, 2.0, 0.01);
        assert_eq!(Split::between(&few), None);
        let mut mixed = pairs(&PRICES, 2.0, 2.0, 0.01);
        for (_, new) in &mut mixed[..3] {
            new.close *= 1.01;
        }
        assert_eq!(Split::between(&mixed), None);
        assert_eq!(Split::between(&[]), None);
    }

    #[test]
    fn one_factor_over_most_bars_is_another_basis() {
        let prices: Vec<f64> = (0..40).map(|n| 230.0 + f64::from(n) * 0.37).collect();
        let change = |factor: f64, volume: f64, identical: u64| {
            BasisChange::between(&pairs(&prices, factor, volume, 0.01), identical)
        };
        let factor = |change: Option<BasisChange>| match change {
            Some(BasisChange::Factor(factor)) => format!("{factor:.3}"),
            other => format!("{other:?}"),
        };
        assert_eq!(factor(change(1.004, 1.0, 0)), "1.004");
        // Prices without volumes: an adjustment, not a split.
        assert_eq!(factor(change(2.0, 1.0, 3)), "2.000");
        assert!(matches!(change(2.0, 2.0, 3), Some(BasisChange::Split(_))));
        // A correction of a few bars among many, a rounding, and bars that each differ by another
        // factor.
        assert_eq!(change(1.004, 1.0, 41), None);
        assert_eq!(change(1.00001, 1.0, 0), None);
        let mut mixed = pairs(&prices, 1.004, 1.0, 0.01);
        for (row, (_, new)) in mixed.iter_mut().enumerate() {
            new.close *= 1.0 + row as f64 * 0.001;
        }
        assert_eq!(BasisChange::between(&mixed, 0), None);
        // The seven bars of a session of 60 minutes.
        let session = pairs(&prices[..7], 1.0213, 1.0, 0.01);
        assert_eq!(factor(BasisChange::between(&session, 0)), "1.021");
        assert_eq!(BasisChange::between(&session, 1), None);
        assert_eq!(BasisChange::between(&mixed[..7], 0), None);
    }

    proptest! {
        #[test]
        fn rounded_prices_still_tell(
            price in 5.0f64..900.0,
            steps in proptest::collection::vec(-20i32..20, 30..200),
            which in 0usize..6,
        ) {
            let factor = [2.0, 3.0, 4.0, 1.5, 0.5, 0.1][which];
            let mut at = price;
            let prices: Vec<f64> = steps
                .iter()
                .map(|step| {
                    at = (at * (1.0 + f64::from(*step) * 1e-4) * 100.0).round() / 100.0;
                    at
                })
                .collect();
            let split = Split::between(&pairs(&prices, factor, factor, 0.01));
            prop_assert_eq!(split.map(Split::factor), Some(factor));
        }
    }
}
