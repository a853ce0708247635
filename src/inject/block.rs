//! The input of parsing, and its result.

use super::error::Contradiction;
use crate::model::{Bars, Reason, Repeated, Ticker};

/// The maximum text kept of a reject.
const RAW_BYTES_MAX: usize = 4096;

/// Whole records of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    /// Ends with a line feed.
    pub(super) text: Vec<u8>,
    /// The number of its first line in the file, from 1.
    pub(super) first_line: u64,
}

/// The result of parsing blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Parsed {
    /// In file order. A local time that occurs twice counts as its first instant.
    pub(super) bars: Bars,
    /// The tickers of the bars.
    pub(super) runs: Vec<Run>,
    pub(super) rejects: Vec<BadRow>,
    /// The indices of the rejects whose time isn't known, and how many bars come before each.
    pub(super) unplaced: Vec<(usize, usize)>,
    /// The bars whose local time occurs twice.
    pub(super) repeated: Vec<Repeated<BadRow>>,
    /// The first row that contradicts the plan.
    pub(super) contradiction: Option<Contradiction>,
    /// All rows, also rejects.
    pub(super) rows: u64,
    /// Rows without prices, which are neither bars nor rejects.
    pub(super) empty_minutes: u64,
    /// Bars without a volume, which is 0 then.
    pub(super) empty_volumes: u64,
}

/// Consecutive bars of one ticker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The index among the parser's tickers.
    pub(super) ticker: u32,
    pub(super) len: u32,
}

/// A row that isn't a valid bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) reason: Reason,
    pub(super) raw: String,
    /// The bar that it would be, if that is known.
    pub(super) bar: Option<MissingBar>,
}

/// A bar that is missing because its row is a reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingBar {
    pub(super) ticker: Ticker,
    /// The time in the file: when the bar opens or closes.
    pub(super) time: i64,
    /// How many intervals after `time` it is.
    pub(super) steps: i64,
}

/// The reject of a row, without its line end.
pub(super) fn bad_row(raw: &[u8], line: u64, reason: Reason) -> BadRow {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    let mut text = String::from_utf8_lossy(&raw[..raw.len().min(RAW_BYTES_MAX)]).into_owned();
    if raw.len() > RAW_BYTES_MAX {
        text.push('…');
    }
    BadRow {
        line,
        reason,
        raw: text,
        bar: None,
    }
}
