//! The terms of the field as types: bars, series, intervals, dates.
//!
//! **This module is pure: no clock, no I/O, no async.** All other modules depend on it, and it
//! depends on none of them.

mod bar;
mod bars;
mod basis_change;
pub mod columns;
mod combined;
mod conflict;
pub(crate) mod decimal;
mod grid;
mod interval;
mod reject;
mod repeated;
mod series;
mod source;
mod ticker;
mod time;
pub(crate) mod words;
mod zone;

pub use bar::Bar;
pub use bars::{Bars, ColumnValues};
pub use basis_change::{BasisChange, Split};
pub use combined::CombinedBar;
pub use conflict::OnConflict;
pub use grid::Grid;
pub use interval::{Interval, UnknownInterval};
pub use reject::{Reason, Reject};
pub use repeated::{Repeated, resolve_repeated};
pub use series::{Basis, Hours, Provenance, SeriesKey};
pub use source::Source;
pub use ticker::{BadTicker, TICKER_BYTES_MAX, Ticker};
pub use time::{
    BadDate, DAY_MICROS, DateRange, MINUTE_MICROS, TimeRange, Timestamp, TypedDate, date_micros,
    year_start_micros,
};
pub use words::UnknownWord;
pub use zone::{Local, Zone};
