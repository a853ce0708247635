//! Faults on demand: which, for which symbol, how often.

use std::fmt;
use std::str::FromStr;

use super::instrument::{mix, unit};

/// What goes wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// 500 with an HTML page.
    Error500,
    /// 502 with an HTML page, as a proxy writes it.
    Error502,
    /// 503 with plain text.
    Error503,
    /// The connection is reset before a byte of the response.
    Reset,
    /// The connection is reset in the middle of the body.
    ResetBody,
    /// No response is ever sent.
    Stall,
    /// Half of the body comes, then nothing more.
    StallBody,
    /// The body ends early, against its content length.
    Cut,
    /// A chunked body ends early, without its last chunk.
    CutChunked,
    /// The body's length is right but its JSON stops in the middle.
    Half,
    /// The body comes in small, slow parts.
    Slow,
    /// 200 with bytes that aren't text, under the content type of JSON.
    Garbage,
    /// 200 with an HTML page.
    Html,
    /// 200 without bars, though there are some.
    Empty,
    /// 200 with the bars of the newest date only: a stricter look-back rule than the service's.
    Truncated,
    /// 200 with `CAPPED_ROWS` bars only: the newest, so that a response can begin inside a session,
    /// or a page of the oldest.
    Capped,
    /// 200 with an error object.
    ErrorObject,
    /// 200 with an unknown error object.
    StrangeObject,
    /// 401, invalid key.
    InvalidKey,
    /// The plan lacks the interval, or the dates.
    Restricted,
    /// The plan lacks the symbol.
    PremiumSymbol,
    /// 403, legacy endpoint.
    Legacy,
    /// 403, account suspended.
    Suspended,
    /// 429, rate or daily limit.
    Limit,
    /// 429 with `Retry-After: 1`.
    LimitRetryAfter,
    /// 429 without a body.
    LimitEmpty,
    /// 429, bandwidth.
    Bandwidth,
    /// 400, symbol missing.
    BadQuery,
    /// Single bars whose high is below their low.
    BadOhlc,
    /// Single bars with a spike twenty times the price.
    Spike,
    /// Single-day responses without their opening bar.
    LateOpening,
    /// 200, and the next page is the same again.
    RepeatedPage,
    /// 200, and the next page is at another host.
    ForeignPage,
    /// 200 with the bars of another ticker.
    OtherTicker,
    /// 200 with the other price basis than requested.
    OtherBasis,
    /// 200 with the bars' numbers written as strings.
    Strings,
    /// 200 with the column `close` renamed to `last`.
    Renamed,
    /// A checksum that isn't that of its file.
    WrongChecksum,
    /// 404 for a file that there is.
    MissingFile,
    /// A file that begins with the names of its columns.
    HeaderLine,
}

use FaultKind as K;

/// Bars that a response keeps under [`FaultKind::Capped`].
pub(super) const CAPPED_ROWS: usize = 500;

/// The kinds by the name they have on the command line.
const NAMES: [(&str, FaultKind); 40] = [
    ("500", K::Error500),
    ("502", K::Error502),
    ("503", K::Error503),
    ("reset", K::Reset),
    ("reset-body", K::ResetBody),
    ("stall", K::Stall),
    ("stall-body", K::StallBody),
    ("cut", K::Cut),
    ("cut-chunked", K::CutChunked),
    ("half", K::Half),
    ("slow", K::Slow),
    ("garbage", K::Garbage),
    ("html", K::Html),
    ("empty", K::Empty),
    ("truncated", K::Truncated),
    ("capped", K::Capped),
    ("strings", K::Strings),
    ("renamed", K::Renamed),
    ("repeated-page", K::RepeatedPage),
    ("foreign-page", K::ForeignPage),
    ("other-ticker", K::OtherTicker),
    ("other-basis", K::OtherBasis),
    ("wrong-checksum", K::WrongChecksum),
    ("missing-file", K::MissingFile),
    ("header-line", K::HeaderLine),
    ("error-object", K::ErrorObject),
    ("strange-object", K::StrangeObject),
    ("401", K::InvalidKey),
    ("402", K::Restricted),
    ("402-symbol", K::PremiumSymbol),
    ("403", K::Legacy),
    ("403-suspended", K::Suspended),
    ("429", K::Limit),
    ("429-retry-after", K::LimitRetryAfter),
    ("429-empty", K::LimitEmpty),
    ("429-bandwidth", K::Bandwidth),
    ("400", K::BadQuery),
    ("bad-ohlc", K::BadOhlc),
    ("spike", K::Spike),
    ("late-opening", K::LateOpening),
];

impl FaultKind {
    /// Every kind's name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| *name)
    }

    /// Whether it changes an intact response while it is made.
    pub(super) const fn is_in_response(self) -> bool {
        matches!(
            self,
            Self::Truncated
                | Self::Capped
                | Self::RepeatedPage
                | Self::ForeignPage
                | Self::OtherTicker
                | Self::OtherBasis
                | Self::WrongChecksum
                | Self::MissingFile
                | Self::HeaderLine
        )
    }

    /// Whether it changes bars inside an intact response, instead of the response itself.
    pub(super) const fn is_in_data(self) -> bool {
        matches!(self, Self::BadOhlc | Self::Spike | Self::LateOpening)
    }
}

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
        let kind = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
            .ok_or_else(|| BadFault::UnknownKind {
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
