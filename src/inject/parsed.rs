//! What goes into parsing and what comes out of it.

use super::evidence::Contrary;
use crate::model::{Bars, Reason, Repeated};

/// How much of a row that is no bar is kept.
const RAW_BYTES_MAX: usize = 4096;

/// Whole records of a dump.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    /// The text; it ends with a line feed.
    pub(super) text: Vec<u8>,
    /// The number of its first line in the file, from 1.
    pub(super) first_line: u64,
}

/// What blocks came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Parsed {
    /// The bars, in file order; a repeated local time stands as its first meaning.
    pub(super) bars: Bars,
    /// Whose they are: so many of the parser's ticker, then so many of another.
    pub(super) runs: Vec<Run>,
    /// The rows that are no bars.
    pub(super) rejects: Vec<BadRow>,
    /// The bars whose local time a clock change repeats.
    pub(super) repeated: Vec<Repeated<BadRow>>,
    /// The first row that contradicts what the plan says of all of them.
    pub(super) contrary: Option<Contrary>,
    /// Rows seen, whatever became of them.
    pub(super) rows: u64,
}

/// Bars of one ticker, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Index in [`Parser::tickers`].
    pub(super) ticker: u32,
    pub(super) len: u32,
}

/// A row that is no bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) reason: Reason,
    pub(super) raw: String,
}

/// A row that is no bar, its line end taken off.
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
    }
}
