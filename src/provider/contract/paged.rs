//! A provider in memory, for tests of what all providers share.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::model::{Bar, Grid, Source};

/// A provider in memory: several tickers per request, pages by token, times in UTC.
pub(crate) struct Paged(ProviderInfo);

impl Paged {
    pub(crate) fn new() -> Self {
        Self(ProviderInfo {
            source: Source::new("paged"),
            exchange: "NASDAQ",
            probe: "AAPL",
            window_days: [Some(7), Some(7), None, Some(7), Some(7)],
            ends_with_month: false,
            tickers_per_request: 3,
            truncation: Truncation::Announces {
                page_bars: 3,
                by_ticker: true,
            },
            window_requests: None,
            basis: &[Basis::SplitAdjusted, Basis::Unadjusted],
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
        let page = request.page.as_ref().map_or("0", |page| page.0.as_str());
        let checked = request.check(&self.0).map(|()| Reply {
            origin: "memory:".to_owned(),
            body: page.as_bytes().to_vec(),
            page: None,
        });
        std::future::ready(checked).boxed()
    }

    /// Two bars per ticker and date, before the session and in it, ticker by ticker, three rows on
    /// a page: pages end inside a ticker. The page before the last rows is empty, and so is the
    /// last page.
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
                    .flat_map(|date| [13, 19].map(|hour| (date, hour)));
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
