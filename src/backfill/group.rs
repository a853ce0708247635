//! Tickers that are requested together: one response is split by ticker.
//!
//! The unit of plan, coverage and report stays one window of one ticker. The first ticker that
//! needs a window requests it for all tickers of its group; the others find their rows here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::fetcher::WindowFetcher;
use crate::model::{DateRange, Ticker, Timestamp};
use crate::provider::{FetchError, Rows, Scope};

/// The rows of one window, and when they were requested.
type SharedRows = Result<(HashMap<Ticker, Rows>, Timestamp), FetchError>;

/// Tickers with the same windows.
pub struct TickerGroup {
    tickers: Vec<Ticker>,
    /// The rows by window. The inner lock is held while a window is requested.
    windows: Mutex<HashMap<usize, Arc<tokio::sync::Mutex<Option<SharedRows>>>>>,
    /// The provider refused a ticker: from then on each is requested by itself.
    is_split: AtomicBool,
}

impl TickerGroup {
    /// A group of these tickers.
    pub fn new(tickers: Vec<Ticker>) -> Self {
        Self {
            tickers,
            windows: Mutex::default(),
            is_split: AtomicBool::new(false),
        }
    }

    /// The rows of `ticker` in the window `index`, and when they were requested.
    pub(super) async fn rows(
        &self,
        fetcher: &WindowFetcher,
        ticker: &Ticker,
        index: usize,
        dates: DateRange,
    ) -> Result<(Rows, Timestamp), FetchError> {
        if self.tickers.len() > 1 && !self.is_split.load(Ordering::Relaxed) {
            match self.shared_rows(fetcher, ticker, index, dates).await {
                Err(FetchError::Failed(error)) if error.scope() == Scope::Ticker => {
                    tracing::debug!("requesting each ticker by itself: {error}");
                    self.is_split.store(true, Ordering::Relaxed);
                }
                rows => return rows,
            }
        }
        let requested_at = (fetcher.clock)();
        Ok((fetcher.rows(ticker, dates).await?, requested_at))
    }

    async fn shared_rows(
        &self,
        fetcher: &WindowFetcher,
        ticker: &Ticker,
        index: usize,
        dates: DateRange,
    ) -> Result<(Rows, Timestamp), FetchError> {
        let shared = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.entry(index).or_default().clone()
        };
        let mut shared = shared.lock().await;
        if shared.is_none() {
            let requested_at = (fetcher.clock)();
            let rows = fetcher.rows_of(self.tickers.clone(), dates).await;
            *shared = Some(rows.map(|rows| (rows, requested_at)));
        }
        match &mut *shared {
            Some(Ok((series, requested_at))) => {
                Ok((series.remove(ticker).unwrap_or_default(), *requested_at))
            }
            Some(Err(error)) => Err(error.clone()),
            None => Err(FetchError::Closed),
        }
    }
}
