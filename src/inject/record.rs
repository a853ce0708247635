//! Records of a file, with quotes as in RFC 4180: where one ends, and its fields.
//!
//! For headers, samples and rows that aren't plain. A quote opens only at the start of a field. One
//! that isn't closed within [`QUOTED_BYTES_MAX`] isn't a quote: its line is a row, so that a stray
//! quote costs one row and not the rest of the file.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// The maximum size of a quoted field, with line breaks.
pub(super) const QUOTED_BYTES_MAX: usize = 64 * 1024;

/// Where a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After this line feed.
    At(usize),
    /// A quote isn't closed; the first line ends after this line feed.
    Unclosed(usize),
    /// The text ends before the record does.
    Unknown,
}

/// Where the record that starts at `start` ends. `last` means that nothing follows `text`.
pub(super) fn end_of(text: &[u8], start: usize, delimiter: u8, last: bool) -> End {
    let rest = &text[start..];
    let Some(line) = memchr(b'\n', rest).map(|at| at + 1) else {
        return End::Unknown;
    };
    if memchr(b'"', &rest[..line]).is_none() {
        return End::At(start + line);
    }
    let reach = rest.len().min(QUOTED_BYTES_MAX);
    let mut at = 0;
    loop {
        // At the start of a field.
        if rest[at] == b'"' {
            at += 1;
            loop {
                let quote = rest.get(at..reach).and_then(|rest| memchr(b'"', rest));
                match quote {
                    None if reach == QUOTED_BYTES_MAX || last => {
                        return End::Unclosed(start + line);
                    }
                    None => return End::Unknown,
                    Some(quote) => at += quote + 1,
                }
                if rest.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
        }
        match memchr2(delimiter, b'\n', &rest[at..]) {
            Some(mark) if rest[at + mark] == b'\n' => return End::At(start + at + mark + 1),
            Some(mark) => at += mark + 1,
            None => {
                return if last {
                    End::Unclosed(start + line)
                } else {
                    End::Unknown
                };
            }
        }
        if at >= rest.len() {
            return End::Unknown;
        }
    }
}

/// Splits a record, with or without its line feed, into fields without their quotes.
pub(super) fn split<'a>(record: &'a [u8], delimiter: u8, fields: &mut Vec<Cow<'a, [u8]>>) {
    fields.clear();
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let mut at = 0;
    loop {
        let rest = &record[at..];
        if rest.first() == Some(&b'"')
            && let Some((value, length)) = quoted(rest)
        {
            let mark = memchr(delimiter, &rest[length..]);
            let tail = &rest[length..mark.map_or(rest.len(), |mark| length + mark)];
            fields.push(if tail.is_empty() {
                value
            } else {
                Cow::Owned([&value, tail].concat())
            });
            match mark {
                Some(mark) => at += length + mark + 1,
                None => return,
            }
            continue;
        }
        match memchr(delimiter, rest) {
            Some(mark) => {
                fields.push(Cow::Borrowed(&rest[..mark]));
                at += mark + 1;
            }
            None => {
                fields.push(Cow::Borrowed(rest));
                return;
            }
        }
    }
}

/// The value of a quoted field at the start of `text`, and its length in bytes.
fn quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, usize)> {
    let mut owned: Vec<u8> = Vec::new();
    let mut from = 1;
    loop {
        let quote = from + memchr(b'"', &text[from..])?;
        if text.get(quote + 1) == Some(&b'"') {
            owned.extend_from_slice(&text[from..=quote]);
            from = quote + 2;
        } else if owned.is_empty() {
            return Some((Cow::Borrowed(&text[from..quote]), quote + 1));
        } else {
            owned.extend_from_slice(&text[from..quote]);
            return Some((Cow::Owned(owned), quote + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(record: &str) -> Vec<String> {
        let mut out = Vec::new();
        split(record.as_bytes(), b',', &mut out);
        out.iter()
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .collect()
    }

    #[test]
    fn quotes_are_removed() {
        assert_eq!(fields("a,\"b,\"\"c\"\"\",\r\n"), ["a", "b,\"c\"", ""]);
        assert_eq!(fields("\"a\"x,b"), ["ax", "b"]);
        assert_eq!(fields("\"a,b"), ["\"a", "b"]);
        assert_eq!(fields(""), [""]);
        assert_eq!(fields("5\",6"), ["5\"", "6"]);
    }

    #[test]
    fn records_end_outside_quotes() {
        let end = |text: &str, last| end_of(text.as_bytes(), 0, b',', last);
        assert_eq!(end("a,b\nc", false), End::At(4));
        assert_eq!(end("a,\"b\nc\"\nd\n", false), End::At(8));
        assert_eq!(end("a,5\"\nb\n", false), End::At(5));
        assert_eq!(end("a,\"b\nc\n", false), End::Unknown);
        assert_eq!(end("a,\"b\nc\n", true), End::Unclosed(5));
        assert_eq!(end("abc", false), End::Unknown);
        let long = format!("a,\"b\n{}", "x\n".repeat(QUOTED_BYTES_MAX));
        assert_eq!(end(&long, false), End::Unclosed(5));
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_back(rows in prop::collection::vec(prop::collection::vec("[a\",\r\n ]{0,6}", 2..5), 1..6)) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let mut at = 0;
            let mut read = Vec::new();
            while at < text.len() {
                let End::At(end) = end_of(&text, at, b',', true) else { panic!("no end at {at}") };
                let mut out = Vec::new();
                split(&text[at..end], b',', &mut out);
                read.push(out.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect::<Vec<_>>());
                at = end;
            }
            prop_assert_eq!(read, rows);
        }
    }
}
