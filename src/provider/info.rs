//! What a provider offers, as data. The rest of the program reads these facts, never a provider's
//! name.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::NaiveDate;

use crate::model::{Basis, DateRange, Grid, Hours, Interval, Source, Timestamp};

/// What happens to the bars that don't fit into one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// Nothing: a response always has all bars of its request.
    Never,
    /// A response has at most `page_bars` bars, over all its tickers, and names the next page.
    Announces {
        /// Bars of one page at most.
        page_bars: u32,
        /// Whether the pages have all bars of one ticker before those of the next.
        by_ticker: bool,
    },
    /// The oldest bars are left out silently, so the position of every response must be checked.
    KeepsNewest,
}

/// What a provider offers.
#[derive(Clone, Debug)]
pub struct ProviderInfo {
    /// The name under which its bars and its coverage are stored.
    pub source: Source,
    /// Exchange of the tickers if the user sets none.
    pub exchange: &'static str,
    /// A ticker that every plan includes, to try a key with.
    pub probe: &'static str,
    /// Dates that one request may span, for each interval in the order of [`Interval::ALL`]; `None`
    /// if the interval isn't offered.
    pub window_days: [Option<u16>; 5],
    /// Whether a window ends with the calendar month.
    pub ends_with_month: bool,
    /// Tickers that one request may name, at least 1.
    pub tickers_per_request: usize,
    /// What happens to the bars that don't fit into one response.
    pub truncation: Truncation,
    /// How many requests the bars of one ticker on these dates take at this time, if that doesn't
    /// follow from `truncation`.
    pub window_requests: Option<fn(Interval, DateRange, Timestamp) -> u64>,
    /// Price bases on offer, the usual one first.
    pub basis: &'static [Basis],
    /// Hours on offer. If only [`Hours::Extended`] is, regular hours are cut out of its responses.
    pub hours: &'static [Hours],
    /// Where its 60-minute bars start. Shorter bars start at the same minutes on either grid.
    pub hour_grid: fn(Hours) -> Grid,
    /// Requests a minute if the user sets no rate; `None` for no limit.
    pub rate_default: Option<NonZeroU32>,
    /// How long refusals because of the rate can last. If they last longer, the day's quota is spent.
    pub limit_lasts: Duration,
    /// How long after its close a bar can still change.
    pub settles_after: Duration,
    /// How long plans withhold the newest bars at most. A session without bars that ended later than
    /// this isn't known to be empty.
    pub withholds: Duration,
    /// Years of history that the plans have; empty if every plan has the whole history. **A response that begins before
    /// its plan's history lacks the older bars, and nothing in it shows that.**
    pub history_years: &'static [u32],
    /// The first and last date on which a plan's history may begin; `None` if no fixed date limits it.
    /// Nothing before the first is requested. A session up to the last that has no bars isn't known to
    /// be empty.
    pub history_begins: Option<RangeInclusive<NaiveDate>>,
}

impl ProviderInfo {
    /// Dates that one request of this interval may span; `None` if the interval isn't offered.
    #[must_use]
    pub fn window_days(&self, interval: Interval) -> Option<u16> {
        let index = Interval::ALL.iter().position(|i| *i == interval)?;
        self.window_days[index].map(|days| days.max(1))
    }

    /// The interval to request to get bars of `interval`; `None` if they aren't available. If the
    /// provider's hours don't start where those of a store do, they are combined from half hours,
    /// which do.
    #[must_use]
    pub fn interval_to_request(&self, interval: Interval, hours: Hours) -> Option<Interval> {
        let requested = match self.fits_grid(interval, hours) {
            true => interval,
            false if Grid::of(interval, hours) == Grid::Session => Interval::M30,
            false => return None,
        };
        self.window_days(requested).map(|_| requested)
    }

    /// The hours to request to get bars of `hours`.
    #[must_use]
    pub fn hours_to_request(&self, hours: Hours) -> Hours {
        match self.hours {
            [only] => *only,
            _ => hours,
        }
    }

    /// Whether the bars of `hours` start where the store expects them ([`Grid::of`]).
    fn fits_grid(&self, interval: Interval, hours: Hours) -> bool {
        interval != Interval::M60 || (self.hour_grid)(hours) == Grid::of(interval, hours)
    }
}
