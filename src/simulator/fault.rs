//! Faults on demand: for which symbol, how often.

use std::fmt;
use std::str::FromStr;

use super::fault_kind::FaultKind;
use super::instrument::{mix, unit};

/// How often a fault happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// With this probability, derived from the seed, the request and the number of equal requests
    /// before.
    Probability(f64),
    /// The first N requests.
    First(u64),
    /// The first N times of each distinct request.
    Each(u64),
    /// Every request after the first N.
    After(u64),
}

/// One fault of a plan: `KIND[@SYMBOL][=WHEN]`, as in `500=0.1`, `cut=3`, `reset=each:2`,
/// `429=after:100`, `garbage@TSLA`.
///
/// WHEN is a probability if it has a point, else a number of requests; without it, always.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    /// What goes wrong.
    pub kind: FaultKind,
    /// For this symbol only.
    pub symbol: Option<String>,
    /// How often.
    pub when: When,
}

/// Not a fault.
#[derive(Debug, thiserror::Error)]
pub enum BadFault {
    #[error("{typed:?} isn't a fault; faults are {}", FaultKind::names().collect::<Vec<_>>().join(", "))]
    UnknownKind {
        /// What was typed.
        typed: String,
    },
    /// What follows the `=` can't be read.
    #[error(
        "{typed:?} has no valid frequency; write a probability (0.1), a number of requests (3), each:N or after:N"
    )]
    BadWhen {
        /// What was typed.
        typed: String,
    },
}

impl FromStr for FaultRule {
    type Err = BadFault;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let (head, when) = match typed.trim().split_once('=') {
            Some((head, when)) => (head, Some(when)),
            None => (typed.trim(), None),
        };
        let (name, symbol) = match head.split_once('@') {
            Some((name, symbol)) => (name, Some(symbol.to_uppercase())),
            None => (head, None),
        };
        let name = name.trim().to_ascii_lowercase();
        let kind = FaultKind::named(&name).ok_or_else(|| BadFault::UnknownKind {
            typed: typed.to_owned(),
        })?;
        let when = match when {
            None => Some(When::Probability(1.0)),
            Some(when) => read_when(when.trim()),
        };
        let when = when.ok_or_else(|| BadFault::BadWhen {
            typed: typed.to_owned(),
        })?;
        Ok(Self { kind, symbol, when })
    }
}

fn read_when(text: &str) -> Option<When> {
    if let Some(count) = text.strip_prefix("each:") {
        return count.parse().ok().map(When::Each);
    }
    if let Some(count) = text.strip_prefix("after:") {
        return count.parse().ok().map(When::After);
    }
    if text.contains('.') {
        let probability: f64 = text.parse().ok()?;
        return (0.0..=1.0)
            .contains(&probability)
            .then_some(When::Probability(probability));
    }
    text.parse().ok().map(When::First)
}

impl fmt::Display for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if let Some(symbol) = &self.symbol {
            write!(f, "@{symbol}")?;
        }
        match self.when {
            When::Probability(probability) => write!(f, "={probability:?}"),
            When::First(count) => write!(f, "={count}"),
            When::Each(count) => write!(f, "=each:{count}"),
            When::After(count) => write!(f, "=after:{count}"),
        }
    }
}

/// A request as the fault plan sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestFacts<'a> {
    pub symbols: &'a [String],
    /// Equal for equal requests.
    pub fingerprint: u64,
    /// How many equal requests came before.
    pub repeats: u64,
    /// How many requests came before, in all.
    pub before: u64,
}

impl FaultRule {
    /// Whether it applies to a request. With the same seed and requests the result is the same, in
    /// any order of the requests.
    pub(super) fn applies_to(&self, seed: u64, facts: &RequestFacts<'_>) -> bool {
        if self
            .symbol
            .as_deref()
            .is_some_and(|symbol| !facts.symbols.iter().any(|s| s.eq_ignore_ascii_case(symbol)))
        {
            return false;
        }
        match self.when {
            When::Probability(probability) => {
                let mixed =
                    mix(seed ^ mix(self.kind as u64) ^ mix(facts.fingerprint ^ mix(facts.repeats)));
                unit(mixed) < probability
            }
            When::First(count) => facts.before < count,
            When::Each(count) => facts.repeats < count,
            When::After(count) => facts.before >= count,
        }
    }

    /// The probability that a fault inside the data changes one bar of `symbol`.
    pub(super) fn share_of_bars(&self, symbol: &str) -> f64 {
        match self.when {
            _ if self.symbol.as_deref().is_some_and(|only| only != symbol) => 0.0,
            When::Probability(probability) => probability,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> FaultRule {
        text.parse().unwrap()
    }

    #[test]
    fn rules_read_back_as_they_print() {
        for text in [
            "500=0.1",
            "cut=3",
            "reset=each:2",
            "429=after:100",
            "garbage@TSLA=1.0",
            "402-symbol@BRK-B=2",
        ] {
            assert_eq!(rule(text).to_string(), text);
        }
        assert_eq!(rule("stall").when, When::Probability(1.0));
        for name in FaultKind::names() {
            assert_eq!(rule(name).kind.name(), name);
        }
        for bad in ["418", "500=", "500=2.0", "500=-1", "cut=often", ""] {
            assert!(bad.parse::<FaultRule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_and_repeats_decide() {
        let aapl = ["AAPL".to_owned()];
        let facts = |before, repeats| RequestFacts {
            symbols: &aapl,
            fingerprint: 9,
            repeats,
            before,
        };
        assert!(
            rule("500=2").applies_to(1, &facts(1, 0)) && !rule("500=2").applies_to(1, &facts(2, 0))
        );
        assert!(
            rule("500=each:2").applies_to(1, &facts(50, 1))
                && !rule("500=each:2").applies_to(1, &facts(50, 2))
        );
        assert!(
            !rule("500=after:5").applies_to(1, &facts(4, 0))
                && rule("500=after:5").applies_to(1, &facts(5, 0))
        );
        assert!(
            !rule("500@TSLA").applies_to(1, &facts(0, 0))
                && rule("500@aapl").applies_to(1, &facts(0, 0))
        );
    }

    #[test]
    fn a_probability_is_kept_and_can_be_repeated() {
        let rule = rule("500=0.25");
        let hits = |seed| -> Vec<bool> {
            (0..4000)
                .map(|n| {
                    rule.applies_to(
                        seed,
                        &RequestFacts {
                            symbols: &["A".to_owned()],
                            fingerprint: n,
                            repeats: 0,
                            before: 0,
                        },
                    )
                })
                .collect()
        };
        let count = hits(1).iter().filter(|hits| **hits).count();
        assert!((900..1100).contains(&count), "{count}");
        assert_eq!(hits(1), hits(1));
        assert_ne!(hits(1), hits(2));
    }
}
