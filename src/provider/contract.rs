//! What every provider must guarantee, as one suite; and a provider in memory, with pages and
//! several tickers per request.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::wrap::{Faulty, Recording, Throttled};
use super::*;
use crate::model::{
    Bar, Bars, Basis, DateRange, Grid, Hours, Interval, Source, Ticker, Timestamp, TypedDate,
};
use crate::secret::Secret;

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
    loop {
        let reply = provider.fetch(&request).await?;
        let page = provider.parse(&request, &reply)?;
        if provider.info().truncation == Truncation::Never {
            assert_eq!(page.next, None, "pages, though nothing is ever left out");
        }
        for (ticker, rows) in page.series {
            match series.iter_mut().find(|(known, _)| *known == ticker) {
                Some((_, known)) => known.bars.append(rows.bars),
                None => series.push((ticker, rows)),
            }
        }
        match page.next {
            Some(next) => request.page = Some(next),
            None => return Ok(series),
        }
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

    // A request beyond what the provider offers is refused before it is sent.
    let days = u64::from(days_max);
    let last = request.dates.first() + chrono::Days::new(days);
    let wide = Request {
        dates: DateRange::new(request.dates.first(), last).unwrap(),
        ..request.clone()
    };
    let refused = provider.fetch(&wide).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BadRequest, "{refused}");
    check_many(provider, request).await;
    let mut many = request.clone();
    many.tickers = vec![many.tickers[0].clone(); info.tickers_per_request + 1];
    let refused = provider.fetch(&many).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BadRequest, "{refused}");
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

/// A provider in memory: several tickers per request, pages by token, times in UTC.
pub(crate) struct Paged(ProviderInfo);

impl Paged {
    pub(crate) fn new() -> Self {
        Self(ProviderInfo {
            source: Source::new("paged"),
            exchange: "NASDAQ",
            probe: "AAPL",
            window_days: [Some(7); 5],
            ends_with_month: false,
            tickers_per_request: 3,
            truncation: Truncation::Announces {
                page_bars: 3,
                by_ticker: true,
            },
            window_requests: None,
            basis: &[Basis::Unadjusted],
            hours: &[Hours::Extended],
            hour_grid: |_| Grid::Clock,
            rate_default: NonZeroU32::new(200),
            limit_lasts: Duration::from_secs(60),
            settles_after: Duration::ZERO,
            withholds: Duration::ZERO,
            history_years: &[],
            history_begins: None,
        })
    }
}

impl Provider for Paged {
    fn info(&self) -> &ProviderInfo {
        &self.0
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        let fits = request.tickers.len() <= 3 && request.dates.days() <= 7;
        std::future::ready(if fits {
            Ok(Reply {
                origin: "memory:".to_owned(),
                body: (request.page.as_ref())
                    .map_or_else(|| b"0".to_vec(), |p| p.0.clone().into_bytes()),
            })
        } else {
            Err(Error::new(ErrorKind::BadRequest, "too much"))
        })
        .boxed()
    }

    /// Two bars per ticker and date, ticker by ticker, three rows on a page: pages end inside a
    /// ticker. The page before the last rows is empty, and so is the last page.
    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error> {
        let page: usize = std::str::from_utf8(&reply.body).unwrap().parse().unwrap();
        let known = request
            .tickers
            .iter()
            .filter(|t| t.as_str() != "NOSUCHTICKER");
        let rows: Vec<(Ticker, Bar)> = known
            .flat_map(|ticker| {
                let price = f64::from(ticker.as_str().bytes().map(u32::from).sum::<u32>());
                let hours = request
                    .dates
                    .iter()
                    .flat_map(|date| [18, 19].map(|hour| (date, hour)));
                hours.map(move |(date, hour)| {
                    let at = crate::model::date_micros(date) + hour * 3_600_000_000;
                    let bar = Bar {
                        vwap: Some(price),
                        trades: Some(1),
                        ..Bar::new(Timestamp::from_micros(at), [price; 4], 0.0)
                    };
                    (ticker.clone(), bar)
                })
            })
            .collect();
        let last = rows.len().div_ceil(3) + 1;
        let mut chunks: Vec<&[(Ticker, Bar)]> = rows.chunks(3).collect();
        chunks.insert(chunks.len().saturating_sub(1), &[]);
        let mut series: Vec<(Ticker, Rows)> = Vec::new();
        for (ticker, bar) in chunks.get(page).copied().unwrap_or_default() {
            match series.last_mut() {
                Some((known, rows)) if known == ticker => rows.bars.push(bar),
                _ => series.push((
                    ticker.clone(),
                    Rows {
                        bars: [*bar].into_iter().collect(),
                        rejects: vec![],
                    },
                )),
            }
        }
        Ok(Page {
            series,
            next: (page < last).then(|| PageToken((page + 1).to_string())),
        })
    }
}

