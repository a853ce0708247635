//! Minute bars of LEAN (QuantConnect): a file per day, with milliseconds since midnight in the time
//! of the exchange, and prices in units of 1/10,000 for stocks.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use chrono::NaiveDate;

use super::written::{LINE_BYTES_MAX, WriteText, write_plain};
use crate::inject::filename::any_stem_of;

const DAY_MS: u32 = 86_400_000;
/// The decimals of a price in units of 1/10,000.
const DECIMALS: usize = 4;
/// Time, open, high, low, close, volume.
const FIELDS: usize = 6;

/// What the path of a file shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::inject) struct LeanFile {
    date: NaiveDate,
    pub(in crate::inject) ticker: String,
    /// Whether it has bars of bid and ask, which aren't trades.
    pub(in crate::inject) is_quote: bool,
    /// Whether prices are in units of 1/10,000; `None` if the first row shows it.
    is_scaled: Option<bool>,
}

impl LeanFile {
    /// Reads a path such as `equity/usa/minute/aapl/20131007_trade.zip/20131007_aapl_minute_trade.csv`.
    pub(in crate::inject) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy();
        let (date, rest) = any_stem_of(&name).0.split_once('_')?;
        let (ticker, kind) = rest.rsplit_once("_minute_")?;
        let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        let date = NaiveDate::parse_from_str(date, "%Y%m%d")
            .ok()
            .filter(|_| is_date)?;
        let has_folder = |names: &[&str]| {
            path.components().any(|folder| {
                let folder = folder.as_os_str().to_string_lossy();
                names.iter().any(|name| folder.eq_ignore_ascii_case(name))
            })
        };
        let is_stock = has_folder(&["equity", "option"]);
        let is_other = has_folder(&["crypto", "cryptofuture", "forex", "cfd", "future", "index"]);
        let kind = kind.to_ascii_lowercase();
        matches!(kind.as_str(), "trade" | "quote").then(|| Self {
            date,
            ticker: ticker.to_ascii_uppercase(),
            is_quote: kind == "quote",
            is_scaled: (is_stock != is_other).then_some(is_stock),
        })
    }
}

/// The rows of a file, with date and decimals.
pub(super) struct Rows<R> {
    input: BufReader<R>,
    file: LeanFile,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R, file: LeanFile) -> Self {
        Self {
            input: BufReader::new(input),
            file,
        }
    }

    /// Writes a row; `None` if it isn't one of LEAN.
    fn write_row(&mut self, line: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let line = std::str::from_utf8(line.trim_ascii()).ok()?;
        let fields: Vec<&str> = line.split(',').collect();
        let [time, prices @ .., volume] = &fields[..] else {
            return None;
        };
        let time: u32 = time.parse().ok().filter(|time| *time < DAY_MS)?;
        let is_whole = |price: &&str| price.bytes().all(|byte| byte.is_ascii_digit());
        if fields.len() != FIELDS {
            return None;
        }
        let is_scaled = *self
            .file
            .is_scaled
            .get_or_insert_with(|| prices.iter().all(is_whole));
        if is_scaled && !prices.iter().all(is_whole) {
            return None;
        }
        let (seconds, ms) = (time / 1000, time % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write_plain(
            out,
            format_args!(
                "{} {hour:02}:{minute:02}:{second:02}.{ms:03}",
                self.file.date
            ),
        );
        for price in prices {
            out.push(b',');
            if is_scaled {
                let padded = format!("{price:0>width$}", width = DECIMALS + 1);
                let (whole, decimals) = padded.split_at(padded.len() - DECIMALS);
                write_plain(out, format_args!("{whole}.{decimals}"));
            } else {
                out.extend_from_slice(price.as_bytes());
            }
        }
        out.push(b',');
        out.extend_from_slice(volume.as_bytes());
        Some(())
    }
}

impl<R: Read + Send> WriteText for Rows<R> {
    fn write(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut line = Vec::new();
        let mut limited = self.input.by_ref().take(LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut line);
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        // Another line stays as it is, and is a reject.
        if read.is_err() || self.write_row(content, out).is_none() {
            out.extend_from_slice(content);
        }
        if content.len() < line.len() {
            out.push(b'\n');
        }
        read.map(|read| read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::written::Written;
    use super::*;

    fn rows(path: &str, text: &str) -> String {
        let file = LeanFile::of(Path::new(path)).unwrap();
        let mut out = String::new();
        let mut rows = Written::new(Rows::new(text.as_bytes(), file));
        rows.read_to_string(&mut out).unwrap();
        out
    }

    #[test]
    fn rows_get_their_date_and_their_decimals() {
        let text = "34200000,4500000,4505100,99,4500,120\n";
        let stock = "2013-10-07 09:30:00.000,450.0000,450.5100,0.0099,0.4500,120\n";
        let name = "20131007_trade.zip/20131007_aapl_minute_trade.csv";
        for path in [format!("equity/usa/minute/aapl/{name}"), name.to_owned()] {
            assert_eq!(rows(&path, text), stock, "{path}");
        }
        let coin = "2013-10-07 09:30:00.000,4500000,4505100,99,4500,120\n";
        assert_eq!(
            rows(&format!("crypto/gdax/minute/btcusd/{name}"), text),
            coin
        );
        let decimal = "34200000,1.5,1.6,1.4,1.5,2\nmore\n86400000,1,1,1,1,1";
        let local = "2013-10-07 09:30:00.000,1.5,1.6,1.4,1.5,2\nmore\n86400000,1,1,1,1,1";
        assert_eq!(rows(name, decimal), local);
    }

    #[test]
    fn names_of_other_files() {
        for name in [
            "20131007_trade.csv",
            "AAPL_minute_trade.csv",
            "20131007_aapl_second_trade.csv",
        ] {
            assert_eq!(LeanFile::of(Path::new(name)), None, "{name}");
        }
        assert!(
            LeanFile::of(Path::new("20131007_aapl_minute_quote.csv"))
                .unwrap()
                .is_quote
        );
    }
}
