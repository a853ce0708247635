//! What every provider must hold, as one suite; and a second vendor of another kind, which shows that the trait has
//! room for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::wrap::{Faulty, Recording, Throttled};
use super::*;
use crate::model::{Bar, Source, Timestamp, TypedDate};

/// A question in New York time.
pub(crate) fn query(ticker: &str, first: &str, last: &str) -> Query {
    let date = |typed: &str| typed.parse::<TypedDate>().unwrap().0;
    Query {
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

/// All pages of a question.
async fn all(provider: &dyn Provider, query: &Query) -> Result<Vec<(Ticker, Rows)>, Error> {
    let mut query = query.clone();
    let mut series: Vec<(Ticker, Rows)> = Vec::new();
    loop {
        let reply = provider.ask(&query).await?;
        let page = provider.read(&query, &reply)?;
        for (ticker, rows) in page.series {
            match series.iter_mut().find(|(known, _)| *known == ticker) {
                Some((_, known)) => known.bars.append(rows.bars),
                None => series.push((ticker, rows)),
            }
        }
        match page.next {
            Some(next) => query.page = Some(next),
            None => return Ok(series),
        }
    }
}

/// The suite. `query` must span at least two sessions that the provider has bars of.
pub(crate) async fn every_provider_holds(provider: &dyn Provider, query: &Query) {
    let capabilities = provider.capabilities();
    assert!(capabilities.tickers_per_request >= 1);
    assert!(query.dates.days() <= i64::from(capabilities.window_days(query.interval)));

    // Bars of the ticker asked, oldest first, valid, on the dates asked.
    let series = all(provider, query).await.unwrap();
    let (ticker, rows) = &series[0];
    assert_eq!(*ticker, query.tickers[0]);
    assert!(rows.bars.len() > 1, "no bars at {query}");
    assert!(rows.bars.timestamps().is_sorted());
    for bar in rows.bars.iter() {
        assert_eq!(bar.check(), Ok(()));
        let date = bar.timestamp.to_utc().with_timezone(&query.tz).date_naive();
        assert!(query.dates.contains(date), "{date} outside {query}");
    }

    // The same question has the same answer, and a part of it a part of the answer.
    assert_eq!(all(provider, query).await.unwrap(), series);
    let part = Query {
        dates: DateRange::new(query.dates.first().succ_opt().unwrap(), query.dates.last()).unwrap(),
        ..query.clone()
    };
    let part = all(provider, &part).await.unwrap();
    let first = rows.bars.len() - part[0].1.bars.len();
    assert!(first > 0);
    assert_eq!(part[0].1.bars, rows.bars.slice(first..rows.bars.len()));

    // What the provider has never heard of has no bars, and is no error.
    let unknown = Query {
        tickers: vec![Ticker::new("NOSUCHTICKER").unwrap()],
        ..query.clone()
    };
    let unknown = all(provider, &unknown).await.unwrap();
    assert!(unknown.iter().all(|(_, rows)| rows.bars.is_empty()));

    // More than the provider can answer is refused before it is asked.
    let days = u64::from(capabilities.window_days(query.interval));
    let last = query.dates.first() + chrono::Days::new(days);
    let wide = Query {
        dates: DateRange::new(query.dates.first(), last).unwrap(),
        ..query.clone()
    };
    let refused = provider.ask(&wide).await.unwrap_err();
    assert!(matches!(refused, Error::BadQuery { .. }), "{refused}");
    let mut many = query.clone();
    many.tickers = vec![many.tickers[0].clone(); capabilities.tickers_per_request + 1];
    assert!(matches!(
        provider.ask(&many).await,
        Err(Error::BadQuery { .. })
    ));
}

/// A vendor of another kind: many symbols a call, pages by token, times in UTC.
pub(crate) struct Paged(Capabilities);

impl Paged {
    pub(crate) fn new() -> Self {
        Self(Capabilities {
            source: Source::new("paged"),
            tickers_per_request: 3,
            window_days: [7; 5],
            requests_per_minute: 200,
            basis: &[Basis::Unadjusted],
            hours: &[Hours::Extended],
            zone: Zone::Utc,
            settles_after: Duration::ZERO,
        })
    }
}

impl Provider for Paged {
    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Reply, Error>> {
        let fits = query.tickers.len() <= 3 && query.dates.days() <= 7;
        std::future::ready(if fits {
            Ok(Reply {
                origin: "memory:".to_owned(),
                body: (query.page.as_ref())
                    .map_or_else(|| b"0".to_vec(), |p| p.0.clone().into_bytes()),
            })
        } else {
            Err(Error::BadQuery {
                window: query.to_string(),
                why: "too much",
            })
        })
        .boxed()
    }

    /// A page is one date; each has two bars a symbol.
    fn read(&self, query: &Query, reply: &Reply) -> Result<Page, Error> {
        let page: u64 = std::str::from_utf8(&reply.body).unwrap().parse().unwrap();
        let date = query.dates.first() + chrono::Days::new(page);
        let noon = crate::model::date_micros(date) + 12 * 3_600_000_000;
        let known = query
            .tickers
            .iter()
            .filter(|t| t.as_str() != "NOSUCHTICKER");
        let bars = [noon + 6 * 3_600_000_000, noon + 7 * 3_600_000_000].map(|micros| Bar {
            vwap: Some(1.0),
            trades: Some(1),
            ..Bar::new(Timestamp::from_micros(micros), [1.0, 1.0, 1.0, 1.0], 0.0)
        });
        let rows = Rows {
            bars: bars.into_iter().collect(),
            rejects: vec![],
        };
        Ok(Page {
            series: known.map(|ticker| (ticker.clone(), rows.clone())).collect(),
            next: (date < query.dates.last()).then(|| PageToken((page + 1).to_string())),
        })
    }
}

#[tokio::test]
async fn a_paged_vendor_holds_the_contract_bare_and_wrapped() {
    let query = query("AAPL", "2025-02-03", "2025-02-05");
    every_provider_holds(&Paged::new(), &query).await;
    let wrapped = Recording::new(Throttled {
        inner: Faulty::new(Paged::new(), |_, _| None),
        latency: Duration::from_millis(1),
    });
    every_provider_holds(&wrapped, &query).await;
    assert!(wrapped.asked().len() > 6);
}

#[tokio::test]
async fn fmp_holds_the_contract_over_http() {
    let clock = Arc::new(|| Timestamp::from(chrono::Utc::now()));
    let simulator =
        crate::simulator::Simulator::start(crate::simulator::Config::default(), clock).unwrap();
    let fmp = super::fmp::Fmp::new(super::fmp::FmpOptions {
        base_url: simulator.url().into(),
        key: ApiKey::new("contract").unwrap(),
        source: Source::new("fmp"),
    })
    .unwrap();
    let three_days = query("AAPL", "2025-02-03", "2025-02-05");
    every_provider_holds(&fmp, &three_days).await;
    let hours = Query {
        interval: crate::model::Interval::M60,
        dates: DateRange::new(
            three_days.dates.first(),
            three_days.dates.first() + chrono::Days::new(40),
        )
        .unwrap(),
        ..three_days
    };
    every_provider_holds(&fmp, &hours).await;
}

mod asking {
    //! The asker's patience, against a vendor whose faults are known.

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn server(status: u16, retry_after: Option<Duration>) -> Error {
        Error::Server {
            status,
            retry_after,
            window: String::new(),
            said: String::new(),
        }
    }

    fn limit() -> Error {
        Error::Limit {
            retry_after: None,
            said: "Limit Reach . ".to_owned(),
        }
    }

    fn asker(provider: impl Provider) -> Asker {
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
        Asker::new(Arc::new(provider), Arc::new(gate), retry)
    }

    fn question() -> Arc<Query> {
        Arc::new(query("AAPL", "2025-02-03", "2025-02-03"))
    }

    #[tokio::test]
    async fn a_passing_fault_is_asked_again_and_counted() {
        let asker = asker(Faulty::new(Paged::new(), |call, _| {
            (call < 2).then(|| server(500, None))
        }));
        let page = asker.ask(&question()).await;
        assert_eq!(page.unwrap().series.len(), 1);
        assert_eq!((asker.gate().sent(), asker.gate().retried()), (3, 2));
    }

    #[tokio::test]
    async fn a_lasting_fault_ends_with_the_budget() {
        let asker = asker(Faulty::new(Paged::new(), |_, _| Some(server(500, None))));
        let asked = asker.ask(&question()).await;
        assert!(matches!(asked, Err(Gave::Error(Error::Server { .. }))));
        assert_eq!((asker.gate().sent(), asker.gate().retried()), (4, 3));
    }

    #[tokio::test]
    async fn a_retry_after_beyond_the_budget_is_not_waited_for() {
        let hour = Some(Duration::from_secs(3600));
        let asker = asker(Faulty::new(Paged::new(), move |_, _| {
            Some(server(503, hour))
        }));
        assert!(asker.ask(&question()).await.is_err());
        assert_eq!(asker.gate().sent(), 1);
    }

    #[tokio::test]
    async fn what_cannot_change_is_asked_once() {
        let asker = asker(Faulty::new(Paged::new(), |_, _| {
            Some(Error::NotBars {
                window: String::new(),
                said: String::new(),
            })
        }));
        assert!(asker.ask(&question()).await.is_err());
        assert_eq!(asker.gate().sent(), 1);
    }

    #[tokio::test]
    async fn a_limit_spares_the_budget_until_the_minute_is_over() {
        let passing = asker(Faulty::new(Paged::new(), |call, _| (call < 3).then(limit)));
        assert!(passing.ask(&question()).await.is_ok());

        // Eight at once: nobody loops on its own, and all learn of the end.
        let calls = Arc::new(AtomicUsize::new(0));
        let lasting = asker(Faulty::new(Paged::new(), {
            let calls = calls.clone();
            move |_, _| {
                calls.fetch_add(1, Ordering::SeqCst);
                Some(limit())
            }
        }));
        let questions = (0..8).map(|_| {
            let asker = lasting.clone();
            async move { asker.ask(&question()).await }
        });
        let outcomes = futures_util::future::join_all(questions).await;
        let spent = |outcome: &&Result<Page, Gave>| {
            matches!(outcome, Err(Gave::Spent(Spent::Quota { .. })))
        };
        assert!(outcomes.iter().filter(spent).count() >= 1);
        // Whoever did not see it finds the gate shut.
        let shut =
            |outcome: &Result<Page, Gave>| matches!(outcome, Err(Gave::Spent(_) | Gave::Closed));
        assert!(outcomes.iter().all(shut) && lasting.gate().is_closed());
        assert!(calls.load(Ordering::SeqCst) < 80);
    }

    #[tokio::test]
    async fn a_shut_gate_ends_waits_and_requests() {
        let asker = asker(Throttled {
            inner: Paged::new(),
            latency: Duration::from_millis(50),
        });
        let gate = asker.gate().clone();
        let under_way = tokio::spawn({
            let asker = asker.clone();
            async move { asker.ask(&question()).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        gate.close();
        // In flight: answered within the grace. Not yet sent: never sent.
        assert!(under_way.await.unwrap().is_ok());
        assert!(matches!(asker.ask(&question()).await, Err(Gave::Closed)));
        assert_eq!(gate.sent(), 1);
    }
}