#[tokio::test]
async fn a_paged_provider_passes_bare_and_wrapped() {
    let request = request("AAPL", "2025-02-03", "2025-02-05");
    check_contract(&Paged::new(), &request).await;
    let wrapped = Recording::new(Throttled {
        inner: Faulty::new(Paged::new(), |_, _| None),
        latency: Duration::from_millis(1),
    });
    check_contract(&wrapped, &request).await;
    assert!(wrapped.requests().len() > 6);
}

#[tokio::test]
async fn fmp_passes_over_http() {
    let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
    let simulator =
        crate::simulator::Simulator::start(crate::simulator::Config::default(), clock).unwrap();
    let access = access("contract", &simulator.url());
    let fmp = super::fmp::Fmp::new(&access, Source::new("fmp")).unwrap();
    let three_days = request("AAPL", "2025-02-03", "2025-02-05");
    check_contract(&fmp, &three_days).await;
    let hours = Request {
        interval: crate::model::Interval::M60,
        dates: DateRange::new(
            three_days.dates.first(),
            three_days.dates.first() + chrono::Days::new(40),
        )
        .unwrap(),
        ..three_days
    };
    check_contract(&fmp, &hours).await;
}

#[tokio::test]
async fn massive_passes_over_http() {
    let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
    let config = crate::simulator::Config {
        provider: "massive".parse().unwrap(),
        ..crate::simulator::Config::default()
    };
    let simulator = crate::simulator::Simulator::start(config, clock).unwrap();
    let massive = super::massive::Massive::new(&access("contract", &simulator.url())).unwrap();
    let three_days = request("AAPL", "2025-02-03", "2025-02-05");
    check_contract(&massive, &three_days).await;
    let hours = Request {
        interval: crate::model::Interval::M60,
        basis: Basis::Unadjusted,
        ..three_days
    };
    check_contract(&massive, &hours).await;
}

#[tokio::test]
async fn alpaca_passes_over_http() {
    let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
    let config = crate::simulator::Config {
        provider: "alpaca".parse().unwrap(),
        ..crate::simulator::Config::default()
    };
    let simulator = crate::simulator::Simulator::start(config, clock).unwrap();
    let access = access_of_parts(&["contract", "suite"], &simulator.url());
    for feed in [super::alpaca::Feed::Sip, super::alpaca::Feed::Iex] {
        let alpaca = super::alpaca::Alpaca::new(&access, feed).unwrap();
        let three_days = request("AAPL", "2025-02-03", "2025-02-05");
        check_contract(&alpaca, &three_days).await;
        let hours = Request {
            interval: crate::model::Interval::M60,
            basis: Basis::Unadjusted,
            ..three_days
        };
        check_contract(&alpaca, &hours).await;
    }
}

