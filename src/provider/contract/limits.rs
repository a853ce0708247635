//! What every provider must guarantee where something is refused, withheld or cut short.

use super::*;
use crate::provider::wrap::Faulty;

fn client(provider: impl Provider) -> RetryingClient {
    let retry = RetryOptions {
        count_max: 0,
        ..RetryOptions::default()
    };
    RetryingClient::new(
        Arc::new(provider),
        Arc::new(Gate::new(GateOptions::default())),
        retry,
    )
}

/// The same request for other tickers.
fn for_tickers<const N: usize>(request: &Request, names: [&str; N]) -> Request {
    Request {
        tickers: names.map(|name| Ticker::new(name).unwrap()).to_vec(),
        ..request.clone()
    }
}

/// A ticker that the provider refuses fails alone: the error names it, and the others have their bars.
pub(super) async fn check_malformed(provider: &dyn Provider, request: &Request, malformed: &str) {
    let alone = all(provider, &for_tickers(request, [malformed])).await;
    match alone {
        Ok(series) => assert!(series.iter().all(|(_, rows)| rows.bars.is_empty())),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Ticker, "{error}"),
    }
    if provider.info().tickers_per_request < 3 {
        return;
    }
    let good = request.tickers[0].as_str();
    let many = for_tickers(request, [good, malformed, "MSFT"]);
    let error = all(provider, &many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ticker, "{error}");
    assert_eq!(
        error.ticker().map(Ticker::as_str),
        Some(malformed),
        "{error}"
    );
    let others = all(provider, &for_tickers(request, [good, "MSFT"])).await;
    assert_eq!(others.unwrap().len(), 2);
}

/// A page that fails, whichever it is: no ticker that may have more bars is returned, and none that had
/// no rows so far.
pub(super) async fn check_failing_pages<P: Provider>(provider: Arc<P>, request: &Request) {
    let (whole, error) = client(provider.clone()).fetch_each(request.clone()).await;
    assert!(error.is_none(), "{error:?}");
    for failing in 0.. {
        let faulty = Faulty::new(provider.clone(), move |call, _| {
            (call == failing).then(|| Error::new(ErrorKind::Unexpected, "this page fails"))
        });
        let (series, error) = client(faulty).fetch_each(request.clone()).await;
        if error.is_none() {
            assert!(failing > 1, "all bars are on one page");
            return;
        }
        assert!(series.len() < whole.len(), "page {failing}");
        for (ticker, rows) in series {
            assert!(
                same(&rows.bars, &whole[&ticker].bars),
                "page {failing}: {ticker}"
            );
        }
    }
}

/// A page that names itself as the next one is an error.
pub(super) async fn check_repeated_page(provider: impl Provider, request: &Request) {
    let (series, error) = client(provider).fetch_each(request.clone()).await;
    let Some(FetchError::Failed(error)) = error else {
        panic!("{series:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
}

/// A request up to now, from a plan that withholds the newest bars: what is older comes, or comes without
/// today. The provider withholds no more than its facts say, so what it lacks isn't stored as empty.
pub(super) async fn check_withheld(provider: &dyn Provider, request: &Request) {
    let now = request.made_at();
    let series = match all(provider, request).await {
        Ok(series) => series,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Withheld, "{error}");
            assert_eq!(
                (error.scope(), error.retry()),
                (Scope::Window, Retry::Never)
            );
            let before = request.dates.last().pred_opt().unwrap();
            let dates = DateRange::new(request.dates.first(), before).unwrap();
            let without_today = Request {
                dates,
                ..request.clone()
            };
            all(provider, &without_today).await.unwrap()
        }
    };
    let newest = series[0].1.bars.timestamps().last().copied().unwrap();
    assert!(newest < now.micros());
    // The bar itself, and minutes without trades.
    let most = provider.info().withholds + std::time::Duration::from_secs(600);
    let withheld = now.micros() - newest;
    assert!(
        withheld <= i64::try_from(most.as_micros()).unwrap(),
        "{withheld}"
    );
}

/// A request wholly before the history of the plan ends its window, and the next request has bars.
pub(super) async fn check_too_old(provider: impl Provider, request: &Request, old: &str) {
    let date = old.parse::<TypedDate>().unwrap().0;
    let client = client(provider);
    let too_old = Request {
        dates: DateRange::new(date, date).unwrap(),
        ..request.clone()
    };
    let (series, error) = client.fetch_each(too_old).await;
    let Some(FetchError::Failed(error)) = error else {
        panic!("{series:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Withheld, "{error}");
    assert_eq!(error.scope(), Scope::Window);
    assert!(series.is_empty());
    let (series, error) = client.fetch_each(request.clone()).await;
    assert!(error.is_none() && series.values().all(|rows| !rows.bars.is_empty()));
}

/// Prices of each basis on offer. A split after the requested dates divides the adjusted ones by `ratio`.
pub(super) async fn check_basis(provider: &dyn Provider, request: &Request, ratio: f64) {
    let mut first = Vec::new();
    for basis in [Basis::SplitAdjusted, Basis::Unadjusted] {
        let request = Request {
            basis,
            ..request.clone()
        };
        first.push(all(provider, &request).await.unwrap()[0].1.bars.get(0));
    }
    let [adjusted, raw] = first[..] else {
        panic!("{first:?}");
    };
    assert_eq!(adjusted.timestamp, raw.timestamp);
    let factor = raw.close / adjusted.close;
    assert!((factor / ratio - 1.0).abs() < 0.01, "{factor}");
}
