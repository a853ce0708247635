//! Rows that cannot become bars.

use std::fmt;

/// Why a row is not a bar. Every variant is a word that stands in `rejects/<run>.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The row has another number of fields than the layout.
    FieldCount,
    /// The row is not valid UTF-8 or not valid CSV.
    Unreadable,
    /// The ticker is empty, too long, or holds a control character.
    BadTicker,
    /// The timestamp cannot be read.
    BadTimestamp,
    /// A local time that a clock change skips.
    SkippedLocalTime,
    /// A local time that a clock change repeats, with nothing around it that settles which.
    RepeatedLocalTime,
    /// The timestamp is not a whole minute.
    NotWholeMinute,
    /// A price, the volume, vwap or trades cannot be read as a number.
    BadNumber,
    /// A price is zero, negative, or not finite.
    PriceNotPositive,
    /// The low lies above open, close or high, or the high below open or close.
    HighLowOrder,
    /// The volume is negative or not finite.
    BadVolume,
    /// The row's own interval (Stooq's `<PER>`) is not the run's.
    OtherInterval,
    /// The provider sent a date that was not asked for.
    OutsideRange,
    /// The provider sent a row of another ticker.
    OtherTicker,
    /// The bar opens later than a bar can open today; see [`Bar::latest_open`](super::Bar::latest_open).
    InTheFuture,
    /// The file ends inside the row: nothing says that the row is whole.
    NoLineEnd,
    /// The row is longer than a row of bars can be.
    LineTooLong,
}

impl Reason {
    /// The word that stands in the rejects file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FieldCount => "field-count",
            Self::Unreadable => "unreadable",
            Self::BadTicker => "bad-ticker",
            Self::BadTimestamp => "bad-timestamp",
            Self::SkippedLocalTime => "skipped-local-time",
            Self::RepeatedLocalTime => "repeated-local-time",
            Self::NotWholeMinute => "not-whole-minute",
            Self::BadNumber => "bad-number",
            Self::PriceNotPositive => "price-not-positive",
            Self::HighLowOrder => "high-low-order",
            Self::BadVolume => "bad-volume",
            Self::OtherInterval => "other-interval",
            Self::InTheFuture => "in-the-future",
            Self::OutsideRange => "outside-range",
            Self::OtherTicker => "other-ticker",
            Self::NoLineEnd => "no-line-end",
            Self::LineTooLong => "line-too-long",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row that cannot become a bar: kept with its reason, never dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where the row came from: a file's path, or the URL of a window without its key.
    pub origin: String,
    /// Line in the original file, from 1; for an answer of a provider the row's place in it, from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
    /// The row as it stood there.
    pub raw: String,
}
