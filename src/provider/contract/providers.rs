//! The suite, for each provider.

use std::time::Duration;

use super::paged::Paged;
use super::*;
use crate::model::Source;
use crate::provider::alpaca::{Alpaca, Feed};
use crate::provider::binance::Binance;
use crate::provider::fmp::Fmp;
use crate::provider::massive::Massive;
use crate::provider::wrap::{Faulty, Recording, Throttled};
use crate::simulator::{Config, Running, Simulator};

fn simulator(provider: &str) -> Running {
    let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
    let config = Config {
        provider: provider.parse().unwrap(),
        ..Config::default()
    };
    Simulator::start(config, clock).unwrap()
}

fn three_days() -> Request {
    request("AAPL", "2025-02-03", "2025-02-05")
}

fn unadjusted_hours() -> Request {
    Request {
        interval: Interval::M60,
        basis: Basis::Unadjusted,
        ..three_days()
    }
}

#[tokio::test]
async fn a_paged_provider_passes_bare_and_wrapped() {
    check_contract(&Paged::new(), &three_days()).await;
    let wrapped = Recording::new(Throttled {
        inner: Faulty::new(Paged::new(), |_, _| None),
        latency: Duration::from_millis(1),
    });
    check_contract(&wrapped, &three_days()).await;
    assert!(wrapped.requests().len() > 6);
}

#[tokio::test]
async fn fmp_passes_over_http() {
    let simulator = simulator("fmp");
    let fmp = Fmp::new(&access(KEY[0], &simulator.url()), Source::new("fmp")).unwrap();
    check_contract(&fmp, &three_days()).await;
    let first = three_days().dates.first();
    let hours = Request {
        interval: Interval::M60,
        dates: DateRange::new(first, first + chrono::Days::new(40)).unwrap(),
        ..three_days()
    };
    check_contract(&fmp, &hours).await;
}

#[tokio::test]
async fn massive_passes_over_http() {
    let simulator = simulator("massive");
    let massive = Massive::new(&access(KEY[0], &simulator.url())).unwrap();
    check_contract(&massive, &three_days()).await;
    check_contract(&massive, &unadjusted_hours()).await;
}

#[tokio::test]
async fn alpaca_passes_over_http() {
    let simulator = simulator("alpaca");
    let access = access_of_parts(&KEY, &simulator.url());
    for feed in [Feed::Sip, Feed::Iex] {
        let alpaca = Alpaca::new(&access, feed).unwrap();
        check_contract(&alpaca, &three_days()).await;
        check_contract(&alpaca, &unadjusted_hours()).await;
    }
}

#[tokio::test]
async fn binance_passes_over_http() {
    let simulator = simulator("binance");
    let binance = Binance::new(&access("unused", &simulator.url())).unwrap();
    let three_days = Request {
        tz: chrono_tz::UTC,
        ..request("BTCUSDT", "2025-02-03", "2025-02-05")
    };
    check_contract(&binance, &three_days).await;
    // From the month's file, on dates of another zone.
    let hours = Request {
        interval: Interval::M60,
        basis: Basis::Unadjusted,
        ..request("BTCUSDT", "2024-12-03", "2024-12-20")
    };
    check_contract(&binance, &hours).await;
}
