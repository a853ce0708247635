//! The providers of a run, and the simulators that serve them.

use std::collections::BTreeSet;
use std::sync::Arc;

use backfill::model::Timestamp;
use backfill::provider::registry;
use backfill::simulator::{Config, Running, Simulator};

/// A provider, and what a step requests from it.
#[derive(Debug)]
pub struct Provider {
    pub name: &'static str,
    pub tickers: &'static [&'static str],
    pub tickers_max: u64,
    pub days_max: u64,
    pub minutes: u64,
    /// The variables with its address and key; none if it needs no server.
    base_url: Option<&'static str>,
    keys: &'static [&'static str],
    /// Faults of the killed side only: none of them changes what is stored.
    faults: &'static [&'static str],
}

const COMPANIES: &[&str] = &["AAPL", "MSFT", "NVDA"];

const DEMO: Provider = Provider {
    name: "demo",
    tickers: COMPANIES,
    tickers_max: 2,
    days_max: 8,
    minutes: 1,
    base_url: None,
    keys: &[],
    faults: &[],
};

/// How many providers there are.
pub const COUNT: u64 = PROVIDERS.len() as u64;

const PROVIDERS: [Provider; 5] = [
    DEMO,
    Provider {
        name: "alpaca",
        // Many per request, so pages end within tickers.
        tickers: &[
            "AAPL", "AMD", "BA", "CAT", "GE", "IBM", "KO", "MSFT", "NVDA", "PG", "T", "XOM",
        ],
        tickers_max: 12,
        base_url: Some("ALPACA_BASE_URL"),
        keys: &["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"],
        faults: &["capped=0.3", "500=0.03", "reset=0.03", "cut=0.03"],
        ..DEMO
    },
    Provider {
        name: "binance",
        tickers: &["BTCUSDT", "ETHUSDT", "SOLUSDT"],
        // Long enough for files of whole months.
        days_max: 60,
        minutes: 5,
        base_url: Some("BINANCE_BASE_URL"),
        faults: &[
            "missing-file=0.2",
            "wrong-checksum=0.2",
            "capped=0.2",
            "500=0.03",
            "reset=0.03",
            "cut=0.03",
        ],
        ..DEMO
    },
    Provider {
        name: "massive",
        base_url: Some("MASSIVE_BASE_URL"),
        keys: &["MASSIVE_API_KEY"],
        faults: &["capped=0.3", "500=0.03", "reset=0.03", "cut=0.03"],
        ..DEMO
    },
    Provider {
        name: "fmp",
        base_url: Some("FMP_BASE_URL"),
        keys: &["FMP_API_KEY"],
        faults: &["reset-body=0.03", "500=0.03", "reset=0.03", "cut=0.03"],
        ..DEMO
    },
];

/// The providers in turn.
pub fn at(number: u64) -> &'static Provider {
    &PROVIDERS[(number % COUNT) as usize]
}

impl Provider {
    /// Starts its simulator; `None` if it needs no server.
    pub fn simulator(&self, seed: u64, with_faults: bool) -> Option<Running> {
        self.base_url?;
        let faults = if with_faults { self.faults } else { &[] };
        let config = Config {
            provider: self.name.parse().unwrap(),
            seed,
            faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
            late_opening: 0.0,
            ..Config::default()
        };
        let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
        Some(Simulator::start(config, clock).unwrap())
    }

    /// The environment in which the program requests the simulator.
    pub fn environment(&self, simulator: &Running) -> Vec<(&'static str, String)> {
        let url = self.base_url.map(|name| (name, simulator.url()));
        let keys = self.keys.iter().map(|&name| (name, "soak".to_owned()));
        url.into_iter().chain(keys).collect()
    }
}

#[test]
fn every_provider_takes_part() {
    // `toy` is an example, and only in builds for tests.
    let all = registry::PROVIDERS.iter().map(|entry| entry.name);
    let all: BTreeSet<&str> = all.filter(|name| *name != "toy").collect();
    let mine = PROVIDERS.map(|provider| provider.name);
    assert_eq!(BTreeSet::from(mine), all);
}