#[tokio::test]
async fn binance_passes_over_http() {
    let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
    let config = crate::simulator::Config {
        provider: "binance".parse().unwrap(),
        ..crate::simulator::Config::default()
    };
    let simulator = crate::simulator::Simulator::start(config, clock).unwrap();
    let binance = super::binance::Binance::new(&access("unused", &simulator.url())).unwrap();
    let three_days = Request {
        tz: chrono_tz::UTC,
        ..request("BTCUSDT", "2025-02-03", "2025-02-05")
    };
    check_contract(&binance, &three_days).await;
    // From the month's file, on dates of another zone.
    let hours = Request {
        interval: crate::model::Interval::M60,
        basis: Basis::Unadjusted,
        ..request("BTCUSDT", "2024-12-03", "2024-12-20")
    };
    check_contract(&binance, &hours).await;
}

mod retrying {
    //! Retries, against a provider whose faults are known.

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn server(status: u16, retry_after: Option<Duration>) -> Error {
        Error::new(ErrorKind::Transient, format!("status {status}")).with_retry_after(retry_after)
    }

    fn limit() -> Error {
        Error::new(ErrorKind::Limit, "too many").with_detail("Limit Reach . ")
    }

    fn client(provider: impl Provider) -> RetryingClient {
        let gate = Gate::new(GateOptions {
            in_flight: 8,
            pause_first: Duration::from_millis(5),
            quota_after: Duration::from_millis(80),
            ..GateOptions::default()
        });
        let retry = RetryOptions {
            first: Duration::from_millis(5),
            count_max: 3,
            time_max: Duration::from_secs(1),
            ..RetryOptions::default()
        };
        RetryingClient::new(Arc::new(provider), Arc::new(gate), retry)
    }

    fn one_day() -> Arc<Request> {
        Arc::new(request("AAPL", "2025-02-03", "2025-02-03"))
    }

    #[tokio::test]
    async fn a_passing_fault_is_retried_and_counted() {
        let client = client(Faulty::new(Paged::new(), |call, _| {
            (call < 2).then(|| server(500, None))
        }));
        let page = client.fetch_page(&one_day()).await;
        assert!(page.is_ok());
        assert_eq!((client.gate().sent(), client.gate().retried()), (3, 2));
    }

    /// After an error on any page, also the last, no ticker counts as without bars, and those whose
    /// bars may go on are not returned.
    #[tokio::test]
    async fn only_tickers_before_a_page_that_fails_are_returned() {
        // Six bars of each on pages of three, and an empty page before the last two.
        let complete = [0, 0, 0, 1, 1, 1, 1];
        for (failing, complete) in complete.into_iter().enumerate() {
            let client = client(Faulty::new(Paged::new(), move |call, _| {
                (call == failing).then(|| Error::new(ErrorKind::Unexpected, "x"))
            }));
            let names = ["AAPL", "MSFT", "NOSUCHTICKER"];
            let request = Request {
                tickers: names.map(|name| Ticker::new(name).unwrap()).to_vec(),
                ..request("AAPL", "2025-02-03", "2025-02-05")
            };
            let (series, error) = client.fetch_each(request).await;
            assert_eq!(error.is_some(), failing < 6, "page {failing}");
            let whole = if error.is_some() { complete } else { 2 };
            assert_eq!(series.len(), whole, "page {failing}");
            assert!(series.values().all(|rows| rows.bars.len() == 6));
        }
    }

