//! What every provider must guarantee, as one suite.
//!
//! The suite sees a provider alone. What the program makes of its pages, refusals and plans is tested
//! in `tests/it/fetch/`.

mod limits;
mod paged;
mod providers;
mod retrying;

use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use chrono::Timelike as _;

use crate::model::{Bars, Basis, DateRange, Grid, Hours, Interval, Ticker, Timestamp, TypedDate};
use crate::secret::Secret;

/// The parts of the key in the suite's tests. No response shows them.
const KEY: [&str; 2] = ["contractKeyOfTheSuite", "contractSecretOfTheSuite"];

/// How to reach a server with a key.
pub(crate) fn access(key: &str, url: &str) -> Access {
    access_of_parts(&[key], url)
}

/// How to reach a server with a key of several parts.
pub(crate) fn access_of_parts(parts: &[&str], url: &str) -> Access {
    let parts = parts.iter().map(|part| Secret::new(part).unwrap());
    Access {
        credentials: Credentials::new(parts.collect()),
        base_url: Some(url.into()),
        clock: Arc::new(|| Timestamp::from(chrono::Utc::now())),
    }
}

/// A request with dates of New York.
pub(crate) fn request(ticker: &str, first: &str, last: &str) -> Request {
    let date = |typed: &str| typed.parse::<TypedDate>().unwrap().0;
    Request {
        tickers: vec![Ticker::new(ticker).unwrap()],
        interval: Interval::M1,
        dates: DateRange::new(date(first), date(last)).unwrap(),
        tz: chrono_tz::America::New_York,
        basis: Basis::SplitAdjusted,
        hours: Hours::Regular,
        latest: Timestamp::from_micros(i64::MAX),
        page: None,
    }
}

/// All pages of a request.
async fn all(provider: &dyn Provider, request: &Request) -> Result<Vec<(Ticker, Rows)>, Error> {
    let mut request = request.clone();
    let mut series: Vec<(Ticker, Rows)> = Vec::new();
    let mut tokens = HashSet::new();
    let truncation = provider.info().truncation;
    loop {
        let reply = provider.fetch(&request).await?;
        assert!(KEY.iter().all(|part| !reply.origin.contains(part)));
        let page = provider.parse(&request, &reply)?;
        match truncation {
            // Files can have more than a page.
            Truncation::Announces { .. } if provider.info().window_requests.is_some() => {}
            Truncation::Announces { page_bars, .. } => {
                let bars: usize = page.series.iter().map(|(_, rows)| rows.bars.len()).sum();
                assert!(bars <= page_bars as usize, "{bars} bars on a page");
            }
            Truncation::Never | Truncation::KeepsNewest => {
                assert_eq!(page.next, None, "a page that isn't announced");
            }
        }
        for (ticker, rows) in page.series {
            assert!(
                request.tickers.contains(&ticker),
                "{ticker} wasn't requested"
            );
            match series.iter_mut().find(|(known, _)| *known == ticker) {
                Some((_, known)) => known.bars.append(rows.bars),
                None => series.push((ticker, rows)),
            }
        }
        let Some(next) = page.next else {
            return Ok(series);
        };
        assert!(tokens.insert(next.clone()), "a page is announced twice");
        request.page = Some(next);
    }
}

/// Whether both are the same bars. A column's missing values aren't equal to each other.
fn same(left: &Bars, right: &Bars) -> bool {
    left.iter().eq(right.iter())
}

/// The suite. `request` must span at least two sessions that the provider has bars of.
pub(crate) async fn check_contract(provider: &dyn Provider, request: &Request) {
    let info = provider.info();
    assert!(info.tickers_per_request >= 1);
    let days_max = info.window_days(request.interval).unwrap();
    assert!(request.dates.days() <= i64::from(days_max));

    // Bars of the requested ticker, oldest first, valid, on the requested dates.
    let series = all(provider, request).await.unwrap();
    let (ticker, rows) = &series[0];
    assert_eq!(*ticker, request.tickers[0]);
    assert!(rows.bars.len() > 1, "no bars at {request}");
    assert!(rows.bars.timestamps().is_sorted());
    for bar in rows.bars.iter() {
        assert_eq!(bar.check(), Ok(()));
        let date = bar
            .timestamp
            .to_utc()
            .with_timezone(&request.tz)
            .date_naive();
        assert!(request.dates.contains(date), "{date} outside {request}");
    }

    // Equal requests return equal rows, and a part of the dates returns a part of the rows.
    let again = all(provider, request).await.unwrap();
    assert!(same(&again[0].1.bars, &rows.bars) && again.len() == series.len());
    let part = Request {
        dates: DateRange::new(
            request.dates.first().succ_opt().unwrap(),
            request.dates.last(),
        )
        .unwrap(),
        ..request.clone()
    };
    let part = all(provider, &part).await.unwrap();
    let first = rows.bars.len() - part[0].1.bars.len();
    assert!(first > 0);
    let rest = rows.bars.slice(first..rows.bars.len());
    assert!(same(&part[0].1.bars, &rest), "{request}");
    // The part before has no bar of the instant at which this one starts.
    let before = Request {
        dates: DateRange::new(request.dates.first(), request.dates.first()).unwrap(),
        ..request.clone()
    };
    let before = all(provider, &before).await.unwrap();
    assert!(
        same(&before[0].1.bars, &rows.bars.slice(0..first)),
        "{request}"
    );

    // An unknown ticker has no bars, or the provider refuses it alone.
    let unknown = Request {
        tickers: vec![Ticker::new("NOSUCHTICKER").unwrap()],
        ..request.clone()
    };
    match all(provider, &unknown).await {
        Ok(series) => assert!(series.iter().all(|(_, rows)| rows.bars.is_empty())),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Ticker, "{error}"),
    }

    check_hours(provider, request).await;
    check_many(provider, request).await;
    check_refusals(provider, request).await;
}

