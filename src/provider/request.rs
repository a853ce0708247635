//! The contract between the program and a provider: requests, responses and the trait.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use chrono_tz::Tz;
use futures_util::future::BoxFuture;

use super::bad_row::{BadRow, NotBar};
use super::error::{Error, ErrorKind};
use super::info::ProviderInfo;
use crate::model::{
    Bar, Bars, Basis, DAY_MICROS, DateRange, Hours, Interval, Ticker, Timestamp, Zone, date_micros,
};

/// A provider of bars.
///
/// Fetching and parsing are two steps, so that the next request can be sent while a response is
/// parsed.
pub trait Provider: Send + Sync + 'static {
    /// What this provider offers.
    fn info(&self) -> &ProviderInfo;

    /// Sends one request and returns the whole response, unparsed. A response that refuses the request
    /// is an error of this step.
    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Error>>;

    /// Parses a response into bars. Uses the processor only; called outside the async threads.
    ///
    /// Returns every ticker of the request that has rows on this page. A ticker that is on no page
    /// has no bars; that isn't an error.
    fn parse(&self, request: &Request, reply: &Reply) -> Result<Page, Error>;
}

/// One request for bars.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// At most [`ProviderInfo::tickers_per_request`].
    pub tickers: Vec<Ticker>,
    /// Length of the bars.
    pub interval: Interval,
    /// Local dates of the exchange, both included; at most [`ProviderInfo::window_days`]. The
    /// provider converts them into its own bounds.
    pub dates: DateRange,
    /// The zone of `dates`.
    pub tz: Tz,
    /// Price basis.
    pub basis: Basis,
    /// The regular session only, or more.
    pub hours: Hours,
    /// A row that opens later than this is a reject. It is a day after now, because clocks can differ.
    pub latest: Timestamp,
    /// Which page to return; `None` for the first.
    pub page: Option<PageToken>,
}

impl Request {
    /// Refuses a request that is beyond what the provider offers. A client calls it before it sends
    /// anything.
    pub(super) fn check(&self, info: &ProviderInfo) -> Result<(), Error> {
        let bad = |why: String| {
            let message = format!("{self} can't be requested: {why}");
            Err(Error::new(ErrorKind::BadRequest, message))
        };
        let tickers_max = info.tickers_per_request;
        if self.tickers.is_empty() || self.tickers.len() > tickers_max {
            let tickers = match tickers_max {
                1 => "one ticker".to_owned(),
                many => format!("1 to {many} tickers"),
            };
            return bad(format!("the provider accepts {tickers} per request"));
        }
        let Some(days) = info.window_days(self.interval) else {
            return bad("the provider doesn't have this interval".to_owned());
        };
        if self.dates.days() > i64::from(days) {
            return bad("the dates don't fit into one request".to_owned());
        }
        if !info.basis.contains(&self.basis) {
            return bad(format!("the provider has no {} prices", self.basis));
        }
        Ok(())
    }

    /// When the request was made.
    pub(super) fn made_at(&self) -> Timestamp {
        Timestamp::from_micros(self.latest.micros().saturating_sub(DAY_MICROS))
    }

    /// The instants of the requested dates, in microseconds UTC.
    pub(super) fn instants(&self) -> Range<i64> {
        let zone = Zone::of(self.tz);
        let start = date_micros(self.dates.first());
        let end = date_micros(self.dates.last()) + DAY_MICROS;
        zone.from_local(start).earliest()..zone.from_local(end).earliest()
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ticker) in self.tickers.iter().enumerate() {
            write!(f, "{}{ticker}", if index == 0 { "" } else { "," })?;
        }
        write!(f, " {} {}", self.interval, self.dates)
    }
}

/// What a provider sent to request its next page with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageToken(pub String);

/// A response as it was received.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The URL of the request, without any key.
    pub origin: String,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// The page actually fetched, if it isn't the requested one.
    pub page: Option<PageToken>,
}

/// A parsed response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The rows of each ticker.
    pub series: Vec<(Ticker, Rows)>,
    /// Where the next page starts, if there is one.
    pub next: Option<PageToken>,
}

/// The rows of one ticker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Valid bars, oldest first. A timestamp can occur twice if the provider sent it twice.
    pub bars: Bars,
    /// Rows that aren't bars.
    pub rejects: Vec<BadRow>,
}

impl Rows {
    /// Adds a row of a response, as a bar or as a reject. `line` counts from 1.
    pub(super) fn add(&mut self, row: Result<Bar, NotBar>, line: u64, raw: &str, origin: &str) {
        match row {
            Ok(bar) => self.bars.push(&bar),
            Err(why) => self.rejects.push(BadRow::new(origin, line, raw, why)),
        }
    }

    /// Adds the rows of a later page. They replace bars of the same times.
    pub(super) fn add_page(&mut self, page: Self) {
        let (known, new) = (self.bars.timestamps(), page.bars.timestamps());
        let newest_and_oldest = known.iter().max().zip(new.iter().min());
        // Most pages follow each other in time.
        if newest_and_oldest.is_some_and(|(newest, oldest)| newest >= oldest) {
            let new: HashSet<i64> = new.iter().copied().collect();
            let kept: Vec<usize> = (0..known.len())
                .filter(|&row| !new.contains(&known[row]))
                .collect();
            self.bars = self.bars.select(&kept);
        }
        self.bars.append(page.bars);
        self.rejects.extend(page.rejects);
    }

    /// Sorts bars that came page by page in another order. Bars of one timestamp stay in order.
    pub(super) fn sort(&mut self) {
        if !self.bars.timestamps().is_sorted() {
            let mut order: Vec<usize> = (0..self.bars.len()).collect();
            order.sort_by_key(|&row| self.bars.timestamps()[row]);
            self.bars = self.bars.select(&order);
        }
    }
}
