//! Rows that can't become bars.

use super::words::words;

/// Why a row isn't a bar. The words are in `rejects/<run>.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The row has another number of fields than the layout.
    FieldCount,
    /// The row is not valid UTF-8 or not valid CSV.
    Unreadable,
    /// The ticker is empty, too long, or has a control character.
    BadTicker,
    /// The timestamp can't be read.
    BadTimestamp,
    /// A local time that a clock change skips.
    SkippedLocalTime,
    /// A local time that a clock change repeats, with no neighbours that show which one is meant.
    RepeatedLocalTime,
    /// The timestamp is not a whole minute.
    NotWholeMinute,
    /// A price, the volume or an optional value can't be read as a number.
    BadNumber,
    /// A price is zero, negative, or not finite.
    PriceNotPositive,
    /// The low is above open, close or high, or the high is below open or close.
    HighLowOrder,
    /// The volume is negative or not finite.
    BadVolume,
    /// The row's own interval (Stooq's `<PER>`) isn't that of the run.
    OtherInterval,
    /// The provider sent a date that wasn't requested.
    OutsideRange,
    /// The provider sent a row of another ticker.
    OtherTicker,
    /// The bar opens between the times at which the other bars of its interval open.
    OffGrid,
    /// The bar opens too far in the future; see [`Bar::latest_open`](super::Bar::latest_open).
    InTheFuture,
    /// The file ends within the row, which may be incomplete.
    NoLineEnd,
    /// The row is longer than any row of bars.
    LineTooLong,
}

words!(Reason, "reason of a reject", {
    FieldCount => "field-count",
    Unreadable => "unreadable",
    BadTicker => "bad-ticker",
    BadTimestamp => "bad-timestamp",
    SkippedLocalTime => "skipped-local-time",
    RepeatedLocalTime => "repeated-local-time",
    NotWholeMinute => "not-whole-minute",
    BadNumber => "bad-number",
    PriceNotPositive => "price-not-positive",
    HighLowOrder => "high-low-order",
    BadVolume => "bad-volume",
    OtherInterval => "other-interval",
    OffGrid => "off-grid",
    InTheFuture => "in-the-future",
    OutsideRange => "outside-range",
    OtherTicker => "other-ticker",
    NoLineEnd => "no-line-end",
    LineTooLong => "line-too-long",
});

/// A row that can't become a bar: kept with its reason, never dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Origin of the row: a file's path, or the URL of a window without its key.
    pub origin: String,
    /// Number of the line in the file, or of the row in the response, from 1.
    pub line: u64,
    pub reason: Reason,
    /// The text of the row.
    pub raw: String,
}
