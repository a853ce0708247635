//! Where bars come from: vendors behind one small trait, and the patience that asking them takes.
//!
//! ```text
//! Query ─> Asker ──(permit, pause, pace)──> Provider::ask ─> Reply ─(permit given back)─> Provider::read ─> Page
//!            └──────────── one budget of retries ─────────────────────────────────────────────┘
//! ```
//!
//! A [`Provider`] says what it can do as data ([`Capabilities`]), sends one request, and reads one answer. Everything
//! that is the same for all vendors stands around it: the [`Gate`] (requests in flight, rate, pauses, quota) and the
//! [`Asker`] (retries). **Nothing here knows the store, the calendar or the command line.**

mod asker;
mod capabilities;
mod error;
pub mod fmp;
mod gate;
mod pace;

#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
pub(crate) mod wrap;

use std::fmt;

use chrono_tz::Tz;
use futures_util::future::BoxFuture;

use crate::model::{Bars, Basis, DateRange, Hours, Interval, Reject, Ticker, Timestamp};

pub use crate::secret::Secret as ApiKey;
pub use asker::{Asker, Gave, RetryOptions};
pub use capabilities::{Capabilities, Zone};
pub use error::{Error, Retry, Scope};
pub use gate::{Daily, Gate, GateOptions, Spent};

/// A vendor of bars.
///
/// Sending and reading are two steps, so that the next request can go out while an answer is still being read.
pub trait Provider: Send + Sync + 'static {
    /// What this vendor offers.
    fn capabilities(&self) -> &Capabilities;

    /// Sends one request and brings its whole answer into memory, unread. What the vendor refuses, and what the
    /// network does to the answer, is an error of this step.
    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Reply, Error>>;

    /// Reads an answer into bars. Processor work only; called off the asynchronous threads.
    fn read(&self, query: &Query, reply: &Reply) -> Result<Page, Error>;
}

/// What one request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// The symbols; never more than [`Capabilities::tickers_per_request`].
    pub tickers: Vec<Ticker>,
    /// Length of the bars.
    pub interval: Interval,
    /// Dates of the exchange, both inside; never more than [`Capabilities::window_days`].
    pub dates: DateRange,
    /// The zone in which `dates` are dates, and in which a vendor without zones of its own answers.
    pub tz: Tz,
    /// Adjusted for splits or not.
    pub basis: Basis,
    /// The regular session only, or more.
    pub hours: Hours,
    /// No bar opens later than this; a row that does is a reject. A day after now leaves room for
    /// clocks that differ.
    pub latest: Timestamp,
    /// Where the last answer stopped, for a vendor that answers in pages.
    pub page: Option<PageToken>,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ticker) in self.tickers.iter().enumerate() {
            write!(f, "{}{ticker}", if index == 0 { "" } else { "," })?;
        }
        write!(f, " {} {}", self.interval, self.dates)
    }
}

/// A vendor's own mark of where its next page starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageToken(pub String);

/// An answer as it came, unread.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The URL that was asked, without any key.
    pub origin: String,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

/// An answer, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What came for each symbol asked; a symbol without an entry had nothing.
    pub series: Vec<(Ticker, Rows)>,
    /// Where to go on, if there is more.
    pub next: Option<PageToken>,
}

/// The rows of one symbol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Valid bars, oldest first. A key can stand twice where the vendor sent it twice.
    pub bars: Bars,
    /// Rows that are not bars.
    pub rejects: Vec<BadRow>,
}

/// A row of an answer that is not a bar of the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// When it opens, where the row says so and the date was asked for.
    pub at: Option<Timestamp>,
    /// The row and the reason.
    pub reject: Reject,
}
