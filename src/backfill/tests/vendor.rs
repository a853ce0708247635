//! A provider whose faults a test sets.

use std::time::Duration;

use chrono::{Days, NaiveDate};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::calendar::Calendar;
use crate::model::{
    Bar, Basis, DateRange, Grid, Hours, Interval, Reason, Reject, Source, Timestamp,
};
use crate::provider::{
    BadRow, Error, ErrorKind, Page, Provider, ProviderInfo, Reply, Request, Rows, Truncation,
};

/// A provider with every bar of every session, and these faults.
#[derive(Clone)]
pub(super) struct Vendor {
    pub info: ProviderInfo,
    /// Responses contain only this many dates, the newest.
    pub cuts_to: u64,
    /// Responses contain only this many bars, the newest.
    pub bars_max: usize,
    /// A request for one session alone lacks the opening bar.
    pub opens_late: bool,
    /// Dates without bars.
    pub holes: Vec<NaiveDate>,
    /// Requests that start on this date fail.
    pub fails_from: Option<NaiveDate>,
    /// How many of the last rows of a date are rejects; for [`UNDATED`], how many rows without a
    /// date come in addition.
    pub rejects: Vec<(NaiveDate, usize)>,
    /// Bars open this much later than they should.
    pub ahead: Duration,
}

/// The key of rows without a date in `rejects`.
pub(super) const UNDATED: NaiveDate = NaiveDate::MIN;

impl Vendor {
    pub(super) fn new() -> Self {
        Self {
            info: ProviderInfo {
                source: Source::new("vendor"),
                exchange: "NASDAQ",
                probe: "AAPL",
                window_days: [3, 6, 29, 28, 85].map(Some),
                ends_with_month: false,
                tickers_per_request: 1,
                truncation: Truncation::KeepsNewest,
                window_requests: None,
                basis: &[Basis::SplitAdjusted],
                hours: &[Hours::Regular, Hours::Extended],
                hour_grid: |hours| Grid::of(Interval::M60, hours),
                rate_default: None,
                limit_lasts: Duration::from_secs(60),
                settles_after: Duration::from_secs(300),
                withholds: Duration::ZERO,
                history_years: &[],
                history_begins: None,
            },
            cuts_to: u64::MAX,
            bars_max: usize::MAX,
            opens_late: false,
            holes: Vec::new(),
            fails_from: None,
            rejects: Vec::new(),
            ahead: Duration::ZERO,
        }
    }

    fn bars(&self, request: &Request) -> Vec<Bar> {
        let calendar = Calendar::for_exchange("NASDAQ").unwrap();
        let cut = (request.dates.last())
            .checked_sub_days(Days::new(self.cuts_to.min(5000) - 1))
            .unwrap();
        let first = request.dates.first().max(cut);
        let sessions = calendar
            .sessions(DateRange::new(first, request.dates.last()).unwrap())
            .unwrap();
        let alone = request.dates.days() == 1;
        let mut bars = Vec::new();
        for session in sessions
            .iter()
            .filter(|session| !self.holes.contains(&session.date))
        {
            let skipped = usize::from(self.opens_late && alone);
            bars.extend(
                session
                    .grid(request.interval)
                    .into_iter()
                    .skip(skipped)
                    .map(|timestamp| Bar::new(timestamp, [1.0, 1.0, 1.0, 1.0], 1.0)),
            );
        }
        bars.split_off(bars.len().saturating_sub(self.bars_max))
    }
}

impl Provider for Vendor {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>> {
        std::future::ready(if self.fails_from == Some(request.dates.first()) {
            Err(Error::new(ErrorKind::Unexpected, "not bars").in_window(request))
        } else {
            Ok(Reply {
                origin: "memory:".into(),
                body: Vec::new(),
                page: None,
            })
        })
        .boxed()
    }

    fn parse(&self, request: &Request, _: &Reply) -> Result<Page, Error> {
        let mut bars = self.bars(request);
        let mut rejects = Vec::new();
        let mut reject = |at: Option<Timestamp>, raw: String| {
            rejects.push(BadRow {
                at,
                reject: Reject {
                    origin: "memory:".into(),
                    line: 1,
                    reason: Reason::BadNumber,
                    raw,
                },
            });
        };
        for (date, count) in &self.rejects {
            if *date == UNDATED {
                (0..*count).for_each(|row| reject(None, format!("undated {row}")));
            }
            let of_date = |bar: &Bar| bar.timestamp.to_utc().date_naive() == *date;
            let first = bars
                .iter()
                .filter(|bar| of_date(bar))
                .count()
                .saturating_sub(*count);
            let mut seen = 0;
            bars.retain(|bar| {
                seen += usize::from(of_date(bar));
                let bad = of_date(bar) && seen > first;
                if bad {
                    reject(Some(bar.timestamp), bar.timestamp.to_string());
                }
                !bad
            });
        }
        for bar in &mut bars {
            let ahead = i64::try_from(self.ahead.as_micros()).unwrap();
            bar.timestamp = Timestamp::from_micros(bar.timestamp.micros() + ahead);
        }
        let rows = Rows {
            bars: bars.into_iter().collect(),
            rejects,
        };
        Ok(Page {
            series: vec![(request.tickers[0].clone(), rows)],
            next: None,
        })
    }
}
