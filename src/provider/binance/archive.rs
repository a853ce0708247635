//! Parses a public file: a zip with one CSV file, and the checksum next to it.

use std::io::{Cursor, Read};

use sha2::{Digest, Sha256};

use super::row::{self, Bounds};
use super::steps::{File, PAGE_ROWS, Span, Why, clipped};
use crate::model::{Bars, Interval, Reason};
use crate::provider::Rows;

/// The longest CSV file that is read. A month of minutes has 7 MB.
const CSV_BYTES_MAX: u64 = 32 << 20;

/// Rows beyond one for each bar of the period: a header, and some that are there twice.
const EXTRA_ROWS_MAX: usize = 1_000;

/// Hex digits of a checksum.
const HEX_DIGITS: usize = 64;

/// What the file is about.
pub(super) struct Expected {
    pub(super) file: File,
    pub(super) interval: Interval,
    pub(super) bounds: Bounds,
}

/// The rows of a file.
pub(super) struct FileRows {
    /// Those that were requested, in order of time.
    pub(super) rows: Rows,
    /// What to request of the bars that the file lacks.
    pub(super) missing: Vec<Span>,
}

/// The hash in a checksum file: hex, two blanks and the file's name.
pub(super) fn checksum(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let word = text.split_ascii_whitespace().next()?;
    let is_hash = word.len() == HEX_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| word.to_ascii_lowercase())
}

/// Whether `bytes` have this hash.
pub(super) fn fits(bytes: &[u8], sha256: &str) -> bool {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hex == sha256
}

/// Reads a zip; the error says what is wrong with it.
pub(super) fn read(bytes: &[u8], expected: &Expected, origin: &str) -> Result<FileRows, String> {
    let csv = unzipped(bytes)?;
    rows(&csv, expected, origin)
}

/// The content of the only file in a zip.
fn unzipped(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let bad = |error: zip::result::ZipError| format!("it isn't a valid zip file: {error}");
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(bad)?;
    if zip.len() != 1 {
        return Err(format!("it has {} files instead of one", zip.len()));
    }
    let entry = zip.by_index(0).map_err(bad)?;
    // The size in the header is only a claim.
    let mut csv = Vec::with_capacity(entry.size().min(CSV_BYTES_MAX) as usize);
    let read = entry.take(CSV_BYTES_MAX + 1).read_to_end(&mut csv);
    read.map_err(|error| format!("it can't be unzipped: {error}"))?;
    match csv.len() as u64 > CSV_BYTES_MAX {
        true => Err(format!("it has more than {CSV_BYTES_MAX} bytes unzipped")),
        false => Ok(csv),
    }
}

/// Reads the lines of a CSV file.
pub(super) fn rows(csv: &[u8], expected: &Expected, origin: &str) -> Result<FileRows, String> {
    let (start, end) = expected.file.micros();
    let step = expected.interval.micros();
    let rows_max = usize::try_from((end - start) / step).unwrap_or(0) + EXTRA_ROWS_MAX;
    let mut rows = Rows {
        bars: Bars::with_capacity(csv.len() / 100),
        rejects: Vec::new(),
    };
    let mut opens = Vec::with_capacity(csv.len() / 100);
    let mut count = 0;
    for (line, bytes) in (1..).zip(csv.split(|byte| *byte == b'\n')) {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        count += 1;
        if count > rows_max {
            return Err(format!("it has more than {rows_max} rows"));
        }
        let text = String::from_utf8_lossy(bytes);
        let at = row::open_time(&text);
        // Files of some years have a header.
        if line == 1 && at.is_none() {
            continue;
        }
        let bar = match at {
            Some(at) if at < start || at >= end => Err((Reason::OutsideRange, None)),
            Some(at) if at < expected.bounds.start || at >= expected.bounds.end => continue,
            at => expected.bounds.bar(at, &text),
        };
        opens.extend(at.filter(|at| (start..end).contains(at)));
        rows.add(bar, line, &text, origin);
    }
    rows.sort();
    opens.sort_unstable();
    Ok(FileRows {
        rows,
        missing: missing(&opens, expected),
    })
}

/// The requests for the bars that a file lacks: it may have been published too early. Missing bars
/// that fit on one page are requested together.
fn missing(opens: &[i64], expected: &Expected) -> Vec<Span> {
    let step = expected.interval.micros();
    let (start, end) = clipped(expected.file, expected.bounds);
    let first = start + (-start).rem_euclid(step);
    let mut spans: Vec<(i64, i64)> = Vec::new();
    let mut add = |from: i64, until: i64| {
        if from >= until {
            return;
        }
        match spans.last_mut() {
            Some((start, end)) if until - *start <= PAGE_ROWS as i64 * step => *end = until,
            _ => spans.push((from, until)),
        }
    };
    let mut next = first;
    for open in opens {
        add(next, *open);
        next = next.max(open - open.rem_euclid(step) + step);
    }
    add(next, end);
    (spans.into_iter())
        .map(|(from, until)| Span::of(from, until, Why::Missing))
        .collect()
}
