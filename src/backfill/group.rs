//! Tickers that are requested together: one response is split by ticker.
//!
//! The unit of plan, coverage and report stays one window of one ticker. The first ticker that
//! needs a window requests it for all tickers of its group; the others find their rows here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fetcher::WindowFetcher;
use crate::model::{DateRange, Ticker, Timestamp};
use crate::provider::{Error, FetchError, Rows, Scope};

/// Tickers with the same windows.
pub struct TickerGroup {
    /// Those that are still requested.
    tickers: Mutex<Vec<Ticker>>,
    size: usize,
    /// The rows by requested dates. The inner lock is held while the dates are requested.
    windows: Mutex<HashMap<DateRange, Arc<tokio::sync::Mutex<Option<SharedRows>>>>>,
    /// The tickers that the provider refuses.
    refused: Mutex<HashMap<Ticker, Error>>,
}

/// The rows of the same dates of all tickers.
struct SharedRows {
    requested_at: Timestamp,
    series: HashMap<Ticker, Rows>,
    /// Why the tickers that `series` lacks have no rows; `None` if the provider has none.
    error: Option<FetchError>,
}

impl TickerGroup {
    /// A group of these tickers.
    pub fn new(tickers: Vec<Ticker>) -> Self {
        Self {
            size: tickers.len(),
            tickers: Mutex::new(tickers),
            windows: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// How many tickers it had at the start.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Leaves a ticker out of further requests.
    pub(super) fn leave_out(&self, ticker: &Ticker) {
        locked(&self.tickers).retain(|known| known != ticker);
    }

    /// The rows of `ticker` on these dates, and when they were requested.
    pub(super) async fn rows(
        &self,
        fetcher: &WindowFetcher,
        ticker: &Ticker,
        dates: DateRange,
    ) -> Result<(Rows, Timestamp), FetchError> {
        if self.size == 1 {
            let requested_at = (fetcher.clock)();
            return Ok((fetcher.rows(ticker, dates).await?, requested_at));
        }
        let shared = locked(&self.windows).entry(dates).or_default().clone();
        let mut shared = shared.lock().await;
        if shared.is_none() {
            *shared = Some(self.request(fetcher, dates).await);
        }
        if let Some(error) = locked(&self.refused).get(ticker) {
            return Err(FetchError::Failed(error.clone()));
        }
        let Some(shared) = &mut *shared else {
            return Err(FetchError::Closed);
        };
        match (shared.series.remove(ticker), &shared.error) {
            (Some(rows), _) => Ok((rows, shared.requested_at)),
            (None, None) => Ok((Rows::default(), shared.requested_at)),
            (None, Some(error)) => Err(error.clone()),
        }
    }

    /// Requests these dates of all tickers. If the provider refuses a ticker, those requested with it
    /// are requested again.
    async fn request(&self, fetcher: &WindowFetcher, dates: DateRange) -> SharedRows {
        let mut shared = SharedRows {
            requested_at: (fetcher.clock)(),
            series: HashMap::new(),
            error: None,
        };
        let mut left = vec![locked(&self.tickers).clone()];
        while let Some(tickers) = left.pop() {
            let (series, error) = fetcher.rows_of(tickers.clone(), dates).await;
            shared.series.extend(series);
            match error {
                Some(FetchError::Failed(error)) if error.scope() == Scope::Ticker => {
                    tracing::debug!("requesting again without a ticker that is refused: {error}");
                    left.extend(self.without_refused(tickers, error));
                }
                Some(error) => shared.error = Some(error),
                None => {}
            }
            if shared.error.is_some() {
                break;
            }
        }
        shared
    }

    /// What to request instead of `tickers`, one of which is refused: the others, or two halves if
    /// the provider doesn't name it.
    fn without_refused(&self, mut tickers: Vec<Ticker>, error: Error) -> Vec<Vec<Ticker>> {
        let named = error.ticker().or(match tickers.as_slice() {
            [only] => Some(only),
            _ => None,
        });
        match named.and_then(|named| tickers.iter().position(|ticker| ticker == named)) {
            Some(index) => {
                let ticker = tickers.remove(index);
                self.leave_out(&ticker);
                locked(&self.refused).insert(ticker, error);
                match tickers.is_empty() {
                    true => vec![],
                    false => vec![tickers],
                }
            }
            None => {
                let half = tickers.split_off(tickers.len() / 2);
                vec![half, tickers]
            }
        }
    }
}

/// The lists are changed in single steps: a panic elsewhere can't leave them half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
