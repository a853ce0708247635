//! The exchanges of stored series, for files that don't show theirs.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::Ticker;

/// The exchange of each ticker's stored series.
///
/// Taken before the run stores anything, so that the order in which files are read and committed
/// doesn't change what they are read as.
#[derive(Clone, Debug, Default)]
pub struct StoredExchanges(Arc<HashMap<Ticker, Option<String>>>);

impl StoredExchanges {
    /// From the ticker and the exchange of each series. A ticker whose intervals have different
    /// exchanges counts as not stored.
    pub fn of(series: impl IntoIterator<Item = (Ticker, String)>) -> Self {
        let mut exchanges = HashMap::<Ticker, Option<String>>::new();
        for (ticker, exchange) in series {
            let known = exchanges
                .entry(ticker)
                .or_insert_with(|| Some(exchange.clone()));
            if known.as_ref() != Some(&exchange) {
                *known = None;
            }
        }
        Self(exchanges.into())
    }

    /// Each exchange once.
    pub(super) fn codes(&self) -> BTreeSet<&str> {
        self.0.values().flatten().map(String::as_str).collect()
    }

    /// The exchange of a file's tickers: more than half of them are stored, all with this one.
    pub(super) fn of_tickers<'t>(
        &self,
        tickers: impl IntoIterator<Item = &'t Ticker>,
    ) -> Option<&str> {
        let (mut all, mut stored) = (0, 0);
        let mut common = None;
        for ticker in tickers {
            all += 1;
            let Some(Some(exchange)) = self.0.get(ticker) else {
                continue;
            };
            stored += 1;
            if *common.get_or_insert(exchange.as_str()) != exchange {
                return None;
            }
        }
        common.filter(|_| stored * 2 > all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticker(name: &str) -> Ticker {
        Ticker::new(name).unwrap()
    }

    #[test]
    fn most_tickers_are_stored_and_all_of_these_agree() {
        let series = [
            ("SAP", "XETR"),
            ("SAP", "XETR"),
            ("BMW", "XETR"),
            ("AAPL", "NASDAQ"),
            ("MIXED", "XETR"),
            ("MIXED", "NASDAQ"),
        ];
        let stored = StoredExchanges::of(series.map(|(name, code)| (ticker(name), code.into())));
        let of = |names: &[&str]| {
            let tickers: Vec<Ticker> = names.iter().map(|name| ticker(name)).collect();
            stored.of_tickers(&tickers).map(str::to_owned)
        };
        let xetr = Some("XETR".to_owned());
        assert_eq!(of(&["SAP"]), xetr);
        assert_eq!(of(&["SAP", "BMW", "NEW"]), xetr);
        assert_eq!(of(&["SAP", "NEW"]), None);
        assert_eq!(of(&["SAP", "BMW", "AAPL"]), None);
        assert_eq!(of(&["MIXED"]), None);
        assert_eq!(of(&["NEW"]), None);
        assert_eq!(of(&[]), None);
    }
}
