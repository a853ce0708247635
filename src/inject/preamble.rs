//! What is above the rows of a file: lines about something else, and the header.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::columns::{Role, normalise, role_of, slot};
use super::error::FileError;
use super::sample::{FieldKind, Fields, kind_of};

/// A line with fewer fields has no columns of bars: a title, a URL, `sep=,`.
const FIELDS_MIN: usize = 5;

/// Where the header and the rows of a file are, as indices of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// The line with the names of the columns.
    pub(super) header: Option<usize>,
    /// The line with the ticker of each column, if columns have two names.
    pub(super) tickers: Option<usize>,
    pub(super) rows: usize,
}

/// Finds header and rows below lines that are about something else. Such lines are skipped if the
/// next line is a header, or if they are comments.
pub(super) fn find_table(records: &[Fields<'_>]) -> Result<Table, FileError> {
    let is_short = |record: &Fields<'_>| record.len() < FIELDS_MIN;
    let start = records.iter().position(|record| !is_short(record));
    let start = start.ok_or(FileError::Unrecognised)?;
    let is_header = |record: &Fields<'_>| {
        let mut kinds = record.iter().map(|field| kind_of(field));
        kinds.all(|kind| matches!(kind, FieldKind::Text | FieldKind::Empty))
    };
    if !is_header(&records[start]) {
        let is_comment = |record: &Fields<'_>| {
            let first = record[0].trim_ascii();
            first.starts_with(b"#") || first.starts_with(b"sep=")
        };
        return match records[..start].iter().all(is_comment) {
            true => Ok(Table {
                header: None,
                tickers: None,
                rows: start,
            }),
            false => Err(FileError::Unrecognised),
        };
    }
    let second = start + 1;
    let (header, tickers) = match records.get(second) {
        Some(line) if are_two_levels(&records[start], line) => (start, second),
        Some(line) if are_two_levels(line, &records[start]) => (second, start),
        _ => {
            return Ok(Table {
                header: Some(start),
                tickers: None,
                rows: second,
            });
        }
    };
    // The name of the index may have a line of its own.
    let is_index_name =
        |line: &Fields<'_>| is_header(line) && line[1..].iter().all(|field| is_empty(field));
    let rows = second + 1;
    Ok(Table {
        header: Some(header),
        tickers: Some(tickers),
        rows: rows + usize::from(records.get(rows).is_some_and(is_index_name)),
    })
}

fn is_empty(field: &[u8]) -> bool {
    field.trim_ascii().is_empty()
}

/// Whether `names` are names of columns and `tickers` their tickers, as pandas writes columns with
/// two names: each ticker has all prices. The first column is the time.
pub(super) fn are_two_levels(names: &Fields<'_>, tickers: &Fields<'_>) -> bool {
    let is_name =
        |field: &Cow<'_, [u8]>| matches!(kind_of(field), FieldKind::Text | FieldKind::Empty);
    let (Some(first), Some(second)) = (names.first(), tickers.first()) else {
        return false;
    };
    if names.len() != tickers.len() || !(is_name(first) && is_name(second)) {
        return false;
    }
    let mut prices: BTreeMap<&[u8], BTreeSet<usize>> = BTreeMap::new();
    for (name, ticker) in names[1..].iter().zip(&tickers[1..]) {
        let ticker = ticker.trim_ascii();
        if ticker.is_empty() {
            return false;
        }
        let prices = prices.entry(ticker).or_default();
        if let Role::Number(price @ slot::OPEN..=slot::CLOSE) =
            role_of(&normalise(&String::from_utf8_lossy(name)))
        {
            prices.insert(price);
        }
    }
    let is_whole = |prices: &BTreeSet<usize>| prices.len() == slot::CLOSE + 1;
    !prices.is_empty() && prices.values().all(is_whole)
}

/// Where the line after the first `lines` starts.
pub(super) fn after_lines(text: &[u8], lines: usize) -> usize {
    match lines.checked_sub(1) {
        None => 0,
        Some(last) => memchr::memchr_iter(b'\n', text)
            .nth(last)
            .map_or(text.len(), |end| end + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::sample::sample;

    fn table(text: &str) -> Option<(Option<usize>, Option<usize>, usize)> {
        let (records, _) = sample(text.as_bytes(), true, b',');
        let table = find_table(&records).ok()?;
        Some((table.header, table.tickers, table.rows))
    }

    const ROW: &str = "2025-01-02 09:30,1,2,1,2\n";

    #[test]
    fn lines_above_the_header_are_skipped() {
        let header = "time,open,high,low,close\n";
        for (above, skipped) in [
            ("", 0),
            ("sep=,\n", 1),
            ("# a comment, and more\n", 1),
            ("https://www.example.com\n", 1),
            ("A title\n\nfrom,me\n", 2),
        ] {
            let text = format!("{above}{header}{ROW}");
            let expected = Some((Some(skipped), None, skipped + 1));
            assert_eq!(table(&text), expected, "{text}");
        }
        assert_eq!(table(&format!("# comment\n{ROW}")), Some((None, None, 1)));
        assert_eq!(table(&format!("a title\n{ROW}")), None);
    }

    #[test]
    fn columns_with_two_names() {
        let names = "Price,Close,High,Low,Open\n";
        let index = "Datetime,,,,\n";
        for (header, expected) in [
            (
                format!("{names}Ticker,A,A,A,A\n{index}"),
                (Some(0), Some(1), 3),
            ),
            (
                format!("Ticker,A,A,A,A\n{names}{index}"),
                (Some(1), Some(0), 3),
            ),
            (format!("{names}Ticker,A,A,A,A\n"), (Some(0), Some(1), 2)),
            (
                ",close,high,low,open,close,high,low,open\n,1,1,1,1,B,B,B,B\n".to_owned(),
                (Some(0), Some(1), 2),
            ),
            // A ticker lacks prices, so these aren't tickers.
            (format!("{names}Ticker,A,A,A,B\n"), (Some(0), None, 1)),
        ] {
            assert_eq!(table(&format!("{header}{ROW}")), Some(expected), "{header}");
        }
    }

    #[test]
    fn lines_are_skipped_by_number() {
        assert_eq!(after_lines(b"a\nb\nc", 0), 0);
        assert_eq!(after_lines(b"a\nb\nc", 2), 4);
        assert_eq!(after_lines(b"a\nb\nc", 9), 5);
    }
}