/// Bars have the hours that the facts name, and hours start where they say. If a provider always sends
/// extended hours, they are what is requested for regular ones, and never in bars of 60 minutes, which
/// can't be cut.
async fn check_hours(provider: &dyn Provider, request: &Request) {
    let info = provider.info();
    if info.exchange == "CRYPTO" {
        return;
    }
    let minutes = |series: &[(Ticker, Rows)]| -> Vec<u32> {
        let local =
            |bar: crate::model::Bar| bar.timestamp.to_utc().with_timezone(&request.tz).time();
        let bars = series.iter().flat_map(|(_, rows)| rows.bars.iter());
        bars.map(|bar| local(bar).num_seconds_from_midnight() / 60)
            .collect()
    };
    let first = request.dates.first();
    for &hours in info.hours {
        let of = |interval| Request {
            interval,
            hours,
            dates: DateRange::new(first, first).unwrap(),
            ..request.clone()
        };
        let opens = minutes(&all(provider, &of(Interval::M5)).await.unwrap());
        let is_outside = |minute: &u32| !(570..960).contains(minute);
        let has_extended = hours == Hours::Extended;
        assert_eq!(opens.iter().any(is_outside), has_extended, "{hours:?}");
        let past_the_hour = match (info.hour_grid)(hours) {
            Grid::Session => 30,
            Grid::Clock => 0,
        };
        let opens = minutes(&all(provider, &of(Interval::M60)).await.unwrap());
        assert!(
            opens.iter().all(|minute| minute % 60 == past_the_hour),
            "{opens:?}"
        );
    }
    if info.hours == [Hours::Extended] {
        assert_eq!(info.hours_to_request(Hours::Regular), Hours::Extended);
        let requested = info.interval_to_request(Interval::M60, Hours::Regular);
        assert_ne!(requested, Some(Interval::M60));
    }
}

/// A request beyond what the provider offers is refused before it is sent.
async fn check_refusals(provider: &dyn Provider, request: &Request) {
    let info = provider.info();
    let days = info.window_days(request.interval).unwrap_or_default();
    let last = request.dates.first() + chrono::Days::new(u64::from(days));
    let wide = Request {
        dates: DateRange::new(request.dates.first(), last).unwrap(),
        ..request.clone()
    };
    let many = Request {
        tickers: vec![request.tickers[0].clone(); info.tickers_per_request + 1],
        ..request.clone()
    };
    let none = Request {
        tickers: Vec::new(),
        ..request.clone()
    };
    let bases = [Basis::SplitAdjusted, Basis::Unadjusted, Basis::Unknown];
    let missing = (bases.into_iter()).filter(|basis| !info.basis.contains(basis));
    let other_bases = missing.map(|basis| Request {
        basis,
        ..request.clone()
    });
    for refused in [wide, many, none].into_iter().chain(other_bases) {
        let error = provider.fetch(&refused).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{error}");
        let text = format!("{error} {error:?}");
        assert!(KEY.iter().all(|part| !text.contains(part)), "{text}");
    }
    let missing = (Interval::ALL.into_iter()).find(|other| info.window_days(*other).is_none());
    if let Some(interval) = missing {
        let refused = Request {
            interval,
            ..request.clone()
        };
        let error = provider.fetch(&refused).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{error}");
    }
}

/// Several tickers in one request, one of them unknown: over all pages each has the bars that it has
/// alone.
async fn check_many(provider: &dyn Provider, request: &Request) {
    if provider.info().tickers_per_request < 3 {
        return;
    }
    let names = [request.tickers[0].as_str(), "NOSUCHTICKER", "MSFT"];
    let many = Request {
        tickers: names.map(|name| Ticker::new(name).unwrap()).to_vec(),
        ..request.clone()
    };
    let together = all(provider, &many).await.unwrap();
    for ticker in &many.tickers {
        let alone = Request {
            tickers: vec![ticker.clone()],
            ..request.clone()
        };
        let bars = |series: &[(Ticker, Rows)]| {
            let found = series.iter().find(|(known, _)| known == ticker);
            found.map_or_else(Bars::default, |(_, rows)| rows.bars.clone())
        };
        let alone = all(provider, &alone).await.unwrap();
        assert_eq!(bars(&together), bars(&alone), "{ticker}");
    }
}
