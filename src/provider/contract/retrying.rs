//! Retries, against a provider whose faults are known.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::paged::Paged;
use super::*;
use crate::provider::wrap::{Faulty, Throttled};

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
/// bars may continue are not returned.
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
