//! The suite, for each provider.

use std::time::Duration;

use super::limits::{
    check_basis, check_failing_pages, check_malformed, check_repeated_page, check_too_old,
    check_withheld,
};
use super::paged::Paged;
use super::*;
use crate::model::{Bar, Source};
use crate::provider::alpaca::{Alpaca, Feed};
use crate::provider::binance::Binance;
use crate::provider::fmp::Fmp;
use crate::provider::massive::Massive;
use crate::provider::wrap::{Faulty, Recording, Throttled};
use crate::simulator::{Change, Config, Running, Simulator, Tier};

fn simulator(provider: &str) -> Running {
    let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
    let config = Config {
        provider: provider.parse().unwrap(),
        ..Config::default()
    };
    Simulator::start(config, clock).unwrap()
}

/// When plans are tried, during a session.
const NOW: &str = "2025-12-30T20:00:30Z";

/// Makes changes of a simulated world.
fn change(simulator: &Running, changes: Vec<Change>) {
    for change in changes {
        simulator.handle().apply(change).unwrap();
    }
}

/// A simulator at a fixed time with a plan, but without its rate.
fn set_plan(simulator: &Running, tier: Tier) {
    let clock = Change::Clock(Some(NOW.parse().unwrap()));
    let limits = Change::Limits {
        per_minute: None,
        per_day: None,
        bandwidth_bytes: None,
    };
    change(simulator, vec![clock, Change::Tier(Some(tier)), limits]);
}

fn faults(simulator: &Running, names: &[&str]) {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    change(simulator, vec![Change::Faults(names)]);
}

/// Splits the shares of AAPL after the days of the tests, and returns the ratio.
fn split(simulator: &Running) -> f64 {
    let ratio = 4.0;
    let split = Change::Split {
        symbol: "AAPL".to_owned(),
        date: "2025-02-10".parse().unwrap(),
        ratio,
    };
    change(simulator, vec![split]);
    ratio
}

/// A request made at [`NOW`] that ends on its date.
fn up_to_now() -> Request {
    let now: chrono::DateTime<chrono::Utc> = NOW.parse().unwrap();
    Request {
        latest: Bar::latest_open(Timestamp::from(now)),
        ..request("AAPL", "2025-12-29", "2025-12-30")
    }
}

fn three_tickers() -> Request {
    let names = ["AAPL", "NOSUCHTICKER", "MSFT"];
    Request {
        tickers: names.map(|name| Ticker::new(name).unwrap()).to_vec(),
        ..three_days()
    }
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
    let ratio = split(&simulator);
    check_basis(&fmp, &three_days(), ratio).await;
}

#[tokio::test]
async fn massive_passes_over_http() {
    let simulator = simulator("massive");
    let massive = Massive::new(&access(KEY[0], &simulator.url())).unwrap();
    check_contract(&massive, &three_days()).await;
    check_contract(&massive, &unadjusted_hours()).await;
    let ratio = split(&simulator);
    check_basis(&massive, &three_days(), ratio).await;
    faults(&simulator, &["other-basis"]);
    let error = all(&massive, &three_days()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");

    let massive = Arc::new(massive);
    faults(&simulator, &["capped"]);
    check_failing_pages(massive.clone(), &three_days()).await;
    faults(&simulator, &["repeated-page"]);
    check_repeated_page(massive.clone(), &three_days()).await;
    faults(&simulator, &[]);
    for tier in [Tier::Free, Tier::Starter, Tier::Premium] {
        set_plan(&simulator, tier);
        check_withheld(&*massive, &up_to_now()).await;
        check_too_old(massive.clone(), &three_days(), "2010-02-03").await;
    }
}

#[tokio::test]
async fn alpaca_passes_over_http() {
    let simulator = simulator("alpaca");
    let access = access_of_parts(&KEY, &simulator.url());
    for feed in [Feed::Sip, Feed::Iex] {
        let alpaca = Alpaca::new(&access, feed).unwrap();
        check_contract(&alpaca, &three_days()).await;
        check_contract(&alpaca, &unadjusted_hours()).await;
        check_malformed(&alpaca, &three_days(), "3USL").await;
        check_too_old(alpaca, &three_days(), "2015-02-03").await;
    }
    let alpaca = || Alpaca::new(&access, Feed::Sip).unwrap();
    let ratio = split(&simulator);
    check_basis(&alpaca(), &three_days(), ratio).await;
    faults(&simulator, &["capped"]);
    check_failing_pages(Arc::new(alpaca()), &three_tickers()).await;
    faults(&simulator, &["repeated-page"]);
    check_repeated_page(alpaca(), &three_days()).await;
    faults(&simulator, &[]);
    set_plan(&simulator, Tier::Free);
    check_withheld(&alpaca(), &up_to_now()).await;
}

#[cfg(feature = "crash-points")]
#[tokio::test]
async fn the_toy_passes_over_http() {
    let simulator = simulator("toy");
    let toy = || crate::provider::toy::Toy::new(&access_of_parts(&KEY, &simulator.url())).unwrap();
    let three_days = || Request {
        basis: Basis::Unadjusted,
        ..three_days()
    };
    check_contract(&toy(), &three_days()).await;
    check_malformed(&toy(), &three_days(), "3USL").await;
    let three_tickers = Request {
        basis: Basis::Unadjusted,
        ..three_tickers()
    };
    check_failing_pages(Arc::new(toy()), &three_tickers).await;
    faults(&simulator, &["repeated-page"]);
    check_repeated_page(toy(), &three_days()).await;
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
    check_malformed(&binance, &three_days, "NOT_A_PAIR").await;
    check_failing_pages(Arc::new(binance), &three_days).await;
}
