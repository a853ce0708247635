//! What is above the rows of a file: lines about something else, and the header.

use super::columns::{Role, normalise, role_of};
use super::error::FileError;
use super::sample::{FieldKind, Fields, kind_of};

/// A line with fewer fields has no columns of bars: a title, a URL, `sep=,`.
const FIELDS_MIN: usize = 5;

/// Where the header and the rows of a file are, as indices of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) header: Option<usize>,
    pub(super) rows: usize,
    /// The ticker in a line below the header, as yfinance writes it.
    pub(super) ticker: Option<String>,
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
                rows: start,
                ticker: None,
            }),
            false => Err(FileError::Unrecognised),
        };
    }
    let mut rows = start + 1;
    let mut ticker = None;
    // yfinance: a line of tickers, then a line with the name of the index alone.
    if let Some(line) = records.get(rows)
        && line[0].trim_ascii().eq_ignore_ascii_case(b"ticker")
    {
        ticker = Some(only_ticker(&line[1..])?);
        rows += 1;
        let is_index = |line: &Fields<'_>| {
            let name = normalise(&String::from_utf8_lossy(&line[0]));
            matches!(role_of(&name), Role::Timestamp | Role::Date)
                && line[1..].iter().all(|field| field.trim_ascii().is_empty())
        };
        rows += usize::from(records.get(rows).is_some_and(is_index));
    }
    Ok(Table {
        header: Some(start),
        rows,
        ticker,
    })
}

/// The ticker that all columns are of.
fn only_ticker(fields: &[std::borrow::Cow<'_, [u8]>]) -> Result<String, FileError> {
    let mut tickers = fields.iter().map(|field| field.trim_ascii());
    let first = tickers.next().unwrap_or_default();
    if tickers.any(|ticker| !ticker.is_empty() && ticker != first) {
        return Err(FileError::SeveralTickers);
    }
    Ok(String::from_utf8_lossy(first).into_owned())
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

    fn table(text: &str) -> Option<(Option<usize>, usize, Option<String>)> {
        let (records, _) = sample(text.as_bytes(), true, b',');
        let table = find_table(&records).ok()?;
        Some((table.header, table.rows, table.ticker))
    }

    #[test]
    fn lines_above_the_header_are_skipped() {
        let header = "time,open,high,low,close\n";
        let row = "2025-01-02 09:30,1,2,1,2\n";
        for (above, skipped) in [
            ("", 0),
            ("sep=,\n", 1),
            ("# a comment, and more\n", 1),
            ("https://www.example.com\n", 1),
            ("A title\n\nfrom,me\n", 2),
        ] {
            let text = format!("{above}{header}{row}");
            assert_eq!(
                table(&text),
                Some((Some(skipped), skipped + 1, None)),
                "{text}"
            );
        }
        assert_eq!(table(&format!("# comment\n{row}")), Some((None, 1, None)));
        assert_eq!(table(&format!("a title\n{row}")), None);
        let yahoo = "Price,Close,High,Low,Open,Volume\nTicker,A,A,A,A,A\nDatetime,,,,,\n";
        assert_eq!(
            table(&format!("{yahoo}{row}")),
            Some((Some(0), 3, Some("A".into())))
        );
        let wide = yahoo.replace("A,A\n", "A,B\n");
        assert_eq!(table(&format!("{wide}{row}")), None);
    }

    #[test]
    fn lines_are_skipped_by_number() {
        assert_eq!(after_lines(b"a\nb\nc", 0), 0);
        assert_eq!(after_lines(b"a\nb\nc", 2), 4);
        assert_eq!(after_lines(b"a\nb\nc", 9), 5);
    }
}