    #[tokio::test]
    async fn known_refusals_are_not_sent_again() {
        let old = |_: usize, request: &Request| {
            let withheld = Error::new(ErrorKind::Withheld, "too old");
            (request.dates.last() < "2025-02-04".parse().unwrap()).then_some(withheld)
        };
        let client = client(Faulty::new(Paged::new(), old));
        let on = |day: &'static str| {
            let client = client.clone();
            async move { client.fetch_each(request("AAPL", day, day)).await.1 }
        };
        let is_withheld = |error| matches!(error, Some(FetchError::Failed(error)) if Error::kind(&error) == ErrorKind::Withheld);
        assert!(is_withheld(on("2025-02-03").await));
        assert!(is_withheld(on("2025-02-01").await));
        assert_eq!(client.gate().sent(), 1);
        assert!(on("2025-02-04").await.is_none());
        assert!(is_withheld(on("2025-02-02").await));
    }

    #[tokio::test]
    async fn a_lasting_fault_ends_after_the_last_retry() {
        let client = client(Faulty::new(Paged::new(), |_, _| Some(server(500, None))));
        let result = client.fetch_page(&one_day()).await;
        assert!(matches!(result, Err(FetchError::Failed(_))));
        assert_eq!((client.gate().sent(), client.gate().retried()), (4, 3));
    }

    #[tokio::test]
    async fn a_retry_after_beyond_the_maximum_is_not_waited_for() {
        let hour = Some(Duration::from_secs(3600));
        let client = client(Faulty::new(Paged::new(), move |_, _| {
            Some(server(503, hour))
        }));
        assert!(client.fetch_page(&one_day()).await.is_err());
        assert_eq!(client.gate().sent(), 1);
    }

    #[tokio::test]
    async fn an_error_that_stays_is_not_retried() {
        let client = client(Faulty::new(Paged::new(), |_, _| {
            Some(Error::new(ErrorKind::Unexpected, "x"))
        }));
        assert!(client.fetch_page(&one_day()).await.is_err());
        assert_eq!(client.gate().sent(), 1);
    }

    #[tokio::test]
    async fn a_limit_does_not_count_as_a_retry() {
        let passing = client(Faulty::new(Paged::new(), |call, _| (call < 3).then(limit)));
        assert!(passing.fetch_page(&one_day()).await.is_ok());

        // Eight at once: none retries by itself, and all end.
        let calls = Arc::new(AtomicUsize::new(0));
        let lasting = client(Faulty::new(Paged::new(), {
            let calls = calls.clone();
            move |_, _| {
                calls.fetch_add(1, Ordering::SeqCst);
                Some(limit())
            }
        }));
        let requests = (0..8).map(|_| {
            let client = lasting.clone();
            async move { client.fetch_page(&one_day()).await }
        });
        let outcomes = futures_util::future::join_all(requests).await;
        let spent = |outcome: &&Result<Page, FetchError>| {
            matches!(outcome, Err(FetchError::Spent(Spent::Quota { .. })))
        };
        assert!(outcomes.iter().filter(spent).count() >= 1);
        // Those without a 429 find the gate closed.
        let ended = |outcome: &Result<Page, FetchError>| {
            matches!(outcome, Err(FetchError::Spent(_) | FetchError::Closed))
        };
        assert!(outcomes.iter().all(ended) && lasting.gate().is_closed());
        assert!(calls.load(Ordering::SeqCst) < 80);
    }

    /// A server that has ended responds to nothing that follows.
    #[tokio::test]
    async fn a_refused_connection_is_retried_briefly_and_ends_the_run() {
        let client = client(Faulty::new(Paged::new(), |call, _| {
            (call > 0).then(|| Error::new(ErrorKind::Refused, "no connection"))
        }));
        assert!(client.fetch_page(&one_day()).await.is_ok());
        let error = client.fetch_page(&one_day()).await;
        assert!(matches!(error, Err(FetchError::Failed(error)) if error.scope() == Scope::Run));
        assert_eq!((client.gate().sent(), client.gate().retried()), (4, 2));
        assert!(client.gate().is_closed());
    }

    #[tokio::test]
    async fn a_closed_gate_ends_waits_and_requests() {
        let client = client(Throttled {
            inner: Paged::new(),
            latency: Duration::from_millis(50),
        });
        let gate = client.gate().clone();
        let in_flight = tokio::spawn({
            let client = client.clone();
            async move { client.fetch_page(&one_day()).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        gate.close();
        // The request in flight succeeds; the next is never sent.
        assert!(in_flight.await.unwrap().is_ok());
        assert!(matches!(
            client.fetch_page(&one_day()).await,
            Err(FetchError::Closed)
        ));
        assert_eq!(gate.sent(), 1);
    }
}
